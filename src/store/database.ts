import { sql, type RawBuilder } from 'kysely';
import type { Db } from './tables.ts';

/**
 * What the queries need of a database. Each call has one deadline for all its statements, the wait for a connection
 * included, and rejects with CodedError: UNAVAILABLE that names the database, or what the work itself threw.
 * The work may be done again from its beginning after a deadlock.
 */
export interface Database {
  read<T>(what: string, work: (db: Db) => Promise<T>): Promise<T>;
  /**
   * In MySQL each statement commits by itself: a fenced one never stays open across a round trip.
   *
   * @param extraMs on top of the deadline, for what is large
   */
  write<T>(what: string, work: (db: Db) => Promise<T>, extraMs?: number): Promise<T>;
  /** All of it or nothing. Never for fenced writes. */
  transact<T>(what: string, work: (db: Db) => Promise<T>, extraMs?: number): Promise<T>;
  readonly words: Words;
}

/** What the databases say in words of their own. */
export interface Words {
  /** `UPDATE table SET … WHERE …` that changes nothing unless `term` is the fence. */
  fencedUpdate(table: 'run' | 'task', term: number, set: Columns, where: RawBuilder<unknown>): RawBuilder<unknown>;
  /**
   * Inserts the rows unless `term` is not the fence; each row counts at least 1 in the affected rows. A row whose key is
   * there gets the columns `replace`; when these are part of the key, it stays as it is.
   *
   * @param guard a condition on a row of `run` without which nothing is inserted either
   */
  fencedInsert(
    table: 'sample' | 'assignment',
    term: number,
    rows: readonly Columns[],
    key: readonly string[],
    replace: readonly string[],
    guard?: RawBuilder<unknown>,
  ): RawBuilder<unknown>;
  /** Ends a SELECT that must see, and keep for its statement, what is committed now. */
  shareLock: RawBuilder<unknown>;
  /** Ends a SELECT of rows that the transaction will change. */
  updateLock: RawBuilder<unknown>;
  /** The error says that a unique key is taken. */
  isDuplicate(error: unknown): boolean;
}

export type Columns = Readonly<Record<string, unknown>>;

/** `a = ?, b = ?` */
export function assignmentsOf(set: Columns, table?: string): RawBuilder<unknown> {
  const name = (column: string) => sql.ref(table === undefined ? column : `${table}.${column}`);
  return sql.join(Object.entries(set).map(([column, value]) => sql`${name(column)} = ${value}`));
}

/** Joined to a select: no rows unless the run is as the guard says. */
export function whileRun(guard: RawBuilder<unknown> | undefined): RawBuilder<unknown> {
  return guard === undefined ? sql`` : sql`join run on ${guard}`;
}

/** `(select ? as a, ? as b union all select ?, ?)` */
export function rowsOf(rows: readonly Columns[]): RawBuilder<unknown> {
  const columns = Object.keys(rows[0] ?? {});
  const selects = rows.map((row, i) => {
    const values = columns.map((column) => (i === 0 ? sql`${row[column]} as ${sql.ref(column)}` : sql`${row[column]}`));
    return sql`select ${sql.join(values)}`;
  });
  return sql`(${sql.join(selects, sql` union all `)})`;
}

/** How many rows a statement changed or found (MySQL counts what it found). */
export async function affected(statement: RawBuilder<unknown>, db: Db): Promise<number> {
  return Number((await statement.execute(db)).numAffectedRows ?? 0n);
}
