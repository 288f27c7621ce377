import { describe, expect, test } from 'vitest';
import { formatReport } from '../../src/report/text.ts';
import { reportSchema } from '../../src/report/schema.ts';
import { compilePlan } from '../../src/task/plan.ts';
import type { RunAccount } from '../../src/task/account.ts';
import { emptyCounts } from '../../src/task/sample.ts';
import { answeredCounts, countsOf, healthySecond } from '../support/samples.ts';
import { completed, healthyRun, infoFor, reportOf, wholeAccount } from '../support/reports.ts';

const WHOLE = wholeAccount(3);
const OF = { assignment: 2, nodeId: 'w1' };
const info = { ...infoFor({ load: { rate: 100, duration: '3s' } }), workers: 3, threads: null };
/** 12 of its hits have no end. */
const samples = [
  healthySecond(0, 100, 1000),
  healthySecond(1, 100, 1000, { counts: { ...answeredCounts(88), scheduled: 100, started: 100, written: 100 } }),
  healthySecond(2, 100, 1000),
];
const lost: RunAccount = {
  ...WHOLE,
  isComplete: false,
  unknown: [{ ...OF, afterSeq: 2, fromMs: 2000, untilMs: 4400, underWay: 12, mayHaveStarted: 81 }],
  closing: { counts: countsOf({ unknown: 12 }), warmup: emptyCounts() },
  mayHaveStarted: 81,
};

function accounting(account: RunAccount): string[] {
  const text = formatReport(reportOf(info, samples, { ...completed, account }), { color: false, width: 200 });
  return text
    .split('Accounting\n')[1]!
    .split('\n\n')[0]!
    .split('\n')
    .map((line) => line.trim());
}

describe('a plan of which no worker had a part', () => {
  const plan = compilePlan('open', [{ durationMs: 3_000, target: 100, shape: 'constant' }]);
  const end = { ...completed, account: WHOLE, wanted: { plan, untilMs: 3_000 } };

  test('is told, asked for all the same, and judged', () => {
    const { cluster, headline, run, verdict } = reportOf(info, samples.slice(0, 1), end);
    expect(cluster).toMatchObject({ unserved: 200, complete: true });
    expect(cluster!.lines[1]).toBe(
      '200 hits of the plan were due while no worker took them: they were never scheduled',
    );
    expect(headline).toMatchObject({ scheduled: 100, askedPerSecond: 100, measuredMs: 3_000 });
    expect(headline.startedPerSecond).toBeCloseTo(100 / 3);
    expect(headline.okPerSecond).toBeCloseTo(100 / 3);
    expect(run.durationMs).toBe(3_000);
    expect(verdict.reasons).toMatchObject([{ level: 'INVALID', code: 'unserved' }]);
  });

  test('is not told where all was scheduled, or a lost worker may have had it', () => {
    expect(reportOf(info, samples, end).cluster!.unserved).toBe(0);
    const account = { ...lost, mayHaveStarted: 200 };
    expect(reportOf(info, samples.slice(0, 1), { ...end, account }).cluster!.unserved).toBe(0);
    const unknown = { ...lost, mayHaveStarted: null };
    expect(reportOf(info, samples.slice(0, 1), { ...end, account: unknown }).cluster!.unserved).toBe(0);
  });
});

describe('the report of a run on a cluster', () => {
  test('of which all is known says so', () => {
    const { cluster, accounting: books } = reportOf(info, samples.slice(0, 1), { ...completed, account: WHOLE });
    expect(cluster).toMatchObject({ assignments: 3, complete: true, unknown: [], mayHaveStarted: 0 });
    expect(cluster?.lines).toEqual(['nothing is unknown: every sample of 3 assignments is here']);
    expect(books.holds).toBe(true);
  });

  test('of which a part is lost balances its books, and bounds what the target must have counted', () => {
    expect(accounting(lost)).toEqual([
      'scheduled 300 = started 300 + dropped 0 + cancelled 0',
      'started 300 = unwritten 0 + written 300',
      'written 300 = ok 288 + failed 0 + aborted 0 + unknown 12',
      'ok 288 ≤ answered 288 ≤ ok + failed 288',
      'the target must have counted 288 to 381 requests',
      'assignment 2 (nodes/w1): what came after sample 2 (at 2.00 s) is unknown; 12 hits were under way, and it may have started 0 to 81 more until 4.40 s',
    ]);
    const report = reportOf(info, samples, { ...completed, account: lost });
    expect(report.accounting.holds).toBe(true);
    expect(report.counts.unknown).toBe(12);
    expect(report.verdict.reasons.map(({ code }) => code)).toContain('workers-lost');
    expect(reportSchema.parse(JSON.parse(JSON.stringify(report)))).toEqual(report);
  });

  test('without a bound says at least how much', () => {
    const account = {
      ...lost,
      mayHaveStarted: null,
      unknown: [{ ...lost.unknown[0]!, untilMs: null, mayHaveStarted: null }],
    };
    expect(accounting(account).slice(-2)).toEqual([
      'the target must have counted at least 288 requests',
      'assignment 2 (nodes/w1): what came after sample 2 (at 2.00 s) is unknown; 12 hits were under way, and it may have started more, nobody can tell how many',
    ]);
  });

  test('names each pause and what was given up', () => {
    const account: RunAccount = {
      ...lost,
      pauses: [
        { ...OF, cause: 'no-permit', second: 4, durationMs: 3210.4, dropped: 640 },
        { ...OF, cause: 'buffer-full', second: 9, durationMs: 12_000, dropped: 0 },
      ],
      pausedMs: { 'no-permit': 3210.4, 'buffer-full': 12_000 },
      givenUp: [{ ...OF, seconds: 60, answers: 12_000 }],
    };
    expect(accounting(account).slice(-3)).toEqual([
      'assignment 2 (nodes/w1) paused for 3.21 s from second 4 on: for want of a permit, 640 hits dropped',
      'assignment 2 (nodes/w1) paused for 12.0 s from second 9 on: for want of room for results, nothing was scheduled',
      'assignment 2 (nodes/w1) gave up the latencies of 12 000 answers in 60 seconds: no room for more results',
    ]);
  });

  test('counts an answer without its latency as infinite, never as fast', () => {
    const given = healthySecond(1, 100, 0, { counts: { ...answeredCounts(100), unmeasured: 100 }, histograms: {} });
    const { latencies, headline, verdict } = reportOf(info, [samples[0]!, given], { ...completed, account: WHOLE });
    expect(headline.answered).toBe(200);
    expect(latencies.allScheduled).toMatchObject({ count: 200, answered: 100, unanswered: 100 });
    expect(latencies.allScheduled?.percentilesMs.p99).toEqual({ atLeastMs: 1 });
    expect(verdict.reasons.map(({ code }) => code)).toEqual(['buffer-full']);
  });

  test('of one process has none of this', () => {
    expect(healthyRun().cluster).toBeNull();
  });
});
