import { describe, expect, test } from 'vitest';
import { ReportBuilder } from '../../src/report/builder.ts';
import { formatJson } from '../../src/report/json.ts';
import { formatReport } from '../../src/report/text.ts';
import { compilePlan, retunePlan } from '../../src/task/plan.ts';
import { answeredCounts, countsOf, healthySecond, histogramOf, sampleOf } from '../support/samples.ts';
import { closedRun, completed, healthyRun, infoFor, reportOf, troubledRun } from '../support/reports.ts';

describe('the report of a healthy open run', () => {
  const report = healthyRun();

  test('compares what was answered with what was scheduled, and the rate with what was asked for', () => {
    expect(report.headline).toEqual({
      scheduled: 10_000,
      answered: 10_000,
      answeredShare: 1,
      okShare: 1,
      askedPerSecond: 1000,
      startedPerSecond: 1000,
      answeredPerSecond: 1000,
      okPerSecond: 1000,
      measuredMs: 10_000,
      usersMax: null,
    });
  });

  test('has both latencies, and those of all scheduled hits are those of the answered ones', () => {
    const { allScheduled, responseOk, responseFailed, serviceOk } = report.latencies;
    expect(responseOk).toMatchObject({ count: 10_000, minMs: 2, meanMs: 2, stddevMs: 0, maxMs: 2 });
    expect(responseOk?.percentilesMs).toMatchObject({ p50: 2, 'p99.99': 2 });
    expect(serviceOk).toEqual(responseOk);
    expect(responseFailed).toBeNull();
    expect(allScheduled).toEqual({ ...responseOk, answered: 10_000, unanswered: 0 });
  });

  test('is VALID, balances, and has a row for each second', () => {
    expect(report.verdict).toEqual({ verdict: 'VALID', reasons: [] });
    expect(report.accounting.holds).toBe(true);
    expect(report.series.rows).toHaveLength(11);
    expect(report.series.rows[3]).toMatchObject({ second: 3, target: 1000, ok: 1000, serviceP99Ms: 2, nodeCpu: 0.25 });
  });

  test('sums traffic and health', () => {
    expect(report.traffic).toEqual({
      bytesIn: 2_000_000,
      bytesOut: 1_000_000,
      bytesInPerSecond: 2_000_000 / 10.05,
      bytesOutPerSecond: 1_000_000 / 10.05,
      connectionsOpened: 10,
      connectionsMax: 10,
    });
    expect(report.health.cpuSeconds).toBeCloseTo(1);
    expect(report.health.startedPerCpuSecond).toBeCloseTo(10_000);
    expect(report.health).toMatchObject({ utilisationMax: 0.1, gcTotalMs: 20, gcMaxMs: 1, nodeCpuMax: 0.25 });
  });
});

describe('the report of a run with trouble', () => {
  const report = troubledRun();

  test('leaves the warm-up out of the headline, but counts it', () => {
    expect(report.headline).toMatchObject({ scheduled: 300, answered: 245, okShare: 0.8, measuredMs: 3000 });
    // Over the plan: what was only waited for after its end is no time in which hits were due.
    expect(report.headline.okPerSecond).toBeCloseTo(240 / 3);
    expect(report.counts).toMatchObject({ scheduled: 400, started: 350, ok: 340, failed: 8, answered: 345 });
    expect(report.warmup).toMatchObject({ scheduled: 100, ok: 100 });
    expect(report.run.warmupMs).toBe(1000);
  });

  test('tells the rate started in the whole seconds after the warm-up', () => {
    expect(report.headline.askedPerSecond).toBe(100);
    expect(report.headline.startedPerSecond).toBeCloseTo(250 / 3);
  });

  test('counts every hit without an answer as infinite', () => {
    const { allScheduled } = report.latencies;
    expect(allScheduled).toMatchObject({ count: 300, answered: 245, unanswered: 55, meanMs: null, stddevMs: null });
    // In order: 190 after 10 ms, 5 after 20 ms, 50 after 100 ms, 52 without an answer, 3 that waited for 2 s.
    expect(allScheduled?.percentilesMs.p50).toBeCloseTo(10, 1);
    expect(allScheduled?.percentilesMs.p75).toBeCloseTo(100, 0);
    expect(allScheduled?.percentilesMs.p99).toEqual({ atLeastMs: 100 });
    expect(allScheduled?.percentilesMs['p99.9']).toEqual({ atLeastMs: 2000 });
    expect(allScheduled?.maxMs).toEqual({ atLeastMs: 2000 });
  });

  test('keeps ok and failed answers apart', () => {
    expect(report.latencies.responseOk).toMatchObject({ count: 240, maxMs: 100 });
    expect(report.latencies.responseFailed).toMatchObject({ count: 5, minMs: 20, maxMs: 20, meanMs: 20 });
  });

  test('explains its drops with the time that hits held their connections, timeouts included', () => {
    // (190 × 10 ms + 5 × 20 ms + 50 × 100 ms + 3 × 2 s) / 248 = 52.4 ms
    expect(report.drops).toEqual({
      count: 50,
      share: 50 / 300,
      hints: ['dropped 50 (16.7 %): 5 connections × 52.4 ms carry about 95/s; try -c 7'],
    });
  });

  test('balances, and stays VALID: it was the target', () => {
    expect(report.accounting).toEqual({
      holds: true,
      lines: [
        'scheduled 400 = started 350 + dropped 50 + cancelled 0',
        'started 350 = unwritten 2 + written 348',
        'written 348 = ok 340 + failed 8 + aborted 0 + unknown 0',
        'ok 340 ≤ answered 345 ≤ ok + failed 348',
        'the target must have counted 345 to 348 requests',
      ],
    });
    expect(report.verdict.verdict).toBe('VALID');
  });

  test('has errors, status codes and checks of the whole run', () => {
    expect(report.statusCodes).toEqual({ '200': 340, '503': 5 });
    expect(report.errors['total-timeout']?.count).toBe(3);
    expect(report.checks).toEqual({ 'status 200-399': { passed: 390, failed: 5 } });
  });

  test('judges its SLOs on the hits after the warm-up', () => {
    const { slos } = troubledRun(['p75 < 101ms', 'p99 < 1s', 'errors < 20%', 'dropped < 17%', 'service.max <= 100ms']);
    expect(slos.map(({ pass }) => pass)).toEqual([true, false, false, true, true]);
    expect(slos[1]).toEqual({ text: 'p99 < 1s', pass: false, found: 'no answer (≥ 100 ms)', value: null });
    expect(slos[2]).toEqual({ text: 'errors < 20%', pass: false, found: '20 %', value: 0.2 });
  });
});

