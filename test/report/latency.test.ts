import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Histogram } from '../../src/lib/histogram.ts';
import { percentileOfAll, summarize, summarizeAll } from '../../src/report/latency.ts';

test('a percentile over all hits is the nearest rank among the answers and infinities', () => {
  const answersUs = fc.array(fc.integer({ min: 1, max: 1e7 }), { maxLength: 100 });
  fc.assert(
    fc.property(answersUs, fc.nat(100), fc.constantFrom(1, 50, 90, 99, 99.9), (answers, unanswered, percent) => {
      fc.pre(answers.length + unanswered > 0);
      const answered = new Histogram();
      for (const us of answers) answered.record(us);
      const sorted = [...answers.toSorted((a, b) => a - b), ...Array.from({ length: unanswered }, () => Infinity)];
      const exactUs = sorted[Math.ceil((percent / 100) * sorted.length - 1e-9) - 1]!;
      const found = percentileOfAll({ answered, unanswered, timeouts: [] }, percent);
      if (exactUs === Infinity) expect(found).toEqual({ atLeastMs: answered.maxUs / 1000 });
      else expect(Math.abs((found as number) * 1000 - exactUs)).toBeLessThanOrEqual(exactUs * 0.001);
    }),
  );
});

test('a timeout is the bound only when it is longer than the slowest answer', () => {
  const answered = new Histogram();
  answered.record(3_000_000);
  const all = (...timeoutsMs: number[]) =>
    summarizeAll({ answered, unanswered: 2, timeouts: timeoutsMs.map((ms) => ({ ms, count: 1 })) })?.maxMs;
  expect(all()).toEqual({ atLeastMs: 3000 });
  expect(all(2000)).toEqual({ atLeastMs: 3000 });
  expect(all(2000, 5000)).toEqual({ atLeastMs: 5000 });
});

test('a timeout is the bound of as many hits as ran into it, and of the highest ranks', () => {
  const answered = new Histogram();
  answered.record(10_000, 90);
  const all = {
    answered,
    unanswered: 10,
    timeouts: [
      { ms: 5000, count: 2 },
      { ms: 60_000, count: 1 },
    ],
  };
  const at = (percent: number) => percentileOfAll(all, percent);
  expect(at(90)).toBe(10);
  expect(at(97)).toEqual({ atLeastMs: 10 });
  expect(at(98)).toEqual({ atLeastMs: 5000 });
  expect(at(99)).toEqual({ atLeastMs: 5000 });
  expect(at(100)).toEqual({ atLeastMs: 60_000 });
});

test('an empty histogram has no summary', () => {
  expect(summarize(new Histogram())).toBeNull();
  expect(summarizeAll({ answered: new Histogram(), unanswered: 0, timeouts: [] })).toBeNull();
});
