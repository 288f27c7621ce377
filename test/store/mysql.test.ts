import { afterAll, beforeAll, describe } from 'vitest';
import { SILENT } from '../../src/lib/log.ts';
import { openMysqlStore } from '../../src/store/mysql.ts';
import { taskStoreConformance, type StoreUnderTest } from '../conformance/task-store.ts';
import { MARIADB_MISSING, MARIADB_START_MS, startMariadb, type Mariadb } from '../support/mariadb.ts';

/** The machine may be busy: what is asked here is never how fast. */
const timeouts = { callMs: 30_000, raiseMs: 30_000 };

let mariadb: Mariadb;
let databases = 0;

async function open(): Promise<StoreUnderTest> {
  const name = `conformance_${++databases}`;
  const url = await mariadb.createDatabase(name);
  const [store, other] = ['conformance', 'conformance'].map((cluster) =>
    openMysqlStore({ url, cluster, log: SILENT, timeouts }),
  );
  await store!.migrate();
  const person = await mariadb.connect(name);
  return {
    store: store!,
    other: other!,
    async execute(sql) {
      return (await person.query(sql))[0] as Record<string, unknown>[];
    },
    async setNextId(table, id) {
      await person.query(`ALTER TABLE ${table} AUTO_INCREMENT = ${id}`);
    },
    async [Symbol.asyncDispose]() {
      await person.end();
      await store!.close();
      await other!.close();
      await mariadb.query(`drop database ${name}`);
    },
  };
}

describe.skipIf(MARIADB_MISSING !== null)(
  `the store on MariaDB${MARIADB_MISSING === null ? '' : `: skipped, needs ${MARIADB_MISSING}`}`,
  () => {
    beforeAll(async () => {
      mariadb = await startMariadb();
    }, MARIADB_START_MS);
    afterAll(() => mariadb[Symbol.asyncDispose]());

    taskStoreConformance(open);
  },
);
