import type { Selectable } from 'kysely';
import type { RunChange, RunRecord, Wanted } from '../stress/ports.ts';
import type { Plan } from '../task/plan.ts';
import type { Prepared } from './prepared.ts';
import type { RunTable } from './tables.ts';
import { readWanted } from './wanted.ts';

/** All but what `prepared.ts` reads, which never changes. */
export const RUN_COLUMNS = [
  'id',
  'task_id',
  'number',
  'wanted_state',
  'wanted_target',
  'wanted_ramp_ms',
  'wanted_stages',
  'wanted_version',
  'state',
  'reason',
  'version',
  'applied',
  'plan',
  'created_ms',
  'started_ms',
  'ended_ms',
  'revision',
] as const;
export type RunRow = Pick<Selectable<RunTable>, (typeof RUN_COLUMNS)[number]>;

export function runOf(row: RunRow, { task, placement }: Prepared): { run: RunRecord; problems: readonly string[] } {
  const applied = row.applied === null ? null : (JSON.parse(row.applied) as Wanted);
  const { wanted, problems } = readWanted(row, task.spec.load.model, applied);
  const run: RunRecord = {
    id: BigInt(row.id),
    taskId: BigInt(row.task_id),
    number: Number(row.number),
    task,
    placement,
    wanted,
    state: row.state,
    reason: row.reason,
    version: Number(row.version),
    applied,
    plan: row.plan === null ? null : parsePlan(row.plan),
    createdWallMs: Number(row.created_ms),
    startedWallMs: numberOrNull(row.started_ms),
    endedWallMs: numberOrNull(row.ended_ms),
    revision: Number(row.revision),
  };
  return { run, problems };
}

/** The columns of a change, the version apart. */
export function changeRow(change: RunChange): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  if (change.state !== undefined) row['state'] = change.state;
  if (change.reason !== undefined) row['reason'] = cut(change.reason);
  if (change.applied !== undefined) row['applied'] = JSON.stringify(change.applied);
  if (change.plan !== undefined) row['plan'] = formatPlan(change.plan);
  if (change.startedWallMs !== undefined) row['started_ms'] = Math.round(change.startedWallMs);
  if (change.endedWallMs !== undefined) row['ended_ms'] = Math.round(change.endedWallMs);
  if (change.revision !== undefined) row['revision'] = change.revision;
  return row;
}

const MAX_TEXT = 8000;

/** What goes into a column for people to read. */
export function cut(text: string, max = MAX_TEXT): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

export function numberOrNull(value: bigint | number | null): number | null {
  return value === null ? null : Number(value);
}

/** JSON knows no Infinity: `endMs` null is it. */
function formatPlan({ model, segments }: Plan): string {
  return JSON.stringify({
    model,
    segments: segments.map((s) => ({ ...s, endMs: s.endMs === Infinity ? null : s.endMs })),
  });
}

function parsePlan(text: string): Plan {
  const { model, segments } = JSON.parse(text) as Plan;
  return {
    model,
    segments: segments.map((s) => ({ ...s, endMs: (s.endMs as number | null) ?? Infinity })),
  };
}
