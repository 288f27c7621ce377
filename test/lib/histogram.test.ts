import fc from 'fast-check';
import { build } from 'hdr-histogram-js';
import { describe, expect, it } from 'vitest';
import { Histogram, rankOf } from '../../src/lib/histogram.ts';

const PERCENTS = [0, 1, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100];
/** Half a bucket of 1/512. */
const RELATIVE_ERROR = 1 / 1024;

/** Whole microseconds over the whole range: each octave as likely as the next. */
const valueUs = fc
  .tuple(fc.integer({ min: 0, max: 32 }), fc.double({ min: 1, max: 2, maxExcluded: true, noNaN: true }))
  .map(([exponent, mantissa]) => Math.floor(mantissa * 2 ** exponent));
const values = fc.array(valueUs, { minLength: 1, maxLength: 500 });

function histogramOf(list: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of list) histogram.record(value);
  return histogram;
}

/** Everything that can be seen of a histogram. */
function facts(h: Histogram): unknown {
  const { count, minUs, maxUs, meanUs, stddevUs } = h;
  return {
    count,
    minUs,
    maxUs,
    meanUs,
    stddevUs,
    percentiles: PERCENTS.map((p) => h.percentile(p)),
    bytes: h.encode(),
  };
}

describe('a histogram', () => {
  it('has every percentile within 0.1 % of the value that sorting gives', () => {
    fc.assert(
      fc.property(values, (list) => {
        const histogram = histogramOf(list);
        const sorted = list.toSorted((a, b) => a - b);
        for (const percent of PERCENTS) {
          const exact = sorted[rankOf(percent, sorted.length) - 1]!;
          expect(Math.abs(histogram.percentile(percent) - exact)).toBeLessThanOrEqual(exact * RELATIVE_ERROR);
        }
      }),
    );
  });

  it('agrees with HdrHistogram to the precision of both', () => {
    fc.assert(
      fc.property(fc.array(valueUs, { minLength: 1, maxLength: 300 }), (list) => {
        const histogram = histogramOf(list);
        const oracle = build({
          lowestDiscernibleValue: 1,
          highestTrackableValue: 2 ** 34,
          numberOfSignificantValueDigits: 3,
        });
        for (const value of list) oracle.recordValue(value);
        for (const percent of PERCENTS) {
          const expected = oracle.getValueAtPercentile(percent);
          // 0.1 % ours, 0.1 % the oracle's.
          expect(Math.abs(histogram.percentile(percent) - expected)).toBeLessThanOrEqual(expected * 0.002);
        }
        // The oracle means over its buckets' middles, we over the values.
        expect(histogram.meanUs).toBeCloseTo(oracle.mean, -Math.log10(oracle.mean * 0.001));
        expect(Math.abs(histogram.stddevUs - oracle.stdDeviation)).toBeLessThanOrEqual(0.002 * oracle.maxValue);
      }),
      { numRuns: 50 },
    );
  });

  it('knows count, minimum, maximum and mean exactly', () => {
    fc.assert(
      fc.property(values, (list) => {
        const histogram = histogramOf(list);
        const sum = list.reduce((a, b) => a + b, 0);
        expect(histogram.count).toBe(list.length);
        expect(histogram.minUs).toBe(Math.min(...list));
        expect(histogram.maxUs).toBe(Math.max(...list));
        expect(histogram.meanUs).toBeCloseTo(sum / list.length, 3);
      }),
    );
  });

  it('is, merged from parts, equal to the whole in everything, whatever the parts and their order', () => {
    fc.assert(
      fc.property(fc.array(fc.array(valueUs, { maxLength: 50 }), { maxLength: 8 }), (parts) => {
        const whole = facts(histogramOf(parts.flat()));
        const merged = new Histogram();
        for (const part of parts) merged.merge(histogramOf(part));
        const decoded = new Histogram();
        for (const part of parts.toReversed()) decoded.mergeEncoded(histogramOf(part).encode());
        expect(facts(merged)).toEqual(whole);
        expect(facts(decoded)).toEqual(whole);
      }),
    );
  });

  it('survives encoding and decoding unchanged', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ min: 0, max: 1e10, noNaN: true }), fc.integer({ min: 1, max: 1e12 }))),
        (entries) => {
          const histogram = new Histogram();
          for (const [value, times] of entries) histogram.record(value, times);
          expect(facts(Histogram.decode(histogram.encode()))).toEqual(facts(histogram));
        },
      ),
    );
  });

  it('counts a value recorded n times as n values', () => {
    const once = new Histogram();
    once.record(1234, 1000);
    expect(facts(once)).toEqual(facts(histogramOf(Array<number>(1000).fill(1234))));
  });

  it('counts the values that do not exceed a given one, to the width of a bucket', () => {
    fc.assert(
      fc.property(values, valueUs, (list, limit) => {
        const found = histogramOf(list).countAtMost(limit);
        expect(found).toBeGreaterThanOrEqual(list.filter((value) => value <= limit).length);
        expect(found).toBeLessThanOrEqual(list.filter((value) => value <= limit * (1 + 1 / 512)).length);
      }),
    );
  });

  it('is as new after a reset', () => {
    fc.assert(
      fc.property(values, values, (before, after) => {
        const histogram = histogramOf(before);
        histogram.reset();
        expect(facts(histogram)).toEqual(facts(new Histogram()));
        for (const value of after) histogram.record(value);
        expect(facts(histogram)).toEqual(facts(histogramOf(after)));
      }),
    );
  });

  it('that is empty is all zeros and five bytes', () => {
    const empty = new Histogram();
    expect(facts(empty)).toEqual({
      count: 0,
      minUs: 0,
      maxUs: 0,
      meanUs: 0,
      stddevUs: 0,
      percentiles: PERCENTS.map(() => 0),
      bytes: new Uint8Array([1, 0, 0, 0, 0]),
    });
  });

  it('keeps nanoseconds of small values', () => {
    const histogram = histogramOf([0.0004, 0.0625, 0.5, 0.75]);
    expect([histogram.minUs, histogram.maxUs]).toEqual([0, 0.75]);
    expect(histogram.percentile(75)).toBeCloseTo(0.5, 3);
  });

  it.each([
    { name: 'a negative value', value: -5, as: 0 },
    { name: 'not a number', value: NaN, as: 0 },
    { name: 'infinity', value: Infinity, as: Number.MAX_SAFE_INTEGER / 1e3 },
  ])('counts $name as $as', ({ value, as }) => {
    const histogram = histogramOf([value]);
    expect(facts(histogram)).toEqual(facts(histogramOf([as])));
    expect(facts(Histogram.decode(histogram.encode()))).toEqual(facts(histogram));
  });

  it('keeps count and maximum of values beyond its range, in its last bucket', () => {
    const histogram = histogramOf([2 ** 33, 2 ** 35, 2 ** 36]);
    expect(histogram.maxUs).toBe(2 ** 36);
    expect(histogram.percentile(100)).toBe(2 ** 36);
    expect(histogram.percentile(50)).toBeGreaterThanOrEqual(2 ** 33);
    expect(histogram.countAtMost(2 ** 32)).toBe(0);
  });

  it('holds 10^12 values of an hour each', () => {
    const histogram = new Histogram();
    histogram.record(3.6e9, 1e12);
    const decoded = Histogram.decode(histogram.encode());
    expect(decoded.count).toBe(1e12);
    expect(decoded.meanUs).toBeCloseTo(3.6e9, -1);
  });
});

