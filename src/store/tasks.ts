import { sql, type Selectable } from 'kysely';
import { CodedError } from '../lib/errors.ts';
import type { Page, Placement, RequestId, TaskRecord, TaskStore } from '../stress/ports.ts';
import type { PreparedTask } from '../task/spec.ts';
import type { RunState } from '../task/status.ts';
import type { Database } from './database.ts';
import { PREPARED_COLUMNS, preparedRow, readPrepared, type PreparedRow } from './prepared.ts';
import { parsePlacement } from './placement.ts';
import { deleteLeftovers } from './leftover.ts';
import { beginRequest, settleRequest } from './requests.ts';
import { numberOrNull } from './run-row.ts';
import type { Db, Integer, TaskTable } from './tables.ts';

/** A body of 64 MiB takes its time; 1 s for each. */
const BYTES_A_SECOND = 8 * 1024 * 1024;

/** Rows with their large columns read at a time. */
const GROUP = 50;

export async function createTask(
  database: Database,
  task: PreparedTask,
  placement: Placement,
  request: RequestId | null,
): Promise<TaskRecord> {
  const row = checkedRow(task, placement);
  const work = async (db: Db): Promise<TaskRecord> => {
    const earlier = request === null ? null : await beginRequest(database.words, db, request, 'task');
    if (earlier !== null) return existing(await readTask(db, earlier.taskId), earlier.taskId);
    const now = Date.now();
    const { insertId } = await db
      .insertInto('task')
      .values({ ...row, created_ms: now, updated_ms: now })
      .executeTakeFirstOrThrow();
    if (request !== null) await settleRequest(db, request, { taskId: insertId!, runId: null });
    const rest = { version: 1, createdWallMs: now, updatedWallMs: now, lastRun: 0, activeRun: null };
    return { id: insertId!, task, placement, ...rest };
  };
  return database.transact('create a task', work, extraMs(row));
}

function existing(task: TaskRecord | null, id: bigint): TaskRecord {
  if (task !== null) return task;
  throw new CodedError('NOT_FOUND', `tasks/${id}, which this request had made, was deleted`);
}

/** @throws CodedError FAILED_PRECONDITION with the problems of a row written by hand */
export async function readTask(db: Db, id: bigint): Promise<TaskRecord | null> {
  const row = await taskRows(db).where('task.id', '=', id).executeTakeFirst();
  if (row === undefined) return null;
  const prepared = await db.selectFrom('task').select(PREPARED_COLUMNS).where('id', '=', id).executeTakeFirst();
  return prepared === undefined ? null : recordOf(row, prepared);
}

export async function listTasks(
  db: Db,
  { limit, before, states }: { limit: number; before: bigint | null; states: readonly RunState[] },
): Promise<Page<TaskRecord>> {
  let query = taskRows(db)
    .orderBy('task.id', 'desc')
    .limit(limit + 1);
  if (before !== null) query = query.where('task.id', '<', before);
  if (states.length > 0) {
    const lastRun = sql`(select max(last.number) from run last where last.task_id = task.id)`;
    query = query.where((is) =>
      is.exists(
        is
          .selectFrom('run')
          .select('run.id')
          .whereRef('run.task_id', '=', 'task.id')
          .where('run.state', 'in', [...states])
          .where('run.number', '=', sql<number>`${lastRun}`),
      ),
    );
  }
  const rows = await query.execute();
  const items: TaskRecord[] = [];
  const page = rows.slice(0, limit);
  for (let at = 0; at < page.length; at += GROUP) {
    const group = page.slice(at, at + GROUP);
    const ids = group.map(({ id }) => id);
    const found = await db
      .selectFrom('task')
      .select(['id', ...PREPARED_COLUMNS])
      .where('id', 'in', ids)
      .execute();
    const byId = new Map(found.map((prepared) => [BigInt(prepared.id), prepared]));
    for (const row of group) {
      const prepared = byId.get(BigInt(row.id));
      // One that a person wrote and that is no task has nothing to show; `problem` of its row and an event tell why.
      if (prepared !== undefined) items.push(...(await recordOf(row, prepared).then(only, ignoreInvalid)));
    }
  }
  return { items, next: rows.length > limit ? BigInt(rows[limit - 1]!.id) : null };
}

