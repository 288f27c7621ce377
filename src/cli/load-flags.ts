import { formatDuration, parseDuration } from '../lib/duration.ts';
import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { DEFAULTS } from '../task/defaults.ts';
import { parseRate } from '../task/rate.ts';
import type { TaskInput } from '../task/schema.ts';
import type { LoadModel, StageSpec } from '../task/spec.ts';

export type LoadInput = NonNullable<TaskInput['load']>;
type StageInput = NonNullable<LoadInput['stages']>[0];

/** The flags that say how much load, as texts. */
export interface LoadFlags {
  rate?: string | undefined;
  connections?: string | undefined;
  duration?: string | undefined;
  hits?: string | undefined;
  stage?: readonly string[] | undefined;
  model?: string | undefined;
}

export interface LoadChoice {
  load: LoadInput;
  /** `-c` where it means the most connections, as in the open model; null where it is users, or not given. */
  maxConnections: string | number | null;
  /** What neither a flag nor a file said, in words; null when everything was said. */
  defaults: string | null;
}

/** `problems` takes one line each: the flag, what was expected, what was found. */
export type Problems = string[];

/**
 * The load with the flags over it. A flag replaces what says the same in the task file: `-q`, `--stage`, and in the closed
 * model `-c`, replace the targets; `-d` the length, by cutting the file's stages or stretching the last. What only the
 * other model knows is left out when the model changes.
 *
 * @param base the load of the task file; null: none was given
 */
export function applyLoadFlags(base: LoadInput | null, flags: LoadFlags, problems: Problems): LoadChoice {
  reportConflicts(base, flags, problems);
  const model = modelOf(base, flags);
  const target = targetOf(base, flags, model, problems);
  const kept = base === null ? {} : keptKeys(base, model);
  const hits = flags.hits === undefined ? {} : { hits: numberOrText(flags.hits) };
  const { connections } = flags;
  return {
    load: { ...kept, ...target, ...hits } as LoadInput,
    maxConnections: model === 'open' && connections !== undefined ? numberOrText(connections) : null,
    defaults: base === null ? defaultsOf(flags, model) : null,
  };
}

