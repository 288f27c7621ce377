import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mostUsers, OpenPacer, usersAt } from '../../src/load/pacer.ts';
import { splitAssignment, wholeAssignment } from '../../src/load/engine.ts';
import { compilePlan, pausePlan, resumePlan, retunePlan, WHOLE, type Plan, type Share } from '../../src/task/plan.ts';
import type { PreparedTask, StageSpec } from '../../src/task/spec.ts';

const constant = (target: number, durationMs: number | null): StageSpec => ({ target, durationMs, shape: 'constant' });
const ramp = (target: number, durationMs: number): StageSpec => ({ target, durationMs, shape: 'ramp' });

/** Every instant of a share, up to a limit. */
function instants(plan: Plan, share: Share = WHOLE, limit = 200_000): number[] {
  const pacer = new OpenPacer(plan, share);
  const all: number[] = [];
  for (let i = 0; i < limit; i++) {
    const dueMs = pacer.dueMs(i);
    if (dueMs === Infinity) break;
    all.push(dueMs);
  }
  return all;
}

const threadShares = (n: number): Share[] => Array.from({ length: n }, (_, k) => ({ weight: 1, of: n, phase: k }));

describe('the open pacer', () => {
  test('a constant rate has hit i at i/rate, and rate × duration hits', () => {
    const all = instants(compilePlan('open', [constant(1000, 10_000)]));
    expect(all).toHaveLength(10_000);
    expect(all[0]).toBe(0);
    expect(all[9_999]).toBe(9_999);
  });

  test('a rate below one per second is kept', () => {
    expect(instants(compilePlan('open', [constant(0.5, 6_000)]))).toEqual([0, 2_000, 4_000]);
  });

  test('a ramp from 0 to r in d seconds has r·d/2 hits, at the root of the integrated rate', () => {
    const all = instants(compilePlan('open', [ramp(1000, 10_000)]));
    expect(all).toHaveLength(5_000);
    // H(t) = 0.05 t² with t in seconds × 1000: hit 2000 is due at √(2000 / 50) s.
    expect(all[2_000]).toBeCloseTo(Math.sqrt(2_000 / 50) * 1000, 6);
  });

  test('a ramp down ends with its stage', () => {
    const all = instants(compilePlan('open', [constant(100, 1_000), ramp(0, 2_000)]));
    expect(all).toHaveLength(200);
    expect(all.at(-1)).toBeLessThan(3_000);
  });

  test('a step takes effect at its instant', () => {
    const all = instants(compilePlan('open', [constant(10, 1_000), constant(100, 1_000)]));
    expect(all.filter((t) => t < 1_000)).toHaveLength(10);
    expect(all.filter((t) => t >= 1_000)).toHaveLength(100);
  });

  test('a stage of rate 0 has no hits', () => {
    const all = instants(compilePlan('open', [constant(10, 1_000), constant(0, 5_000), constant(10, 1_000)]));
    expect(all.filter((t) => t >= 1_000 && t < 6_000)).toEqual([]);
    expect(all).toHaveLength(20);
  });

  test('may be asked for an earlier hit again', () => {
    const pacer = new OpenPacer(compilePlan('open', [constant(10, 1_000), constant(100, 1_000)]), WHOLE);
    expect(pacer.dueMs(50)).toBeGreaterThan(1_000);
    expect(pacer.dueMs(3)).toBe(300);
  });

  test('equal shares together have exactly the instants of the whole', () => {
    const stages = fc.array(
      fc.record({
        target: fc.integer({ min: 0, max: 3_000 }),
        durationMs: fc.integer({ min: 1, max: 3_000 }),
        shape: fc.constantFrom('constant' as const, 'ramp' as const),
      }),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(stages, fc.integer({ min: 1, max: 7 }), (list, n) => {
        const plan = compilePlan('open', list);
        const parts = threadShares(n).flatMap((share) => instants(plan, share));
        expect(parts.sort((a, b) => a - b)).toEqual(instants(plan));
      }),
      { numRuns: 50 },
    );
  });

  test('instants never go back and stay within the plan', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 5_000, noNaN: true }),
        fc.double({ min: 0, max: 5_000, noNaN: true }),
        (a, b) => {
          const all = instants(compilePlan('open', [constant(a, 700), ramp(b, 900), constant(a, 300)]));
          for (let i = 1; i < all.length; i++) expect(all[i]!).toBeGreaterThanOrEqual(all[i - 1]!);
          expect(all.at(-1) ?? 0).toBeLessThanOrEqual(1_900);
        },
      ),
    );
  });

  test('unequal shares divide the rate by their weights', () => {
    const plan = compilePlan('open', [constant(1000, 1_000)]);
    const counts = [
      { weight: 300, of: 1000, phase: 0 },
      { weight: 700, of: 1000, phase: 300 },
    ].map((share) => instants(plan, share).length);
    expect(counts).toEqual([300, 700]);
  });

  test('a retuned plan has the old instants before the change and the new rate after it', () => {
    const plan = compilePlan('open', [constant(100, 2_000)]);
    const all = instants(retunePlan(plan, 1_000, [constant(200, null)]));
    expect(all.filter((t) => t < 1_000)).toEqual(instants(plan).filter((t) => t < 1_000));
    expect(all.filter((t) => t >= 1_000)).toHaveLength(200);
  });

  test('threads that share a retuned plan still interleave exactly', () => {
    const plan = retunePlan(compilePlan('open', [constant(333, 2_000)]), 777.7, [ramp(1_234, 500), constant(17, null)]);
    const parts = threadShares(3).flatMap((share) => instants(plan, share));
    expect(parts.sort((a, b) => a - b)).toEqual(instants(plan));
  });

  test('a pause leaves its instants out and the rest where it was', () => {
    const plan = compilePlan('open', [constant(100, 3_000)]);
    const all = instants(resumePlan(pausePlan(plan, 1_000), 2_000, plan));
    expect(all.filter((t) => t >= 1_000 && t < 2_000)).toEqual([]);
    expect(all).toHaveLength(200);
  });
});

