import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Db } from './tables.ts';

/** More connections than a store ever has, those included that the server has not yet noticed are gone. */
const SLOTS = 64;
/** MySQL's limit for the name of a lock is 64 characters. */
const MAX_CLUSTER_LENGTH = 24;

/** Who of MySQL's connections belongs to which store: each holds one of the store's named locks while it lives. */
export class WriterLocks {
  readonly #cluster: string;
  /** Of this store: told to the fence with each raise. */
  readonly writer: string;

  constructor(cluster: string, writer: string) {
    const digest = createHash('sha256').update(cluster).digest('hex').slice(0, MAX_CLUSTER_LENGTH);
    this.#cluster = /^[\w.-]+$/.test(cluster) && cluster.length <= MAX_CLUSTER_LENGTH ? cluster : digest;
    this.writer = writer;
  }

  /** Takes a lock for this connection. @returns false: all are taken */
  async take(db: Db): Promise<boolean> {
    for (let slot = 0; slot < SLOTS; slot++) {
      const { rows } = await sql<{ got: unknown }>`select get_lock(${this.#name(this.writer, slot)}, 0) as got`.execute(
        db,
      );
      if (Number(rows[0]?.got) === 1) return true;
    }
    return false;
  }

  /**
   * The server's ids of the writer's connections as it is now, the asking one not among them. Ids that were only written
   * down must not be used: the server gives them away again.
   */
  async connections(db: Db, writer: string): Promise<bigint[]> {
    const slots = Array.from(
      { length: SLOTS },
      (_, slot) => sql`is_used_lock(${this.#name(writer, slot)}) as ${sql.ref(`s${slot}`)}`,
    );
    const { rows } = await sql<Record<string, bigint | number | null>>`
      select connection_id() as self, ${sql.join(slots)}`.execute(db);
    const { self, ...used } = rows[0] ?? {};
    const ids = Object.values(used).flatMap((id) => (id === null ? [] : [BigInt(id)]));
    return ids.filter((id) => self === undefined || self === null || id !== BigInt(self));
  }

  #name(writer: string, slot: number): string {
    return `gostress/${this.#cluster}/${writer}/${slot}`;
  }
}
