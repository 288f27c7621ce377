import { sql } from 'kysely';
import { assignmentsOf, rowsOf, whileRun, type Words } from './database.ts';
import { ER, errnoOf } from './mysql-errors.ts';

/**
 * Under READ COMMITTED a plain subquery on the fence lets a stale write through; UPDATE … JOIN and a locking read do not:
 * they wait for a raise that is under way and then see it.
 */
export const MYSQL_WORDS: Words = {
  fencedUpdate: (table, term, set, where) => sql`
    update ${sql.table(table)} join fence on fence.id = 1 and fence.term = ${term}
    set ${assignmentsOf(set, table)} where ${where}`,

  fencedInsert(table, term, rows, _key, replace, guard) {
    const columns = Object.keys(rows[0] ?? {});
    const updates = replace.map((column) => sql`${sql.ref(column)} = values(${sql.ref(column)})`);
    return sql`
      insert into ${sql.table(table)} (${sql.join(columns.map((c) => sql.ref(c)))})
      select ${sql.join(columns.map((c) => sql.ref(`batch.${c}`)))} from ${rowsOf(rows)} batch
      join fence on fence.id = 1 and fence.term = ${term} ${whileRun(guard)} lock in share mode
      on duplicate key update ${sql.join(updates)}`;
  },

  shareLock: sql`lock in share mode`,
  updateLock: sql`for update`,
  isDuplicate: (error) => errnoOf(error) === ER.DUP_ENTRY,
};
