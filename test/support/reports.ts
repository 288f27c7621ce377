import { ReportBuilder, type RunEnd, type RunInfo } from '../../src/report/builder.ts';
import type { Report } from '../../src/report/schema.ts';
import type { RunAccount } from '../../src/task/account.ts';
import { emptyCounts, type Sample } from '../../src/task/sample.ts';
import { parseTask, type TaskInput } from '../../src/task/schema.ts';
import { answeredCounts, healthySecond, histogramOf, sampleOf } from './samples.ts';

export const completed: RunEnd = {
  endedAt: new Date('2026-01-02T03:04:15.050Z'),
  stop: { kind: 'completed', reason: '' },
};

/** Of a run of which everything is known. */
export function wholeAccount(assignments: number): RunAccount {
  return {
    assignments,
    isComplete: true,
    unknown: [],
    closing: { counts: emptyCounts(), warmup: emptyCounts() },
    mayHaveStarted: 0,
    pauses: [],
    pausedMs: { 'no-permit': 0, 'buffer-full': 0 },
    givenUp: [],
  };
}

export function infoFor(task: Omit<TaskInput, 'request'> & { request?: TaskInput['request'] }): RunInfo {
  return {
    task: parseTask({ request: { url: 'http://127.0.0.1:8080/' }, ...task }),
    version: '1.2.3',
    startedAt: new Date('2026-01-02T03:04:05.000Z'),
    client: 'undici',
    threads: 2,
    nodeVersion: 'v24.0.0',
  };
}

export function reportOf(info: RunInfo, samples: readonly Sample[], end = completed): Report {
  const builder = new ReportBuilder(info);
  for (const sample of samples) builder.add(sample, 0.25);
  return builder.build(end);
}

/** 10 s at 1 000/s, everything answered after 2 ms; then 50 ms for the last answers. */
export function healthyRun(): Report {
  const seconds = Array.from({ length: 10 }, (_, second) => healthySecond(second, 1000, 2000));
  const tail = sampleOf({ second: 10, durationMs: 50 });
  return reportOf(infoFor({ load: { rate: 1000, duration: '10s' } }), [...seconds, tail]);
}

/**
 * 4 s at 100/s over 5 connections, the first second warm-up; then 500 ms for the last answers. After the warm-up, of 300
 * scheduled hits 50 were dropped, 2 not connected, 3 timed out after 2 s, 240 were ok (190 after 10 ms, 50 after 100 ms), and
 * 5 answered 503 after 20 ms. Response and service times are the same.
 */
export function troubledRun(slos: string[] = []): Report {
  const info = infoFor({
    load: { rate: 100, duration: '4s', warmup: '1s' },
    connections: { max: 5 },
    timeouts: { total: '2s' },
    slos,
  });
  const warm = answeredCounts(100);
  const slow = histogramOf([100_000, 50]);
  const ok = histogramOf([10_000, 90]);
  const failed = histogramOf([20_000, 5]);
  return reportOf(info, [
    healthySecond(0, 100, 10_000, { counts: warm, warmup: warm, histograms: {} }),
    healthySecond(1, 100, 0, {
      counts: { ...answeredCounts(50), scheduled: 100, dropped: { 'target-limited': 50 } },
      statusCodes: { '200': 50 },
      histograms: { responseOk: slow, serviceOk: slow, lateness: histogramOf([20, 100]) },
    }),
    healthySecond(2, 100, 10_000),
    healthySecond(3, 100, 0, {
      counts: { scheduled: 100, started: 100, unwritten: 2, written: 98, ok: 90, failed: 5, answered: 95 },
      inFlight: 3,
      statusCodes: { '200': 90, '503': 5 },
      checks: { 'status 200-399': { passed: 90, failed: 5 } },
      errors: {
        'connect-refused': { count: 2, examples: ['connect ECONNREFUSED 127.0.0.1:8080'] },
        status: { count: 5, examples: ['status 503, expected 200-399'] },
      },
      histograms: { responseOk: ok, serviceOk: ok, responseFailed: failed, serviceFailed: failed },
    }),
    sampleOf({
      second: 4,
      durationMs: 500,
      counts: { failed: 3 },
      errors: { 'total-timeout': { count: 3, examples: ['no complete answer within 2000 ms of the start'] } },
    }),
  ]);
}

/** 2 s with 3 users, everything answered after 5 ms: 1 200 hits, one of them not ok. */
export function closedRun(): Report {
  const closed = (second: number, okHits: number, failedHits: number): Sample =>
    healthySecond(second, 600, 5000, {
      target: 3,
      users: 3,
      counts: answeredCounts(okHits, failedHits),
      histograms: { serviceOk: histogramOf([5000, okHits]), serviceFailed: histogramOf([5000, failedHits]) },
    });
  return reportOf(infoFor({ load: { users: 3, duration: '2s' } }), [closed(0, 600, 0), closed(1, 599, 1)]);
}
