import { MysqlAdapter, sql, type Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { CodedError, errorMessage } from '../lib/errors.ts';
import { FIRST_MYSQL } from './ddl-mysql.ts';
import { FIRST_SQLITE } from './ddl-sqlite.ts';
import { ER, errnoOf } from './mysql-errors.ts';
import type { Db } from './tables.ts';

/** A node waits so long for the one that migrates, s. */
const LOCK_WAIT_S = 45;

/** In the order of their names; what was published is never changed. There is no way down: restore a backup. */
const MIGRATIONS: Readonly<Record<string, Readonly<Record<'mysql' | 'sqlite', readonly string[]>>>> = {
  '0001-first': { mysql: FIRST_MYSQL, sqlite: FIRST_SQLITE },
  '0002-lost-by': {
    mysql: ['alter table assignment add column lost_by_ms bigint null'],
    sqlite: ['alter table assignment add column lost_by_ms integer'],
  },
};

/**
 * Brings the tables up to date. Many nodes may do it at once.
 *
 * @returns the names of the migrations that were done now
 */
export async function migrateToLatest(db: Db, dialect: 'mysql' | 'sqlite'): Promise<string[]> {
  const migrations = Object.entries(MIGRATIONS).map(([name, statements]) => [name, { up: upOf(statements[dialect]) }]);
  const provider = { getMigrations: () => Promise.resolve(Object.fromEntries(migrations)) };
  const { error, results = [] } = await new Migrator({ db, provider }).migrateToLatest();
  if (error instanceof Error && /corrupted migrations/.test(error.message)) {
    // Kysely's word for a database that a newer version has migrated.
    throw new CodedError('FAILED_PRECONDITION', `the database is of another GoStress version: ${errorMessage(error)}`);
  }
  if (error !== undefined) throw error instanceof Error ? error : new Error(errorMessage(error));
  return results.filter(({ status }) => status === 'Success').map(({ migrationName }) => migrationName);
}

function upOf(statements: readonly string[]) {
  return async (db: Kysely<unknown>): Promise<void> => {
    for (const statement of statements) {
      try {
        await sql.raw(statement).execute(db);
      } catch (error) {
        // MySQL commits each statement by itself: a migration that was killed had come further than it is known.
        if (errnoOf(error) !== ER.DUP_FIELDNAME) throw error;
      }
    }
  };
}

/** Kysely's own lock has one name for the whole server, and waits for an hour. */
export class MysqlMigrationAdapter extends MysqlAdapter {
  override async acquireMigrationLock(db: Kysely<unknown>): Promise<void> {
    const { rows } = await sql<{ got: bigint | number | null }>`
      select get_lock(concat('gostress migrate ', left(md5(database()), 16)), ${LOCK_WAIT_S}) as got`.execute(db);
    if (Number(rows[0]?.got) !== 1) throw new CodedError('UNAVAILABLE', 'another node is still migrating the database');
  }

  override async releaseMigrationLock(db: Kysely<unknown>): Promise<void> {
    await sql`select release_lock(concat('gostress migrate ', left(md5(database()), 16)))`.execute(db);
  }
}
