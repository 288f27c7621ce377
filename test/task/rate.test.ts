import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { formatRate, parseRate } from '../../src/task/rate.ts';

describe('parseRate', () => {
  test.each([
    ['600', 600],
    ['600/s', 600],
    ['600/1s', 600],
    ['30/m', 0.5],
    ['30/1m', 0.5],
    ['30/1m30s', 1 / 3],
    ['36000/h', 10],
    ['5/10s', 0.5],
    ['1/100ms', 10],
    ['0.5', 0.5],
    ['2.5/s', 2.5],
    ['1e3', 1000],
  ])('reads %s as %d hits per second', (text, ratePerSecond) => {
    expect(parseRate(text)).toBe(ratePerSecond);
  });

  test.each([
    '',
    '0',
    '0/s',
    '-5',
    '5/',
    '/s',
    '5/x',
    '5/0',
    '5/0s',
    '5s',
    'fast',
    '5 / s',
    'Infinity',
    '1e999',
    '5/1',
  ])('refuses %j', (text) => {
    expect(() => parseRate(text)).toThrow(
      expect.objectContaining({
        code: 'INVALID_INPUT',
        message: `expected a rate above 0 like "600", "600/s" or "30/1m", found ${JSON.stringify(text)}`,
      }),
    );
  });

  it('gives back exactly what formatRate wrote', () => {
    fc.assert(
      fc.property(fc.double({ min: Number.MIN_VALUE, max: 1e300, noNaN: true }), (ratePerSecond) => {
        expect(parseRate(formatRate(ratePerSecond))).toBe(ratePerSecond);
      }),
    );
  });
});
