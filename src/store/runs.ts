import { sql } from 'kysely';
import { CodedError } from '../lib/errors.ts';
import type { Page, RequestId, RunChange, RunRecord, Wanted, Written } from '../stress/ports.ts';
import { checkTransition, type RunState } from '../task/status.ts';
import { affected, type Database, type Words } from './database.ts';
import { whyNothing } from './fence-row.ts';
import { PREPARED_COLUMNS, type Prepared } from './prepared.ts';
import { beginRequest, forgetRequest, settleRequest } from './requests.ts';
import { changeRow, RUN_COLUMNS, runOf, type RunRow } from './run-row.ts';
import type { RunTasks } from './run-tasks.ts';
import type { Db } from './tables.ts';
import { readTask } from './tasks.ts';
import { wantedRow } from './wanted.ts';

type Started = { run: RunRecord; created: boolean } | null;

export async function startRun(
  database: Database,
  tasks: RunTasks,
  taskId: bigint,
  request: RequestId | null,
): Promise<Started> {
  return database.transact('start a run', async (db) => {
    const earlier = request === null ? null : await beginRequest(database.words, db, request, 'run');
    if (earlier !== null) return existing(await readRunById(db, tasks, earlier.runId!), earlier.taskId);
    const started = await startNow(database.words, db, tasks, taskId);
    if (request === null) return started;
    if (started?.created === true) await settleRequest(db, request, { taskId, runId: started.run.id });
    else await forgetRequest(db, request);
    return started;
  });
}

async function startNow(words: Words, db: Db, tasks: RunTasks, taskId: bigint): Promise<Started> {
  // One that was written by hand and is no task is refused here.
  if ((await readTask(db, taskId)) === null) return null;
  const runId = await insertRun(words, db, taskId, null, null);
  if (runId === null) return null;
  if (runId !== 'taken') return { run: (await readRunById(db, tasks, runId))!, created: true };
  const active = await readActive(db, tasks, taskId);
  if (active !== null) return { run: active, created: false };
  throw new CodedError('ABORTED', `tasks/${taskId}: a run of it has just ended; try again`);
}

function existing(run: RunRecord | null, taskId: bigint): Started {
  if (run !== null) return { run, created: true };
  throw new CodedError('NOT_FOUND', `the run of tasks/${taskId}, which this request had made, was deleted`);
}

/**
 * Copies the task into a run PENDING, in one statement.
 *
 * @param number null: the next one
 * @param term fences it; null: not fenced
 * @returns the run's id; null: no such task, or the term is not the fence; `taken`: there is an active run, or one of this number
 */
export async function insertRun(
  words: Words,
  db: Db,
  taskId: bigint,
  number: number | null,
  term: number | null,
): Promise<bigint | 'taken' | null> {
  const next = sql`(select coalesce(max(number), 0) + 1 from run r where r.task_id = task.id)`;
  const copied = sql.join(PREPARED_COLUMNS.map((column) => sql.ref(column)));
  const fence = term === null ? sql`` : sql`join fence on fence.id = 1 and fence.term = ${term}`;
  const statement = sql`
    insert into run (task_id, number, ${copied}, reason, created_ms)
    select task.id, ${number === null ? next : sql`${number}`}, ${copied}, '', ${Date.now()}
    from task ${fence} where task.id = ${taskId} ${words.shareLock}`;
  try {
    const { numAffectedRows, insertId } = await statement.execute(db);
    return numAffectedRows === 1n ? insertId! : null;
  } catch (error) {
    if (words.isDuplicate(error)) return 'taken';
    throw error;
  }
}

/** @throws CodedError FAILED_PRECONDITION when its row was written by hand and is no run */
export async function readRun(db: Db, tasks: RunTasks, taskId: bigint, number: number): Promise<RunRecord | null> {
  const row = await runRows(db).where('task_id', '=', taskId).where('number', '=', number).executeTakeFirst();
  return row === undefined ? null : one(db, tasks, row);
}

async function readRunById(db: Db, tasks: RunTasks, id: bigint): Promise<RunRecord | null> {
  const row = await runRows(db).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : one(db, tasks, row);
}

async function readActive(db: Db, tasks: RunTasks, taskId: bigint): Promise<RunRecord | null> {
  const row = await runRows(db).where('task_id', '=', taskId).where('active', '=', 1).executeTakeFirst();
  return row === undefined ? null : one(db, tasks, row);
}

export async function listRuns(
  db: Db,
  tasks: RunTasks,
  options: { taskId: bigint | null; limit: number; before: bigint | null; states: readonly RunState[] },
): Promise<Page<RunRecord>> {
  const { taskId, limit, before, states } = options;
  let query = runRows(db)
    .orderBy('id', 'desc')
    .limit(limit + 1);
  if (taskId !== null) query = query.where('task_id', '=', taskId);
  if (before !== null) query = query.where('id', '<', before);
  if (states.length > 0) query = query.where('state', 'in', [...states]);
  const rows = await query.execute();
  const { runs } = await readable(db, tasks, rows.slice(0, limit));
  return { items: runs, next: rows.length > limit ? BigInt(rows[limit - 1]!.id) : null };
}