/** What is written like a number becomes one; anything else is left for the schema to complain of. */
export function numberOrText(text: string): number | string {
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

function modelOf(base: LoadInput | null, flags: LoadFlags): LoadModel {
  if (flags.model === 'open' || flags.model === 'closed') return flags.model;
  if (flags.rate !== undefined) return 'open';
  if (base === null) return flags.stage === undefined ? 'closed' : 'open';
  return baseModel(base);
}

function baseModel(base: LoadInput): LoadModel {
  return base.model ?? (base.rate === undefined ? 'closed' : 'open');
}

function reportConflicts(base: LoadInput | null, flags: LoadFlags, problems: Problems): void {
  const { rate, stage, model, duration, connections } = flags;
  const hasStages = stage !== undefined;
  if (model !== undefined && model !== 'open' && model !== 'closed') {
    problems.push(`--model: expected "open" or "closed", found ${show(model)}`);
  }
  if (rate !== undefined && hasStages) problems.push('-q, --stage: expected one of them, both say the rate');
  if (rate !== undefined && model === 'closed') {
    problems.push('-q, --model closed: expected one of them, a rate is the open model; -c sets the users');
  }
  if (duration !== undefined && hasStages) {
    problems.push('-d, --stage: expected one of them, each stage has a duration of its own');
  }
  if (connections !== undefined && hasStages && modelOf(base, flags) === 'closed') {
    problems.push('-c, --stage: expected one of them, in the closed model both say the users');
  }
  const isOpenBase = base !== null && baseModel(base) === 'open';
  if (model === 'open' && rate === undefined && !hasStages && !isOpenBase) {
    problems.push('--model open: expected -q or --stage with it, found neither');
  }
}

/** The keys that say how much and how long. */
function targetOf(base: LoadInput | null, flags: LoadFlags, model: LoadModel, problems: Problems): object {
  const { rate, stage, connections, duration } = flags;
  if (stage !== undefined) return { model, stages: stage.map((text) => readStage(text, model, problems)) };
  const length = duration ?? (base === null ? undefined : lengthOf(base));
  const timed = length === undefined ? {} : { duration: length };
  if (rate !== undefined) return { rate, ...timed };
  if (model === 'closed' && connections !== undefined) return { users: numberOrText(connections), ...timed };
  if (base === null || baseModel(base) !== model) return timed;
  if (base.stages === undefined) return { ...targetKeys(base), ...timed };
  return { model, stages: duration === undefined ? base.stages : fitStages(base.stages, duration, model, problems) };
}

function targetKeys({ rate, users }: LoadInput): object {
  return { ...(rate === undefined ? {} : { rate }), ...(users === undefined ? {} : { users }) };
}

/** The keys that do not say how much and how long, as far as the model knows them. */
function keptKeys(base: LoadInput, model: LoadModel): object {
  const foreign = model === 'open' ? ['thinkTime'] : ['maxInFlight', 'onSaturated', 'maxQueue'];
  const replaced = ['rate', 'users', 'model', 'stages', 'duration', ...foreign];
  return Object.fromEntries(Object.entries(base).filter(([key]) => !replaced.includes(key)));
}

/** The length of the whole load; undefined when only its hits end it. */
function lengthOf({ duration, stages }: LoadInput): string | 0 | undefined {
  if (stages === undefined) return duration;
  if (stages.some((stage) => stage.duration === undefined)) return undefined;
  return formatDuration(stages.reduce((sum, stage) => sum + stageMs(stage), 0));
}

/** @param stage one of a task that was read before: its duration is right */
function stageMs(stage: StageInput): number {
  return stage.duration === undefined ? Infinity : parseDuration(String(stage.duration));
}

/** Stages for the rest of a run, whose model is not known here. */
export function readStages(texts: readonly string[], problems: Problems): StageSpec[] {
  return texts.map((text) => {
    const { duration, target, shape = 'constant' } = readStage(text, 'open', problems);
    return { durationMs: readDuration(String(duration), '--stage', problems), target, shape };
  });
}

/** `30s:1000` is a ramp, `30s=1000` a step. */
function readStage(text: string, model: LoadModel, problems: Problems): StageInput {
  const [, duration = '', separator, target = ''] = /^([^:=]+)([:=])([^:=]+)$/.exec(text) ?? [];
  if (separator === undefined) {
    problems.push(
      `--stage: expected "30s:1000" (go to 1000 within 30s) or "30s=1000" (stay at 1000), found ${show(text)}`,
    );
    return { duration: '1s', target: 1 };
  }
  return {
    duration,
    target: readTarget(target, text, model, problems),
    shape: separator === '=' ? 'constant' : 'ramp',
  };
}

/** Hits a second in any form of `-q`, also 0, or users. 1 stands for what was not right and is told of. */
function readTarget(target: string, text: string, model: LoadModel, problems: Problems): number {
  if (/^\d+$/.test(target)) return Number(target);
  if (model === 'closed') {
    problems.push(`--stage: expected a whole number of users after the duration, found ${show(text)}`);
    return 1;
  }
  try {
    return parseRate(target);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    problems.push(`--stage: ${error.message} in ${show(text)}`);
    return 1;
  }
}

/** Cuts stages that are too long, stretches the last one when they are too short. */
function fitStages(
  stages: readonly StageInput[],
  duration: string,
  model: LoadModel,
  problems: Problems,
): StageInput[] {
  let restMs = readDuration(duration, '-d', problems);
  let from = 0;
  const fitted: StageInput[] = [];
  for (const stage of stages) {
    if (restMs <= 0) break;
    const lengthMs = stageMs(stage);
    const target =
      lengthMs <= restMs || stage.shape !== 'ramp' ? stage.target : along(from, stage.target, restMs / lengthMs);
    const whole = model === 'closed' ? Math.round(target) : target;
    fitted.push({ ...stage, target: whole, duration: formatDuration(Math.min(lengthMs, restMs)) });
    restMs -= Math.min(lengthMs, restMs);
    from = stage.target;
  }
  if (restMs > 0) fitted.push({ target: from, duration: formatDuration(restMs), shape: 'constant' });
  return fitted;
}

function along(from: number, to: number, part: number): number {
  return from + (to - from) * part;
}

/** 1 ms stands for what was not right and is told of. */
function readDuration(text: string, flag: string, problems: Problems): number {
  try {
    const ms = parseDuration(text);
    if (ms > 0) return ms;
    problems.push(`${flag}: expected a duration longer than 0, found ${show(text)}`);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    problems.push(`${flag}: ${error.message}`);
  }
  return 1;
}

function defaultsOf(flags: LoadFlags, model: LoadModel): string | null {
  if (flags.stage !== undefined) return null;
  const users = model === 'closed' && flags.connections === undefined ? [`${DEFAULTS.users} users`] : [];
  const closed = users.length > 0 && flags.model === undefined ? ['closed'] : [];
  const length = flags.duration === undefined && flags.hits === undefined ? [formatDuration(DEFAULTS.durationMs)] : [];
  const parts = [...closed, ...users, ...length];
  if (parts.length === 0) return null;
  const hint = closed.length > 0 ? '-q N sets a rate' : length.length > 0 ? '-d sets a duration' : '-c sets the users';
  return `defaults: ${parts.join(', ')}; ${hint}`;
}
