import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compilePlan,
  meanTarget,
  pausePlan,
  peakTarget,
  planEndMs,
  resumePlan,
  retunePlan,
  targetAt,
  type Plan,
} from '../../src/task/plan.ts';
import type { StageSpec } from '../../src/task/spec.ts';

const constant = (durationMs: number | null, target: number): StageSpec => ({ durationMs, target, shape: 'constant' });
const ramp = (durationMs: number | null, target: number): StageSpec => ({ durationMs, target, shape: 'ramp' });

/** 0 to 100 in a second, two seconds of 100, then 50 until 4 s. */
const SHAPED = compilePlan('open', [ramp(1000, 100), constant(2000, 100), constant(1000, 50)]);
const ENDLESS = compilePlan('closed', [constant(null, 10)]);

const targetsAt = (plan: Plan, ...instantsMs: number[]): number[] => instantsMs.map((atMs) => targetAt(plan, atMs));

/** What every plan must be: segments in order from 0 on without a gap, and each with an end after its start. */
function expectSound(plan: Plan): void {
  let at = 0;
  for (const { startMs, endMs, from, to } of plan.segments) {
    expect(startMs).toBe(at);
    expect(endMs).toBeGreaterThanOrEqual(startMs);
    if (endMs === Infinity) expect(from).toBe(to);
    at = endMs;
  }
}

describe('a compiled plan', () => {
  it.each([
    { name: 'a constant stage holds its target', stages: [constant(1000, 5)], at: [0, 500, 999], targets: [5, 5, 5] },
    { name: 'the target after the end is 0', stages: [constant(1000, 5)], at: [1000, 5000], targets: [0, 0] },
    { name: 'the first ramp starts from 0', stages: [ramp(1000, 8)], at: [0, 250, 500], targets: [0, 2, 4] },
    {
      name: 'a ramp starts from the target of the stage before',
      stages: [constant(1000, 10), ramp(1000, 20), ramp(1000, 0)],
      at: [999, 1000, 1500, 2000, 2500],
      targets: [10, 10, 15, 20, 10],
    },
    {
      name: 'a step jumps at its first instant',
      stages: [constant(1000, 10), constant(1000, 30)],
      at: [999.9, 1000],
      targets: [10, 30],
    },
    { name: 'a stage without an end goes on', stages: [constant(null, 7)], at: [0, 1e12], targets: [7, 7] },
    { name: 'a ramp without an end is its target', stages: [ramp(null, 7)], at: [0, 1e12], targets: [7, 7] },
    {
      name: 'a stage of no length is where the next ramp starts from',
      stages: [constant(0, 100), ramp(1000, 200)],
      at: [0, 500],
      targets: [100, 150],
    },
  ])('$name', ({ stages, at, targets }) => {
    const plan = compilePlan('open', stages);
    expectSound(plan);
    expect(targetsAt(plan, ...at)).toEqual(targets);
  });

  it('ends when its stages are over, or never', () => {
    expect(planEndMs(SHAPED)).toBe(4000);
    expect(planEndMs(ENDLESS)).toBe(Infinity);
  });

  it('keeps its model', () => {
    expect([SHAPED.model, ENDLESS.model]).toEqual(['open', 'closed']);
    expect(retunePlan(ENDLESS, 5, [constant(5, 1)]).model).toBe('closed');
    expect(resumePlan(pausePlan(ENDLESS, 5), 10, ENDLESS).model).toBe('closed');
  });
});

describe('a retuned plan', () => {
  it.each([
    {
      name: 'replaces the rest and keeps what was before',
      retune: [constant(1000, 70)],
      atMs: 3000,
      at: [500, 2999, 3000, 3999],
      targets: [50, 100, 70, 70],
    },
    {
      name: 'cuts stages that are too long',
      retune: [constant(9000, 70), constant(1000, 5)],
      atMs: 2000,
      at: [2000, 3999, 4000],
      targets: [70, 70, 0],
    },
    {
      name: 'cuts a ramp that is too long where it has come to',
      retune: [ramp(4000, 200)],
      atMs: 2000,
      at: [2000, 3000, 3999, 4000],
      targets: [100, 125, 149.975, 0],
    },
    {
      name: 'stretches the last stage when they are too short',
      retune: [constant(500, 70), ramp(500, 90)],
      atMs: 1000,
      at: [1499, 1750, 2000, 3999, 4000],
      targets: [70, 80, 90, 90, 0],
    },
    {
      name: 'ramps from where a ramp has come to',
      retune: [ramp(500, 0)],
      atMs: 500,
      at: [400, 500, 750, 1000],
      targets: [40, 50, 25, 0],
    },
    { name: 'from the start is a new plan', retune: [constant(1000, 3)], atMs: 0, at: [0, 3999], targets: [3, 3] },
    {
      name: 'fits a stage without an end to the end of the plan',
      retune: [constant(null, 3)],
      atMs: 1000,
      at: [3999, 4000],
      targets: [3, 0],
    },
    {
      name: 'after the end changes nothing',
      retune: [constant(1000, 3)],
      atMs: 4000,
      at: [3999, 4000, 4500],
      targets: [50, 0, 0],
    },
  ])('$name', ({ retune, atMs, at, targets }) => {
    const plan = retunePlan(SHAPED, atMs, retune);
    expectSound(plan);
    expect(planEndMs(plan)).toBe(4000);
    expect(targetsAt(plan, ...at)).toEqual(targets);
  });

  it('that had no end has none', () => {
    const plan = retunePlan(ENDLESS, 1000, [constant(500, 20), ramp(500, 30)]);
    expectSound(plan);
    expect(planEndMs(plan)).toBe(Infinity);
    expect(targetsAt(plan, 999, 1000, 1750, 1e9)).toEqual([10, 20, 25, 30]);
  });

  it('leaves the plan it came from as it was', () => {
    const before = structuredClone(SHAPED);
    retunePlan(SHAPED, 1500, [constant(100, 1)]);
    expect(SHAPED).toEqual(before);
  });
});