/** Those of which a row is wrong are left out; `takeUpRequests` fails them. */
export async function activeRuns(db: Db, tasks: RunTasks): Promise<readonly RunRecord[]> {
  return (await readActiveRows(db, tasks)).runs;
}

export async function readActiveRows(db: Db, tasks: RunTasks): ReturnType<typeof readable> {
  return readable(db, tasks, await runRows(db).where('active', '=', 1).orderBy('id').execute());
}

export async function setWanted(
  database: Database,
  tasks: RunTasks,
  runId: bigint,
  wanted: Omit<Wanted, 'version'>,
  version: number | null,
): Promise<RunRecord | null> {
  return database.transact('change what is wanted of a run', async (db) => {
    const run = await readRunById(db, tasks, runId);
    if (run === null) return null;
    const set = { ...wantedRow(wanted, run.task.spec.load.model), wanted_version: sql<number>`wanted_version + 1` };
    let query = db.updateTable('run').set(set).where('id', '=', runId).where('active', '=', 1);
    if (version !== null) query = query.where('wanted_version', '=', version);
    // A stop is never taken back: it may be known to workers.
    if (wanted.state !== 'STOPPED') query = query.where('wanted_state', '<>', 'STOPPED');
    const { numUpdatedRows } = await query.executeTakeFirstOrThrow();
    return numUpdatedRows === 0n ? null : readRunById(db, tasks, runId);
  });
}

/** @throws RangeError when the states may not follow each other */
export async function updateRun(database: Database, term: number, run: RunRecord, change: RunChange): Promise<Written> {
  if (change.state !== undefined && change.state !== run.state) checkTransition(run.state, change.state);
  const set = { ...changeRow(change), version: run.version + 1 };
  const guard = sql`run.id = ${run.id} and run.version = ${run.version} and run.state = ${run.state}`;
  return database.write('write a run', async (db) => {
    const rows = await affected(database.words.fencedUpdate('run', term, set, guard), db);
    return rows === 1 ? 'written' : whyNothing(db, term);
  });
}

export async function reviseRun(database: Database, term: number, runId: bigint): Promise<Written> {
  const set = { revision: sql`run.revision + 1`, version: sql`run.version + 1` };
  const guard = sql`run.id = ${runId} and run.active is null`;
  return database.write('write a run', async (db) => {
    const rows = await affected(database.words.fencedUpdate('run', term, set, guard), db);
    return rows === 1 ? 'written' : whyNothing(db, term);
  });
}

function runRows(db: Db) {
  return db.selectFrom('run').select(RUN_COLUMNS);
}

async function one(db: Db, tasks: RunTasks, row: RunRow): Promise<RunRecord> {
  const prepared = (await tasks.load(db, [BigInt(row.id)])).get(BigInt(row.id));
  if (prepared === undefined) throw new CodedError('NOT_FOUND', `tasks/${row.task_id}/runs/${row.number} was deleted`);
  const read = readRow(row, prepared);
  if (!(read instanceof CodedError)) return read.run;
  const name = `tasks/${row.task_id}/runs/${row.number}`;
  throw new CodedError(
    'FAILED_PRECONDITION',
    read.problems.map((problem) => `${name}, as it was written by hand: ${problem}`),
  );
}

/** @param prepared the error: its task is none. @returns the error: it is no run */
function readRow(row: RunRow, prepared: Prepared | CodedError): ReturnType<typeof runOf> | CodedError {
  if (prepared instanceof CodedError) return prepared;
  try {
    return runOf(row, prepared);
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
}

interface BadRun {
  row: RunRow;
  problems: readonly string[];
  /** null: it is no run; else what is wanted of it is wrong, and stands as it was applied last. */
  run: RunRecord | null;
}

async function readable(
  db: Db,
  tasks: RunTasks,
  rows: readonly RunRow[],
): Promise<{ runs: RunRecord[]; bad: BadRun[] }> {
  const prepared = await tasks.load(
    db,
    rows.map((row) => BigInt(row.id)),
  );
  const runs: RunRecord[] = [];
  const bad: BadRun[] = [];
  for (const row of rows) {
    const of = prepared.get(BigInt(row.id));
    // Deleted meanwhile.
    if (of === undefined) continue;
    const read = readRow(row, of);
    const { run, problems } = read instanceof CodedError ? { run: null, problems: read.problems } : read;
    if (run !== null) runs.push(run);
    if (problems.length > 0) bad.push({ row, problems, run });
  }
  return { runs, bad };
}
