import { describe, expect, it } from 'vitest';
import type { RunRecord, Wanted } from '../../src/stress/ports.ts';
import { askedPlan, plansFor, sameWanted, unitTarget, wantedProblems } from '../../src/stress/wanted.ts';
import { planEndMs, targetAt, type Plan } from '../../src/task/plan.ts';
import type { StageSpec } from '../../src/task/spec.ts';
import { runningOf, WANTED } from './support/records.ts';

const wanted = (part: Partial<Wanted>): Wanted => ({ ...WANTED, ...part });
const targets = (plan: Plan, ...atMs: number[]) => atMs.map((at) => targetAt(plan, at));
const STAGES: StageSpec[] = [
  { durationMs: 10_000, target: 100, shape: 'constant' },
  { durationMs: 10_000, target: 900, shape: 'ramp' },
];

/** The run after its master has applied something at an instant. */
function applied(run: RunRecord, want: Partial<Wanted>, atMs: number): RunRecord {
  const next = { ...run, wanted: wanted(want) };
  const { plan } = plansFor(next, null, atMs);
  return { ...next, plan, applied: next.wanted };
}

describe('what is wanted', () => {
  it('is compared by value: SQL by hand bumps no version', () => {
    expect(sameWanted(wanted({ version: 1 }), wanted({ version: 9 }))).toBe(true);
    expect(sameWanted(wanted({ target: 5 }), wanted({ target: 6 }))).toBe(false);
    expect(sameWanted(wanted({ state: 'PAUSED' }), wanted({}))).toBe(false);
    expect(sameWanted(wanted({ stages: STAGES }), wanted({ stages: structuredClone(STAGES) }))).toBe(true);
    expect(sameWanted(wanted({ rampMs: 5 }), wanted({}))).toBe(true);
    expect(sameWanted(wanted({ target: 5, rampMs: 5 }), wanted({ target: 5 }))).toBe(false);
  });

  it.each([
    { name: 'a negative rate', model: 'open' as const, part: { target: -1 }, found: 'found -1' },
    { name: 'no number', model: 'open' as const, part: { target: NaN }, found: 'found NaN' },
    { name: 'half a user', model: 'closed' as const, part: { target: 1.5 }, found: 'expected a whole number of users' },
    { name: 'an endless ramp', model: 'open' as const, part: { target: 1, rampMs: Infinity }, found: 'ramp: expected' },
    { name: 'no stage', model: 'open' as const, part: { stages: [] }, found: 'stages: expected 1 to' },
  ])('is told when it is wrong: $name', ({ model, part, found }) => {
    expect(wantedProblems(model, wanted(part)).join('\n')).toContain(found);
  });
});

describe('the plan for what is wanted', () => {
  it.each([
    { name: 'a target holds to the end', want: { target: 1000 }, expected: [600, 1000, 1000] },
    { name: 'a ramp takes its time', want: { target: 1000, rampMs: 20_000 }, expected: [600, 800, 1000] },
    { name: 'a pause is rate 0', want: { state: 'PAUSED' as const }, expected: [600, 0, 0] },
    { name: 'stages replace the rest', want: { stages: STAGES }, expected: [600, 100, 900] },
    { name: 'a target of 0 is rate 0', want: { target: 0 }, expected: [600, 0, 0] },
  ])('$name', ({ want, expected }) => {
    const { plan } = plansFor({ ...runningOf(), wanted: wanted(want) }, null, 10_000);
    expect(targets(plan, 9_999, 20_000 - 1e-6, 45_000).map((target) => Math.round(target * 1e3) / 1e3)).toEqual(
      expected,
    );
    expect(planEndMs(plan)).toBe(60_000);
  });

  it('goes on as the task says when a target is taken back', () => {
    const load = {
      model: 'open',
      stages: [
        { duration: '30s', target: 10 },
        { duration: '30s', target: 20 },
      ],
    };
    const run = applied(runningOf({ load }), { target: 500 }, 10_000);
    const { plan } = plansFor({ ...run, wanted: WANTED }, null, 20_000);
    expect(targets(plan, 15_000, 25_000, 45_000)).toEqual([500, 10, 20]);
  });

  it.each([
    { name: 'as the task says', before: null, expected: [600, 0, 600, 600] },
    { name: 'with the target from before', before: { target: 300 }, expected: [300, 0, 300, 300] },
    { name: 'in the middle of the stages from before', before: { stages: STAGES }, expected: [100, 0, 820, 900] },
  ])('after a pause it goes on $name, also under a new master', ({ before, expected }) => {
    let run: RunRecord = runningOf();
    if (before !== null) run = applied(run, before, 5_000);
    run = applied(run, { ...before, state: 'PAUSED' }, 10_000);
    const { plan } = plansFor({ ...run, wanted: wanted({ ...before }) }, null, 24_000);
    expect(targets(plan, 9_000, 12_000, 24_000, 40_000)).toEqual(expected);
  });

  it('may be changed during a pause: the change holds afterwards, and workers need not hear of it before', () => {
    const paused = applied(runningOf(), { state: 'PAUSED' }, 10_000);
    const retuned = { ...paused, wanted: wanted({ state: 'PAUSED' as const, target: 50 }) };
    const { plan, asked } = plansFor(retuned, null, 12_000);
    expect(plan).toEqual(paused.plan);
    const after = { ...retuned, applied: retuned.wanted, wanted: wanted({ target: 50 }) };
    expect(targets(plansFor(after, asked, 20_000).plan, 15_000, 20_000)).toEqual([0, 50]);
    expect(targets(plansFor(after, null, 20_000).plan, 15_000, 20_000)).toEqual([0, 50]);
  });

  it('of a run that ends by its hits has no end', () => {
    const run = runningOf({ load: { rate: 10, hits: 1000 } });
    expect(planEndMs(plansFor({ ...run, wanted: wanted({ target: 20 }) }, null, 1_000).plan)).toBe(Infinity);
    expect(targets(askedPlan(run), 1e9)).toEqual([10]);
  });

  it('gives the target that shares are made of: what is wanted, else the highest to come', () => {
    const load = {
      model: 'open',
      stages: [
        { duration: '30s', target: 900 },
        { duration: '30s', target: 20 },
      ],
    };
    const run = runningOf({ load });
    expect(unitTarget(run, run.plan!, 0)).toBe(900);
    expect(unitTarget(run, run.plan!, 30_000)).toBe(20);
    expect(unitTarget({ wanted: wanted({ target: 301 }) }, run.plan!, 0)).toBe(301);
    expect(unitTarget(run, run.plan!, 90_000)).toBe(900);
  });
});