export async function updateTask(
  database: Database,
  id: bigint,
  version: number,
  task: PreparedTask,
  placement: Placement,
): Promise<TaskRecord | null> {
  const row = checkedRow(task, placement);
  const set = { ...row, version: version + 1, updated_ms: Date.now(), problem: null };
  const work = async (db: Db): Promise<TaskRecord | null> => {
    const changed = await db
      .updateTable('task')
      .set(set)
      .where('id', '=', id)
      .where('version', '=', version)
      .executeTakeFirstOrThrow();
    return changed.numUpdatedRows === 0n ? null : readTask(db, id);
  };
  return database.transact('update a task', work, extraMs(row));
}

/** By its id alone: a row that was written by hand and is no task goes, too. */
export async function deleteTask(database: Database, id: bigint): ReturnType<TaskStore['deleteTask']> {
  const outcome = await database.transact('delete a task', async (db) => {
    // Whoever starts a run reads the task's row with a lock too.
    const { rows: found } = await sql`select id from task where id = ${id} ${database.words.updateLock}`.execute(db);
    const { rows: active } = await sql<{ number: Integer }>`
      select number from run where task_id = ${id} and active = 1 ${database.words.updateLock}`.execute(db);
    if (active.length > 0) return { activeRun: Number(active[0]!.number) };
    await db
      .insertInto('leftover')
      .columns(['run_id'])
      .expression(db.selectFrom('run').select('id').where('task_id', '=', id))
      .execute();
    await db.deleteFrom('run').where('task_id', '=', id).execute();
    await db.deleteFrom('task').where('id', '=', id).execute();
    return found.length > 0 ? 'deleted' : 'absent';
  });
  // What is left of the samples goes with the master's passes.
  if (outcome === 'deleted') await database.write('delete the samples of a task', deleteLeftovers);
  return outcome;
}

function taskRows(db: Db) {
  const lastRun = sql<Integer | null>`(select max(run.number) from run where run.task_id = task.id)`;
  const activeRun = sql<Integer | null>`(select run.number from run where run.task_id = task.id and run.active = 1)`;
  return db
    .selectFrom('task')
    .select(['task.id', 'task.version', 'task.created_ms', 'task.updated_ms'])
    .select([lastRun.as('last_run'), activeRun.as('active_run')]);
}

type TaskRow = Pick<Selectable<TaskTable>, 'id' | 'version' | 'created_ms' | 'updated_ms'> & {
  last_run: Integer | null;
  active_run: Integer | null;
};

async function recordOf(row: TaskRow, prepared: PreparedRow): Promise<TaskRecord> {
  const { task, placement } = await readPrepared(prepared).catch((error: unknown) => {
    if (!(error instanceof CodedError)) throw error;
    const problems = error.problems.map((problem) => `tasks/${row.id}, as it was written by hand: ${problem}`);
    throw new CodedError('FAILED_PRECONDITION', problems, { cause: error });
  });
  return {
    id: BigInt(row.id),
    task,
    placement,
    version: Number(row.version),
    createdWallMs: Number(row.created_ms),
    updatedWallMs: Number(row.updated_ms),
    lastRun: Number(row.last_run ?? 0),
    activeRun: numberOrNull(row.active_run),
  };
}

function only<T>(item: T): T[] {
  return [item];
}

function ignoreInvalid(error: unknown): [] {
  if (error instanceof CodedError && error.code === 'FAILED_PRECONDITION') return [];
  throw error;
}

function checkedRow(task: PreparedTask, placement: Placement): PreparedRow {
  const row = preparedRow(task, placement);
  parsePlacement(row.placement);
  return row;
}

function extraMs({ spec, body }: PreparedRow): number {
  return Math.round(((spec.length + (body?.length ?? 0)) / BYTES_A_SECOND) * 1000);
}
