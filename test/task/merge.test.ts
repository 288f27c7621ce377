import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Histogram } from '../../src/lib/histogram.ts';
import { mergeSamples } from '../../src/task/merge.ts';
import type { Sample } from '../../src/task/sample.ts';
import { arbitrarySample, histogramOf, sampleOf } from '../support/samples.ts';

const someSamples = fc.array(arbitrarySample(7), { minLength: 1, maxLength: 6 });

describe('merging the samples of one second', () => {
  test('the order of the parts does not matter', () => {
    const shuffled = someSamples.chain((parts) =>
      fc.record({
        parts: fc.constant(parts),
        others: fc.shuffledSubarray(parts, { minLength: parts.length, maxLength: parts.length }),
      }),
    );
    fc.assert(
      fc.property(shuffled, ({ parts, others }) => {
        expect(mergeSamples(others, 1)).toEqual(mergeSamples(parts, 1));
      }),
      { numRuns: 50 },
    );
  });

  test('the merge of merged groups is the merge of the whole', () => {
    fc.assert(
      fc.property(someSamples, someSamples, (left, right) => {
        const grouped = mergeSamples([mergeSamples(left, 1), mergeSamples(right, 2)], 3);
        expect(grouped).toEqual(mergeSamples([...left, ...right], 3));
      }),
      { numRuns: 50 },
    );
  });

  test('the merge of one sample is that sample', () => {
    fc.assert(
      fc.property(arbitrarySample(7), (sample) => {
        const merged = mergeSamples([sample], sample.seq);
        expect(merged).toEqual({ ...sample, errors: sortedExamples(sample.errors) });
      }),
      { numRuns: 50 },
    );
  });

  test('values that were recorded in parts give the histogram of all values', () => {
    const values = fc.array(fc.nat(10_000_000), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(values, values, (left, right) => {
        const part = (list: number[]): Sample =>
          sampleOf({ histograms: { serviceOk: histogramOf(...list.map((us) => [us, 1] as const)) } });
        const merged = mergeSamples([part(left), part(right)], 1);
        expect(merged.histograms.serviceOk).toEqual(part([...left, ...right]).histograms.serviceOk);
      }),
      { numRuns: 50 },
    );
  });

  test('counts, gauges and targets add up; health is the worst, its totals add up; length is the longest', () => {
    const a = sampleOf({
      second: 3,
      durationMs: 400,
      target: 10,
      inFlight: 2,
      counts: { scheduled: 5, dropped: { stalled: 1 } },
      health: { utilisation: 0.5, loopDelayMaxMs: 9, gcMaxMs: 1, gcTotalMs: 3, cpuSeconds: 0.25 },
    });
    const b = sampleOf({
      second: 3,
      durationMs: 1000,
      target: 20,
      inFlight: 3,
      counts: { scheduled: 7, dropped: { stalled: 2, 'no-permit': 4 } },
      health: { utilisation: 0.25, loopDelayMaxMs: 11, gcMaxMs: 2, gcTotalMs: 4, cpuSeconds: 0.5 },
    });
    const merged = mergeSamples([a, b], 4);
    expect(merged).toMatchObject({ seq: 4, second: 3, durationMs: 1000, target: 30, inFlight: 5 });
    expect(merged.counts.scheduled).toBe(12);
    expect(merged.counts.dropped).toEqual({ 'target-limited': 0, 'generator-limited': 0, stalled: 3, 'no-permit': 4 });
    expect(merged.health).toEqual({
      utilisation: 0.5,
      loopDelayP99Ms: 0,
      loopDelayMaxMs: 11,
      gcMaxMs: 2,
      gcTotalMs: 7,
      cpuSeconds: 0.75,
    });
  });

  test('error examples stay distinct and bounded', () => {
    const part = (examples: string[]): Sample => sampleOf({ errors: { reset: { count: examples.length, examples } } });
    const merged = mergeSamples([part(['e', 'a', 'c']), part(['c', 'b', 'f', 'd'])], 1);
    expect(merged.errors.reset).toEqual({ count: 7, examples: ['a', 'b', 'c', 'd', 'e'] });
  });

  test('the parts are left as they were', () => {
    const a = sampleOf({ counts: { ok: 1 }, histograms: { connect: histogramOf([10, 1]) }, statusCodes: { '200': 1 } });
    const before = structuredClone(a);
    mergeSamples([a, a], 1);
    expect(a).toEqual(before);
  });

  test('an absent histogram stays absent, and one that only one part has is kept', () => {
    const merged = mergeSamples([sampleOf({}), sampleOf({ histograms: { dns: histogramOf([3, 2]) } })], 1);
    expect(Object.keys(merged.histograms)).toEqual(['dns']);
    expect(Histogram.decode(merged.histograms.dns!).count).toBe(2);
  });

  test('samples of different seconds are refused, and so is nothing', () => {
    expect(() => mergeSamples([sampleOf({ second: 1 }), sampleOf({ second: 2 })], 1)).toThrow(
      'expected samples of second 1, found one of second 2',
    );
    expect(() => mergeSamples([], 1)).toThrow('expected at least one sample');
  });
});

function sortedExamples(errors: Sample['errors']): Sample['errors'] {
  return Object.fromEntries(
    Object.entries(errors).map(([name, { count, examples }]) => [name, { count, examples: [...examples].sort() }]),
  );
}
