/** What only a server of its own can do to a store: freeze, fall, kill connections, hold rows. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Connection } from 'mysql2/promise';
import { SILENT } from '../../src/lib/log.ts';
import { openMysqlStore, type MysqlStoreOptions } from '../../src/store/mysql.ts';
import type { Store } from '../../src/store/store.ts';
import { DEFAULT_PLACEMENT, type RunRecord } from '../../src/stress/ports.ts';
import { assignmentOf, preparedTask, sampleRecord, seqs, startedRun } from '../support/store-records.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_MISSING, MARIADB_START_MS, startMariadb, type Mariadb } from '../support/mariadb.ts';

const title = MARIADB_MISSING === null ? '' : ` (skipped: it needs ${MARIADB_MISSING})`;
const NEXT = { nodeId: 'b', incarnation: 2 };
/** Waits for a row for as long as a test may take. */
const PATIENT = { callMs: 50_000, lockWaitMs: 50_000 };
/** A call ends within its deadline and what a busy machine adds. */
const SLACK_MS = 8000;

describe.skipIf(MARIADB_MISSING !== null)(`the store on a MariaDB in trouble${title}`, () => {
  let mariadb: Mariadb;
  let url: string;
  let database: string;
  let databases = 0;
  const stores: Store[] = [];
  const open = (options: Partial<MysqlStoreOptions> = {}): Store => {
    const store = openMysqlStore({ url, cluster: 'faults', log: SILENT, ...options });
    stores.push(store);
    return store;
  };
  beforeAll(async () => {
    mariadb = await startMariadb();
  }, MARIADB_START_MS);
  afterAll(() => mariadb[Symbol.asyncDispose]());
  beforeEach(async () => {
    database = `faults_${++databases}`;
    url = await mariadb.createDatabase(database);
    await open().migrate();
  });
  afterEach(async () => {
    mariadb.thaw();
    for (const store of stores.splice(0)) await store.close();
  });

  /** The store's own connections, as the server counts them. */
  const connections = async (): Promise<bigint[]> => {
    const rows = await mariadb.query(
      `select id from information_schema.processlist where db = '${database}' and user = 'gostress'`,
    );
    return rows.map(({ id }) => BigInt(id as number));
  };
  const locksWaitedFor = async (): Promise<number> => {
    const [row] = await mariadb.query(`show global status like 'Innodb_row_lock_current_waits'`);
    return Number(row?.['Value']);
  };

  describe('frozen', () => {
    test('every call ends by its deadline, which the wait for a connection is part of, and all is well after it', async () => {
      const store = open({ timeouts: { callMs: 1000, raiseMs: 1000 } });
      const run = await startedRun(store);
      mariadb.freeze();
      const started = performance.now();
      // More calls than there are connections.
      const calls: Promise<unknown>[] = Array.from({ length: 40 }, () => store.tasks.activeRuns());
      calls.push(
        store.fence.read(),
        store.fence.raise(2, NEXT),
        store.tasks.putSamples(1, seqs(run, 1, 2)),
        store.tasks.updateRun(1, run, { state: 'ASSIGNING' }),
        store.tasks.createTask(run.task, run.placement, { id: 'x', digest: 'y' }),
        store.tasks.takeUpRequests(1),
        open({ timeouts: { callMs: 1000 } }).tasks.activeRuns(),
      );
      const settled = await Promise.allSettled(calls);
      expect(performance.now() - started).toBeLessThan(1000 + SLACK_MS);
      for (const one of settled) {
        expect(one).toMatchObject({
          status: 'rejected',
          reason: {
            code: 'UNAVAILABLE',
            message: expect.stringMatching(/^MySQL does not answer within 1 s: \w+/) as string,
          },
        });
      }
      mariadb.thaw();
      await eventually(async () => expect(await store.fence.read()).toMatchObject({}));
      await eventually(async () => expect(await store.tasks.activeRuns()).toHaveLength(1));
      // What became of the writes is unknown; the resend is harmless.
      const { term } = await store.fence.read();
      expect(await store.tasks.putSamples(term, seqs(run, 1, 2))).toEqual({ written: 'written', conflicts: [] });
      expect(await store.tasks.samples(run.id, 0, 9)).toHaveLength(2);
    });

    test('connections of calls that timed out are not used again', async () => {
      const store = open({ timeouts: { callMs: 1000, raiseMs: 1000 } });
      await Promise.all(Array.from({ length: 8 }, () => store.tasks.activeRuns()));
      const before = await connections();
      mariadb.freeze();
      await expect(store.tasks.activeRuns()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      mariadb.thaw();
      await eventually(async () => expect(await store.tasks.activeRuns()).toEqual([]));
      await eventually(async () => {
        const left = (await connections()).filter((id) => before.includes(id));
        // Those of the store that has migrated, which had no trouble.
        expect(left.length).toBeLessThanOrEqual(1);
      });
    });

    test('a statement that takes too long does not delay the next call', async () => {
      const store = open({ timeouts: { callMs: 1500 } });
      const run = await startedRun(store);
      const person = await mariadb.connect(database);
      // Rows that are locked cost 1 s; a table that is locked costs more than the deadline.
      await person.query('lock tables run write');
      await expect(store.tasks.updateRun(1, run, { state: 'ASSIGNING' })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      });
      expect(await store.fence.read()).toMatchObject({ term: 1 });
      expect(await store.tasks.events({ after: null, limit: 1 })).toEqual([]);
      await person.end();
      await eventually(async () => expect(await store.tasks.activeRuns()).toHaveLength(1));
    });
  });

  test('connections that the server kills are replaced', async () => {
    const store = open({ timeouts: { callMs: 30_000 } });
    const run = await startedRun(store);
    for (let round = 0; round < 3; round++) {
      for (const id of await connections()) await mariadb.query(`kill connection ${id}`);
      // The first call may meet a connection that is just going.
      await eventually(async () => expect(await store.tasks.getRun(run.taskId, 1)).toEqual(run));
    }
    const killed = Promise.allSettled(
      Array.from({ length: 30 }, (_, i) => store.tasks.putSamples(1, seqs(run, 1, i + 1))),
    );
    for (const id of await connections()) await mariadb.query(`kill connection ${id}`).catch(() => undefined);
    for (const one of await killed) {
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'UNAVAILABLE' });
    }
    await eventually(async () =>
      expect(await store.tasks.putSamples(1, seqs(run, 1, 30))).toEqual({ written: 'written', conflicts: [] }),
    );
    expect(await store.tasks.samples(run.id, 0, 99)).toHaveLength(30);
  });

  test(
    'a server that was killed and started again is found again, with everything acknowledged',
    async () => {
      const store = open({ timeouts: { callMs: 10_000 } });
      const run = await startedRun(store);
      expect(await store.tasks.putSamples(1, seqs(run, 1, 100))).toMatchObject({ written: 'written' });
      await mariadb.kill();
      await expect(store.tasks.activeRuns()).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/^MySQL cannot read the active runs: /) as string,
      });
      await mariadb.start();
      expect(await store.fence.read()).toMatchObject({ term: 1 });
      expect(await store.tasks.samples(run.id, 0, 200)).toHaveLength(100);
    },
    MARIADB_START_MS,
  );

  describe('a stale write that meets a raise under way', () => {
    /** A raise by hand that is not yet committed. */
    async function raising(): Promise<Connection> {
      const person = await mariadb.connect(database);
      await person.query('begin');
      await person.query(`update fence set term = 2, holder = 'b', incarnation = 1 where id = 1 and term < 2`);
      return person;
    }

    const writes: Record<string, (store: Store, run: RunRecord) => Promise<unknown>> = {
      'a transition': (store, run) => store.tasks.updateRun(1, run, { state: 'ASSIGNING' }),
      'new samples': async (store, run) => (await store.tasks.putSamples(1, seqs(run, 2, 4))).written,
      'a repeated sample': async (store, run) => (await store.tasks.putSamples(1, [sampleRecord(run, 1)])).written,
      'a changed assignment': (store, run) => store.tasks.putAssignments(1, run, [assignmentOf(run, { version: 2 })]),
      'a new assignment': (store, run) => store.tasks.putAssignments(1, run, [assignmentOf(run, { number: 2 })]),
    };
    for (const [name, write] of Object.entries(writes)) {
      test(`${name}: waits for it, and then changes nothing`, async () => {
        const store = open({ timeouts: PATIENT });
        const run = await startedRun(store);
        await store.tasks.putAssignments(1, run, [assignmentOf(run)]);
        await store.tasks.putSamples(1, [sampleRecord(run, 1)]);
        const person = await raising();
        const writing = write(store, run);
        await eventually(async () => expect(await locksWaitedFor()).toBe(1));
        await person.query('commit');
        await person.end();
        expect(await writing).toBe('fenced');
        expect(await store.tasks.getRun(run.taskId, 1)).toEqual(run);
        expect(await store.tasks.assignments(run.id)).toEqual([assignmentOf(run)]);
        expect(await store.tasks.samples(run.id, 0, 9)).toHaveLength(1);
      });
    }

    test('a start by hand: waits for it, and then makes no run', async () => {
      const store = open({ timeouts: PATIENT });
      await store.fence.raise(1, NEXT);
      const { id } = await store.tasks.createTask(await preparedTask(), DEFAULT_PLACEMENT, null);
      await mariadb.query(`update ${database}.task set start_requested = 2, start_number = 1 where id = ${id}`);
      const person = await raising();
      const writing = store.tasks.takeUpRequests(1);
      await eventually(async () => expect(await locksWaitedFor()).toBe(1));
      await person.query('commit');
      await person.end();
      expect(await writing).toBe(0);
      expect(await store.tasks.activeRuns()).toEqual([]);
    });
  });

  test('the version of a run is raised after assignments that were given up and still wait, and they change nothing later', async () => {
    const store = open({ timeouts: PATIENT });
    const run = await startedRun(store);
    await store.tasks.putAssignments(1, run, [assignmentOf(run)]);
    const person = await mariadb.connect(database);
    await person.query('begin');
    await person.query(`select * from assignment where run_id = ${run.id} for update`);
    const late = assignmentOf(run, { version: 2 });
    const hasty = open({ timeouts: { ...PATIENT, callMs: 1_000 } });
    await expect(hasty.tasks.putAssignments(1, run, [late])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const raising = store.tasks.updateRun(1, run, {});
    await eventually(async () => expect(await locksWaitedFor()).toBe(2));
    await person.query('commit');
    await person.end();
    expect(await raising).toBe('written');
    expect(await store.tasks.assignments(run.id)).toEqual([late]);
    expect(await store.tasks.putAssignments(1, run, [assignmentOf(run)])).toBe('changed');
  });

  test("a raise kills the former master's writers when one of them holds the fence's row", async () => {
    const former = open({ timeouts: PATIENT });
    const run = await startedRun(former);
    await former.tasks.putSamples(1, seqs(run, 1, 1));
    const ours = await connections();
    const bystander = open();
    await bystander.tasks.activeRuns();
    const theirs = (await connections()).filter((id) => !ours.includes(id));
    const person = await mariadb.connect(database);
    await person.query('begin');
    await person.query(`select * from sample where run_id = ${run.id} for update`);
    // It has read the fence with a lock and waits for the sample's row, longer than a raise would.
    const stale = former.tasks.putSamples(1, seqs(run, 1, 2));
    stale.catch(() => undefined);
    await eventually(async () => expect(await locksWaitedFor()).toBe(1));
    const next = open({ timeouts: { callMs: 30_000, raiseMs: 30_000 } });
    expect(await next.fence.raise(2, NEXT)).toBe(true);
    await person.query('commit');
    await person.end();
    await expect(stale).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await next.fence.read()).toEqual({ term: 2, holder: NEXT });
    expect(await next.tasks.samples(run.id, 0, 9)).toHaveLength(1);
    // Others keep their connections.
    const after = await connections();
    expect(theirs.length).toBeGreaterThan(0);
    expect(theirs.filter((id) => !after.includes(id))).toEqual([]);
    expect(await former.tasks.updateRun(1, run, { state: 'ASSIGNING' })).toBe('fenced');
  });

  test('a raise that a stranger keeps from the row fails and says so, and later works', async () => {
    const store = open({ timeouts: { raiseMs: 30_000 } });
    const person = await mariadb.connect(database);
    await person.query('begin');
    await person.query('select * from fence for update');
    await expect(store.fence.raise(1, NEXT)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/^MySQL cannot raise the fence: Lock wait timeout/) as string,
    });
    await person.end();
    await eventually(async () => expect(await store.fence.raise(1, NEXT)).toBe(true));
  });

  test('eight nodes that migrate an empty database at once do it once', async () => {
    const name = `${database}_empty`;
    const empty = await mariadb.createDatabase(name);
    const nodes = Array.from({ length: 8 }, () => open({ url: empty, timeouts: { migrateMs: 60_000 } }));
    const names = await Promise.all(nodes.map((node) => node.migrate()));
    expect(names.flat()).toEqual(['0001-first', '0002-lost-by']);
    expect(await nodes[0]!.fence.read()).toEqual({ term: 0, holder: null });
  });

  test('a migration that was killed half way is finished by the next', async () => {
    const name = `${database}_half`;
    const half = await mariadb.createDatabase(name);
    await open({ url: half }).migrate();
    await mariadb.query(`delete from ${name}.kysely_migration`);
    await mariadb.query(`drop table ${name}.leftover`);
    await mariadb.query(`delete from ${name}.fence`);
    const node = open({ url: half });
    expect(await node.migrate()).toEqual(['0001-first', '0002-lost-by']);
    expect(await node.fence.read()).toEqual({ term: 0, holder: null });
    expect(await node.tasks.takeUpRequests(1)).toBe(0);
  });

  test('a database of a newer version is left alone', async () => {
    await mariadb.query(`insert into ${database}.kysely_migration values ('9999-later', '2030-01-01T00:00:00.000Z')`);
    await expect(open().migrate()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/^the database is of another GoStress version: .*9999-later/) as string,
    });
  });

  test('what an operator can mend is told as what to do', async () => {
    const empty = await mariadb.createDatabase(`${database}_bare`);
    await expect(open({ url: empty }).fence.read()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(
        /^MySQL cannot read the fence: .*doesn't exist; run `gostress migrate` first$/,
      ) as string,
    });
    await expect(open({ url: mariadb.url('nowhere') }).fence.read()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('CREATE DATABASE') as string,
    });
    const wrong = mariadb.url(database).replace(/:[^:@]*@/, ':secret-guess@');
    const denied = await open({ url: wrong })
      .fence.read()
      .catch((error: unknown) => error);
    expect(denied).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/Access denied/) as string });
    expect(String(denied)).not.toContain('secret-guess');
    const gone = open({ url: 'mysql://u:p@127.0.0.1:1/gostress' });
    await expect(gone.fence.read()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'MySQL cannot read the fence: connect ECONNREFUSED 127.0.0.1:1',
    });
  });

  test('a Unix socket works too', async () => {
    const socket = encodeURIComponent(mariadb.socketPath);
    const store = open({ url: `${mariadb.url(database)}?socketPath=${socket}` });
    expect(await store.fence.read()).toMatchObject({ term: 0 });
  });

  test('errors carry no statement: its values may be secrets', async () => {
    const store = open();
    await mariadb.query(`drop table ${database}.task`);
    const task = await preparedTask({
      request: { url: 'http://127.0.0.1/', headers: [{ name: 'Authorization', value: 'Bearer t0ps3cret' }] },
    });
    const error = (await store.tasks
      .createTask(task, DEFAULT_PLACEMENT, null)
      .catch((error: unknown) => error)) as Error;
    expect(error.message).toContain('gostress migrate');
    expect(JSON.stringify([error, error.cause, Object.entries(error.cause as object)])).not.toContain('t0ps3cret');
  });
});

