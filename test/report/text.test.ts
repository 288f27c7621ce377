import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { formatReport } from '../../src/report/text.ts';
import { healthySecond } from '../support/samples.ts';
import { closedRun, completed, healthyRun, infoFor, reportOf, troubledRun } from '../support/reports.ts';

const plain = { color: false, width: 100 };

/** The lines of a block, without their indent. */
function block(text: string, title: string): string[] {
  const lines = text.split('\n');
  const start = lines.indexOf(title);
  expect(start, `a block titled ${title}`).toBeGreaterThanOrEqual(0);
  const end = lines.indexOf('', start);
  return lines.slice(start + 1, end).map((line) => line.replace(/^ {2}/, ''));
}

describe('the summary of an open run', () => {
  const text = formatReport(troubledRun(['p75 < 101ms', 'errors < 20%']), plain);

  test('starts with what ran, and answered of scheduled', () => {
    expect(text.split('\n').slice(0, 7)).toEqual([
      'GoStress 1.2.3: GET http://127.0.0.1:8080/',
      'open: 100/s for 4s, the first 1s warm-up',
      'undici, 2 threads, Node v24.0.0; ran 4.50 s, completed',
      '',
      '245 of 300 scheduled hits answered (81.7 %)',
      'response time over all scheduled: p50 10.0 ms, p99 ≥ 100 ms, p99.9 ≥ 2.00 s',
      'started 83.3/s of 100/s asked; answered 81.7/s, ok 80/s',
    ]);
  });

  test('has its blocks in a fixed order', () => {
    const titles = text.split('\n').filter((line) => /^[A-Z]/.test(line) && !line.startsWith('GoStress'));
    expect(titles).toEqual([
      'Requests',
      'Latencies',
      'Phases',
      'Status codes',
      'Errors',
      'Checks',
      'Bytes and connections',
      'Accounting',
      'Generator',
      'Verdict',
      'SLOs',
    ]);
  });

  test('tells what became of the hits, the warm-up beside them, and why some were dropped', () => {
    expect(block(text, 'Requests')).toEqual([
      '                   measured          warm-up',
      'scheduled               300   100 %      100',
      'started                 250  83.3 %      100',
      'ok                      240    80 %      100',
      'failed, answered          5  1.67 %        0',
      'failed, no answer         3     1 %        0',
      'not sent                  2  0.67 %        0',
      'dropped                  50  16.7 %        0',
      'the warm-up is counted, but not in percentiles and SLOs',
      'dropped 50 (16.7 %): 5 connections × 52.4 ms carry about 95/s; try -c 7',
    ]);
  });

  test('has every percentile of both latencies, ok and failed apart, ≥ where it falls on a hit without an answer', () => {
    expect(block(text, 'Latencies')).toEqual([
      '             response  response  response  service  service',
      '        all scheduled        ok    failed       ok   failed',
      'p50           10.0 ms   10.0 ms   20.0 ms  10.0 ms  20.0 ms',
      'p75            100 ms   10.0 ms   20.0 ms  10.0 ms  20.0 ms',
      'p90          ≥ 100 ms    100 ms   20.0 ms   100 ms  20.0 ms',
      'p95          ≥ 100 ms    100 ms   20.0 ms   100 ms  20.0 ms',
      'p99          ≥ 100 ms    100 ms   20.0 ms   100 ms  20.0 ms',
      'p99.9        ≥ 2.00 s    100 ms   20.0 ms   100 ms  20.0 ms',
      'p99.99       ≥ 2.00 s    100 ms   20.0 ms   100 ms  20.0 ms',
      'max          ≥ 2.00 s    100 ms   20.0 ms   100 ms  20.0 ms',
      'min           10.0 ms   10.0 ms   20.0 ms  10.0 ms  20.0 ms',
      'mean                –   28.8 ms   20.0 ms  28.8 ms  20.0 ms',
      // By hand 36.55 ms; the histogram takes it from the middles of its buckets.
      'stddev              –   36.5 ms      0 µs  36.5 ms     0 µs',
      'hits              300       240         5      240        5',
      'response: from the scheduled instant; service: from the actual start',
      '55 hits without an answer count as infinite: ≥ where it falls on one',
      'uncertainty: answers may have been read late by the loop delay (worst second), p99 500 µs, max 1.00 ms',
    ]);
  });

  test('tells status codes, errors with examples, and checks', () => {
    expect(block(text, 'Status codes')).toEqual(['200  340  98.6 %', '503    5  1.45 %']);
    expect(block(text, 'Errors')).toEqual([
      'status           5  1.25 %  status 503, expected 200-399',
      'total-timeout    3  0.75 %  no complete answer within 2000 ms of the start',
      'connect-refused  2   0.5 %  connect ECONNREFUSED 127.0.0.1:8080',
    ]);
    expect(block(text, 'Checks')).toEqual(['status 200-399  390 passed  5 failed  98.7 %']);
  });

  test('ends with the books, the verdict and the SLOs', () => {
    expect(block(text, 'Accounting')).toContain('scheduled 400 = started 350 + dropped 50 + cancelled 0');
    expect(block(text, 'Verdict')).toEqual(["VALID: the generator kept up: these numbers are the target's"]);
    expect(block(text, 'SLOs')).toEqual(['pass  p75 < 101ms   found 100 ms', 'FAIL  errors < 20%  found 20 %']);
    expect(text.endsWith('found 20 %\n')).toBe(true);
  });

  test('has no failed columns when no answer failed, and says none where there is nothing', () => {
    const healthy = formatReport(healthyRun(), plain);
    expect(block(healthy, 'Latencies')[1]).toBe('        all scheduled        ok       ok');
    expect(block(healthy, 'Errors')).toEqual(['none']);
    expect(block(healthy, 'SLOs')).toEqual(['none']);
  });
});