describe('the report of a closed run', () => {
  const report = closedRun();

  test('has no schedule: response time is service time, over all started hits', () => {
    expect(report.latencies).toMatchObject({ hasSchedule: false, responseOk: null, responseFailed: null });
    expect(report.latencies.allScheduled).toMatchObject({ count: 1200, unanswered: 0, meanMs: 5 });
    expect(report.lateness).toBeNull();
  });

  test('asks for users, not for a rate', () => {
    expect(report.headline).toMatchObject({ askedPerSecond: null, usersMax: 3, startedPerSecond: 600 });
    expect(report.plan).toEqual({ model: 'closed', text: '3 users for 2s', retuned: null });
  });
});

describe('odd runs', () => {
  test('users are told also when they had gone before the first second ended', () => {
    const only = healthySecond(0, 300, 1000, { target: 4, users: 0, durationMs: 800 });
    expect(reportOf(infoFor({ load: { users: 4, hits: 300 } }), [only]).headline.usersMax).toBe(4);
  });

  test('a broken identity is INVALID and says which equation', () => {
    const broken = healthySecond(0, 10, 1000, { counts: { ...answeredCounts(10), started: 9 } });
    const report = reportOf(infoFor({ load: { rate: 10, duration: '1s' } }), [broken]);
    expect(report.accounting.holds).toBe(false);
    expect(report.accounting.lines[0]).toBe('scheduled 10 = started 9 + dropped 0 + cancelled 0  DOES NOT HOLD');
    expect(report.verdict.reasons).toMatchObject([{ level: 'INVALID', code: 'accounting' }]);
  });

  test('a run that goes on balances with what is still under way', () => {
    const counts = countsOf({
      scheduled: 10,
      started: 8,
      dropped: { 'target-limited': 1 },
      written: 7,
      ok: 4,
      answered: 4,
    });
    const stop = { kind: 'running', reason: '' } as const;
    const info = infoFor({ load: { rate: 10, duration: '9s' } });
    const report = reportOf(info, [healthySecond(0, 10, 1000, { counts })], { ...completed, stop });
    expect(report.accounting).toMatchObject({
      holds: true,
      lines: [
        'scheduled 10 = started 8 + dropped 1 + cancelled 0 + queued 1',
        'started 8 = unwritten 0 + written 7 + connecting 1',
        'written 7 = ok 4 + failed 0 + aborted 0 + unknown 0 + in flight 3',
        'ok 4 ≤ answered 4 ≤ ok + failed 4',
        'the target must have counted 4 to 7 requests',
      ],
    });
    const tooMany = healthySecond(0, 10, 1000, { counts: { ...counts, started: 10 } });
    expect(reportOf(info, [tooMany], { ...completed, stop }).accounting.holds).toBe(false);
  });

  test('a target that refuses everything has no latency, but a bound is not invented', () => {
    const refused = sampleOf({
      counts: { scheduled: 10, started: 10, unwritten: 10 },
      target: 10,
      errors: { 'connect-refused': { count: 10, examples: [] } },
    });
    const report = reportOf(infoFor({ load: { rate: 10, duration: '1s' }, slos: ['p50 < 1h'] }), [refused]);
    expect(report.latencies.allScheduled).toMatchObject({ count: 10, minMs: null, maxMs: { atLeastMs: 0 } });
    expect(report.latencies.serviceOk).toBeNull();
    expect(report.slos).toMatchObject([{ pass: false, found: 'no answer' }]);
    expect(report.verdict.verdict).toBe('VALID');
  });

  test('a run without a sample is reported as that', () => {
    const report = reportOf(infoFor({}), []);
    expect(report.headline).toMatchObject({ scheduled: 0, answeredShare: 0, okPerSecond: 0 });
    expect(report.latencies.allScheduled).toBeNull();
    expect(report.verdict.reasons).toMatchObject([{ code: 'nothing-measured' }]);
  });

  test('a run that was cut short tells the rate of its whole seconds', () => {
    const seconds = [0, 1].map((second) => healthySecond(second, 100, 1000));
    const last = healthySecond(2, 30, 1000, { target: 100, durationMs: 900 });
    const info = infoFor({ load: { rate: 100, duration: '10s' } });
    const report = reportOf(info, [...seconds, last], { ...completed, stop: { kind: 'drained', reason: 'SIGINT' } });
    expect(report.headline).toMatchObject({ askedPerSecond: 100, startedPerSecond: 100, scheduled: 230 });
    expect(report.run.stop).toEqual({ kind: 'drained', reason: 'SIGINT' });
  });

  test('a run shorter than a second is measured over the time of its plan', () => {
    const only = healthySecond(0, 50, 1000, { target: 100, durationMs: 700, counts: answeredCounts(50) });
    const report = reportOf(infoFor({ load: { rate: 100, duration: '500ms' } }), [only]);
    expect(report.headline).toMatchObject({ askedPerSecond: 100, startedPerSecond: 100 });
  });

  test('drops of a saturated queue name it', () => {
    const info = infoFor({
      load: { rate: 100, duration: '1s', onSaturated: 'queue', maxQueue: 20 },
      connections: { max: 1 },
    });
    const sample = healthySecond(0, 100, 0, {
      counts: { ...answeredCounts(50), scheduled: 100, dropped: { 'target-limited': 50 } },
      histograms: { serviceOk: histogramOf([20_000, 50]), responseOk: histogramOf([300_000, 50]) },
    });
    const [hint] = reportOf(info, [sample]).drops.hints;
    expect(hint).toBe(
      'dropped 50 (50 %): 1 connection × 20.0 ms carry about 50/s, and the queue of 20 was full; try -c 3',
    );
  });
});

