import type { Db } from './tables.ts';

/** Deleted at a time: what is short enough for a transaction beside those of a running test. */
const ROWS = 5000;

/** Deletes a part of what deleted tasks have left behind. */
export async function deleteLeftovers(db: Db): Promise<void> {
  const entry = await db.selectFrom('leftover').select('run_id').limit(1).executeTakeFirst();
  if (entry === undefined) return;
  const { run_id: runId } = entry;
  const samples = db.selectFrom('sample').where('run_id', '=', runId);
  const end = await samples.select('second').orderBy('second').limit(1).offset(ROWS).executeTakeFirst();
  const doomed = db.deleteFrom('sample').where('run_id', '=', runId);
  if (end !== undefined) {
    await doomed.where('second', '<=', end.second).execute();
    return;
  }
  await doomed.execute();
  await db.deleteFrom('assignment').where('run_id', '=', runId).execute();
  await db.deleteFrom('leftover').where('run_id', '=', runId).execute();
}