describe('malformed bytes', () => {
  const good = histogramOf([1, 10, 100]).encode();

  it.each([
    { name: 'nothing', bytes: [], found: 'end too early' },
    { name: 'another version', bytes: [2, 0, 0, 0, 0], found: 'expected format 1, found 2' },
    { name: 'a bucket out of range', bytes: [1, 1, 0, 0, 0, 0xff, 0xff, 0x7f, 1], found: 'expected a bucket below' },
    { name: 'an empty bucket', bytes: [1, 1, 0, 0, 0, 0, 0], found: 'bucket 0 is empty' },
    { name: 'a bucket twice', bytes: [1, 2, 0, 0, 0, 0, 1, 0, 1], found: 'bucket 0 comes twice' },
    { name: 'bytes left over', bytes: [...good, 0], found: 'left over' },
    { name: 'more entries than bytes', bytes: [1, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0], found: 'end too early' },
    { name: 'a number without an end', bytes: [1, ...Array<number>(20).fill(0x80)], found: 'more than 16 bytes' },
    { name: 'a maximum that is in no bucket', bytes: [1, 1, 0, 0, 126, 0, 1], found: 'do not fit' },
    { name: 'a minimum above the maximum', bytes: [1, 1, 0, 9, 5, 0, 1], found: 'do not fit' },
  ])('throw a RangeError: $name', ({ bytes, found }) => {
    expect(() => Histogram.decode(new Uint8Array(bytes))).toThrow(RangeError);
    expect(() => Histogram.decode(new Uint8Array(bytes))).toThrow(found);
  });

  it('throw a RangeError at every cut, and add nothing', () => {
    const target = histogramOf([7]);
    for (let length = 0; length < good.length; length++) {
      expect(() => target.mergeEncoded(good.subarray(0, length))).toThrow(RangeError);
    }
    expect(facts(target)).toEqual(facts(histogramOf([7])));
  });

  it('of any kind throw nothing but a RangeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, versioned) => {
        if (versioned && bytes.length > 0) bytes[0] = 1;
        try {
          Histogram.decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the nearest rank', () => {
  it.each([
    { percent: 99.9, count: 1000, rank: 999 },
    { percent: 99.9, count: 1001, rank: 1000 },
    { percent: 99.99, count: 10_000, rank: 9_999 },
    { percent: 99.9, count: 1e12, rank: 999_000_000_000 },
    { percent: 99.9, count: 1e12 + 1, rank: 999_000_000_001 },
    { percent: 99.999999, count: 1e12, rank: 999_999_990_000 },
    { percent: 7, count: 100, rank: 7 },
    { percent: 29, count: 100, rank: 29 },
    { percent: 50, count: 1, rank: 1 },
    { percent: 50, count: 2, rank: 1 },
    { percent: 50, count: 3, rank: 2 },
    { percent: 0, count: 5, rank: 1 },
    { percent: 100, count: 5, rank: 5 },
  ])('of $percent % among $count is $rank', ({ percent, count, rank }) => {
    expect(rankOf(percent, count)).toBe(rank);
  });

  it('is the smallest that reaches the percentage, in exact arithmetic', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 1, max: 1e12 }), (thousandths, count) => {
        const rank = rankOf(thousandths / 1000, count);
        const reaches = (r: number): boolean => BigInt(r) * 100_000n >= BigInt(thousandths) * BigInt(count);
        expect(reaches(rank)).toBe(true);
        if (rank > 1) expect(reaches(rank - 1)).toBe(false);
      }),
    );
  });
});
