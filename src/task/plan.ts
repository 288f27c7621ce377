import type { LoadModel, StageSpec } from './spec.ts';

/** A stretch of a plan in which the target (hits per second or users) goes linearly from `from` to `to`. */
export interface Segment {
  startMs: number;
  /** Infinity only in the last segment, and then `from` equals `to`. */
  endMs: number;
  from: number;
  to: number;
}

/**
 * The load over time: segments that follow each other without a gap from 0 on. The same plan is given to every share
 * of a run; each engine thread takes its share of it (see `Share`).
 */
export interface Plan {
  model: LoadModel;
  segments: readonly Segment[];
}

/**
 * One member's part of a plan: `weight / of` of the target. Members that divide a plan have the same `of`, weights
 * that sum to it, and `phase` = the sum of the weights before them. Hits are dealt out in turn, so that equal members
 * together send exactly the hits of the whole, at the same instants.
 */
export interface Share {
  weight: number;
  of: number;
  phase: number;
}

/**
 * How many of so many users are those of a share: whole ones, which add up over shares that cover the whole. User `index` of
 * a share is number (index · of + phase) / weight of the whole, and loads while that is below `users`.
 */
export function usersOf(users: number, { weight, of, phase }: Share): number {
  return Math.max(0, Math.ceil((users * weight - phase) / of - 1e-9));
}

export const WHOLE: Share = { weight: 1, of: 1, phase: 0 };

export function compilePlan(model: LoadModel, stages: readonly StageSpec[]): Plan {
  const segments: Segment[] = [];
  appendStages(segments, stages, 0, 0);
  return { model, segments };
}

/** The instant at which the plan ends, ms; Infinity when only its hits end it. */
export function planEndMs(plan: Plan): number {
  return plan.segments.at(-1)!.endMs;
}

/** The highest target in the time before an instant. */
export function peakTarget(plan: Plan, untilMs: number): number {
  const begun = plan.segments.filter(({ startMs }) => startMs < untilMs);
  return Math.max(0, ...begun.map((s) => Math.max(s.from, s.endMs <= untilMs ? s.to : targetAt(plan, untilMs))));
}

/** The target at an instant; 0 after the end. */
export function targetAt(plan: Plan, atMs: number): number {
  const segment = plan.segments.find((s) => atMs < s.endMs);
  if (segment === undefined) return 0;
  if (segment.from === segment.to) return segment.to;
  const part = Math.max(0, atMs - segment.startMs) / (segment.endMs - segment.startMs);
  return segment.from + (segment.to - segment.from) * part;
}

/** The mean target from one instant to a later one: the plan's integral over that time; it is 0 after the end. */
export function meanTarget(plan: Plan, fromMs: number, toMs: number): number {
  if (toMs <= fromMs) return targetAt(plan, fromMs);
  let sum = 0;
  for (const { startMs, endMs, from, to } of plan.segments) {
    const start = Math.max(startMs, fromMs);
    const end = Math.min(endMs, toMs);
    if (end <= start) continue;
    // Linear, so its mean is the target in the middle.
    const middle = from === to ? 0 : ((start + end) / 2 - startMs) / (endMs - startMs);
    sum += (from + (to - from) * middle) * (end - start);
  }
  return sum / (toMs - fromMs);
}

/**
 * The retuned plan: what was before `atMs` stays, the rest is replaced by the stages, and the end stays where it was:
 * stages that are too long are cut, the last one is stretched when they are too short.
 */
export function retunePlan(plan: Plan, atMs: number, stages: readonly StageSpec[]): Plan {
  if (atMs >= planEndMs(plan)) return plan;
  const rest: Segment[] = [];
  appendStages(rest, stages, atMs, targetAt(plan, atMs));
  return { model: plan.model, segments: [...before(plan, atMs), ...fitEnd(rest, planEndMs(plan))] };
}

/** The plan with target 0 from `atMs` to its end. */
export function pausePlan(plan: Plan, atMs: number): Plan {
  const endMs = planEndMs(plan);
  if (atMs >= endMs) return plan;
  return { model: plan.model, segments: [...before(plan, atMs), { startMs: atMs, endMs, from: 0, to: 0 }] };
}

/** The paused plan that goes on, from `atMs`, as `original` has it from there. */
export function resumePlan(paused: Plan, atMs: number, original: Plan): Plan {
  if (atMs >= planEndMs(paused)) return paused;
  return { model: paused.model, segments: [...before(paused, atMs), ...after(original, atMs)] };
}

function appendStages(segments: Segment[], stages: readonly StageSpec[], startMs: number, startTarget: number): void {
  let at = startMs;
  let target = startTarget;
  for (const stage of stages) {
    const endMs = stage.durationMs === null ? Infinity : at + stage.durationMs;
    const from = stage.shape === 'ramp' && endMs !== Infinity ? target : stage.target;
    segments.push({ startMs: at, endMs, from, to: stage.target });
    at = endMs;
    target = stage.target;
  }
}

/** What comes before an instant; a segment that spans it is cut there. */
function before(plan: Plan, atMs: number): Segment[] {
  return plan.segments
    .filter((s) => s.startMs < atMs)
    .map((s) => (s.endMs <= atMs ? s : { ...s, endMs: atMs, to: targetAt(plan, atMs) }));
}

/** What comes after an instant; a segment that spans it is cut there. */
function after(plan: Plan, atMs: number): Segment[] {
  return plan.segments
    .filter((s) => s.endMs > atMs)
    .map((s) => (s.startMs >= atMs ? s : { ...s, startMs: atMs, from: targetAt(plan, atMs) }));
}

function fitEnd(segments: Segment[], endMs: number): Segment[] {
  const cut = after({ model: 'open', segments: before({ model: 'open', segments }, endMs) }, segments[0]?.startMs ?? 0);
  const last = cut.at(-1);
  if (last !== undefined && last.endMs < endMs) cut.push({ startMs: last.endMs, endMs, from: last.to, to: last.to });
  return cut;
}
