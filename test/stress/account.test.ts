import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RunAccounting, underWayOf } from '../../src/stress/account.ts';
import type { AssignmentRecord, RunRecord } from '../../src/stress/ports.ts';
import { withoutLatencies } from '../../src/stress/holds.ts';
import type { RunAccount } from '../../src/task/account.ts';
import { addCounts } from '../../src/task/merge.ts';
import { emptyCounts, type Sample } from '../../src/task/sample.ts';
import { answeredCounts, countsOf, healthySecond, sampleOf } from '../support/samples.ts';
import { wholeAccount } from '../support/reports.ts';
import { sampleRecord } from '../support/store-records.ts';
import { recordOf, runningOf } from './support/records.ts';

/** 600/s for 60 s; a third of it is 200/s. */
const RUN = runningOf({ state: 'DONE_INCOMPLETE' });

/** @param samples of the one assignment, all stored */
function accountOf(
  samples: readonly Sample[],
  part: Partial<AssignmentRecord>,
  run: RunRecord = RUN,
  upTo = samples.length,
): RunAccount {
  const record = recordOf(1, 'w1', { state: 'LOST', ...part });
  const accounting = new RunAccounting(run, [record], [{ assignment: 1, incarnation: 1, upTo }]);
  for (const sample of samples) {
    const stored = sampleRecord(run, sample.seq, { incarnation: 1, second: sample.second });
    accounting.add({ second: sample.second, parts: [{ record: stored, sample }] });
  }
  return accounting.close();
}

const seconds = (count: number, part: Parameters<typeof healthySecond>[3] = {}) =>
  Array.from({ length: count }, (_, second) => healthySecond(second, 200, 1000, part));

