import { CodedError } from '../lib/errors.ts';
import { PREPARED_COLUMNS, readPrepared, type Prepared, type PreparedRow } from './prepared.ts';
import type { Db, Integer } from './tables.ts';

const MAX_RUNS = 256;
const MAX_BYTES = 256 * 1024 * 1024;
/** Read at a time. */
const GROUP = 50;
/** What a run holds besides its body. */
const BASE_BYTES = 4096;

/**
 * The tasks of runs, as they were at the start: they never change, so that the poll every second reads and checks each
 * once. Bounded in number and bytes; the one not used for longest goes first.
 */
export class RunTasks {
  readonly #known = new Map<bigint, Prepared>();
  #bytes = 0;

  /** By run id; of a run whose row is wrong, the error. */
  async load(db: Db, runIds: readonly bigint[]): Promise<Map<bigint, Prepared | CodedError>> {
    const found = new Map<bigint, Prepared | CodedError>();
    const missing: bigint[] = [];
    for (const id of runIds) {
      const known = this.#known.get(id);
      if (known === undefined) missing.push(id);
      else found.set(id, known);
    }
    for (let at = 0; at < missing.length; at += GROUP) {
      const ids = missing.slice(at, at + GROUP);
      const rows = await db
        .selectFrom('run')
        .select(['id', ...PREPARED_COLUMNS])
        .where('id', 'in', ids)
        .execute();
      for (const row of rows) found.set(BigInt(row.id), await this.#read(row));
    }
    for (const id of runIds) this.#touch(id);
    return found;
  }

  async #read(row: PreparedRow & { id: Integer }): Promise<Prepared | CodedError> {
    try {
      const prepared = await readPrepared(row);
      this.#keep(BigInt(row.id), prepared);
      return prepared;
    } catch (error) {
      if (error instanceof CodedError) return error;
      throw error;
    }
  }

  #touch(id: bigint): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    this.#known.delete(id);
    this.#known.set(id, known);
  }

  #keep(id: bigint, prepared: Prepared): void {
    if (this.#known.has(id)) return;
    this.#known.set(id, prepared);
    this.#bytes += bytesOf(prepared);
    for (const [oldest, old] of this.#known) {
      if (this.#known.size <= MAX_RUNS && this.#bytes <= MAX_BYTES) return;
      this.#known.delete(oldest);
      this.#bytes -= bytesOf(old);
    }
  }
}

/** A body that came in the spec is there twice, as text too. */
function bytesOf({ task }: Prepared): number {
  return BASE_BYTES + 3 * (task.body?.length ?? 0);
}
