import { describe, expect, test } from 'vitest';
import { DEFAULT_TIMINGS, TIMING_PROFILES, timingProblems, timingsWith } from '../../src/cluster/timings.ts';

describe('timings', () => {
  test('the defaults fit each other', () => {
    expect(timingProblems(DEFAULT_TIMINGS)).toEqual([]);
  });

  test('a value that is no time is refused with what was found', () => {
    expect(timingProblems({ ...DEFAULT_TIMINGS, pingMs: 0, heartbeatMs: 0.5 })).toEqual([
      'timings.pingMs: expected a positive whole number of milliseconds, found 0',
      'timings.heartbeatMs: expected a positive whole number of milliseconds, found 0.5',
    ]);
  });

  test('every bound that is broken is told, with both sides and why', () => {
    expect(timingProblems({ ...DEFAULT_TIMINGS, heartbeatMs: 1500, leaseTtlMs: 1000 })).toEqual([
      'timings.leaseTtlMs: expected at least 2000, found 1000',
      'timings: expected pingMs + 2 · heartbeatMs + marginMs (3450) to be at most permitMs (2000): one lost heartbeat must not end a permit',
      'timings: expected 3 · heartbeatMs (4500) to be at most silenceMs (3000): a single late heartbeat is no reason to leave',
      'timings: expected downAfterMs + marginMs (2200) to be at most leaseTtlMs (1000): a lock that ends by itself needs no sentinel',
    ]);
  });

  test('a master is not down before three probes and the last answer could have come', () => {
    expect(timingProblems({ ...DEFAULT_TIMINGS, downAfterMs: 1_000 })).toEqual([
      'timings: expected 3 · sentinelProbeMs + sentinelProbeDeadlineMs (1350) to be at most downAfterMs (1000): three probes and the last answer come before a node is down',
    ]);
  });

  test.each(Object.entries(TIMING_PROFILES))('those of the profile %s fit each other', (_, profile) => {
    expect(timingProblems({ ...DEFAULT_TIMINGS, ...profile })).toEqual([]);
  });

  test('a lease of etcd lasts whole seconds', () => {
    expect(timingProblems({ ...DEFAULT_TIMINGS, leaseTtlMs: 2500 })).toEqual([
      'timings.leaseTtlMs: expected whole seconds, found 2500',
    ]);
    expect(timingProblems({ ...DEFAULT_TIMINGS, leaseTtlMs: 2500 }, 100)).toEqual([]);
  });

  test('a coordinator that grants shorter leases allows shorter ones', () => {
    expect(timingsWith({ leaseTtlMs: 2500 }, 100).leaseTtlMs).toBe(2500);
    expect(() => timingsWith({ leaseTtlMs: 1000 })).toThrow('expected at least 2000, found 1000');
  });
});
