import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { HealthProbe } from '../../src/load/health.ts';
import { PollLoop } from '../../src/load/wait.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { eventually } from '../support/eventually.ts';

let loop: PollLoop;

afterEach(() => loop.stop());

/** Keeps the thread busy, as a handler of ours would. */
function work(durationMs: number): void {
  const end = nowMs() + durationMs;
  while (nowMs() < end);
}

/** Starts a loop that is always near its next instant, and does some work in each poll. */
function startNearLoop(workMs: number): void {
  loop = new PollLoop(
    () => {
      work(workMs);
      return nowMs() + 0.5;
    },
    () => 0,
    () => true,
  );
  loop.start();
}

describe('the poll loop', () => {
  test('never polls what is due before its instant, and meets every instant', async () => {
    const startMs = nowMs();
    const instants = [0, 3, 3.4, 20, 20.1, 45].map((t) => startMs + t);
    const metAt: number[] = [];
    loop = new PollLoop(
      () => {
        while (metAt.length < instants.length && instants[metAt.length]! <= nowMs()) metAt.push(nowMs());
        return instants[metAt.length] ?? Infinity;
      },
      () => 0,
      () => true,
    );
    loop.start();
    await eventually(() => expect(metAt).toHaveLength(instants.length));
    metAt.forEach((at, i) => expect(at).toBeGreaterThanOrEqual(instants[i]!));
  });

  test('goes on as one loop when it is woken from within a poll', async () => {
    let polls = 0;
    loop = new PollLoop(
      () => {
        polls++;
        loop.wake();
        return Infinity;
      },
      () => 0,
      () => true,
    );
    loop.start();
    await sleep(500);
    // On its longest timer one loop polls ten times in half a second; two loops would double with each poll.
    expect(polls).toBeLessThanOrEqual(11);
  });

  test('polls at once when it is woken', () => {
    let polls = 0;
    loop = new PollLoop(
      () => {
        polls++;
        return Infinity;
      },
      () => 0,
      () => true,
    );
    loop.start();
    loop.wake();
    expect(polls).toBe(2);
  });

  test('takes one long nap where no answer is to come, and short ones between which answers are read', async () => {
    const turnsOf = async (expects: boolean): Promise<number> => {
      let turns = 0;
      let hits = 0;
      let dueMs = nowMs();
      loop = new PollLoop(
        () => {
          turns++;
          if (nowMs() < dueMs) return dueMs;
          dueMs = ++hits < 100 ? nowMs() + 1.2 : Infinity;
          return dueMs;
        },
        () => 0,
        () => expects,
      );
      loop.start();
      await eventually(() => expect(hits).toBe(100));
      loop.stop();
      return turns;
    };
    expect(await turnsOf(false)).toBeLessThan(0.8 * (await turnsOf(true)));
  });

  test('does nothing more when it was stopped', async () => {
    let polls = 0;
    loop = new PollLoop(
      () => {
        polls++;
        return nowMs();
      },
      () => 0,
      () => true,
    );
    loop.start();
    loop.stop();
    loop.wake();
    await sleep(20);
    expect(polls).toBe(1);
  });
});

describe('the utilisation', () => {
  test('does not count polling for the next hit', async () => {
    startNearLoop(0);
    using health = new HealthProbe(() => loop.polledMs);
    await sleep(400);
    expect(health.take().utilisation).toBeLessThan(0.5);
  });

  test('counts what a poll does', async () => {
    startNearLoop(2);
    using health = new HealthProbe(() => loop.polledMs);
    await sleep(400);
    expect(health.take().utilisation).toBeGreaterThan(0.5);
  });

  test('counts a turn of the event loop in which something happened', async () => {
    let progress = 0;
    loop = new PollLoop(
      () => {
        setImmediate(() => {
          work(2);
          progress++;
        });
        return nowMs() + 0.1;
      },
      () => progress,
      () => true,
    );
    loop.start();
    using health = new HealthProbe(() => loop.polledMs);
    await sleep(400);
    expect(health.take().utilisation).toBeGreaterThan(0.5);
  });

  test('of a thread that sleeps is low', async () => {
    loop = new PollLoop(
      () => Infinity,
      () => 0,
      () => true,
    );
    using health = new HealthProbe(() => loop.polledMs);
    await sleep(400);
    expect(health.take().utilisation).toBeLessThan(0.5);
  });
});

test('the loop delay is how late a timer fired beyond its grain', () => {
  loop = new PollLoop(
    () => Infinity,
    () => 0,
    () => true,
  );
  using health = new HealthProbe(() => 0);
  for (let i = 0; i < 99; i++) health.timerFired(10, 10.5);
  health.timerFired(10, 61.2);
  expect(health.take()).toMatchObject({ loopDelayP99Ms: 0, loopDelayMaxMs: 50 });
  expect(health.take()).toMatchObject({ loopDelayP99Ms: 0, loopDelayMaxMs: 0 });
});
