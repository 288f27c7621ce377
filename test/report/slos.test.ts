import { expect, test } from 'vitest';
import { Histogram } from '../../src/lib/histogram.ts';
import { judgeSlo, type SloEvidence } from '../../src/report/slos.ts';
import { parseSlo } from '../../src/task/slo.ts';
import { histogramOf } from '../support/samples.ts';

/** 100 scheduled: 96 answered after 10 ms, 2 after 50 ms, 2 dropped; 97 of them ok. Service time is 10 ms throughout. */
const evidence: SloEvidence = {
  scheduled: 100,
  ok: 97,
  dropped: 2,
  okPerSecond: 9.7,
  checks: { 'status 200-399': { passed: 97, failed: 1 }, 'body contains "ok"': { passed: 95, failed: 3 } },
  response: {
    answered: Histogram.decode(histogramOf([10_000, 96], [50_000, 2])),
    unanswered: 2,
    timeouts: [],
  },
  service: Histogram.decode(histogramOf([10_000, 98])),
};
const nothing: SloEvidence = {
  scheduled: 0,
  ok: 0,
  dropped: 0,
  okPerSecond: 0,
  checks: {},
  response: { answered: new Histogram(), unanswered: 0, timeouts: [] },
  service: new Histogram(),
};
const complete: SloEvidence = { ...evidence, response: { ...evidence.response, unanswered: 0 } };

test.each<[text: string, on: SloEvidence, pass: boolean, found: string]>([
  ['p95 < 11ms', evidence, true, '10.0 ms'],
  ['p98 < 49ms', evidence, false, '50.0 ms'],
  ['p98 < 51ms', evidence, true, '50.0 ms'],
  ['p99 < 1h', evidence, false, 'no answer (≥ 50.0 ms)'],
  ['p99 > 1h', evidence, true, 'no answer (≥ 50.0 ms)'],
  ['max < 1h', evidence, false, 'no answer (≥ 50.0 ms)'],
  ['mean < 1h', evidence, false, 'no answer (≥ 50.0 ms)'],
  ['max <= 50ms', complete, true, '50.0 ms'],
  ['max < 50ms', complete, false, '50.0 ms'],
  ['mean < 11ms', complete, true, '10.8 ms'],
  ['service.p99 <= 10ms', evidence, true, '10.0 ms'],
  ['service.max < 10ms', evidence, false, '10.0 ms'],
  ['service.mean >= 10ms', evidence, true, '10.0 ms'],
  ['errors < 3%', evidence, false, '3 %'],
  ['errors <= 3%', evidence, true, '3 %'],
  ['dropped < 2.5%', evidence, true, '2 %'],
  ['rate > 9.5', evidence, true, '9.7/s'],
  ['rate >= 10', evidence, false, '9.7/s'],
  ['checks > 97%', evidence, true, '98 %'],
  ['checks > 99%', evidence, false, '98 %'],
  ['checks > 0%', nothing, false, 'nothing to judge'],
  ['p99 < 1h', nothing, false, 'nothing to judge'],
  ['errors < 100%', nothing, false, 'nothing to judge'],
  ['service.p99 < 1h', { ...nothing, scheduled: 5 }, false, 'nothing to judge'],
  ['rate > 0', nothing, false, '0/s'],
])('%s is judged (found: %#)', (text, on, pass, found) => {
  expect(judgeSlo(parseSlo(text), on)).toMatchObject({ text, pass, found });
});

test('the found value is a number, and null when it is infinite', () => {
  expect(judgeSlo(parseSlo('errors < 3%'), evidence).value).toBe(0.03);
  expect(judgeSlo(parseSlo('p99 < 1s'), evidence).value).toBeNull();
});
