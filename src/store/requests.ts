import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import type { RequestId } from '../stress/ports.ts';
import type { Words } from './database.ts';
import type { Db } from './tables.ts';

const KEPT_MS = 24 * 3_600_000;
const MAX_ID_BYTES = 255;
const MAX_DIGEST_LENGTH = 255;

/** What a request made. */
export interface Made {
  taskId: bigint;
  /** null: it made the task itself. */
  runId: bigint | null;
}

/**
 * Begins a request within a transaction. Of two that do it at once the second waits for the first to commit.
 *
 * @returns null: it is new, call `settleRequest` or `forgetRequest` next; else what it has made within 24 h
 * @throws CodedError INVALID_INPUT when the id was used for a request with another content
 */
export async function beginRequest(
  words: Words,
  db: Db,
  request: RequestId,
  kind: 'task' | 'run',
): Promise<Made | null> {
  const now = Date.now();
  await db
    .deleteFrom('request')
    .where('created_ms', '<=', now - KEPT_MS)
    .execute();
  const earlier = await madeBy(db, request, kind);
  if (earlier !== null) return earlier;
  try {
    const values = { id: idOf(request), digest: digestOf(request), task_id: 0, run_id: null, created_ms: now };
    await db.insertInto('request').values(values).execute();
    return null;
  } catch (error) {
    if (!words.isDuplicate(error)) throw error;
  }
  const made = await madeBy(db, request, kind);
  if (made !== null) return made;
  throw new CodedError('ABORTED', `request_id: ${show(request.id)} was used and forgotten just now; try again`);
}

export async function settleRequest(db: Db, request: RequestId, { taskId, runId }: Made): Promise<void> {
  await db.updateTable('request').set({ task_id: taskId, run_id: runId }).where('id', '=', idOf(request)).execute();
}

/** It has made nothing. */
export async function forgetRequest(db: Db, request: RequestId): Promise<void> {
  await db.deleteFrom('request').where('id', '=', idOf(request)).execute();
}

async function madeBy(db: Db, request: RequestId, kind: 'task' | 'run'): Promise<Made | null> {
  const row = await db.selectFrom('request').selectAll().where('id', '=', idOf(request)).executeTakeFirst();
  if (row === undefined) return null;
  if (row.digest === digestOf(request) && (row.run_id === null) === (kind === 'task')) {
    return { taskId: BigInt(row.task_id), runId: row.run_id === null ? null : BigInt(row.run_id) };
  }
  throw new CodedError(
    'INVALID_INPUT',
    `request_id: expected a new one for another request, found ${show(request.id)}, used before with another content`,
  );
}

function idOf({ id }: RequestId): Uint8Array {
  const bytes = Buffer.from(id);
  if (bytes.length > 0 && bytes.length <= MAX_ID_BYTES) return bytes;
  throw new CodedError('INVALID_INPUT', `request_id: expected 1 to ${MAX_ID_BYTES} bytes, found ${bytes.length}`);
}

function digestOf({ digest }: RequestId): string {
  if (digest.length <= MAX_DIGEST_LENGTH) return digest;
  throw new RangeError(`request digest: expected at most ${MAX_DIGEST_LENGTH} characters, found ${digest.length}`);
}