describe('the account of a run', () => {
  test('of which all is stored has nothing unknown', () => {
    expect(accountOf(seconds(5), { state: 'STOPPED', finalSeq: 5 })).toEqual(wholeAccount(1));
  });

  test.each<[sentence: string, account: RunAccount, expected: object]>([
    [
      'a worker that died: its share until it surely had',
      accountOf(seconds(5), { lostByMs: 7_400 }),
      { afterSeq: 5, fromMs: 5_000, untilMs: 7_400, underWay: 0, mayHaveStarted: 481 },
    ],
    [
      'the rate of its last sample, when that is more than its share by now',
      accountOf(seconds(5, { target: 300 }), { lostByMs: 6_000 }),
      { fromMs: 5_000, untilMs: 6_000, mayHaveStarted: 301 },
    ],
    [
      'nothing of it is stored: from the beginning on',
      accountOf([], { lostByMs: 2_000 }),
      { afterSeq: 0, fromMs: 0, untilMs: 2_000, mayHaveStarted: 401 },
    ],
    [
      'nobody knows when it died: to the end of the plan',
      accountOf(seconds(50), {}),
      { fromMs: 50_000, untilMs: 60_000, mayHaveStarted: 2_001 },
    ],
    [
      'its end is known and two samples are missing: two seconds',
      accountOf(seconds(5), { state: 'STOPPED', finalSeq: 7 }),
      { untilMs: 7_000, mayHaveStarted: 401 },
    ],
    ['no more than it had hits left', accountOf(seconds(5), { lostByMs: 60_000, hits: 1_010 }), { mayHaveStarted: 10 }],
    ['nothing after the plan', accountOf(seconds(60), { lostByMs: 70_000 }), { untilMs: 60_000, mayHaveStarted: 0 }],
    [
      'of users nobody can tell how many hits they make',
      accountOf(
        seconds(5),
        { lostByMs: 7_000 },
        runningOf({ state: 'DONE_INCOMPLETE', load: { users: 6, duration: '60s' } }),
      ),
      { mayHaveStarted: null },
    ],
    [
      'of users that had few hits left it can be told',
      accountOf(
        seconds(5),
        { lostByMs: 7_000, hits: 1_003 },
        runningOf({ state: 'DONE_INCOMPLETE', load: { users: 6, duration: '60s' } }),
      ),
      { mayHaveStarted: 3 },
    ],
    [
      'what is stored after a gap does not count as known',
      accountOf(seconds(5), { lostByMs: 7_000 }, RUN, 3),
      { afterSeq: 3, fromMs: 3_000, mayHaveStarted: 801 },
    ],
  ])('%s', (_, account, expected) => {
    expect(account.unknown).toMatchObject([{ assignment: 1, nodeId: 'w1', ...expected }]);
    expect(account.isComplete).toBe(false);
    expect(account.mayHaveStarted).toBe(account.unknown[0]!.mayHaveStarted);
  });

  test('of an active run knows of the lost, and waits for the others', () => {
    const active = runningOf();
    expect(accountOf(seconds(5), { state: 'RUNNING' }, active)).toMatchObject({ isComplete: false, unknown: [] });
    expect(accountOf(seconds(5), { lostByMs: 6_000 }, active).unknown).toHaveLength(1);
  });

  test('counts hits that were under way when their worker was lost as unknown', () => {
    const counts = countsOf({ ...answeredCounts(180), scheduled: 200, started: 195, written: 190 });
    const { closing, unknown } = accountOf([sampleOf({ counts, target: 200 })], { lostByMs: 1_500 });
    expect(unknown).toMatchObject([{ underWay: 20 }]);
    expect(closing.counts).toEqual(countsOf({ started: 5, written: 10, unknown: 20 }));
    addCounts(counts, closing.counts);
    expect(underWayOf(counts)).toEqual(emptyCounts());
  });

  test('tells each pause with its length and cause, and those of the whole run added up', () => {
    const dropped = (second: number, count: number) =>
      healthySecond(second, 200, 1000, {
        counts: { ...answeredCounts(200 - count), scheduled: 200, dropped: { 'no-permit': count } },
      });
    const held = { ...healthySecond(7, 50, 1000), heldMs: 750 };
    const samples = [
      healthySecond(0, 200, 1000),
      dropped(1, 50),
      dropped(2, 200),
      dropped(3, 20),
      dropped(5, 100),
      healthySecond(6, 200, 1000),
      held,
    ];
    const account = accountOf(
      samples.map((sample, i) => ({ ...sample, seq: i + 1 })),
      { state: 'STOPPED', finalSeq: 7 },
    );
    const of = { assignment: 1, nodeId: 'w1' };
    expect(account.pauses).toEqual([
      { ...of, cause: 'no-permit', second: 1, durationMs: 250 + 1000 + 100, dropped: 270 },
      { ...of, cause: 'no-permit', second: 5, durationMs: 500, dropped: 100 },
      { ...of, cause: 'buffer-full', second: 7, durationMs: 750, dropped: 0 },
    ]);
    expect(account.pausedMs).toEqual({ 'no-permit': 1850, 'buffer-full': 750 });
  });

  test('tells how many latencies were given up', () => {
    const samples = seconds(5).map((sample, i) => (i < 2 ? sample : withoutLatencies(sample)));
    expect(accountOf(samples, { state: 'STOPPED', finalSeq: 5 }).givenUp).toEqual([
      { assignment: 1, nodeId: 'w1', seconds: 3, answers: 600 },
    ]);
  });

  test('has a bound that holds, whenever the worker dies and however much of it is stored', () => {
    const scenario = fc.record({
      rate: fc.integer({ min: 1, max: 500 }),
      weight: fc.integer({ min: 1, max: 3 }),
      diedMs: fc.integer({ min: 0, max: 20_000 }),
      noticedAfterMs: fc.integer({ min: 0, max: 6_000 }),
      notStored: fc.integer({ min: 0, max: 5 }),
      latencyMs: fc.integer({ min: 0, max: 3_000 }),
    });
    fc.assert(
      fc.property(scenario, ({ rate, weight, diedMs, noticedAfterMs, notStored, latencyMs }) => {
        const share = { weight, of: 3, phase: 0 };
        const perMs = (rate * weight) / 3 / 1000;
        const due = (ms: number) => Math.ceil(perMs * Math.max(0, ms) - 1e-9);
        const made = Math.floor(diedMs / 1000);
        const samples = Array.from({ length: Math.max(0, made - notStored) }, (_, second) => {
          const begun = (from: number) => due(from + 1000) - due(from);
          const started = begun(second * 1000);
          const ok = begun(second * 1000 - latencyMs);
          return sampleOf({
            second,
            target: perMs * 1000,
            counts: { scheduled: started, started, written: started, ok, answered: ok },
          });
        });
        const run = runningOf({ state: 'DONE_INCOMPLETE', load: { rate, duration: '30s' } });
        const account = accountOf(samples, { share, lostByMs: diedMs + noticedAfterMs }, run);
        const told = emptyCounts();
        for (const { counts } of samples) addCounts(told, counts);
        addCounts(told, account.closing.counts);
        const truth = due(diedMs);
        expect(told.written).toBeLessThanOrEqual(truth);
        expect(truth).toBeLessThanOrEqual(told.written + account.mayHaveStarted!);
        expect(told.written).toBe(told.ok + told.unknown);
      }),
    );
  });
});
