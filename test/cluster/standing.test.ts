import { describe, expect, test } from 'vitest';
import { judge, type Evidence } from '../../src/cluster/standing.ts';
import { DEFAULT_TIMINGS } from '../../src/cluster/timings.ts';

const { leaseTtlMs, permitMs, permitOnLeaseMs, marginMs, suspectAfterMs } = DEFAULT_TIMINGS;

/** A process that was echoed at 100 000 and lost its stream then. */
const LOST: Evidence = {
  connected: false,
  granted: true,
  left: false,
  refused: false,
  heardAtMs: 100_000,
  echoedAtMs: 100_000,
  inherited: false,
  absentAtMs: -Infinity,
  replacedAtMs: null,
};

/** As judged some time after the last echo. */
const after = (ms: number, change: Partial<Evidence> = {}) =>
  judge({ ...LOST, ...change }, 100_000 + ms, DEFAULT_TIMINGS).standing;

const OVER_MS = permitMs + marginMs;

describe('a worker is live', () => {
  test('while it is connected, pings, and is permitted', () => {
    expect(after(suspectAfterMs, { connected: true })).toBe('live');
  });
});

describe('a worker is suspect', () => {
  test('when its pings stop', () => {
    expect(after(suspectAfterMs + 1, { connected: true })).toBe('suspect');
  });

  test('while its permit is withheld, for however long', () => {
    const heardAtMs = 100_000 + 10 * permitOnLeaseMs;
    expect(after(10 * permitOnLeaseMs, { connected: true, granted: false, heardAtMs })).toBe('suspect');
  });

  test('when its stream is closed and its port is silent', () => {
    expect(after(1)).toBe('suspect');
  });

  test('while its record stands, as long as the longest permit lasts', () => {
    expect(after(permitOnLeaseMs)).toBe('suspect');
  });

  test('when its record was gone at a moment at which its permit was not surely over', () => {
    expect(after(OVER_MS + 5_000, { absentAtMs: 100_000 + OVER_MS - 1 })).toBe('suspect');
  });

  test('when its record was overwritten less than a lease ago: it may believe in its own still', () => {
    const replacedAtMs = 100_000;
    const absentAtMs = replacedAtMs + leaseTtlMs + marginMs - 1;
    expect(after(absentAtMs - 100_000, { absentAtMs, replacedAtMs })).toBe('suspect');
  });

  test('when an earlier master may have echoed it until its own lease was over', () => {
    const absentAtMs = 100_000 + leaseTtlMs + OVER_MS - 1;
    expect(after(leaseTtlMs + OVER_MS - 1, { inherited: true, absentAtMs })).toBe('suspect');
  });
});

describe('a worker is gone', () => {
  test('when it said Leave and closed', () => {
    expect(after(1, { left: true })).toBe('gone');
  });

  test('when its stream is closed and its port refuses connections', () => {
    expect(after(1, { refused: true })).toBe('gone');
  });

  test('when its record was gone 2 s and a margin after the last echo', () => {
    expect(after(OVER_MS, { absentAtMs: 100_000 + OVER_MS })).toBe('gone');
  });

  test('when it is frozen with its stream open: the same rule', () => {
    expect(after(OVER_MS, { connected: true, absentAtMs: 100_000 + OVER_MS })).toBe('gone');
  });

  test('a lease, 2 s and a margin after the begin of a term that never saw it', () => {
    const ms = leaseTtlMs + OVER_MS;
    expect(after(ms, { inherited: true, absentAtMs: 100_000 + ms })).toBe('gone');
  });

  test('a lease and a margin after its record was overwritten', () => {
    const replacedAtMs = 101_000;
    const absentAtMs = replacedAtMs + leaseTtlMs + marginMs;
    expect(after(absentAtMs - 100_000, { absentAtMs, replacedAtMs })).toBe('gone');
  });

  test('when it was not echoed for longer than any permit lasts, even if its record stands', () => {
    expect(after(permitOnLeaseMs * 1.05 + marginMs)).toBe('gone');
  });
});
