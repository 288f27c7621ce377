import type { EventRecord, TaskStore } from '../stress/ports.ts';
import { cut } from './run-row.ts';
import type { Db } from './tables.ts';

const MAX_NAME = 255;
const MAX_KIND = 64;

export async function insertEvent(
  db: Db,
  { wallMs, term, nodeId, kind, subject, text }: Omit<EventRecord, 'id'>,
): Promise<void> {
  const row = {
    wall_ms: Math.round(wallMs),
    term,
    node_id: cut(nodeId, MAX_NAME),
    kind: cut(kind, MAX_KIND),
    subject: cut(subject, MAX_NAME),
    text: cut(text),
  };
  await db.insertInto('event').values(row).execute();
}

/** In their order; without `after` the latest ones. */
export async function readEvents(
  db: Db,
  { after, limit, of }: Parameters<TaskStore['events']>[0],
): Promise<readonly EventRecord[]> {
  let query = db.selectFrom('event').selectAll().limit(limit);
  if (of !== undefined) query = query.where('kind', '=', of.kind).where('term', '=', of.term);
  const rows =
    after === null
      ? (await query.orderBy('id', 'desc').execute()).reverse()
      : await query.where('id', '>', after).orderBy('id').execute();
  return rows.map((row) => ({
    id: BigInt(row.id),
    wallMs: Number(row.wall_ms),
    term: Number(row.term),
    nodeId: row.node_id,
    kind: row.kind,
    subject: row.subject,
    text: row.text,
  }));
}
