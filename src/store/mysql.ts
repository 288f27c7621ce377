import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { CodedError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Database } from './database.ts';
import { migrateToLatest } from './migrate.ts';
import { MysqlFence } from './mysql-fence.ts';
import { MysqlPool } from './mysql-pool.ts';
import { MysqlSession } from './mysql-session.ts';
import { parseMysqlUrl } from './mysql-url.ts';
import { MYSQL_WORDS } from './mysql-words.ts';
import type { Store } from './store.ts';
import type { Db } from './tables.ts';
import { SqlTaskStore } from './task-store.ts';
import { WriterLocks } from './writer-lock.ts';

export interface MysqlTimeouts {
  /** Of each call; what is large gets more, see `extraMs`. */
  callMs: number;
  /** Of raising the fence, which may have to wait 1 s for a lock twice. */
  raiseMs: number;
  migrateMs: number;
  /** How long a statement waits for a row that another one holds; the server counts whole seconds. */
  lockWaitMs: number;
}
export const MYSQL_TIMEOUTS: MysqlTimeouts = { callMs: 3000, raiseMs: 5000, migrateMs: 60_000, lockWaitMs: 1000 };

export interface MysqlStoreOptions {
  /** `mysql://user:password@host:3306/database` */
  url: string;
  /** Name of the cluster; the database is this cluster's alone. */
  cluster: string;
  log: Log;
  timeouts?: Partial<MysqlTimeouts>;
}

const MAX_SESSIONS = 8;
const MAX_FENCE_SESSIONS = 2;
const MAX_WAITING = 1000;

/**
 * Tasks, results and the fence in MySQL or MariaDB. Connects when it is first used, and again after each failure.
 *
 * @throws CodedError INVALID_INPUT when the URL is none
 */
export function openMysqlStore({ url, cluster, log, timeouts }: MysqlStoreOptions): Store {
  const address = parseMysqlUrl(url);
  const { callMs, raiseMs, migrateMs, lockWaitMs } = { ...MYSQL_TIMEOUTS, ...timeouts };
  const locks = new WriterLocks(cluster, randomBytes(8).toString('hex'));
  const begin = async (db: Db): Promise<void> => {
    await sql`set session innodb_lock_wait_timeout = ${Math.ceil(lockWaitMs / 1000)}`.execute(db);
    if (await locks.take(db)) return;
    throw new CodedError('UNAVAILABLE', 'MySQL still has too many old connections of this node');
  };
  const open = (signal: AbortSignal): Promise<MysqlSession> => MysqlSession.open(address, begin, signal);
  const poolOf = (maxSessions: number) => new MysqlPool({ open, maxSessions, maxWaiting: MAX_WAITING, log });
  const pool = poolOf(MAX_SESSIONS);
  const fencePool = poolOf(MAX_FENCE_SESSIONS);
  const database: Database = {
    words: MYSQL_WORDS,
    read: (what, work) => pool.call(what, callMs, work),
    write: (what, work, extraMs = 0) => pool.call(what, callMs + extraMs, work),
    transact: (what, work, extraMs = 0) =>
      pool.call(what, callMs + extraMs, (db) => db.transaction().execute((transaction) => work(transaction))),
  };
  const close = (): Promise<void> => {
    pool.close();
    fencePool.close();
    return Promise.resolve();
  };
  return {
    tasks: new SqlTaskStore(database, close),
    fence: new MysqlFence({ pool: fencePool, locks, callMs, raiseMs, log }),
    migrate: () => pool.call('migrate the database', migrateMs, (db) => migrateToLatest(db, 'mysql')),
    close,
  };
}
