import { sql, type Selectable } from 'kysely';
import type { SampleRecord } from '../stress/ports.ts';
import type { Db, SampleTable } from './tables.ts';

/** Of one call of `readSamples`, but for the rest of its last second. */
const READ_ROWS = 5000;

/** By (assignment, incarnation): the last seq before the first gap. */
export async function readStoredUpTo(
  db: Db,
  runId: bigint,
): Promise<readonly { assignment: number; incarnation: number; upTo: number }[]> {
  const groups = await db
    .selectFrom('sample')
    .select(['assignment', 'incarnation'])
    .select(({ fn }) => [fn.countAll().as('count'), fn.max('seq').as('last')])
    .where('run_id', '=', runId)
    .groupBy(['assignment', 'incarnation'])
    .orderBy('assignment')
    .orderBy('incarnation')
    .execute();
  const found: { assignment: number; incarnation: number; upTo: number }[] = [];
  for (const { assignment, incarnation, count, last } of groups) {
    const isWhole = BigInt(count) === BigInt(last);
    const upTo = isWhole ? Number(last) : await firstGap(db, runId, BigInt(assignment), BigInt(incarnation));
    found.push({ assignment: Number(assignment), incarnation: Number(incarnation), upTo });
  }
  return found;
}

async function firstGap(db: Db, runId: bigint, assignment: bigint, incarnation: bigint): Promise<number> {
  const { rows } = await sql<{ up_to: bigint | number | null }>`
    select max(seq) as up_to from (
      select seq, row_number() over (order by seq) as place from sample
      where run_id = ${runId} and assignment = ${assignment} and incarnation = ${incarnation}
    ) counted where seq = place`.execute(db);
  return Number(rows[0]?.up_to ?? 0);
}

export async function readLastSecond(db: Db, runId: bigint): Promise<number | null> {
  const row = await db
    .selectFrom('sample')
    .select('second')
    .where('run_id', '=', runId)
    .orderBy('second', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : Number(row.second);
}

/** From one second on and before another: whole seconds, at least one. */
export async function readSamples(
  db: Db,
  runId: bigint,
  fromSecond: number,
  toSecond: number,
): Promise<readonly SampleRecord[]> {
  const from = (second: number) => db.selectFrom('sample').where('run_id', '=', runId).where('second', '>=', second);
  const first = await from(fromSecond).select('second').orderBy('second').limit(1).executeTakeFirst();
  if (first === undefined || Number(first.second) >= toSecond) return [];
  const next = await from(fromSecond).select('second').orderBy('second').limit(1).offset(READ_ROWS).executeTakeFirst();
  const end = Math.max(Number(first.second) + 1, Number(next?.second ?? Infinity));
  let page = from(fromSecond).select(COLUMNS);
  if (Math.min(end, toSecond) < Infinity) page = page.where('second', '<', Math.min(end, toSecond));
  const rows = await page.orderBy('second').orderBy('assignment').orderBy('incarnation').orderBy('seq').execute();
  return rows.map(recordOf);
}

const COLUMNS = ['run_id', 'assignment', 'incarnation', 'seq', 'second', 'digest', 'data'] as const;

function recordOf(row: Selectable<SampleTable>): SampleRecord {
  return {
    runId: BigInt(row.run_id),
    assignment: Number(row.assignment),
    incarnation: Number(row.incarnation),
    seq: Number(row.seq),
    second: Number(row.second),
    digest: row.digest,
    data: row.data,
  };
}