describe('the closed pacer', () => {
  test('follows steps and ramps', () => {
    const plan = compilePlan('closed', [ramp(10, 10_000), constant(4, 1_000)]);
    expect([0, 1, 5_000, 9_999, 10_500].map((t) => usersAt(plan, WHOLE, t))).toEqual([0, 1, 5, 10, 4]);
    expect(mostUsers(plan, WHOLE)).toBe(10);
  });

  test('shares add up to the whole at any time', () => {
    const plan = compilePlan('closed', [ramp(97, 10_000)]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 10_000 }), (n, t) => {
        const sum = threadShares(n).reduce((users, share) => users + usersAt(plan, share, t), 0);
        expect(sum).toBe(usersAt(plan, WHOLE, t));
      }),
    );
  });
});

describe('splitting an assignment over threads', () => {
  const task = {
    spec: {
      name: 't',
      connections: { max: 11 },
      load: { model: 'open', stages: [constant(10, null)], hits: 1001, maxInFlight: 10_000, maxQueue: 7 },
    },
  } as unknown as PreparedTask;

  test('keeps every sum', () => {
    const parts = splitAssignment(wholeAssignment(task), 3);
    const sum = (of: (part: (typeof parts)[number]) => number): number => parts.reduce((n, part) => n + of(part), 0);
    expect(sum((part) => part.hits!)).toBe(1001);
    expect(sum((part) => part.maxInFlight)).toBe(11);
    expect(sum((part) => part.maxQueue)).toBe(7);
  });

  test('a limit of hits ends the threads at the hits of the whole', () => {
    const parts = splitAssignment(wholeAssignment(task), 3);
    const parted = parts.flatMap((part) => instants(part.plan, part.share, part.hits!));
    expect(parted.sort((a, b) => a - b)).toEqual(instants(parts[0]!.plan, WHOLE, 1001));
  });
});
