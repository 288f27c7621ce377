import { sql } from 'kysely';
import type { Fence, NodeRef } from '../cluster/ports.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { fenceOf, readFence } from './fence-row.ts';
import { ER, errnoOf } from './mysql-errors.ts';
import type { MysqlPool } from './mysql-pool.ts';
import type { Db } from './tables.ts';
import type { WriterLocks } from './writer-lock.ts';

export interface MysqlFenceOptions {
  /** Apart from the one that writes samples: a raise must not wait behind them. */
  pool: MysqlPool;
  locks: WriterLocks;
  callMs: number;
  /** Holds the wait for a lock, the kill and the second try. */
  raiseMs: number;
  log: Log;
}

export class MysqlFence implements Fence {
  readonly #options: MysqlFenceOptions;

  constructor(options: MysqlFenceOptions) {
    this.#options = options;
  }

  read(): ReturnType<Fence['read']> {
    const { pool, callMs } = this.#options;
    return pool.call('read the fence', callMs, async (db) => fenceOf(await readFence(db)));
  }

  raise(term: number, holder: NodeRef): Promise<boolean> {
    const { pool, raiseMs } = this.#options;
    return pool.call('raise the fence', raiseMs, async (db) => {
      try {
        if (await this.#update(db, term, holder)) return true;
      } catch (error) {
        if (errnoOf(error) !== ER.LOCK_WAIT_TIMEOUT) throw error;
        await this.#killWriters(db);
        if (await this.#update(db, term, holder)) return true;
      }
      // It may be ours all the same: the answer to an earlier raise was lost.
      const now = fenceOf(await readFence(db));
      return now.term === term && now.holder?.nodeId === holder.nodeId && now.holder.incarnation === holder.incarnation;
    });
  }

  async #update(db: Db, term: number, { nodeId, incarnation }: NodeRef): Promise<boolean> {
    const set = { term, holder: nodeId, incarnation, writer: this.#options.locks.writer };
    const raise = db.updateTable('fence').set(set).where('id', '=', 1).where('term', '<', term);
    return (await raise.executeTakeFirst()).numUpdatedRows === 1n;
  }

  /** A statement of the predecessor holds the fence's row, e.g. because it waits for another row itself. */
  async #killWriters(db: Db): Promise<void> {
    const { writer } = await readFence(db);
    if (writer === null) return;
    for (const id of await this.#options.locks.connections(db, writer)) {
      this.#options.log.warn(
        { connection: String(id) },
        "killing a connection of the former master, which holds the fence's row",
      );
      try {
        await sql`kill connection ${sql.raw(String(id))}`.execute(db);
      } catch (error) {
        if (errnoOf(error) !== ER.NO_SUCH_THREAD)
          throw new Error(`cannot kill it: ${errorMessage(error)}`, { cause: error });
      }
    }
  }
}
