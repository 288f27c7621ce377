import { sql, type Selectable } from 'kysely';
import type { AssignmentRecord, RunGuard, Written } from '../stress/ports.ts';
import { affected, type Database } from './database.ts';
import { whyNothing } from './fence-row.ts';
import { numberOrNull } from './run-row.ts';
import type { AssignmentTable, Db } from './tables.ts';

/** SQLite takes at most 500 rows in one statement. */
const BATCH_ROWS = 400;

const KEY = ['run_id', 'number'] as const;

export async function readAssignments(db: Db, runId: bigint): Promise<readonly AssignmentRecord[]> {
  const rows = await db.selectFrom('assignment').selectAll().where('run_id', '=', runId).orderBy('number').execute();
  return rows.map(recordOf);
}

export async function putAssignments(
  database: Database,
  term: number,
  run: RunGuard,
  assignments: readonly AssignmentRecord[],
): Promise<Written> {
  const isVersion = run.version === null ? sql`run.active is null` : sql`run.version = ${run.version}`;
  const guard = sql`run.id = ${run.id} and ${isVersion}`;
  for (let at = 0; at < assignments.length; at += BATCH_ROWS) {
    const rows = assignments.slice(at, at + BATCH_ROWS).map(rowOf);
    const replace = Object.keys(rows[0]!).filter((column) => !KEY.some((key) => key === column));
    const statement = database.words.fencedInsert('assignment', term, rows, KEY, replace, guard);
    const written = await database.write('write assignments', async (db) =>
      (await affected(statement, db)) === 0 ? whyNothing(db, term) : 'written',
    );
    if (written !== 'written') return written;
  }
  return 'written';
}

function rowOf(a: AssignmentRecord): Record<string, unknown> {
  return {
    run_id: a.runId,
    number: a.number,
    node_id: a.nodeId,
    incarnation: a.incarnation,
    version: a.version,
    epoch: a.epoch,
    share_weight: a.share.weight,
    share_of: a.share.of,
    share_phase: a.share.phase,
    hits: a.hits,
    max_in_flight: a.maxInFlight,
    max_queue: a.maxQueue,
    state: a.state,
    final_seq: a.finalSeq,
    lost_by_ms: a.lostByMs,
  };
}

function recordOf(row: Selectable<AssignmentTable>): AssignmentRecord {
  return {
    runId: BigInt(row.run_id),
    number: Number(row.number),
    nodeId: row.node_id,
    incarnation: Number(row.incarnation),
    version: Number(row.version),
    epoch: Number(row.epoch),
    share: { weight: row.share_weight, of: row.share_of, phase: row.share_phase },
    hits: numberOrNull(row.hits),
    maxInFlight: Number(row.max_in_flight),
    maxQueue: Number(row.max_queue),
    state: row.state,
    finalSeq: numberOrNull(row.final_seq),
    lostByMs: numberOrNull(row.lost_by_ms),
  };
}
