import { describe, expect, it, test } from 'vitest';
import { nearest } from '../../src/lib/suggest.ts';

const KEYS = ['rate', 'users', 'stages', 'duration', 'maxInFlight', 'thinkTime', 'warmup'];

describe('nearest', () => {
  test.each([
    ['rte', 'rate', 'a letter is missing'],
    ['ratee', 'rate', 'a letter is doubled'],
    ['rats', 'rate', 'a letter is wrong'],
    ['arte', 'rate', 'two letters are swapped'],
    ['Rate', 'rate', 'only the case differs'],
    ['max_in_flight', 'maxInFlight', 'words are joined in another way'],
    ['warm-up', 'warmup', 'a hyphen is added'],
    ['duraton', 'duration', 'a longer word has a slip'],
  ])('knows %s as %s: %s', (word, known) => {
    expect(nearest(word, KEYS)).toBe(known);
  });

  test.each(['', 'x', 'concurrency', 'qps', 'ra', 'x'.repeat(100_000)])('does not guess at %.20s', (word) => {
    expect(nearest(word, KEYS)).toBeNull();
  });

  it('takes a swap of neighbours for one slip, not two', () => {
    expect(nearest('-dc', ['-cd', 'xyz'])).toBe('-cd');
  });

  it('does not take one letter for another', () => {
    expect(nearest('q', ['c', 'd'])).toBeNull();
  });

  it('prefers the nearer word, and the earlier of two equally near ones', () => {
    expect(nearest('stagex', ['stager', 'stages'])).toBe('stager');
    expect(nearest('stages', ['staged', 'stages'])).toBe('stages');
  });
});
