import { describe, expect, test } from 'vitest';
import { ArrivalLog, strayOf } from '../../src/load/target/arrivals.ts';
import { seededRandom } from '../../src/load/target/random.ts';

/** n arrivals at the rate, each moved by `shift(i)` ms. */
function line(count: number, ratePerSecond: number, shift: (i: number) => number = () => 0): number[] {
  return Array.from({ length: count }, (_, i) => 5000 + (i * 1e3) / ratePerSecond + shift(i));
}

describe('stray from the ideal line', () => {
  test('a perfect line has none, and every whole second has its count', () => {
    const pacing = strayOf(line(3000, 1000), 1000)!;
    expect(pacing.strayMs.max).toBeCloseTo(0, 6);
    expect(pacing.perSecond).toEqual([1000, 1000, 1000]);
    expect(pacing.worstSecond).toMatchObject({ count: 1000, deviationPercent: 0 });
    expect(pacing.meanRatePerSecond).toBeCloseTo(1000, 6);
    expect(pacing).toMatchObject({ arrivals: 3000, rateGiven: true, ratePerSecond: 1000 });
  });

  test('a constant delay does not count', () => {
    const delayed = strayOf(
      line(2000, 1000, () => 12_345.678),
      1000,
    )!;
    expect(delayed.strayMs.max).toBeCloseTo(0, 6);
    expect(delayed.perSecond).toEqual([1000, 1000]);
  });

  test('requests held up in one gap stray by what each was late, the others by nothing', () => {
    // Hits 1000 to 1099 were due in a pause of 100 ms and came together at its end.
    const pacing = strayOf(
      line(3000, 1000, (i) => (i >= 1000 && i < 1100 ? 1100 - i : 0)),
      1000,
    )!;
    expect(pacing.strayMs.p90).toBeCloseTo(0, 6);
    // Late by 100, 99, … 1 ms; rank 2970 of 3000 is the 31st largest.
    expect(pacing.strayMs.p99).toBeCloseTo(70, 6);
    expect(pacing.strayMs.max).toBeCloseTo(100, 6);
    expect(pacing.perSecond).toEqual([1000, 1000, 1000]);
  });

  test('early and late count alike', () => {
    const pacing = strayOf(
      line(1000, 100, (i) => (i % 10 === 0 ? -3 : i % 10 === 1 ? 2 : 0)),
      100,
    )!;
    expect(pacing.strayMs.max).toBeCloseTo(3, 6);
    expect(pacing.strayMs.p90).toBeCloseTo(2, 6);
  });

  test('a request that overtakes others takes the place of the first of them', () => {
    // Hit 500 is 3 ms early: it arrives with hit 497, and hits 497 to 499 are each counted one place later.
    const pacing = strayOf(
      line(1001, 1000, (i) => (i === 500 ? -3 : 0)),
      1000,
    )!;
    expect(pacing.strayMs.max).toBeCloseTo(1, 6);
  });

  test('uniform jitter of ±0.4 ms strays by its quantiles and moves nothing into another second', () => {
    const random = seededRandom(7);
    const pacing = strayOf(
      line(20_000, 1000, () => (random() - 0.5) * 0.8),
      1000,
    )!;
    expect(pacing.strayMs.p50).toBeCloseTo(0.2, 1);
    expect(pacing.strayMs.p90).toBeCloseTo(0.36, 1);
    expect(pacing.strayMs.max).toBeLessThan(0.45);
    expect(pacing.perSecond).toEqual(new Array(20).fill(1000));
  });

  test('a late first request does not move the seconds', () => {
    const pacing = strayOf(
      line(3000, 1000, (i) => (i < 20 ? 20 - i : 0)),
      1000,
    )!;
    expect(pacing.perSecond).toEqual([1000, 1000, 1000]);
  });

  test('requests that are missing in one second make it the worst', () => {
    const arrivals = line(4000, 1000).filter((_, i) => i < 2100 || i >= 2150);
    const { worstSecond } = strayOf(arrivals, 1000)!;
    expect(worstSecond).toMatchObject({ second: 2, count: 950 });
    expect(worstSecond!.deviationPercent).toBeCloseTo(-5, 6);
  });

  test('a rate that is not held strays more and more, and its seconds count from the first arrival', () => {
    const pacing = strayOf(line(4000, 800), 1000)!;
    // The delay grows by 0.25 ms a request, to both sides of its median.
    expect(pacing.strayMs.max).toBeCloseTo((3999 * 0.25) / 2, 3);
    expect(pacing.strayMs.p50).toBeCloseTo((3999 * 0.25) / 4, 0);
    expect(pacing.perSecond).toEqual([800, 800, 800, 800, 800]);
    expect(pacing.worstSecond!.deviationPercent).toBeCloseTo(-20, 6);
    expect(pacing.meanRatePerSecond).toBeCloseTo(800, 6);
  });

  test('without a rate the line is that of the mean rate', () => {
    const pacing = strayOf(line(2000, 250))!;
    expect(pacing.ratePerSecond).toBeCloseTo(250, 6);
    expect(pacing.rateGiven).toBe(false);
    expect(pacing.strayMs.max).toBeCloseTo(0, 6);
  });

  test('the order in which arrivals are told does not matter, and the list is left as it was', () => {
    const inOrder = line(500, 100, (i) => (i % 7) / 10);
    const shuffled = [...inOrder].reverse();
    const before = [...shuffled];
    expect(strayOf(shuffled, 100)).toEqual(strayOf(inOrder, 100));
    expect(shuffled).toEqual(before);
  });

  test('fewer than two arrivals, or two at one instant without a rate, have no pacing', () => {
    expect(strayOf([], 100)).toBeNull();
    expect(strayOf([1], 100)).toBeNull();
    expect(strayOf([1, 1])).toBeNull();
    expect(strayOf([1, 1], 100)).not.toBeNull();
  });

  test('less than a second has no worst second', () => {
    expect(strayOf(line(500, 1000), 1000)!.worstSecond).toBeNull();
  });

  test('an absurd rate does not make an absurd list of seconds', () => {
    expect(strayOf([0, 1], 1e-9)!.perSecond.length).toBeLessThanOrEqual(86_400);
  });
});

describe('the arrival log', () => {
  test('gives back what was added, over many chunks', () => {
    const log = new ArrivalLog();
    const count = 200_000;
    for (let i = 0; i < count; i++) log.add(i * 0.5);
    const all = log.toArray();
    expect(log.count).toBe(count);
    expect(all.length).toBe(count);
    expect(all.every((atMs, i) => atMs === i * 0.5)).toBe(true);
  });

  test('stops at its limit and counts what it missed', () => {
    const log = new ArrivalLog(3);
    for (const atMs of [1, 2, 3, 4, 5]) log.add(atMs);
    expect([...log.toArray()]).toEqual([1, 2, 3]);
    expect(log.missed).toBe(2);
    log.reset();
    log.add(9);
    expect([...log.toArray()]).toEqual([9]);
    expect(log.missed).toBe(0);
  });
});
