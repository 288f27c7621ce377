import { expect, test } from 'vitest';
import { sendAfterMs, sharesOf } from '../../src/stress/shares.ts';

const waits = (workers: number): number[] => {
  const parts = Array.from({ length: workers }, () => 2);
  return sharesOf(parts, 2 * workers).map(sendAfterMs);
};

test('few workers send their samples at once', () => {
  expect(waits(1)).toEqual([0]);
  expect(new Set(waits(19))).toEqual(new Set([0]));
});

test.each([
  [20, 0.5],
  [1_000, 0.5],
  [2_000, 0.25],
])('%i workers send theirs one after another, each %d ms after the one before', (workers, eachMs) => {
  for (const [i, ms] of waits(workers).entries()) expect(ms).toBeCloseTo(i * eachMs, 6);
});
