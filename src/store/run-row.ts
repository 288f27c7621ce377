import type { Selectable } from 'kysely';
import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import type { RunChange, RunRecord } from '../stress/ports.ts';
import { RUN_STATES } from '../task/status.ts';
import { formatPlan, parseApplied, parsePlan } from './applied.ts';
import { columnProblems } from './json.ts';
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

/**
 * @returns also what is wrong with what is wanted, which stands as it was applied last
 * @throws CodedError INVALID_INPUT when the row is no run, with every problem, each beginning with the column
 */
export function runOf(row: RunRow, { task, placement }: Prepared): { run: RunRecord; problems: readonly string[] } {
  const { applied, plan } = readMade(row);
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
    plan,
    createdWallMs: Number(row.created_ms),
    startedWallMs: numberOrNull(row.started_ms),
    endedWallMs: numberOrNull(row.ended_ms),
    revision: Number(row.revision),
  };
  return { run, problems };
}

/** What the master has written. */
function readMade(row: RunRow): Pick<RunRecord, 'applied' | 'plan'> {
  const problems: string[] = [];
  const attempt = <T>(column: 'applied' | 'plan', parse: (text: string) => T): T | null => {
    const text = row[column];
    try {
      return text === null ? null : parse(text);
    } catch (error) {
      problems.push(...columnProblems(column, error));
      return null;
    }
  };
  if (!RUN_STATES.includes(row.state)) {
    problems.push(`state: expected one of ${RUN_STATES.join(', ')}, found ${show(row.state)}`);
  }
  const made = { applied: attempt('applied', parseApplied), plan: attempt('plan', parsePlan) };
  if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
  return made;
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
