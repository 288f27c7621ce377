import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { rankOf } from '../../src/lib/histogram.ts';
import { constant, expectIdentity, expectTargetAgrees, runTask, taskFor, type RunResult } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { startTargetProcess } from '../support/target-process.ts';

const RATE = 200;
const HITS = 1_000;
const SLOTS = 5;
const FREEZE_MS = 1_000;
/** What a busy machine may add: the thaw, and the target working off what waited. */
const TOLERANCE_MS = 100;

/** A run in which this machine was not too busy itself: the arithmetic is of the target's freeze alone. */
async function undisturbedRun(onSaturated: 'drop' | 'queue'): Promise<{ result: RunResult; frozenMs: number }> {
  for (let attempt = 1; ; attempt++) {
    const run = await runWithFreeze(onSaturated);
    const { stalled, 'generator-limited': late } = run.result.total.counts.dropped;
    if (stalled + late === 0) return run;
    if (attempt === 5) throw new Error(`this machine was too busy five times: ${stalled + late} hits were too late`);
  }
}

/** Constant rate on five connections; the target stands still (SIGSTOP) for a second in the middle. */
async function runWithFreeze(onSaturated: 'drop' | 'queue'): Promise<{ result: RunResult; frozenMs: number }> {
  await using target = await startTargetProcess();
  let frozenMs = 0;
  const load = { stages: [constant(RATE, (HITS / RATE) * 1_000)], maxInFlight: SLOTS, onSaturated };
  const result = await runTask(taskFor(target.url, { load }), {
    control: async (_, samples) => {
      await eventually(() => expect(samples.length).toBeGreaterThan(0));
      const frozenAt = performance.now();
      target.freeze();
      await sleep(FREEZE_MS);
      target.thaw();
      frozenMs = performance.now() - frozenAt;
    },
  });
  expectIdentity(result);
  expectTargetAgrees(result, (await target.stats()).received);
  expect(result.total.counts.scheduled).toBe(HITS);
  return { result, frozenMs };
}

/** Response time, ms, at a percentile of all scheduled hits; those without an answer count as +∞. */
function percentileOfScheduled(result: RunResult, percent: number): number {
  const answered = result.histogram('responseOk');
  const rank = rankOf(percent, result.total.counts.scheduled);
  return rank > answered.count ? Infinity : answered.valueAtRank(rank) / 1_000;
}

const servicePercentile = (result: RunResult, percent: number): number =>
  result.histogram('serviceOk').percentile(percent) / 1_000;

test('with a queue, the response times tell of the freeze as arithmetic predicts, and the service times hide it', async () => {
  const { result, frozenMs } = await undisturbedRun('queue');
  expect(result.total.counts.ok).toBe(HITS);
  // A hit scheduled s ms into the freeze is answered when it ends, after (frozenMs − s) ms. So of 1000 hits,
  // (frozenMs − x) · RATE / 1000 take longer than x, and percentile p lies at frozenMs − (100 − p) % · HITS / RATE.
  for (const percent of [90, 95, 99]) {
    const predictedMs = frozenMs - (((100 - percent) / 100) * HITS * 1_000) / RATE;
    expect(Math.abs(percentileOfScheduled(result, percent) - predictedMs)).toBeLessThan(TOLERANCE_MS);
  }
  expect(percentileOfScheduled(result, 70)).toBeLessThan(TOLERANCE_MS);
  // Only the five hits that were in flight had a long service time: half a percent.
  expect(servicePercentile(result, 99)).toBeLessThan(TOLERANCE_MS);
});

test('with drops, the percentiles of all scheduled hits still tell of the freeze, and those of the answered hide it', async () => {
  const { result, frozenMs } = await undisturbedRun('drop');
  const { counts } = result.total;
  const expectedDrops = (frozenMs * RATE) / 1_000 - SLOTS;
  expect(Math.abs(counts.dropped['target-limited'] - expectedDrops)).toBeLessThan((TOLERANCE_MS * RATE) / 1_000);
  expect(percentileOfScheduled(result, 70)).toBeLessThan(TOLERANCE_MS);
  for (const percent of [90, 95, 99]) expect(percentileOfScheduled(result, percent)).toBe(Infinity);
  expect(servicePercentile(result, 99)).toBeLessThan(TOLERANCE_MS);
  expect(result.histogram('responseOk').percentile(99) / 1_000).toBeLessThan(TOLERANCE_MS);
});
