import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharesToMessages } from '../../src/rpc/run-codec.ts';
import { startRpcServer } from '../../src/rpc/server.ts';
import { SILENT } from '../../src/lib/log.ts';
import { openMysqlStore } from '../../src/store/mysql.ts';
import type { RunRecord } from '../../src/stress/ports.ts';
import { ApiClient } from '../support/api.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_MISSING, MARIADB_START_MS, startMariadb, type Mariadb } from '../support/mariadb.ts';
import { readmeStatements } from '../support/store-records.ts';
import { FakeCluster, okPerSecond, watchAll } from './support/cluster.ts';

const SQLITE3_MISSING = spawnSync('sqlite3', ['--version']).status === 0 ? null : 'the command sqlite3';

/** What the README says, with nothing but the README's statements. */
async function followReadme(cluster: FakeCluster, execute: (sql: string) => Promise<unknown>): Promise<void> {
  const [insert, rate, stages, pause, stop, again, look] = await readmeStatements();
  await execute(insert!);
  const run = await eventually(() => cluster.api.getRun(1n, 1));
  await cluster.underWay(run);
  expect(cluster.loads()).toEqual(['a 300/600', 'b 300/600']);
  await execute(rate!);
  await eventually(() => expect(cluster.loads()).toEqual(['a 500/1000', 'b 500/1000']));
  await execute(stages!);
  await eventually(() => expect(cluster.loads()).toEqual(['a 1000/2000', 'b 1000/2000']));
  await eventually(async () => {
    // On the ramp from 1000 to 2000, not the target that was wanted before.
    const [now] = (await cluster.api.status()).runs.map(sharesToMessages);
    for (const { target } of now!) expect(target).toSatisfy((rate: number) => rate > 500 && rate < 1000);
  });
  await cluster.reaches(run, 'RUNNING');
  await execute(pause!);
  await cluster.reaches(run, 'PAUSED');
  expect(rateOf(cluster)).toBe(0);
  await execute(pause!.replace('PAUSED', 'RUNNING'));
  await cluster.reaches(run, 'RUNNING');
  expect(rateOf(cluster)).toBe(500);
  await execute(stop!);
  await cluster.reaches(run, 'DONE');
  expect(cluster.workers.flatMap(({ loading }) => loading)).toEqual([]);
  await execute(again!);
  const second = await eventually(() => cluster.api.getRun(1n, 2));
  await cluster.reaches(second, 'RUNNING');
  expect(await execute(look!)).toMatchObject([{ state: 'DONE' }, { state: 'RUNNING' }]);
}

/** Makes two tasks and a run of each through gRPC, the first ids of all being `base`. */
async function callAll(cluster: FakeCluster, base: bigint): Promise<void> {
  const here = { listen: '127.0.0.1:0', nodeId: 'master', master: () => null, log: SILENT };
  const server = await startRpcServer({ ...here, api: () => cluster.api });
  using client = new ApiClient(server.address, ['gostress/v1/task_service.proto', 'gostress/v1/cluster.proto']);
  const task = { request: { url: 'http://127.0.0.1:1/' }, load: { ratePerSecond: 100, duration: { seconds: '60' } } };
  const ids = [base, base + 1n];
  for (const id of ids) {
    const name = `tasks/${id}`;
    expect(await client.call('CreateTask', { task })).toMatchObject({ name, id: String(id) });
    expect(await client.call('StartTask', { name })).toMatchObject({ name: `${name}/runs/1`, id: String(id) });
    await cluster.reaches({ taskId: id, number: 1 }, 'RUNNING');
  }
  const run = `tasks/${base}/runs/1`;
  const isOne = { name: run, id: String(base) };
  expect(await client.call('RetuneRun', { name: run, ratePerSecond: 50 })).toMatchObject({ run: isOne });
  const { runs: active } = await client.call<{ runs: object[] }>('GetCluster');
  expect(active).toMatchObject([{ run: isOne }, { run: { id: String(base + 1n) } }]);
  const first = await client.call<{ runs: object[]; nextPageToken: string }>('ListRuns', { pageSize: 1 });
  expect(first.runs).toMatchObject([{ id: String(base + 1n) }]);
  const second = await client.call('ListRuns', { pageSize: 1, pageToken: first.nextPageToken });
  expect(second).toMatchObject({ runs: [isOne] });
  expect(await client.call('StopRun', { name: run })).toMatchObject(isOne);
  await cluster.reaches({ taskId: base, number: 1 }, 'DONE');
  for await (const update of client.stream('WatchRun', { name: run }, AbortSignal.timeout(20_000))) {
    expect(update).toMatchObject({ run: isOne });
  }
  expect(await client.call('DeleteTask', { name: `tasks/${base}` })).toEqual({});
  expect(await client.call('ListTasks')).toMatchObject({ tasks: [{ id: String(base + 1n) }] });
  await server.close(1_000);
}

