import { formatDuration } from '../lib/duration.ts';
import { formatRate, plural } from '../lib/format.ts';
import type { Plan } from '../task/plan.ts';
import type { LoadModel, LoadSpec, StageSpec } from '../task/spec.ts';

/** Stages told one by one; of more than that the last ones are only counted. */
const MAX_STAGES_TOLD = 4;
/** The same of a changed plan's. */
const MAX_SEGMENTS_TOLD = 12;

/** The load in words: `1 000/s for 10s`, `ramp to 50 users in 30s, then 50 users for 1m, until 10 000 hits`. */
export function describeLoad(load: LoadSpec): string {
  const told = load.stages.slice(0, MAX_STAGES_TOLD).map((stage) => describeStage(load, stage));
  const more = load.stages.length - told.length;
  if (more > 0) told.push(`${more} more stages`);
  const hits = load.hits === null ? '' : `, until ${plural(load.hits, 'hit')}`;
  const warmup = load.warmupMs === 0 ? '' : `, the first ${formatDuration(load.warmupMs)} warm-up`;
  return `${told.join(', then ')}${hits}${warmup}`;
}

/** A plan in words: `600/s to 10s, 1 000/s to 20s, ramp to 301/s at 30s`. */
export function describePlan({ model, segments }: Plan): string {
  const told = segments.slice(0, MAX_SEGMENTS_TOLD).map(({ endMs, from, to }) => {
    if (endMs === Infinity) return describeTarget(model, to);
    const end = formatDuration(Math.round(endMs));
    return from === to ? `${describeTarget(model, to)} to ${end}` : `ramp to ${describeTarget(model, to)} at ${end}`;
  });
  const more = segments.length - told.length;
  if (more > 0) told.push(`${more} more changes`);
  return told.join(', ');
}

function describeTarget(model: LoadModel, target: number): string {
  return model === 'open' ? formatRate(target) : plural(target, 'user');
}

function describeStage({ model }: LoadSpec, { durationMs, target, shape }: StageSpec): string {
  const load = describeTarget(model, target);
  if (durationMs === null) return load;
  return shape === 'ramp'
    ? `ramp to ${load} in ${formatDuration(durationMs)}`
    : `${load} for ${formatDuration(durationMs)}`;
}