describe('a paused plan', () => {
  it('has target 0 from then on, and the same end', () => {
    const plan = pausePlan(SHAPED, 500);
    expectSound(plan);
    expect(planEndMs(plan)).toBe(4000);
    expect(targetsAt(plan, 0, 250, 499, 500, 3999)).toEqual([0, 25, 49.9, 0, 0]);
  });

  it('after its end is unchanged', () => {
    expect(pausePlan(SHAPED, 4000)).toEqual(SHAPED);
  });

  it('goes on, when resumed, as the original would have been by then', () => {
    const plan = resumePlan(pausePlan(SHAPED, 500), 3500, SHAPED);
    expectSound(plan);
    expect(planEndMs(plan)).toBe(4000);
    expect(targetsAt(plan, 250, 500, 3499, 3500, 3999)).toEqual([25, 0, 0, 50, 50]);
  });

  it('resumed within a ramp goes on inside of the ramp', () => {
    const plan = resumePlan(pausePlan(SHAPED, 100), 600, SHAPED);
    expectSound(plan);
    expect(targetsAt(plan, 599, 600, 800, 1000)).toEqual([0, 60, 80, 100]);
  });

  it('resumed after its end stays paused to the end', () => {
    const plan = resumePlan(pausePlan(SHAPED, 500), 5000, SHAPED);
    expect(planEndMs(plan)).toBe(4000);
    expect(targetsAt(plan, 499, 3999, 4500)).toEqual([49.9, 0, 0]);
  });

  it('without an end stays without an end', () => {
    const paused = pausePlan(ENDLESS, 1000);
    expect(planEndMs(paused)).toBe(Infinity);
    expect(targetsAt(resumePlan(paused, 2000, ENDLESS), 999, 1999, 2000, 1e9)).toEqual([10, 0, 10, 10]);
  });
});

it('a plan of no length that is changed at its end stays what it was', () => {
  const empty = compilePlan('open', [constant(0, 0)]);
  expect(retunePlan(empty, 0, [constant(0, 0)])).toEqual(empty);
  expect(resumePlan(empty, 0, empty)).toEqual(empty);
});

describe('any sequence of commands', () => {
  const stage = fc.record({
    durationMs: fc.nat({ max: 5000 }),
    target: fc.nat({ max: 1000 }),
    shape: fc.constantFrom('constant' as const, 'ramp' as const),
  });
  const stages = fc.array(stage, { minLength: 1, maxLength: 5 });
  const command = fc.record({
    kind: fc.constantFrom('retune', 'pause', 'resume'),
    afterMs: fc.nat({ max: 2000 }),
    stages,
  });

  it('leaves a sound plan with the same end and the same past', () => {
    fc.assert(
      fc.property(stages, fc.array(command, { maxLength: 8 }), (first, commands) => {
        const original = compilePlan('open', first);
        let plan = original;
        let atMs = 0;
        for (const { kind, afterMs, stages } of commands) {
          atMs += afterMs;
          const past = [0, atMs / 3, atMs / 2, atMs - 1].filter((instant) => instant >= 0 && instant < atMs);
          const before = targetsAt(plan, ...past);
          if (kind === 'retune') plan = retunePlan(plan, atMs, stages);
          else if (kind === 'pause') plan = pausePlan(plan, atMs);
          else plan = resumePlan(plan, atMs, original);
          expectSound(plan);
          expect(planEndMs(plan)).toBe(planEndMs(original));
          targetsAt(plan, ...past).forEach((target, i) => expect(target).toBeCloseTo(before[i]!, 6));
        }
      }),
    );
  });
});

describe('the mean target', () => {
  it('of an interval is the integral of the plan over it', () => {
    expect(meanTarget(SHAPED, 0, 1000)).toBe(50);
    expect(meanTarget(SHAPED, 500, 1500)).toBe(87.5);
    expect(meanTarget(SHAPED, 2500, 3500)).toBe(75);
  });

  it('counts the time after the end as 0', () => {
    expect(meanTarget(SHAPED, 3000, 5000)).toBe(25);
    expect(meanTarget(SHAPED, 4000, 5000)).toBe(0);
  });

  it('of no time is the target at that instant', () => {
    expect(meanTarget(SHAPED, 500, 500)).toBe(50);
  });

  it('of an endless plan is its target', () => {
    expect(meanTarget(ENDLESS, 0, 1e9)).toBe(10);
  });
});

describe('the peak target', () => {
  it('is the highest before an instant, also within a ramp', () => {
    expect([0, 500, 1000, 4000, Infinity].map((untilMs) => peakTarget(SHAPED, untilMs))).toEqual([
      0, 50, 100, 100, 100,
    ]);
    expect(peakTarget(ENDLESS, Infinity)).toBe(10);
  });

  it('of a ramp up is where it ends', () => {
    expect(peakTarget(compilePlan('closed', [ramp(2000, 10)]), 2000)).toBe(10);
    expect(peakTarget(compilePlan('closed', [ramp(2000, 10)]), 2500)).toBe(10);
  });
});
