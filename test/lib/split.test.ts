import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { split } from '../../src/lib/split.ts';

const weight = fc.oneof(fc.nat({ max: 1000 }), fc.double({ min: 0, max: 1e6, noNaN: true }));
const weights = fc.array(weight, { minLength: 1, maxLength: 20 }).filter((list) => list.some((w) => w > 0));
const total = fc.oneof(fc.nat({ max: 100 }), fc.integer({ min: 0, max: 1e9 }));

describe('split', () => {
  it.each([
    { total: 10, weights: [1, 1], shares: [5, 5] },
    { total: 10, weights: [1, 1, 1], shares: [4, 3, 3] },
    { total: 2, weights: [1, 1, 1], shares: [1, 1, 0] },
    { total: 2, weights: [1, 3], shares: [0, 2] },
    { total: 100, weights: [3, 1], shares: [75, 25] },
    { total: 7, weights: [0.5, 0.25, 0.25], shares: [3, 2, 2] },
    { total: 5, weights: [0, 1, 0], shares: [0, 5, 0] },
    { total: 0, weights: [1, 2], shares: [0, 0] },
    { total: 0, weights: [0, 0], shares: [0, 0] },
    { total: 0, weights: [], shares: [] },
  ])('of $total by $weights is $shares', ({ total, weights, shares }) => {
    expect(split(total, weights)).toEqual(shares);
  });

  it('gives whole, non-negative shares that add up to the total, however large it is', () => {
    fc.assert(
      fc.property(fc.oneof(total, fc.maxSafeNat()), weights, (total, weights) => {
        const shares = split(total, weights);
        expect(shares).toHaveLength(weights.length);
        for (const share of shares) expect(Number.isSafeInteger(share) && share >= 0).toBe(true);
        expect(shares.reduce((sum, share) => sum + BigInt(share), 0n)).toBe(BigInt(total));
      }),
    );
  });

  it('gives each member less than one off its proportion, and nothing for no weight', () => {
    fc.assert(
      fc.property(total, weights, (total, weights) => {
        const sum = weights.reduce((a, b) => a + b, 0);
        split(total, weights).forEach((share, i) => {
          expect(Math.abs(share - (weights[i]! / sum) * total)).toBeLessThan(1 + 1e-6);
          if (weights[i] === 0) expect(share).toBe(0);
        });
      }),
    );
  });

  it('gives a member of more weight at least as much', () => {
    fc.assert(
      fc.property(total, weights, (total, weights) => {
        const shares = split(total, weights);
        const byWeight = weights
          .map((w, i) => ({ w, share: shares[i]! }))
          .sort((a, b) => a.w - b.w || a.share - b.share);
        for (let i = 1; i < byWeight.length; i++) {
          expect(byWeight[i]!.share).toBeGreaterThanOrEqual(byWeight[i - 1]!.share);
        }
      }),
    );
  });

  it('gives each weight the same shares in whatever order the members come', () => {
    const sharesByWeight = (total: number, weights: number[]): [number, number][] =>
      split(total, weights)
        .map((share, i): [number, number] => [weights[i]!, share])
        .sort(([w1, s1], [w2, s2]) => w1 - w2 || s1 - s2);
    const shuffled = weights.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })),
    );
    fc.assert(
      fc.property(total, shuffled, (total, [weights, reordered]) => {
        expect(sharesByWeight(total, reordered)).toEqual(sharesByWeight(total, weights));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    { name: 'a negative total', total: -1, weights: [1], found: 'found -1' },
    { name: 'a fraction', total: 1.5, weights: [1], found: 'found 1.5' },
    { name: 'a total that is not a safe integer', total: 2 ** 53, weights: [1], found: 'found 9007199254740992' },
    { name: 'a negative weight', total: 1, weights: [1, -1], found: 'found [1, -1]' },
    { name: 'a weight that is not a number', total: 1, weights: [NaN], found: 'found [NaN]' },
    { name: 'an infinite weight', total: 1, weights: [Infinity], found: 'found [Infinity]' },
    { name: 'nobody to split among', total: 1, weights: [], found: 'cannot split 1' },
    { name: 'no weight at all', total: 1, weights: [0, 0], found: 'cannot split 1' },
  ])('refuses $name', ({ total, weights, found }) => {
    expect(() => split(total, weights)).toThrow(RangeError);
    expect(() => split(total, weights)).toThrow(found);
  });
});
