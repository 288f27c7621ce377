import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Fence, NodeRef } from '../cluster/ports.ts';
import type { Log } from '../lib/log.ts';
import { fenceOf, readFence } from './fence-row.ts';
import { cannotUse, FolderLock } from './folder-lock.ts';
import { migrateToLatest } from './migrate.ts';
import { SqliteDatabase } from './sqlite-database.ts';
import type { Store } from './store.ts';
import { SqlTaskStore } from './task-store.ts';

const FILE = 'gostress.sqlite';

export interface SqliteStoreOptions {
  /** Made when it is not there. */
  folder: string;
  log: Log;
}

/**
 * Tasks, results and the fence in a file `gostress.sqlite` in a folder that this process then has for itself.
 *
 * @throws CodedError FAILED_PRECONDITION when another process has the folder (its pid is in the message), INVALID_INPUT
 *   when the folder cannot be used
 */
export function openSqliteStore({ folder, log }: SqliteStoreOptions): Store {
  const { lock, database } = open(folder);
  log.debug({ folder }, 'opened the data folder');
  const close = async (): Promise<void> => {
    await database.close();
    lock.release();
  };
  return {
    tasks: new SqlTaskStore(database, close),
    fence: new SqliteFence(database),
    migrate: () => database.transact('migrate the database', (db) => migrateToLatest(db, 'sqlite')),
    close,
  };
}

function open(folder: string): { lock: FolderLock; database: SqliteDatabase } {
  try {
    // What is in it holds secrets of tasks.
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw cannotUse(folder, error);
  }
  const lock = FolderLock.take(folder);
  try {
    return { lock, database: new SqliteDatabase(path.join(folder, FILE)) };
  } catch (error) {
    lock.release();
    throw cannotUse(folder, error);
  }
}

class SqliteFence implements Fence {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  read(): ReturnType<Fence['read']> {
    return this.#database.read('read the fence', async (db) => fenceOf(await readFence(db)));
  }

  raise(term: number, { nodeId, incarnation }: NodeRef): Promise<boolean> {
    return this.#database.write('raise the fence', async (db) => {
      const set = { term, holder: nodeId, incarnation };
      await db.updateTable('fence').set(set).where('id', '=', 1).where('term', '<', term).execute();
      const { term: now, holder } = fenceOf(await readFence(db));
      return now === term && holder?.nodeId === nodeId && holder.incarnation === incarnation;
    });
  }
}
