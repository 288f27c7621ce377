import { sql, type Selectable } from 'kysely';
import { CodedError } from '../lib/errors.ts';
import type { Database } from './database.ts';
import { affected } from './database.ts';
import { insertEvent } from './events.ts';
import { PREPARED_COLUMNS, readPrepared } from './prepared.ts';
import { deleteLeftovers } from './leftover.ts';
import { cut } from './run-row.ts';
import type { RunTasks } from './run-tasks.ts';
import { insertRun, readActiveRows } from './runs.ts';
import type { Db, TaskTable } from './tables.ts';
import { loadRow } from './wanted.ts';

/** Taken up in one pass; the next pass takes the rest. */
const MAX_REQUESTS = 50;

/**
 * What people wrote by hand: makes runs of tasks whose start they asked for; what cannot be carried out is marked in its
 * row and told as an event, so that it does not stop the rest. Each request goes through three fenced statements, and
 * any master can go on after each of them: 1 → 2 with the run's number → the run of this number → 0.
 */
export async function takeUpRequests(database: Database, tasks: RunTasks, term: number): Promise<number> {
  const requests = await database.read('read what was asked for by hand', (db) =>
    db
      .selectFrom('task')
      .select(['id', 'start_requested', 'start_number'])
      .where('start_requested', '>', 0)
      .limit(MAX_REQUESTS)
      .execute(),
  );
  let started = 0;
  for (const request of requests) {
    const isStarted = await database.write('start a task by hand', (db) => takeUp(database, db, term, request));
    if (isStarted) started += 1;
  }
  await database.write('check what was written by hand', (db) => settleBadRuns(database, db, tasks, term));
  await database.write('delete the samples of a task', deleteLeftovers);
  return started;
}

type Request = Pick<Selectable<TaskTable>, 'id' | 'start_requested' | 'start_number'>;

async function takeUp(database: Database, db: Db, term: number, request: Request): Promise<boolean> {
  const { words } = database;
  const id = BigInt(request.id);
  const isTaken = Number(request.start_requested) === 2 && request.start_number !== null;
  const number = isTaken ? Number(request.start_number) : await claim(database, db, term, id);
  if (number === null) return false;
  const made = await insertRun(words, db, id, number, term);
  if (made === null) return false;
  const clear = words.fencedUpdate(
    'task',
    term,
    { start_requested: 0, start_number: null, problem: null },
    sql`task.id = ${id} and task.start_requested = 2 and task.start_number = ${number}`,
  );
  await affected(clear, db);
  return made !== 'taken';
}

/** @returns the number of the run to be; null: not now, an active one must end first, or never, the task is none */
async function claim(database: Database, db: Db, term: number, id: bigint): Promise<number | null> {
  const problems = await problemsOf(db, id);
  if (problems === null) return null;
  const where = sql`task.id = ${id} and task.start_requested > 0`;
  if (problems.length > 0) {
    const text = cut(problems.join('\n'));
    const set = { start_requested: 0, start_number: null, problem: text };
    const isMarked = (await affected(database.words.fencedUpdate('task', term, set, where), db)) > 0;
    if (isMarked) await insertEvent(db, eventOf(term, 'task.invalid', `tasks/${id}`, text));
    return null;
  }
  const active = db.selectFrom('run').select('id').where('task_id', '=', id).where('active', '=', 1);
  if ((await active.executeTakeFirst()) !== undefined) return null;
  const last = await db
    .selectFrom('run')
    .select(({ fn }) => fn.max('number').as('number'))
    .where('task_id', '=', id)
    .executeTakeFirst();
  const number = Number(last?.number ?? 0) + 1;
  const claimed = database.words.fencedUpdate('task', term, { start_requested: 2, start_number: number }, where);
  return (await affected(claimed, db)) > 0 ? number : null;
}

/** null: there is no such task any more. */
async function problemsOf(db: Db, taskId: bigint): Promise<readonly string[] | null> {
  const row = await db.selectFrom('task').select(PREPARED_COLUMNS).where('id', '=', taskId).executeTakeFirst();
  if (row === undefined) return null;
  try {
    await readPrepared(row);
    return [];
  } catch (error) {
    if (error instanceof CodedError) return error.problems;
    throw error;
  }
}

/** What is no run fails; of one that wants what cannot be, only that is put right. */
async function settleBadRuns(database: Database, db: Db, tasks: RunTasks, term: number): Promise<void> {
  for (const { row, problems, run } of (await readActiveRows(db, tasks)).bad) {
    const text = cut(problems.join('\n'));
    const name = `tasks/${row.task_id}/runs/${row.number}`;
    const set = run === null ? { state: 'FAILED', reason: text, ended_ms: Date.now() } : loadRow(run.wanted);
    const next = { ...set, version: Number(row.version) + 1 };
    const where = sql`run.id = ${row.id} and run.version = ${row.version}`;
    const isSet = (await affected(database.words.fencedUpdate('run', term, next, where), db)) > 0;
    if (isSet) await insertEvent(db, eventOf(term, 'run.invalid', name, run === null ? `failed: ${text}` : text));
  }
}

function eventOf(term: number, kind: string, subject: string, text: string) {
  return { wallMs: Date.now(), term, nodeId: '', kind, subject, text };
}
