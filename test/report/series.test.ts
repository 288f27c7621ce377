import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Histogram } from '../../src/lib/histogram.ts';
import { rowOf, Series } from '../../src/report/series.ts';
import { answeredCounts, histogramOf, sampleOf, type SamplePart } from '../support/samples.ts';

function row(second: number, part: SamplePart = {}, latencyUs = 0) {
  const histogram = latencyUs === 0 ? new Histogram() : Histogram.decode(histogramOf([latencyUs, 1]));
  return rowOf(sampleOf({ second, ...part }), null, histogram, histogram);
}

test('rows are seconds while there is room for them', () => {
  const series = new Series(4);
  for (const second of [0, 1, 2, 3]) series.add(row(second));
  expect(series.rowSeconds).toBe(1);
  expect(series.rows.map(({ second }) => second)).toEqual([0, 1, 2, 3]);
});

test('one more makes rows of two seconds: counts add up, targets average, gauges and percentiles are the highest', () => {
  const series = new Series(4);
  series.add(row(0, { target: 10, inFlight: 5, counts: answeredCounts(10) }, 1000));
  series.add(row(1, { target: 20, inFlight: 3, counts: answeredCounts(18, 2) }, 3000));
  for (const second of [2, 3, 4]) series.add(row(second));
  expect(series.rowSeconds).toBe(2);
  expect(series.rows.map(({ second }) => second)).toEqual([0, 2, 4]);
  expect(series.rows[0]).toMatchObject({
    durationMs: 2000,
    target: 15,
    ok: 28,
    notOk: 2,
    inFlight: 5,
    responseP99Ms: 3,
  });
  expect(series.rows[1]).toMatchObject({ serviceP50Ms: null });
});

test('however long the run, rows are bounded and no hit is lost', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100), { maxLength: 200 }), fc.integer({ min: 2, max: 9 }), (hits, maxRows) => {
      const series = new Series(maxRows);
      for (const [second, n] of hits.entries()) series.add(row(second, { counts: answeredCounts(n) }));
      expect(series.rows.length).toBeLessThanOrEqual(maxRows);
      expect(series.rows.reduce((sum, { ok }) => sum + ok, 0)).toBe(hits.reduce((a, b) => a + b, 0));
      expect(series.rows.every(({ second }) => second % series.rowSeconds === 0)).toBe(true);
    }),
  );
});
