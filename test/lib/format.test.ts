import { describe, expect, test } from 'vitest';
import { formatBytes, formatCount, formatMs, formatRate, formatShare, sparkline } from '../../src/lib/format.ts';

describe('numbers as people read them', () => {
  test.each([
    [0, '0'],
    [999, '999'],
    [4980, '4 980'],
    [1_234_567, '1 234 567'],
  ])('a count of %d reads "%s"', (count, text) => {
    expect(formatCount(count)).toBe(text);
  });

  test.each([
    [0, '0/s'],
    [0.5, '0.5/s'],
    [50, '50/s'],
    [999.44, '999.4/s'],
    [999.96, '1 000/s'],
    [1000, '1 000/s'],
    [12_345.6, '12 346/s'],
  ])('a rate of %d reads "%s"', (rate, text) => {
    expect(formatRate(rate)).toBe(text);
  });

  test.each([
    [0, '0 µs'],
    [0.0005, '0.50 µs'],
    [0.0123, '12.3 µs'],
    [0.85, '850 µs'],
    [0.9996, '1.00 ms'],
    [1.234, '1.23 ms'],
    [9.999, '10.0 ms'],
    [99.96, '100 ms'],
    [999.4, '999 ms'],
    [999.6, '1.00 s'],
    [61_234, '61.2 s'],
    [100_000, '1m40s'],
    [7_201_000, '2h0m1s'],
  ])('%d ms read "%s"', (ms, text) => {
    expect(formatMs(ms)).toBe(text);
  });

  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [999_999, '1.00 MB'],
    [1_950_000, '1.95 MB'],
    [2.5e18, '2 500 PB'],
  ])('%d bytes read "%s"', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test.each([
    [0, '0 %'],
    [0.000_001, '< 0.01 %'],
    [0.0012, '0.12 %'],
    [0.015, '1.5 %'],
    [0.498, '49.8 %'],
    [0.5, '50 %'],
    [0.9998, '99.98 %'],
    [0.999_999, '99.99 %'],
    [1, '100 %'],
  ])('a share of %d reads "%s"', (share, text) => {
    expect(formatShare(share)).toBe(text);
  });
});

describe('a sparkline', () => {
  test('goes from 0 to the largest value', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8], 9)).toBe('▁▁▂▃▄▅▆▇█');
  });

  test('shows the newest values that fit', () => {
    expect(sparkline([8, 8, 0, 8], 2)).toBe('▁█');
  });

  test('leaves a gap where there is no value, and is flat when all are 0', () => {
    expect(sparkline([4, null, 4], 10)).toBe('█ █');
    expect(sparkline([0, 0], 10)).toBe('▁▁');
    expect(sparkline([1], 0)).toBe('');
  });
});
