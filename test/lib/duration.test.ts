import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { formatDuration, parseDuration } from '../../src/lib/duration.ts';
import { parseSize } from '../../src/lib/size.ts';

describe('parseDuration', () => {
  test.each([
    ['0', 0],
    ['0s', 0],
    ['250ms', 250],
    ['1.5s', 1500],
    ['1.001s', 1001],
    ['90s', 90_000],
    ['1m30s', 90_000],
    ['2h', 7_200_000],
    ['1h1m1s1ms1us', 3_661_001.001],
    ['100us', 0.1],
    ['100µs', 0.1],
    ['100μs', 0.1],
    ['720h', 2_592_000_000],
  ])('reads %s as %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    '',
    '5x',
    '-1s',
    '1 s',
    ' 1s',
    '1s1m',
    '1s1s',
    '.5s',
    '1.s',
    '1e3s',
    's',
    '1S',
    '1d',
    'Infinity',
    `${'9'.repeat(400)}h`,
  ])('refuses %j and says what was expected', (text) => {
    expect(() => parseDuration(text)).toThrow(/^expected a duration like "30s" or "1m30s", found "/);
  });

  it('tells a bare number that it needs a unit', () => {
    expect(() => parseDuration('30')).toThrow(
      'expected a duration like "30s" or "1m30s", found "30": a number needs a unit, e.g. "30s"',
    );
  });

  it('refuses with the code INVALID_INPUT', () => {
    expect(() => parseDuration('5x')).toThrow(
      expect.objectContaining({
        code: 'INVALID_INPUT',
        problems: ['expected a duration like "30s" or "1m30s", found "5x"'],
      }),
    );
  });
});

describe('formatDuration', () => {
  test.each([
    [0, '0s'],
    [0.0001, '0.1us'],
    [0.5, '500us'],
    [1.5, '1.5ms'],
    [250, '250ms'],
    [999.999999, '999.999999ms'],
    [1000, '1s'],
    [1500, '1.5s'],
    [60_000, '1m'],
    [90_000, '1m30s'],
    [100_000, '1m40s'],
    [3_600_000, '1h'],
    [3_630_000, '1h30s'],
    [5_400_000, '1h30m'],
    [2_592_000_000, '720h'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('is read back to the same duration, to the nanosecond, up to 30 days', () => {
    const anyNs = fc.oneof(
      fc.maxSafeNat().map((n) => n % 2_592_000_000_000_001),
      fc.nat(),
      fc.nat(10_000),
    );
    fc.assert(
      fc.property(anyNs, (ns) => {
        expect(parseDuration(formatDuration(ns / 1e6))).toBe(ns / 1e6);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([NaN, -1, Infinity])('refuses %d', (ms) => {
    expect(() => formatDuration(ms)).toThrow(RangeError);
  });
});

describe('parseSize', () => {
  test.each([
    ['0', 0],
    ['10240', 10_240],
    ['10KB', 10_000],
    ['10kb', 10_000],
    ['10KiB', 10_240],
    ['1.5 MiB', 1_572_864],
    ['2GB', 2_000_000_000],
    ['7B', 7],
  ])('reads %s as %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', 'x', '-1', '1.5', '0.3KiB', '10 TB', '1e3', '9'.repeat(30)])('refuses %j', (text) => {
    expect(() => parseSize(text)).toThrow(/^expected a size in bytes like 10240, "10KB" or "10KiB", found "/);
  });
});
