import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { nowMs } from '../../src/lib/clock.ts';

const ROUNDS = 2000;

/** Answers each ping (a rising number in `turn`) with its own time in `answers`. */
const ECHO = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { nowMs } = await import(workerData.clock);
  const { turn, answers } = workerData;
  parentPort.postMessage('ready');
  for (let round = 0; round < answers.length; round++) {
    Atomics.wait(turn, 0, 2 * round);
    answers[round] = nowMs();
    Atomics.store(turn, 0, 2 * round + 2);
    Atomics.notify(turn, 0);
  }
`;

describe('the clock', () => {
  it('never runs backwards', () => {
    let last = nowMs();
    for (let i = 0; i < 10_000; i++) {
      const now = nowMs();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
  });

  it('advances as fast as the process clock', async () => {
    const clockMs = nowMs();
    const processNs = process.hrtime.bigint();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const processMs = Number(process.hrtime.bigint() - processNs) / 1e6;
    expect(Math.abs(nowMs() - clockMs - processMs)).toBeLessThan(5);
  });

  it('tells the same instant in every thread', async () => {
    const turn = new Int32Array(new SharedArrayBuffer(4));
    const answers = new Float64Array(new SharedArrayBuffer(8 * ROUNDS));
    const clock = new URL('../../src/lib/clock.ts', import.meta.url).href;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(ECHO)}`), {
      workerData: { clock, turn, answers },
    });
    await once(worker, 'message');
    const exit = once(worker, 'exit');

    // An answer was given after its ping and before its reception, so its distance from these two bounds the
    // difference of the clocks from both sides; the tightest of many rounds counts, whatever the load of the machine.
    let [atLeastMs, atMostMs] = [-Infinity, Infinity];
    for (let round = 0; round < ROUNDS; round++) {
      const sentMs = nowMs();
      Atomics.store(turn, 0, 2 * round + 1);
      Atomics.notify(turn, 0);
      expect(Atomics.wait(turn, 0, 2 * round + 1, 30_000)).not.toBe('timed-out');
      atMostMs = Math.min(atMostMs, answers[round]! - sentMs);
      atLeastMs = Math.max(atLeastMs, answers[round]! - nowMs());
    }
    await exit;
    // The worker's clock minus ours is between these two: they must not contradict each other, and enclose 0 but for
    // the error of measuring the offsets.
    expect(atMostMs).toBeGreaterThan(-0.5);
    expect(atLeastMs).toBeLessThan(0.5);
  });
});
