import { formatDuration } from '../lib/duration.ts';
import { DEFAULTS, LIMITS } from './defaults.ts';
import type { Report, TaskFields } from './read-input.ts';
import type { LoadModel, LoadSpec, StageSpec } from './spec.ts';

type LoadFields = TaskFields['load'];

/** The load with its defaults, and the rules that span its keys. Its stages are empty when they were not right. */
export function resolveLoad(fields: LoadFields, report: Report): LoadSpec {
  const { values } = fields;
  const model = resolveModel(fields, report);
  checkModelKeys(fields, model, report);
  const stages = resolveStages(fields, model, report);
  const warmupMs = values.warmup ?? DEFAULTS.warmupMs;
  checkTimes(stages, warmupMs, report);
  return {
    model: model ?? 'closed',
    stages,
    hits: values.hits ?? null,
    warmupMs,
    thinkTimeMs: values.thinkTime ?? DEFAULTS.thinkTimeMs,
    maxInFlight:
      model === 'open' ? (values.maxInFlight ?? DEFAULTS.maxInFlight) : Math.max(0, ...stages.map((s) => s.target)),
    onSaturated: values.onSaturated ?? DEFAULTS.onSaturated,
    maxQueue: values.maxQueue ?? DEFAULTS.maxQueue,
    graceMs: values.grace ?? DEFAULTS.graceMs,
  };
}

/** null when it cannot be told; that was reported then, here or as the model's own problem. */
function resolveModel({ values, given }: LoadFields, report: Report): LoadModel | null {
  const ways = (['rate', 'users', 'stages'] as const).filter((key) => given.has(key));
  if (ways.length > 1) {
    report(['load', ways[1]!], `expected only one of rate, users and stages, found ${ways.join(' and ')}`);
    return null;
  }
  const way = ways[0];
  if (way === 'stages') {
    if (!given.has('model')) report(['load'], 'expected a model with stages ("open" or "closed"), found none');
    return values.model ?? null;
  }
  const model = way === 'rate' ? 'open' : 'closed';
  if (values.model === undefined || values.model === model) return model;
  if (way === undefined) report(['load', 'model'], 'expected a rate or stages with the model "open", found none');
  else report(['load', 'model'], `expected "${model}" with ${way}, found "${values.model}"`);
  return null;
}

function checkModelKeys({ given }: LoadFields, model: LoadModel | null, report: Report): void {
  if (model === 'open' && given.has('thinkTime')) {
    report(['load', 'thinkTime'], 'expected only in the closed model (users), found in the open model');
  }
  if (model !== 'closed') return;
  for (const key of ['maxInFlight', 'onSaturated', 'maxQueue'] as const) {
    if (given.has(key)) report(['load', key], 'expected only in the open model (a rate), found in the closed model');
  }
}

function resolveStages({ values, given }: LoadFields, model: LoadModel | null, report: Report): StageSpec[] {
  if (!given.has('stages')) {
    const isWrong = (['rate', 'users', 'duration'] as const).some((key) => given.has(key) && values[key] === undefined);
    if (isWrong) return [];
    const durationMs = values.duration ?? (given.has('hits') ? null : DEFAULTS.durationMs);
    return [{ durationMs, target: values.rate ?? values.users ?? DEFAULTS.users, shape: 'constant' }];
  }
  if (given.has('duration')) {
    report(['load', 'duration'], 'expected no duration beside stages, which have their own; found both');
  }
  const stages = (values.stages ?? []).map(({ duration, target, shape }) => ({
    durationMs: duration ?? null,
    // Not -0, which YAML can write.
    target: Math.abs(target),
    shape: shape ?? ('constant' as const),
  }));
  stages.forEach((stage, i) => {
    const isLast = i === stages.length - 1;
    checkStage(stage, i, isLast && given.has('hits'), model, report);
  });
  if (stages.length > 0 && stages.every((stage) => stage.target === 0)) {
    report(['load', 'stages'], 'expected a target above 0 in at least one stage, found only 0');
  }
  return stages;
}

function checkStage(stage: StageSpec, i: number, mayBeEndless: boolean, model: LoadModel | null, report: Report): void {
  const { durationMs, target, shape } = stage;
  const path = ['load', 'stages', i] as const;
  const most = model === 'open' ? LIMITS.ratePerSecond : LIMITS.users;
  if (model === 'closed' && !Number.isInteger(target)) {
    report([...path, 'target'], `expected a whole number of users, found ${target}`);
  }
  if (model !== null && target > most) report([...path, 'target'], `expected at most ${most}, found ${target}`);
  if (durationMs !== null) return;
  if (!mayBeEndless) {
    report(path, 'expected a duration (only the last stage may have none, and only with hits), found none');
  } else if (shape === 'ramp') {
    report(path, 'expected a duration with the shape "ramp", found none');
  } else if (target === 0) {
    report([...path, 'target'], 'expected a target above 0 in a stage that only hits end, found 0');
  }
}

function checkTimes(stages: readonly StageSpec[], warmupMs: number, report: Report): void {
  if (stages.length === 0) return;
  const planMs = stages.reduce((sum, stage) => sum + (stage.durationMs ?? Infinity), 0);
  if (planMs > LIMITS.durationMs && planMs < Infinity) {
    const [most, found] = [LIMITS.durationMs, planMs].map(formatDuration);
    report(['load', 'stages'], `expected at most ${most} in all stages together, found ${found}`);
  }
  if (warmupMs >= planMs) {
    const [most, found] = [planMs, warmupMs].map(formatDuration);
    report(['load', 'warmup'], `expected less than the load's ${most}, found ${found}`);
  }
}
