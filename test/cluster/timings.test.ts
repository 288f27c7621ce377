import { describe, expect, test } from 'vitest';
import { DEFAULT_TIMINGS, TIMING_PROFILES, timingProblems, timingsWith } from '../../src/cluster/timings.ts';

describe('timings', () => {
  test('the defaults fit each other', () => {
    expect(timingProblems(DEFAULT_TIMINGS)).toEqual([]);
  });

  test('a value that is no time is refused with what was found', () => {
    expect(timingProblems({ ...DEFAULT_TIMINGS, pingMs: 0, heartbeatMs: 0.5 })).toEqual([
      { name: 'ping', message: 'expected a positive whole number of milliseconds, found 0' },
      { name: 'heartbeat', message: 'expected a positive whole number of milliseconds, found 0.5' },
    ]);
  });

  test('every bound that is broken is told, with both sides and why', () => {
    expect(timingProblems({ ...DEFAULT_TIMINGS, heartbeatMs: 1500, leaseTtlMs: 1000 })).toEqual([
      { name: 'leaseTtl', message: 'expected at least 2s, found 1s' },
      ...[
        'expected ping + 2 · heartbeat + margin (3.6s) to be at most permit (2s): one lost heartbeat must not end a permit',
        'expected 3 · heartbeat (4.5s) to be at most silence (3s): a single late heartbeat is no reason to leave',
        'expected downAfter + margin (2.2s) to be at most leaseTtl (1s): a lock that ends by itself needs no sentinel',
      ].map((message) => ({ name: null, message })),
    ]);
  });

  test('a master is not down before three probes and the last answer could have come', () => {
    expect(timingProblems({ ...DEFAULT_TIMINGS, downAfterMs: 1_000 })).toEqual([
      {
        name: null,
        message:
          'expected 3 · sentinelProbe + sentinelProbeDeadline (1.35s) to be at most downAfter (1s): three probes and the last answer come before a node is down',
      },
    ]);
  });

  test.each(Object.entries(TIMING_PROFILES))('those of the profile %s fit each other', (_, profile) => {
    expect(timingProblems({ ...DEFAULT_TIMINGS, ...profile })).toEqual([]);
  });

  test('a lease of etcd lasts whole seconds', () => {
    expect(timingProblems({ ...DEFAULT_TIMINGS, leaseTtlMs: 2500 })).toEqual([
      { name: 'leaseTtl', message: 'expected whole seconds, found 2.5s' },
    ]);
    expect(timingProblems({ ...DEFAULT_TIMINGS, leaseTtlMs: 2500 }, 100)).toEqual([]);
  });

  test('a coordinator that grants shorter leases allows shorter ones', () => {
    expect(timingsWith({ leaseTtlMs: 2500 }, 100).leaseTtlMs).toBe(2500);
    expect(() => timingsWith({ leaseTtlMs: 1000 })).toThrow('timings.leaseTtl: expected at least 2s, found 1s');
  });
});
