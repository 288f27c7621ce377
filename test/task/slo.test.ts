import { describe, expect, it, test } from 'vitest';
import { parseSlo } from '../../src/task/slo.ts';

const response = { kind: 'latency', basis: 'response' };
const service = { kind: 'latency', basis: 'service' };

describe('parseSlo', () => {
  test.each([
    ['p99 < 200ms', { ...response, stat: 'percentile', percent: 99 }, '<', 200],
    ['p50<1s', { ...response, stat: 'percentile', percent: 50 }, '<', 1000],
    ['p99.9 <= 1m30s', { ...response, stat: 'percentile', percent: 99.9 }, '<=', 90_000],
    ['p99.99 < 1.5s', { ...response, stat: 'percentile', percent: 99.99 }, '<', 1500],
    ['p1 > 1us', { ...response, stat: 'percentile', percent: 1 }, '>', 0.001],
    ['service.p99 < 200ms', { ...service, stat: 'percentile', percent: 99 }, '<', 200],
    ['max < 2s', { ...response, stat: 'max' }, '<', 2000],
    ['mean < 20ms', { ...response, stat: 'mean' }, '<', 20],
    ['service.mean>=20ms', { ...service, stat: 'mean' }, '>=', 20],
    ['errors < 1%', { kind: 'errors' }, '<', 0.01],
    ['errors <= 0%', { kind: 'errors' }, '<=', 0],
    ['dropped <= 0.5%', { kind: 'dropped' }, '<=', 0.005],
    ['checks > 99%', { kind: 'checks' }, '>', 0.99],
    ['rate > 950', { kind: 'rate' }, '>', 950],
    ['rate >= 950/s', { kind: 'rate' }, '>=', 950],
    ['rate > 30/1m', { kind: 'rate' }, '>', 0.5],
    ['rate > 0', { kind: 'rate' }, '>', 0],
  ])('reads %s', (text, metric, op, limit) => {
    expect(parseSlo(text)).toEqual({ text, metric, op, limit });
  });

  it('keeps the text as written, but for spaces around it', () => {
    expect(parseSlo('  p99  <200ms ').text).toBe('p99  <200ms');
  });

  test.each([
    ['', 'expected an SLO like "p99 < 200ms", "errors < 1%" or "rate > 950", found ""'],
    ['p99', 'expected an SLO like "p99 < 200ms", "errors < 1%" or "rate > 950", found "p99"'],
    ['p99 = 5ms', 'expected an SLO like "p99 < 200ms", "errors < 1%" or "rate > 950", found "p99 = 5ms"'],
    ['p99 << 5ms', 'expected an SLO like "p99 < 200ms", "errors < 1%" or "rate > 950", found "p99 << 5ms"'],
    [
      'p99 < 200',
      'expected a duration like "30s" or "1m30s", found "200": a number needs a unit, e.g. "200s" (in "p99 < 200")',
    ],
    ['p100 < 1s', 'expected a percentile above p0 and below p100, found "p100" in "p100 < 1s"'],
    ['p0 < 1s', 'expected a percentile above p0 and below p100, found "p0" in "p0 < 1s"'],
    ['errors < 1', 'expected a share from 0% to 100%, found "1" in "errors < 1"'],
    ['errors < 101%', 'expected a share from 0% to 100%, found "101%" in "errors < 101%"'],
    ['dropped < 5ms', 'expected a share from 0% to 100%, found "5ms" in "dropped < 5ms"'],
    ['rate > fast', 'expected a rate above 0 like "600", "600/s" or "30/1m", found "fast" (in "rate > fast")'],
    [
      'p99 < 1s over 10s',
      'expected an SLO without a window, found "p99 < 1s over 10s": "over 10s" is not supported yet, an SLO is judged over the whole run',
    ],
    [
      'errors < 1% for 30s',
      'expected an SLO without a window, found "errors < 1% for 30s": "for 30s" is not supported yet, an SLO is judged over the whole run',
    ],
    ['p99 < 1s please', 'expected the end of the SLO after "1s", found "please" in "p99 < 1s please"'],
    [
      'erors < 1%',
      'expected p50, p99.9, …, max, mean (also service.p99, …), errors, rate, dropped or checks, found "erors" in "erors < 1%"; did you mean "errors"?',
    ],
    [
      'service.errors < 1%',
      'expected p50, p99.9, …, max, mean (also service.p99, …), errors, rate, dropped or checks, found "service.errors" in "service.errors < 1%"; did you mean "errors"?',
    ],
  ])('refuses %j', (text, message) => {
    expect(() => parseSlo(text)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT', message }));
  });
});