/** At the plan's end, of one worker. */
function rateOf(cluster: FakeCluster): number {
  return cluster.worker('a')!.loading[0]!.plan.segments.at(-1)!.to;
}

describe('a master does what a person writes', () => {
  it('into SQLite', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    await followReadme(cluster, (sql) => cluster.byHand(sql));
  });

  // Another SQLite than that of Node.js: Debian's may be older.
  it.skipIf(SQLITE3_MISSING !== null)(
    `with the command sqlite3${SQLITE3_MISSING === null ? '' : `: skipped, needs ${SQLITE3_MISSING}`}`,
    async () => {
      await using cluster = await FakeCluster.start('a', 'b');
      const execute = promisify(execFile);
      await followReadme(cluster, (sql) =>
        eventually(async () => {
          const { stdout } = await execute('sqlite3', ['-json', cluster.databaseFile, sql]);
          return stdout === '' ? [] : (JSON.parse(stdout) as unknown);
        }),
      );
    },
  );

  describe.skipIf(MARIADB_MISSING !== null)(
    `into MariaDB${MARIADB_MISSING === null ? '' : `: skipped, needs ${MARIADB_MISSING}`}`,
    () => {
      let mariadb: Mariadb;
      beforeAll(async () => {
        mariadb = await startMariadb();
      }, MARIADB_START_MS);
      afterAll(() => mariadb[Symbol.asyncDispose]());

      it('with the same statements', async () => {
        const url = await mariadb.createDatabase('by_hand');
        const store = openMysqlStore({ url, cluster: 'by-hand', log: SILENT });
        await store.migrate();
        await using cluster = await FakeCluster.on(store).begin('a', 'b');
        const person = await mariadb.connect('by_hand');
        await followReadme(cluster, async (sql) => (await person.query(sql))[0]);
        await person.end();
      });

      it('and ids beyond 2^53 are exact there too, and in every call of the API', async () => {
        const base = 2n ** 53n + 1n;
        const store = openMysqlStore({
          url: await mariadb.createDatabase('large_ids'),
          cluster: 'large-ids',
          log: SILENT,
        });
        await store.migrate();
        const person = await mariadb.connect('large_ids');
        for (const table of ['task', 'run', 'event'])
          await person.query(`ALTER TABLE ${table} AUTO_INCREMENT = ${base}`);
        await person.end();
        await using cluster = await FakeCluster.on(store).begin('a', 'b');
        await callAll(cluster, base);
      });
    },
  );
});

describe('a row of a run that a person has spoilt', () => {
  it.each([`state = 'WEIRD'`, `applied = '{not'`, `plan = '{not'`])(
    '%s: fails, and other runs go on and begin',
    async (set) => {
      await using cluster = await FakeCluster.start('a', 'b');
      const spoilt = await cluster.start({ rate: 100, duration: '60s' });
      const other = await cluster.start({ rate: 600, duration: '60s' });
      await cluster.reaches(spoilt, 'RUNNING');
      await cluster.reaches(other, 'RUNNING');
      await cluster.byHand(`UPDATE run SET ${set} WHERE id = ${spoilt.id}`);
      const state = `SELECT state FROM run WHERE id = ${spoilt.id}`;
      await eventually(async () => expect(await cluster.byHand(state)).toEqual([{ state: 'FAILED' }]));
      await eventually(() => expect(cluster.loads()).toEqual(['a 300/600', 'b 300/600']));
      await cluster.reaches(await cluster.start({ rate: 10, duration: '60s' }), 'RUNNING');
      expect((await cluster.api.getRun(other.taskId, 1)).state).toBe('RUNNING');
    },
  );
});

describe('ids beyond 2^53', () => {
  it('are exact from the task to the report', async () => {
    const base = 2n ** 53n + 1n;
    await using cluster = await FakeCluster.idle();
    for (const table of ['task', 'run', 'event']) {
      await cluster.byHand(`INSERT INTO sqlite_sequence (name, seq) VALUES ('${table}', ${base - 1n})`);
    }
    await cluster.begin('a', 'b');
    const run: RunRecord = await cluster.start({ rate: 100, duration: '3s' });
    expect([run.id, run.taskId]).toEqual([base, base]);
    const watched = watchAll(cluster.api, run);
    await cluster.reaches(run, 'RUNNING');
    expect(cluster.workers.flatMap(({ loading }) => loading.map(({ runId }) => runId))).toEqual([base, base]);
    await cluster.reaches(run, 'DONE');
    expect(await okPerSecond(cluster.api, run)).toEqual([0, 1, 2].map((second) => [second, 100]));
    expect((await watched).at(-1)!.run.id).toBe(base);
    const events = await cluster.store.tasks.events({ after: base - 1n, limit: 100 });
    expect(events.map(({ subject }) => subject)).toContain(`tasks/${base}/runs/1`);
    expect((await cluster.api.listRuns({ taskId: base, limit: 1, before: null, states: [] })).items[0]!.id).toBe(base);
  });
});