describe.skipIf(MARIADB_MISSING !== null)(`large bodies in MariaDB${title}`, () => {
  test(
    'beyond max_allowed_packet are refused with the name of the setting',
    async () => {
      await using mariadb = await startMariadb(['--max-allowed-packet=16M']);
      const store = openMysqlStore({ url: await mariadb.createDatabase('large'), cluster: 'large', log: SILENT });
      await store.migrate();
      const body = Buffer.alloc(15 * 1024 * 1024, 0xff);
      const { id } = await store.tasks.createTask(await fileTask(body), DEFAULT_PLACEMENT, null);
      expect(Buffer.compare((await store.tasks.getTask(id))!.task.body!, body)).toBe(0);
      await expect(
        store.tasks.createTask(await fileTask(Buffer.alloc(17 * 1024 * 1024)), DEFAULT_PLACEMENT, null),
      ).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining('raise max_allowed_packet of the server') as string,
      });
      await store.close();
    },
    MARIADB_START_MS,
  );

  test(
    'of 64 MiB are stored and copied into runs',
    async () => {
      await using mariadb = await startMariadb(['--max-allowed-packet=192M']);
      const timeouts = { callMs: 60_000 };
      const store = openMysqlStore({
        url: await mariadb.createDatabase('large'),
        cluster: 'large',
        log: SILENT,
        timeouts,
      });
      await store.migrate();
      const body = Buffer.alloc(64 * 1024 * 1024, 'any bytes \u0000 é');
      const { id } = await store.tasks.createTask(await fileTask(body), DEFAULT_PLACEMENT, null);
      const { run } = (await store.tasks.startRun(id, null))!;
      expect(Buffer.compare(run.task.body!, body)).toBe(0);
      const inSpec = await preparedTask({
        request: { url: 'http://127.0.0.1/', body: { base64: body.toString('base64') } },
      });
      const { id: second } = await store.tasks.createTask(inSpec, DEFAULT_PLACEMENT, null);
      expect(Buffer.compare((await store.tasks.getTask(second))!.task.body!, body)).toBe(0);
      await store.close();
    },
    MARIADB_START_MS,
  );
});

/** A task whose spec names a file, with what was in it. */
async function fileTask(body: Uint8Array) {
  const { spec, tls } = await preparedTask();
  const request = { ...spec.request, method: 'POST', body: { kind: 'file' as const, path: 'body.bin' } };
  return { spec: { ...spec, request }, body, tls };
}
