import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe } from 'vitest';
import { SILENT } from '../../src/lib/log.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { taskStoreConformance, type StoreUnderTest } from '../conformance/task-store.ts';

async function open(): Promise<StoreUnderTest> {
  const folder = await mkdtemp(path.join(tmpdir(), 'gostress-store-'));
  const store = openSqliteStore({ folder, log: SILENT });
  await store.migrate();
  const person = new DatabaseSync(path.join(folder, 'gostress.sqlite'), { timeout: 10_000 });
  return {
    store,
    other: store,
    // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is a rejection
    async execute(sql) {
      const statement = person.prepare(sql);
      statement.setReadBigInts(true);
      return statement.all();
    },
    setNextId(table, id) {
      person.exec(`DELETE FROM sqlite_sequence WHERE name = '${table}'`);
      person.exec(`INSERT INTO sqlite_sequence (name, seq) VALUES ('${table}', ${id - 1n})`);
      return Promise.resolve();
    },
    async [Symbol.asyncDispose]() {
      person.close();
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

describe('the store on SQLite', () => {
  taskStoreConformance(open);
});