test('secrets of the task are in no form of the report', () => {
  const info = infoFor({
    request: {
      url: 'http://bob:canary-password@127.0.0.1:8080/?api_key=canary-query',
      headers: { 'X-Api-Key': 'canary-token', Cookie: 'session=canary-cookie', 'X-Plain': 'shown' },
    },
    load: { rate: 1, duration: '1s' },
  });
  const examples = [
    'bad URL http://bob:canary-password@127.0.0.1/',
    'sent canary-token',
    'canary-cookie',
    'canary-query',
  ];
  const sample = healthySecond(0, 1, 1000, { errors: { other: { count: 4, examples } } });
  const report = reportOf(info, [sample]);
  const texts = formatJson(report) + formatReport(report, { color: false, width: 200 });
  expect(texts).toContain('shown');
  expect(texts).not.toMatch(/canary/);
});

test('a report does not change when more samples are added', () => {
  const builder = new ReportBuilder(infoFor({ load: { rate: 10, duration: '2s' } }));
  builder.add(healthySecond(0, 10, 1000));
  const report = builder.build(completed);
  const before = structuredClone(report);
  builder.add(healthySecond(1, 10, 1000));
  expect(report).toEqual(before);
  expect(builder.build(completed).headline.scheduled).toBe(20);
});

test('a run that was retuned tells both loads, and the most users of the one that ran', () => {
  const info = infoFor({ load: { users: 3, duration: '4s' } });
  const plan = retunePlan(compilePlan('closed', info.task.load.stages), 1_000, [
    { durationMs: null, target: 7, shape: 'constant' },
  ]);
  const seconds = [0, 1, 2, 3].map((second) => sampleOf({ second, durationMs: 1_000 }));
  const report = reportOf(info, seconds, { ...completed, plan });
  expect(report.plan).toEqual({ model: 'closed', text: '3 users for 4s', retuned: '3 users to 1s, 7 users to 4s' });
  expect(report.headline.usersMax).toBe(7);
  expect(formatReport(report, { color: false, width: 80 })).toContain('changed to: 3 users to 1s, 7 users to 4s\n');
});
