import { sql } from 'kysely';
import { assignmentsOf, rowsOf, whileRun, type Words } from './database.ts';

const UNIQUE_TAKEN = new Set([1555 /* primary key */, 2067 /* unique */]);

/** One process writes, one statement after the other: what a statement reads of the fence holds until it ends. */
export const SQLITE_WORDS: Words = {
  fencedUpdate: (table, term, set, where) => sql`
    update ${sql.table(table)} set ${assignmentsOf(set)}
    where ${where} and exists (select 1 from fence where fence.id = 1 and fence.term = ${term})`,

  fencedInsert(table, term, rows, key, replace, guard) {
    const columns = Object.keys(rows[0] ?? {});
    const updates = replace.map((column) => sql`${sql.ref(column)} = excluded.${sql.ref(column)}`);
    return sql`
      insert into ${sql.table(table)} (${sql.join(columns.map((c) => sql.ref(c)))})
      select ${sql.join(columns.map((c) => sql.ref(`batch.${c}`)))} from ${rowsOf(rows)} batch
      join fence on fence.id = 1 and fence.term = ${term} ${whileRun(guard)} where true
      on conflict (${sql.join(key.map((c) => sql.ref(c)))}) do update set ${sql.join(updates)}`;
  },

  shareLock: sql``,
  updateLock: sql``,
  isDuplicate: (error) => error instanceof Error && 'errcode' in error && UNIQUE_TAKEN.has(Number(error.errcode)),
};
