import { LIMITS } from '../task/defaults.ts';
import { compilePlan, pausePlan, peakTarget, planEndMs, resumePlan, retunePlan, type Plan } from '../task/plan.ts';
import type { LoadModel, StageSpec } from '../task/spec.ts';
import type { RunRecord, Wanted } from './ports.ts';

type Load = Pick<Wanted, 'target' | 'rampMs' | 'stages'>;

/** Compared by value: SQL written by hand bumps no version. */
export function sameWanted(a: Wanted, b: Wanted): boolean {
  return a.state === b.state && sameLoad(a, b);
}

function sameLoad(a: Load, b: Load): boolean {
  if (textOf(a.stages) !== textOf(b.stages)) return false;
  if (a.stages !== null) return true;
  // Without a target there is nothing to ramp to.
  return a.target === b.target && (a.target === null || a.rampMs === b.rampMs);
}

function textOf(stages: Load['stages']): string {
  return JSON.stringify(stages?.map(({ durationMs, target, shape }) => [durationMs, target, shape]) ?? null);
}

/** What the run's task says, without any change. */
export function taskPlan({ task }: Pick<RunRecord, 'task'>): Plan {
  return compilePlan(task.spec.load.model, task.spec.load.stages);
}

/** What is wrong with a load that is asked for, one line each; empty: nothing. That a load is none at all is refused where it comes in. */
export function wantedProblems(model: LoadModel, { target, rampMs, stages }: Load): string[] {
  const most = model === 'open' ? LIMITS.ratePerSecond : LIMITS.users;
  const targets = stages?.map((stage) => stage.target) ?? (target === null ? [] : [target]);
  const kind = model === 'closed' ? 'a whole number of users' : 'a rate';
  const isWrong = (value: number) => !(value >= 0 && value <= most) || (model === 'closed' && !Number.isInteger(value));
  const problems = targets.filter(isWrong).map((found) => `target: expected ${kind} from 0 to ${most}, found ${found}`);
  if (!(rampMs >= 0 && rampMs < Infinity)) problems.push(`ramp: expected 0 or more milliseconds, found ${rampMs}`);
  if (stages !== null && (stages.length === 0 || stages.length > LIMITS.stages)) {
    problems.push(`stages: expected 1 to ${LIMITS.stages}, found ${stages.length}`);
  }
  return problems;
}

/** The stages for the rest of a run; null: as the task says. */
function wantedStages({ target, rampMs, stages }: Load): readonly StageSpec[] | null {
  if (stages !== null) return stages;
  if (target === null) return null;
  const hold: StageSpec = { durationMs: null, target, shape: 'constant' };
  return rampMs > 0 ? [{ durationMs: rampMs, target, shape: 'ramp' }, hold] : [hold];
}

export interface Plans {
  /** What workers do. */
  plan: Plan;
  /** What they would do if the run was not paused. */
  asked: Plan;
}

/**
 * The plans with what is wanted from `atMs` on; what was before stays as it was.
 *
 * @param run its `plan` was made from its `applied`; before the first assignment both are null
 * @param known the former `asked`; null: found again from the run's plan
 */
export function plansFor(run: RunRecord, known: Plan | null, atMs: number): Plans {
  const { wanted, applied } = run;
  const plan = run.plan ?? taskPlan(run);
  const before = known ?? askedPlan(run);
  const wasPaused = applied?.state === 'PAUSED';
  const stages = wantedStages(wanted);
  const changes = applied === null ? stages !== null : !sameLoad(wanted, applied);
  const change = () => (stages === null ? resumePlan(before, atMs, taskPlan(run)) : retunePlan(before, atMs, stages));
  const asked = changes ? change() : before;
  if (wanted.state === 'PAUSED') return { asked, plan: wasPaused ? plan : pausePlan(plan, atMs) };
  return { asked, plan: changes || wasPaused ? resumePlan(plan, atMs, asked) : plan };
}

/**
 * What a run would do if it was not paused. A pause took the rest of its plan away, which is made again from what was
 * applied before; the instant at which that began is one of the plan's, or, when it was changed during the pause, the
 * pause's own.
 */
export function askedPlan(run: RunRecord): Plan {
  const plan = run.plan ?? taskPlan(run);
  if (run.applied?.state !== 'PAUSED') return plan;
  const stages = wantedStages(run.applied);
  const pausedFrom = plan.segments.findLastIndex(({ from, to }) => from > 0 || to > 0) + 1;
  const pausedAtMs = plan.segments[pausedFrom]?.startMs ?? planEndMs(plan);
  if (stages === null) return resumePlan(plan, pausedAtMs, taskPlan(run));
  const begins = plan.segments.slice(0, pausedFrom).map(({ startMs }) => startMs);
  const found = begins
    .map((startMs) => retunePlan(plan, startMs, stages))
    .find((candidate) => JSON.stringify(pausePlan(candidate, pausedAtMs)) === JSON.stringify(plan));
  return found ?? retunePlan(plan, pausedAtMs, stages);
}

/**
 * The target that shares are made of: the one that is wanted, else the highest that is still to come, else (nothing is)
 * the highest that was.
 */
export function unitTarget(run: Pick<RunRecord, 'wanted'>, asked: Plan, atMs: number): number {
  const { stages, target } = run.wanted;
  if (stages === null && target !== null && target > 0) return target;
  const peak = Math.max(
    0,
    ...asked.segments.filter(({ endMs }) => endMs > atMs).map(({ from, to }) => Math.max(from, to)),
  );
  return peak > 0 ? peak : Math.max(1, peakTarget(asked, Infinity));
}
