import type { Selectable } from 'kysely';
import { formatDuration } from '../lib/duration.ts';
import { CodedError } from '../lib/errors.ts';
import { showKind } from '../lib/show.ts';
import type { Wanted } from '../stress/ports.ts';
import { parseTask } from '../task/schema.ts';
import type { LoadModel, StageSpec } from '../task/spec.ts';
import { parseJson } from './json.ts';
import type { RunTable } from './tables.ts';

type WantedRow = Pick<
  Selectable<RunTable>,
  'wanted_state' | 'wanted_target' | 'wanted_ramp_ms' | 'wanted_stages' | 'wanted_version'
>;

/** The columns of what is wanted, the version apart. @throws CodedError INVALID_INPUT */
export function wantedRow({ state, ...load }: Omit<Wanted, 'version'>, model: LoadModel) {
  const row = loadRow(load);
  readLoad(row, model);
  return { wanted_state: state, ...row };
}

/** As they are: what has been applied may be written again. */
export function loadRow({ target, rampMs, stages }: Load): LoadRow {
  return {
    wanted_target: target,
    wanted_ramp_ms: rampMs,
    wanted_stages: stages === null ? null : JSON.stringify(stages.map(stageOf)),
  };
}

/**
 * What is wanted. Where a person wrote what cannot be, the last good word stands: what the master has applied.
 *
 * @returns also the problems, none when all is well
 */
export function readWanted(
  row: WantedRow,
  model: LoadModel,
  applied: Wanted | null,
): { wanted: Wanted; problems: readonly string[] } {
  const rest = { state: row.wanted_state, version: Number(row.wanted_version) };
  const { load, problems } = tryLoad(row, model);
  if (load !== null) return { wanted: { ...load, ...rest }, problems };
  // Nothing better than the task's plan is left where a person has spoilt what was applied, too.
  const good = applied === null ? null : tryLoad(loadRow(applied), model).load;
  return { wanted: { ...(good ?? AS_PLANNED), ...rest }, problems };
}

type Load = Pick<Wanted, 'target' | 'rampMs' | 'stages'>;
type LoadRow = Pick<WantedRow, 'wanted_target' | 'wanted_ramp_ms' | 'wanted_stages'>;

const AS_PLANNED: Load = { target: null, rampMs: 0, stages: null };

function tryLoad(row: LoadRow, model: LoadModel): { load: Load | null; problems: readonly string[] } {
  try {
    return { load: readLoad(row, model), problems: [] };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return { load: null, problems: error.problems };
  }
}

const PAUSED = "set wanted_state to 'PAUSED'";

function readLoad(row: LoadRow, model: LoadModel): Load {
  const { wanted_target: target, wanted_ramp_ms: rampMs, wanted_stages: text } = row;
  if (!(rampMs >= 0 && rampMs < Infinity)) {
    throw new CodedError('INVALID_INPUT', `wanted_ramp_ms: expected milliseconds from 0 on, found ${rampMs}`);
  }
  if (target === 0) {
    throw new CodedError('INVALID_INPUT', `wanted_target: expected one above 0, found 0; for no load, ${PAUSED}`);
  }
  if (target !== null) checkStages([{ target, duration: '1s' }], model, 'load.stages[0].target', 'wanted_target');
  const stages = text === null ? null : checkStages(parseStages(text), model, 'load.stages', 'wanted_stages');
  return { target, rampMs, stages };
}

function parseStages(text: string): unknown[] {
  let found: string;
  try {
    const stages = parseJson(text);
    if (Array.isArray(stages) && stages.length > 0) return stages;
    found = Array.isArray(stages) ? 'an empty one' : showKind(stages);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    found = `a text of ${text.length} characters that is not`;
  }
  throw new CodedError('INVALID_INPUT', `wanted_stages: expected a list of stages in JSON, found ${found}`);
}

/**
 * By the rules of a task's stages.
 *
 * @param place where the problems are found in a task
 * @param column what it is called here
 */
function checkStages(stages: readonly unknown[], model: LoadModel, place: string, column: string): StageSpec[] {
  const last = stages.at(-1);
  const isEndless = typeof last === 'object' && last !== null && !('duration' in last);
  try {
    const load = { model, stages, ...(isEndless ? { hits: 1 } : {}) };
    return parseTask({ request: { url: 'http://localhost/' }, load }).load.stages;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const problems = error.problems.map((problem) => problem.replace(place, column));
    throw new CodedError('INVALID_INPUT', problems, { cause: error });
  }
}

/** A stage as a task file has it. */
function stageOf({ durationMs, target, shape }: StageSpec): object {
  return { ...(durationMs === null ? {} : { duration: formatDuration(durationMs) }), target, shape };
}
