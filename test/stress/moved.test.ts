import { describe, expect, test } from 'vitest';
import { ofShare } from '../../src/stress/moved.ts';
import type { AssignmentRecord } from '../../src/stress/ports.ts';
import { countsOf, sampleOf } from '../support/samples.ts';
import { recordOf } from './support/records.ts';

/** Frozen: it made nothing of its 80/s, and 20 hits were under way. */
const frozen = (second: number) =>
  sampleOf({
    second,
    target: 80,
    counts: { scheduled: 80, started: 0, dropped: { 'no-permit': 60, stalled: 20 }, ok: 20, written: 20 },
    warmup: { scheduled: 8, dropped: { stalled: 8 } },
  });

const record = (part: Partial<AssignmentRecord>) => recordOf(1, 'w1', { state: 'LOST', lostByMs: 6_500, ...part });

describe('a sample of a share that was lost at 5.5 s', () => {
  test('counts as it is before', () => {
    expect(ofShare(frozen(4), record({}))).toEqual(frozen(4));
  });

  test('has nothing that was left out after, and all that was done', () => {
    expect(ofShare(frozen(6), record({}))).toMatchObject({
      target: 0,
      counts: countsOf({ ok: 20, written: 20 }),
      warmup: countsOf({}),
    });
  });

  test('in between has its part', () => {
    expect(ofShare(frozen(5), record({}))).toMatchObject({
      target: 40,
      counts: countsOf({ scheduled: 40, dropped: { 'no-permit': 30, stalled: 10 }, ok: 20, written: 20 }),
      warmup: countsOf({ scheduled: 4, dropped: { stalled: 4 } }),
    });
  });

  test.each([
    ['it was not lost', record({ state: 'STOPPED' })],
    ['it is not known when', record({ lostByMs: null })],
    ['nothing is known of it', undefined],
  ])('is left alone when %s', (_, known) => {
    expect(ofShare(frozen(9), known)).toEqual(frozen(9));
  });
});