test('a closed run says that it has no schedule', () => {
  const text = formatReport(closedRun(), plain);
  expect(text).toContain('1 200 of 1 200 scheduled hits answered (100 %)');
  expect(text).toContain('closed, at most 3 users; started 600/s; answered 600/s, ok 599.5/s');
  expect(block(text, 'Latencies').slice(0, 2)).toEqual([
    '            service  service  service',
    '        all started       ok   failed',
  ]);
  expect(block(text, 'Latencies')).toContain('no schedule: response time = service time');
  expect(text).not.toContain('dropped  ');
});

test('reasons of the verdict are told with their level', () => {
  const late = healthySecond(0, 100, 1000, {
    counts: { scheduled: 100, started: 95, written: 95, ok: 95, answered: 95, dropped: { 'generator-limited': 5 } },
    health: { gcMaxMs: 60 },
  });
  const text = formatReport(reportOf(infoFor({ load: { rate: 100, duration: '1s' } }), [late]), plain);
  expect(block(text, 'Verdict')).toEqual([
    "INVALID: do not trust these numbers: they are not the target's",
    'INVALID generator-limited: the generator dropped 5 hits (5 % of the scheduled) because it was late or stood still: the load was not what was asked for',
    'DEGRADED gc-pause: a garbage collection stopped an engine thread for 60.0 ms: answers that came meanwhile were read that much late',
  ]);
});

test('an interrupted run says why it ended', () => {
  const info = infoFor({ load: { rate: 100, duration: '10s' } });
  const end = { ...completed, stop: { kind: 'drained' as const, reason: 'SIGINT' } };
  expect(formatReport(reportOf(info, [healthySecond(0, 100, 1000)], end), plain)).toContain(
    'ran 1.00 s, drained: SIGINT',
  );
});

test('there is no colour unless asked for, and colour changes nothing else', () => {
  const report = troubledRun(['errors < 20%']);
  const text = formatReport(report, plain);
  const colored = formatReport(report, { ...plain, color: true });
  expect(stripVTControlCharacters(text)).toBe(text);
  expect(colored).not.toBe(text);
  expect(stripVTControlCharacters(colored)).toBe(text);
});

test('what a target answers cannot steer the terminal, and is cut at its width', () => {
  const examples = ['\u001b[2Jgone\r\n', `long ${'x'.repeat(300)}`];
  const sample = healthySecond(0, 10, 1000, { errors: { protocol: { count: 2, examples } } });
  const text = formatReport(reportOf(infoFor({ load: { rate: 10, duration: '1s' } }), [sample]), {
    color: false,
    width: 60,
  });
  const [first, second] = block(text, 'Errors');
  expect(first).toBe('protocol  2  20 %  �[2Jgone��');
  expect(second).toHaveLength(58);
  expect(second).toMatch(/x…$/);
});
