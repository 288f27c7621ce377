import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, SqliteDialect, type SqliteDatabase as KyselySqlite } from 'kysely';
import { nowMs } from '../lib/clock.ts';
import { CodedError, errorMessage } from '../lib/errors.ts';
import type { Database } from './database.ts';
import { isBusy } from './folder-lock.ts';
import { SQLITE_WORDS } from './sqlite-words.ts';
import type { Db, Tables } from './tables.ts';

const CALL_MS = 3000;
const MAX_WAITING = 1000;
const BUSY_PAUSE_MS = 20;

/**
 * One file, one connection, one call after the other, each a transaction: what is committed is on the disk. A statement
 * runs on the calling thread. Another program (a person with `sqlite3`) may write too: while it holds the file, a call
 * waits on a timer, not in the thread, until its deadline.
 */
export class SqliteDatabase implements Database {
  readonly words = SQLITE_WORDS;
  readonly #database: DatabaseSync;
  readonly #db: Db;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @throws Error of node:sqlite when the file cannot be opened */
  constructor(file: string) {
    this.#database = new DatabaseSync(file, { timeout: 0 });
    this.#database.exec('pragma journal_mode = wal; pragma synchronous = full');
    this.#db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: forKysely(this.#database) }) });
  }

  read<T>(what: string, work: (db: Db) => Promise<T>): Promise<T> {
    return this.#call(what, 'begin', work);
  }

  write<T>(what: string, work: (db: Db) => Promise<T>): Promise<T> {
    return this.#call(what, 'begin immediate', work);
  }

  transact<T>(what: string, work: (db: Db) => Promise<T>): Promise<T> {
    return this.#call(what, 'begin immediate', work);
  }

  /** After the call under way. */
  async close(): Promise<void> {
    await this.#last.catch(() => undefined);
    if (this.#database.isOpen) this.#database.close();
  }

  async #call<T>(what: string, begin: string, work: (db: Db) => Promise<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING) {
      throw new CodedError('UNAVAILABLE', `SQLite: expected at most ${MAX_WAITING} calls waiting, found more`);
    }
    const untilMs = nowMs() + CALL_MS;
    const before = this.#last;
    const turn = (async (): Promise<T> => {
      await before.catch(() => undefined);
      return this.#transaction(what, begin, work, untilMs);
    })();
    this.#last = turn;
    this.#waiting += 1;
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #transaction<T>(what: string, begin: string, work: (db: Db) => Promise<T>, untilMs: number): Promise<T> {
    if (!this.#database.isOpen) throw new CodedError('UNAVAILABLE', `SQLite cannot ${what}: the store is closed`);
    try {
      await this.#whenFree(() => this.#database.exec(begin), what, untilMs);
      const result = await work(this.#db);
      await this.#whenFree(() => this.#database.exec('commit'), what, untilMs);
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw sqliteError(error, what);
    }
  }

  async #whenFree(act: () => void, what: string, untilMs: number): Promise<void> {
    for (;;) {
      if (nowMs() >= untilMs) {
        throw new CodedError('UNAVAILABLE', `SQLite does not answer within ${CALL_MS / 1000} s: ${what}`);
      }
      try {
        act();
        return;
      } catch (error) {
        if (!isBusy(error)) throw error;
      }
      await sleep(BUSY_PAUSE_MS);
    }
  }
}

/** node:sqlite as Kysely's dialect wants its database. Integers come as bigint: ids may pass 2^53. */
function forKysely(database: DatabaseSync): KyselySqlite {
  return {
    close: () => database.close(),
    prepare(text) {
      const statement = database.prepare(text);
      statement.setReadBigInts(true);
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...(parameters as SQLInputValue[])),
        run: (parameters) => statement.run(...(parameters as SQLInputValue[])),
        iterate: (parameters) => statement.iterate(...(parameters as SQLInputValue[])),
      };
    },
  };
}

/** The first byte of SQLite's code: interrupted, full, I/O error, read-only, cannot open … pass or can be mended. */
const PASSING = new Set([5, 6, 8, 9, 10, 13, 14]);

function sqliteError(error: unknown, what: string): CodedError {
  if (error instanceof CodedError) return error;
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0;
  const said = errorMessage(error);
  const hint = /no such (table|column)/.test(said) ? '; run `gostress migrate` first' : '';
  return new CodedError(
    PASSING.has(code & 0xff) || hint !== '' ? 'UNAVAILABLE' : 'INTERNAL',
    `SQLite cannot ${what}: ${said}${hint}`,
    { cause: error },
  );
}
