import { sql } from 'kysely';
import type { SampleRecord, Written } from '../stress/ports.ts';
import { affected, rowsOf, type Database } from './database.ts';
import { insertEvent } from './events.ts';
import { whyNothing } from './fence-row.ts';
import type { Db } from './tables.ts';

/** Limits of one statement: SQLite takes 500 rows, MariaDB 16 MiB as it is set up by default, in which a byte takes two. */
const BATCH_ROWS = 400;
const BATCH_BYTES = 4 * 1024 * 1024;

const KEY = ['run_id', 'assignment', 'incarnation', 'seq'] as const;

type Put = { written: Written; conflicts: SampleRecord[] };

/** Small calls are one statement; what is too large for one is put in several, each of them all or nothing. */
export async function putSamples(database: Database, term: number, samples: readonly SampleRecord[]): Promise<Put> {
  const conflicts: SampleRecord[] = [];
  for (const batch of batches(samples)) {
    const put = await database.write('store samples', (db) => putBatch(database, db, term, batch));
    conflicts.push(...put.conflicts);
    if (put.written !== 'written') return { written: put.written, conflicts };
  }
  return { written: 'written', conflicts };
}

async function putBatch(database: Database, db: Db, term: number, batch: readonly SampleRecord[]): Promise<Put> {
  const rows = await affected(database.words.fencedInsert('sample', term, batch.map(rowOf), KEY, ['seq']), db);
  if (rows === 0) return { written: await whyNothing(db, term), conflicts: [] };
  if (rows !== batch.length) {
    throw new Error(`expected ${batch.length} samples to be stored or found, the database says ${rows}`);
  }
  const conflicts = await conflictsOf(db, batch);
  if (conflicts.length > 0) await tellConflicts(db, term, conflicts);
  return { written: 'written', conflicts };
}

/** Those under whose key another digest is stored. */
async function conflictsOf(db: Db, batch: readonly SampleRecord[]): Promise<SampleRecord[]> {
  const keys = batch.map(({ runId, assignment, incarnation, seq, digest }, place) => {
    return { place, run_id: runId, assignment, incarnation, seq, digest };
  });
  const { rows } = await sql<{ place: bigint | number }>`
    select batch.place from ${rowsOf(keys)} batch
    join sample on sample.run_id = batch.run_id and sample.assignment = batch.assignment
      and sample.incarnation = batch.incarnation and sample.seq = batch.seq
    where sample.digest <> batch.digest`.execute(db);
  return rows.map(({ place }) => batch[Number(place)]!);
}

async function tellConflicts(db: Db, term: number, conflicts: readonly SampleRecord[]): Promise<void> {
  const { runId, assignment, incarnation, seq } = conflicts[0]!;
  const run = await db.selectFrom('run').select(['task_id', 'number']).where('id', '=', runId).executeTakeFirst();
  const name = run === undefined ? `run ${runId}` : `tasks/${run.task_id}/runs/${run.number}`;
  const more = conflicts.length === 1 ? '' : ` (and ${conflicts.length - 1} more)`;
  const text =
    `expected one sample of assignment ${assignment}, incarnation ${incarnation}, seq ${seq}; ` +
    `found another one with another content, which is not counted${more}`;
  await insertEvent(db, { wallMs: Date.now(), term, nodeId: '', kind: 'sample.conflict', subject: name, text });
}

function* batches(samples: readonly SampleRecord[]): Generator<readonly SampleRecord[]> {
  let batch: SampleRecord[] = [];
  let bytes = 0;
  for (const sample of samples) {
    if (batch.length === BATCH_ROWS || (batch.length > 0 && bytes + sample.data.length > BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(sample);
    bytes += sample.data.length;
  }
  if (batch.length > 0) yield batch;
}

function rowOf({ runId, assignment, incarnation, seq, second, digest, data }: SampleRecord): Record<string, unknown> {
  return { run_id: runId, assignment, incarnation, seq, second, digest, data };
}
