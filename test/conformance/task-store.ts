import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { DEFAULT_PLACEMENT } from '../../src/stress/ports.ts';
import type { Placement, RunRecord, SampleRecord, Wanted } from '../../src/stress/ports.ts';
import { prepareTask } from '../../src/task/prepare.ts';
import type { PreparedTask, TaskSpec } from '../../src/task/spec.ts';
import { RUN_STATES, type RunState } from '../../src/task/status.ts';
import {
  assignmentOf,
  HOLDER,
  preparedTask,
  readmeStatements,
  sampleRecord,
  seqs,
  startedRun,
} from '../support/store-records.ts';
import { taskArbitrary } from '../support/task-arbitrary.ts';

/** A store on a database of its own, migrated. */
export interface StoreUnderTest extends AsyncDisposable {
  store: Store;
  /** Another process on the same database; where there can be only one, the same store. */
  other: Store;
  /** As a person would, beside the store. Integers are bigint or number. */
  execute(sql: string): Promise<Record<string, unknown>[]>;
  /** The next id that the table gives. */
  setNextId(table: 'task' | 'run' | 'event', id: bigint): Promise<void>;
}

/** Bytes compare by content, whatever class holds them. */
function plain(record: SampleRecord): object {
  return {
    ...record,
    digest: Buffer.from(record.digest).toString('hex'),
    data: Buffer.from(record.data).toString('hex'),
  };
}

/** Through all states to a final one. */
async function end(store: Store, run: RunRecord, state: RunState = 'DONE'): Promise<RunRecord> {
  const path: RunState[] = ['ASSIGNING', 'RUNNING', 'STOPPING', state];
  let current = (await store.tasks.getRun(run.taskId, run.number))!;
  for (const next of path) {
    expect(await store.tasks.updateRun(1, current, { state: next })).toBe('written');
    current = (await store.tasks.getRun(run.taskId, run.number))!;
  }
  return current;
}

const ALL = { limit: 100, before: null, states: [] } as const;
const RUNNING: Omit<Wanted, 'version'> = { state: 'RUNNING', target: null, rampMs: 0, stages: null };

export function taskStoreConformance(open: () => Promise<StoreUnderTest>): void {
  let under: StoreUnderTest;
  let store: Store;
  beforeEach(async () => {
    under = await open();
    store = under.store;
  });
  afterEach(async () => {
    await under[Symbol.asyncDispose]();
  });

  describe('migrations', () => {
    test('run once, however often and by however many nodes', async () => {
      const names = await Promise.all([store, under.other, store, under.other].map((each) => each.migrate()));
      expect(names.flat()).toEqual([]);
      expect(await under.execute('SELECT term FROM fence')).toHaveLength(1);
    });
  });

  describe('the fence', () => {
    test('is 0 at first and only grows', async () => {
      expect(await store.fence.read()).toEqual({ term: 0, holder: null });
      expect(await store.fence.raise(3, HOLDER)).toBe(true);
      expect(await store.fence.read()).toEqual({ term: 3, holder: HOLDER });
      expect(await store.fence.raise(2, { nodeId: 'b', incarnation: 1 })).toBe(false);
      expect(await store.fence.read()).toEqual({ term: 3, holder: HOLDER });
    });

    test('raised again by its holder, whose first answer was lost, is still its own; to another it is not', async () => {
      await store.fence.raise(3, HOLDER);
      expect(await store.fence.raise(3, HOLDER)).toBe(true);
      expect(await under.other.fence.raise(3, { nodeId: 'b', incarnation: 1 })).toBe(false);
      expect(await under.other.fence.raise(3, { ...HOLDER, incarnation: 2 })).toBe(false);
    });

    test('of many that raise it to one term at once, exactly one has it', async () => {
      const nodes = Array.from({ length: 10 }, (_, i) => ({ nodeId: `n${i}`, incarnation: i }));
      const won = await Promise.all(nodes.map((node, i) => (i % 2 === 0 ? store : under.other).fence.raise(7, node)));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect((await store.fence.read()).holder).toEqual(nodes[won.indexOf(true)]);
    });
  });

  describe('tasks', () => {
    test('come back as they were given', { timeout: 240_000 }, async () => {
      const withFiles = fc.record({
        spec: taskArbitrary,
        bytes: fc.uint8Array({ maxLength: 300 }),
        pem: fc.string({ unit: 'binary-ascii', maxLength: 50 }),
      });
      await fc.assert(
        fc.asyncProperty(withFiles, async ({ spec, bytes, pem }) => {
          const task = await withContent(spec, bytes, pem);
          const { id } = await store.tasks.createTask(task, DEFAULT_PLACEMENT, null);
          const found = (await under.other.tasks.getTask(id))!;
          // -0 is no number of JSON.
          expect(found.task.spec).toEqual(JSON.parse(JSON.stringify(task.spec)));
          expect(found.task.tls).toEqual(task.tls);
          expect(hex(found.task.body)).toBe(hex(task.body));
        }),
        { numRuns: 60 },
      );
    });

    test('have a placement, a version, times, and know their runs', async () => {
      const placement: Placement = { strategy: 'even', labels: { zone: 'eu-1' }, maxNodes: 3, moving: 'fast' };
      const before = Date.now();
      const created = await store.tasks.createTask(await preparedTask(), placement, null);
      expect(created).toMatchObject({ placement, version: 1, lastRun: 0, activeRun: null });
      expect(created.createdWallMs).toBeGreaterThanOrEqual(before);
      expect(await under.other.tasks.getTask(created.id)).toEqual(created);
      await store.tasks.startRun(created.id, null);
      expect(await store.tasks.getTask(created.id)).toMatchObject({ lastRun: 1, activeRun: 1, version: 1 });
    });

    test('keep every script, and what looks like SQL', async () => {
      const name = `名前 Ünïcode 👩‍🚀 '); DROP TABLE task; -- \\ "%_`;
      const text = '\u0000\u0001 ключ \ud83d\ude80 \\n \\\' "';
      const task = await preparedTask({ name, request: { url: 'http://127.0.0.1/%00?q=é', body: { text } } });
      const { id } = await store.tasks.createTask(task, { ...DEFAULT_PLACEMENT, labels: { ß: '名' } }, null);
      const found = (await store.tasks.getTask(id))!;
      expect(found.task.spec).toEqual(task.spec);
      expect(hex(found.task.body)).toBe(hex(Buffer.from(text)));
      expect(found.placement.labels).toEqual({ ß: '名' });
    });

    test('refuse a placement that cannot be', async () => {
      const wrong = { ...DEFAULT_PLACEMENT, maxNodes: 0 };
      await expect(store.tasks.createTask(await preparedTask(), wrong, null)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        message: 'maxNodes: expected at least 1, found 0',
      });
    });

    test('are listed newest first, in pages', async () => {
      const ids = await Promise.all(Array.from({ length: 5 }, () => create(store)));
      ids.sort((a, b) => Number(b - a));
      const first = await store.tasks.listTasks({ limit: 2, before: null, states: [] });
      expect(first.items.map(({ id }) => id)).toEqual(ids.slice(0, 2));
      const second = await store.tasks.listTasks({ limit: 3, before: first.next, states: [] });
      expect(second.items.map(({ id }) => id)).toEqual(ids.slice(2));
      expect(second.next).toBeNull();
    });

    test('can be listed by the state of their latest run', async () => {
      const never = await create(store);
      const run = await startedRun(store);
      await end(store, run);
      const again = await startedRun(store);
      await end(store, again, 'DONE_INCOMPLETE');
      await store.tasks.startRun(again.taskId, null);
      const inStates = async (...states: RunState[]) =>
        (await store.tasks.listTasks({ ...ALL, states })).items.map(({ id }) => id);
      expect(await inStates('DONE')).toEqual([run.taskId]);
      expect(await inStates('PENDING', 'DONE')).toEqual([again.taskId, run.taskId]);
      expect(await inStates('DONE_INCOMPLETE')).toEqual([]);
      expect(await inStates(...RUN_STATES)).not.toContain(never);
      expect(await inStates()).toContain(never);
    });

    test('change only from their current version', async () => {
      const id = await create(store);
      const task = await preparedTask({ name: 'changed' });
      const changed = (await store.tasks.updateTask(id, 1, task, { ...DEFAULT_PLACEMENT, maxNodes: 2 }))!;
      expect(changed).toMatchObject({ id, version: 2, placement: { maxNodes: 2 } });
      expect(changed.task.spec.name).toBe('changed');
      expect(await store.tasks.updateTask(id, 1, await preparedTask(), DEFAULT_PLACEMENT)).toBeNull();
      expect(await store.tasks.getTask(id)).toEqual(changed);
      expect(await store.tasks.updateTask(id + 1n, 1, task, DEFAULT_PLACEMENT)).toBeNull();
    });

    test('of many changes from one version, exactly one is made', async () => {
      const id = await create(store);
      const tasks = await Promise.all(Array.from({ length: 8 }, (_, i) => preparedTask({ name: `change ${i}` })));
      const made = await Promise.all(
        tasks.map((task, i) => (i % 2 === 0 ? store : under.other).tasks.updateTask(id, 1, task, DEFAULT_PLACEMENT)),
      );
      expect(made.filter((task) => task !== null)).toHaveLength(1);
    });

    test('are deleted with their history, but not while a run is active, and ids are not used again', async () => {
      const run = await startedRun(store);
      await store.tasks.putAssignments(1, run, [assignmentOf(run)]);
      await store.tasks.putSamples(1, seqs(run, 1, 50));
      expect(await store.tasks.deleteTask(run.taskId)).toEqual({ activeRun: 1 });
      await end(store, run);
      expect(await store.tasks.deleteTask(run.taskId)).toBe('deleted');
      expect(await store.tasks.getTask(run.taskId)).toBeNull();
      expect(await store.tasks.getRun(run.taskId, 1)).toBeNull();
      expect((await store.tasks.listRuns({ ...ALL, taskId: null })).items).toEqual([]);
      await store.tasks.takeUpRequests(1);
      expect(await store.tasks.assignments(run.id)).toEqual([]);
      expect(await store.tasks.samples(run.id, 0, 100)).toEqual([]);
      expect(await under.execute('SELECT * FROM leftover')).toEqual([]);
      expect(await store.tasks.deleteTask(run.taskId)).toBe('absent');
      const next = await startedRun(store);
      expect(next.taskId > run.taskId && next.id > run.id).toBe(true);
    });

    test('a start and a deletion at once: the task is gone or has a run', async () => {
      for (let round = 0; round < 10; round++) {
        const id = await create(store);
        const [started, deleted] = await Promise.all([
          store.tasks.startRun(id, null),
          under.other.tasks.deleteTask(id),
        ]);
        const isGone = deleted === 'deleted';
        expect(started === null).toBe(isGone);
        if (!isGone) expect(deleted).toEqual({ activeRun: 1 });
        expect((await store.tasks.getTask(id)) === null).toBe(isGone);
        expect((await store.tasks.listRuns({ ...ALL, taskId: id })).items).toHaveLength(isGone ? 0 : 1);
      }
    });
  });

  describe('request ids', () => {
    const request = { id: 'r-1', digest: 'one' };

    test('the same content again gives the task of the first time', async () => {
      const task = await preparedTask();
      const first = await store.tasks.createTask(task, DEFAULT_PLACEMENT, request);
      expect(await under.other.tasks.createTask(task, DEFAULT_PLACEMENT, request)).toEqual(first);
      expect((await store.tasks.listTasks(ALL)).items).toHaveLength(1);
    });

    test('another content is refused, and so is another kind of request', async () => {
      const task = await preparedTask();
      const { id } = await store.tasks.createTask(task, DEFAULT_PLACEMENT, request);
      const refused = { code: 'INVALID_INPUT', message: expect.stringContaining('request_id') as string };
      await expect(
        store.tasks.createTask(task, DEFAULT_PLACEMENT, { ...request, digest: 'two' }),
      ).rejects.toMatchObject(refused);
      await expect(store.tasks.startRun(id, request)).rejects.toMatchObject(refused);
      await expect(store.tasks.createTask(task, DEFAULT_PLACEMENT, { ...request, id: '' })).rejects.toMatchObject(
        refused,
      );
      await expect(
        store.tasks.createTask(task, DEFAULT_PLACEMENT, { ...request, id: 'ä'.repeat(128) }),
      ).rejects.toMatchObject(refused);
      expect((await store.tasks.listTasks(ALL)).items).toHaveLength(1);
    });

    test('differ by case and by a space at the end', async () => {
      const task = await preparedTask();
      const ids = ['a', 'A', 'a ', 'ä', 'a\u0308'];
      const made = await Promise.all(
        ids.map((id) => store.tasks.createTask(task, DEFAULT_PLACEMENT, { id, digest: id })),
      );
      expect(new Set(made.map(({ id }) => id)).size).toBe(ids.length);
    });

    test('of many at once with one id, all get the same task', async () => {
      const task = await preparedTask();
      const made = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          (i % 2 === 0 ? store : under.other).tasks.createTask(task, DEFAULT_PLACEMENT, request),
        ),
      );
      expect(new Set(made.map(({ id }) => id)).size).toBe(1);
      expect((await store.tasks.listTasks(ALL)).items).toHaveLength(1);
    });

    test('a start with the same id gives the run of the first time, also when it has ended', async () => {
      const id = await create(store);
      await store.fence.raise(1, HOLDER);
      const first = (await store.tasks.startRun(id, request))!;
      const ended = await end(store, first.run);
      expect(await store.tasks.startRun(id, request)).toEqual({ run: ended, created: true });
      expect(await store.tasks.getTask(id)).toMatchObject({ lastRun: 1 });
    });

    test('a start that an active run has refused is not remembered', async () => {
      const run = await startedRun(store);
      expect(await store.tasks.startRun(run.taskId, request)).toEqual({ run, created: false });
      await end(store, run);
      expect(await store.tasks.startRun(run.taskId, request)).toMatchObject({ run: { number: 2 }, created: true });
    });

    test('are forgotten after 24 h', async () => {
      const task = await preparedTask();
      const first = await store.tasks.createTask(task, DEFAULT_PLACEMENT, request);
      await under.execute(`UPDATE request SET created_ms = created_ms - ${24 * 3_600_000 - 60_000}`);
      expect((await store.tasks.createTask(task, DEFAULT_PLACEMENT, request)).id).toBe(first.id);
      await under.execute(`UPDATE request SET created_ms = created_ms - 60000`);
      expect((await store.tasks.createTask(task, DEFAULT_PLACEMENT, request)).id).not.toBe(first.id);
    });

    test('whose task was deleted say so', async () => {
      const task = await preparedTask();
      const { id } = await store.tasks.createTask(task, DEFAULT_PLACEMENT, request);
      await store.tasks.deleteTask(id);
      await expect(store.tasks.createTask(task, DEFAULT_PLACEMENT, request)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: `tasks/${id}, which this request had made, was deleted`,
      });
    });
  });

  describe('runs', () => {
    test('begin PENDING, with the task as it was', async () => {
      const run = await startedRun(store, { name: 'before' });
      await store.tasks.updateTask(run.taskId, 1, await preparedTask({ name: 'after' }), DEFAULT_PLACEMENT);
      expect(run).toMatchObject({
        number: 1,
        state: 'PENDING',
        reason: '',
        version: 1,
        wanted: { ...RUNNING, version: 1 },
        applied: null,
        plan: null,
        startedWallMs: null,
        endedWallMs: null,
        revision: 0,
      });
      const found = (await under.other.tasks.getRun(run.taskId, 1))!;
      expect(found).toEqual(run);
      expect(found.task.spec.name).toBe('before');
      expect(await store.tasks.getRun(run.taskId, 2)).toBeNull();
      expect(await store.tasks.startRun(run.taskId + 1n, null)).toBeNull();
    });

    test('of one task there is one active at a time, and the next gets the next number', async () => {
      const run = await startedRun(store);
      expect(await store.tasks.startRun(run.taskId, null)).toEqual({ run, created: false });
      await end(store, run);
      expect(await store.tasks.startRun(run.taskId, null)).toMatchObject({ run: { number: 2 }, created: true });
    });

    test('of many starts at once exactly one makes a run, and the others get it', async () => {
      const id = await create(store);
      const started = await Promise.all(
        Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? store : under.other).tasks.startRun(id, null)),
      );
      expect(started.filter((start) => start?.created === true)).toHaveLength(1);
      expect(new Set(started.map((start) => start?.run.id)).size).toBe(1);
    });

    test('are listed newest first, of one task or all, by state, in pages', async () => {
      const a = await startedRun(store);
      await end(store, a);
      const b = await startedRun(store);
      const a2 = (await store.tasks.startRun(a.taskId, null))!.run;
      const list = async (options: Partial<Parameters<Store['tasks']['listRuns']>[0]>) =>
        (await store.tasks.listRuns({ ...ALL, taskId: null, ...options })).items.map(({ id }) => id);
      expect(await list({})).toEqual([a2.id, b.id, a.id]);
      expect(await list({ taskId: a.taskId })).toEqual([a2.id, a.id]);
      expect(await list({ states: ['DONE'] })).toEqual([a.id]);
      expect(await list({ before: a2.id, limit: 1 })).toEqual([b.id]);
      expect((await store.tasks.listRuns({ ...ALL, taskId: null, limit: 2 })).next).toBe(b.id);
      expect((await store.tasks.activeRuns()).map(({ id }) => id)).toEqual([b.id, a2.id]);
    });

    test('change only from the state and the version that the master has seen', async () => {
      const run = await startedRun(store);
      const change = { state: 'FAILED' as const, reason: 'no worker', endedWallMs: 1_750_000_000_001.4 };
      expect(await store.tasks.updateRun(1, { ...run, version: 2 }, change)).toBe('changed');
      expect(await store.tasks.updateRun(1, { ...run, state: 'ASSIGNING' }, change)).toBe('changed');
      expect(await store.tasks.updateRun(1, { ...run, id: run.id + 1n }, change)).toBe('changed');
      expect(await store.tasks.getRun(run.taskId, 1)).toEqual(run);
      expect(await store.tasks.updateRun(1, run, change)).toBe('written');
      const failed = await store.tasks.getRun(run.taskId, 1);
      expect(failed).toMatchObject({
        state: 'FAILED',
        reason: 'no worker',
        endedWallMs: 1_750_000_000_001,
        version: 2,
      });
      expect(await store.tasks.updateRun(1, run, change)).toBe('changed');
    });

    test('of many changes from one version exactly one is made', async () => {
      const run = await startedRun(store);
      const written = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          (i % 2 === 0 ? store : under.other).tasks.updateRun(1, run, { state: 'ASSIGNING', reason: `${i}` }),
        ),
      );
      expect(written.toSorted()).toEqual([...Array<string>(9).fill('changed'), 'written']);
    });

    test('refuse a state that may not follow', async () => {
      const run = await startedRun(store);
      await expect(store.tasks.updateRun(1, run, { state: 'DONE' })).rejects.toThrow(
        'run: expected a state that may follow PENDING, found DONE',
      );
    });

    test('get a new revision each time, once they have ended', async () => {
      const run = await startedRun(store);
      expect(await store.tasks.reviseRun(1, run.id)).toBe('changed');
      const ended = await end(store, run, 'DONE_INCOMPLETE');
      expect(await store.tasks.reviseRun(1, run.id)).toBe('written');
      expect(await under.other.tasks.reviseRun(1, run.id)).toBe('written');
      const revised = await store.tasks.getRun(run.taskId, 1);
      expect(revised).toEqual({ ...ended, revision: ended.revision + 2, version: ended.version + 2 });
      expect(await store.tasks.reviseRun(1, run.id + 1n)).toBe('changed');
    });

    test('keep plan and applied wish exactly, an endless plan too', async () => {
      const run = await startedRun(store);
      const stages = [{ durationMs: 1.5, target: 0.1 + 0.2, shape: 'ramp' as const }];
      const applied: Wanted = { state: 'PAUSED', target: 1 / 3, rampMs: 250, stages, version: 4 };
      const plan = { model: 'open' as const, segments: [{ startMs: 0, endMs: Infinity, from: 0.1, to: 0.1 }] };
      await store.tasks.updateRun(1, run, { applied, plan, startedWallMs: 1_750_000_000_000, revision: 3 });
      const found = await under.other.tasks.getRun(run.taskId, 1);
      expect(found).toMatchObject({ applied, plan, startedWallMs: 1_750_000_000_000, revision: 3, state: 'PENDING' });
    });
  });

  describe('what is wanted of a run', () => {
    test('changes with its own version', async () => {
      const run = await startedRun(store);
      const wanted = { ...RUNNING, target: 1000.5, rampMs: 5000 };
      const changed = (await store.tasks.setWanted(run.id, wanted, null))!;
      expect(changed).toEqual({ ...run, wanted: { ...wanted, version: 2 } });
      expect(await store.tasks.setWanted(run.id, RUNNING, 1)).toBeNull();
      const stages = [
        { durationMs: 1500, target: 3, shape: 'ramp' as const },
        { durationMs: 0.25, target: 4, shape: 'constant' as const },
      ];
      expect((await under.other.tasks.setWanted(run.id, { ...RUNNING, stages }, 2))?.wanted).toEqual({
        ...RUNNING,
        stages,
        version: 3,
      });
    });

    test('cannot be what no task may be', async () => {
      const run = await startedRun(store, { load: { users: 5, duration: '10s' } });
      await expect(store.tasks.setWanted(run.id, { ...RUNNING, target: 2.5 }, null)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        message: 'wanted_target: expected a whole number of users, found 2.5',
      });
      const stages = [{ durationMs: 1000, target: 20_000_000, shape: 'constant' as const }];
      await expect(store.tasks.setWanted(run.id, { ...RUNNING, stages }, null)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
      });
      expect(await store.tasks.getRun(run.taskId, 1)).toEqual(run);
    });

    test('a stop is not taken back, and a run that has ended wants nothing', async () => {
      const run = await startedRun(store);
      expect((await store.tasks.setWanted(run.id, { ...RUNNING, state: 'STOPPED' }, null))?.wanted.state).toBe(
        'STOPPED',
      );
      expect(await store.tasks.setWanted(run.id, { ...RUNNING, target: 5 }, null)).toBeNull();
      expect(await store.tasks.setWanted(run.id, { ...RUNNING, state: 'PAUSED' }, null)).toBeNull();
      expect((await store.tasks.setWanted(run.id, { ...RUNNING, state: 'STOPPED' }, null))?.wanted.version).toBe(3);
      await end(store, run);
      expect(await store.tasks.setWanted(run.id, { ...RUNNING, state: 'STOPPED' }, null)).toBeNull();
    });
  });

  describe('assignments', () => {
    test('are replaced by their number', async () => {
      const run = await startedRun(store);
      const [a, b] = [assignmentOf(run, { hits: 10 }), assignmentOf(run, { number: 2, nodeId: 'wörker 2' })];
      expect(await store.tasks.putAssignments(1, run, [b, a])).toBe('written');
      expect(await under.other.tasks.assignments(run.id)).toEqual([a, b]);
      const changed = { ...a, version: 2, epoch: 5, state: 'LOST' as const, finalSeq: 77, hits: null, lostByMs: 7_400 };
      const next = assignmentOf(run, { number: 3, share: { weight: 301, of: 1000, phase: 602 } });
      expect(await store.tasks.putAssignments(1, run, [changed, next])).toBe('written');
      expect(await store.tasks.putAssignments(1, run, [changed])).toBe('written');
      expect(await store.tasks.putAssignments(1, run, [])).toBe('written');
      expect(await store.tasks.assignments(run.id)).toEqual([changed, b, next]);
    });

    test('are not written when their run has changed meanwhile, also not by a statement that comes late', async () => {
      const run = await startedRun(store);
      const [first, late] = [assignmentOf(run), assignmentOf(run, { version: 2, state: 'LOST' as const })];
      expect(await store.tasks.putAssignments(1, run, [first])).toBe('written');
      expect(await store.tasks.updateRun(1, run, {})).toBe('written');
      expect(await store.tasks.putAssignments(1, run, [late])).toBe('changed');
      expect(await store.tasks.putAssignments(1, run, [late, assignmentOf(run, { number: 2 })])).toBe('changed');
      expect(await store.tasks.putAssignments(1, { id: run.id, version: null }, [late])).toBe('changed');
      expect(await store.tasks.assignments(run.id)).toEqual([first]);
      expect(await store.tasks.putAssignments(1, { id: run.id, version: run.version + 1 }, [late])).toBe('written');
      expect(await store.tasks.assignments(run.id)).toEqual([late]);
    });

    test('of a run that is over are written whatever its version', async () => {
      const run = await startedRun(store);
      await end(store, run);
      const late = assignmentOf(run, { state: 'LOST', finalSeq: 7 });
      expect(await store.tasks.reviseRun(1, run.id)).toBe('written');
      expect(await store.tasks.putAssignments(1, { id: run.id, version: null }, [late])).toBe('written');
      expect(await store.tasks.assignments(run.id)).toEqual([late]);
    });

    test('can be a thousand', async () => {
      const run = await startedRun(store);
      const many = Array.from({ length: 1000 }, (_, i) => assignmentOf(run, { number: i + 1, nodeId: `w${i}` }));
      expect(await store.tasks.putAssignments(1, run, many)).toBe('written');
      expect(await store.tasks.assignments(run.id)).toEqual(many);
    });
  });

  describe('samples', () => {
    test('are stored once, however often and however mixed they are sent', async () => {
      const run = await startedRun(store);
      expect(await store.tasks.putSamples(1, seqs(run, 1, 3))).toEqual({ written: 'written', conflicts: [] });
      expect(await store.tasks.putSamples(1, seqs(run, 1, 3))).toEqual({ written: 'written', conflicts: [] });
      expect(await store.tasks.putSamples(1, seqs(run, 2, 6))).toEqual({ written: 'written', conflicts: [] });
      expect(await store.tasks.putSamples(1, [...seqs(run, 6, 7), ...seqs(run, 6, 7)])).toEqual({
        written: 'written',
        conflicts: [],
      });
      expect(await store.tasks.putSamples(1, [])).toEqual({ written: 'written', conflicts: [] });
      expect((await store.tasks.samples(run.id, 0, 100)).map(plain)).toEqual(seqs(run, 1, 7).map(plain));
      expect(await store.tasks.events({ after: 0n, limit: 10 })).toEqual([]);
    });

    test('of many senders at once are stored once each', async () => {
      const run = await startedRun(store);
      const batches = Array.from({ length: 12 }, (_, i) => seqs(run, 1 + (i % 4) * 5, 12 + (i % 4) * 5));
      const put = await Promise.all(
        batches.map((batch, i) => (i % 2 === 0 ? store : under.other).tasks.putSamples(1, batch)),
      );
      for (const one of put) expect(one).toEqual({ written: 'written', conflicts: [] });
      expect((await store.tasks.samples(run.id, 0, 100)).map(plain)).toEqual(seqs(run, 1, 27).map(plain));
    });

    test('another content under the same key is told, recorded and not added', async () => {
      const run = await startedRun(store);
      await store.tasks.putSamples(1, seqs(run, 1, 3));
      const other = sampleRecord(run, 2, { data: Buffer.from('other') });
      const put = await store.tasks.putSamples(1, [...seqs(run, 1, 1), other, ...seqs(run, 3, 4)]);
      expect(put).toEqual({ written: 'written', conflicts: [other] });
      expect((await store.tasks.samples(run.id, 0, 100)).map(plain)).toEqual(seqs(run, 1, 4).map(plain));
      const [event] = await store.tasks.events({ after: 0n, limit: 10 });
      expect(event).toMatchObject({ kind: 'sample.conflict', subject: `tasks/${run.taskId}/runs/1`, term: 1 });
      expect(event?.text).toContain(`assignment 1, incarnation ${HOLDER.incarnation}, seq 2`);
    });

    test('two contents under one key in one batch are a conflict too', async () => {
      const run = await startedRun(store);
      const other = sampleRecord(run, 1, { data: Buffer.from('other') });
      const { conflicts } = await store.tasks.putSamples(1, [sampleRecord(run, 1), other]);
      expect(conflicts).toHaveLength(1);
      expect(await store.tasks.samples(run.id, 0, 100)).toHaveLength(1);
    });

    test('differ by run, assignment and incarnation', async () => {
      const run = await startedRun(store);
      const next = await startedRun(store);
      const parts = [
        sampleRecord(run, 1),
        sampleRecord(run, 1, { assignment: 2, data: Buffer.from('b') }),
        sampleRecord(run, 1, { incarnation: HOLDER.incarnation + 1, data: Buffer.from('c') }),
      ];
      await store.tasks.putSamples(1, [...parts, sampleRecord(next, 1, { data: Buffer.from('d') })]);
      expect((await store.tasks.samples(run.id, 0, 1)).map(plain)).toEqual(
        [parts[0], parts[2], parts[1]].map((s) => plain(s!)),
      );
      expect(await store.tasks.storedUpTo(run.id)).toEqual([
        { assignment: 1, incarnation: HOLDER.incarnation, upTo: 1 },
        { assignment: 1, incarnation: HOLDER.incarnation + 1, upTo: 1 },
        { assignment: 2, incarnation: HOLDER.incarnation, upTo: 1 },
      ]);
    });

    test('any bytes come back, and many or large ones too', async () => {
      const run = await startedRun(store);
      const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      const large = Buffer.alloc(3_000_000, every);
      const many = [
        sampleRecord(run, 1, { data: every }),
        sampleRecord(run, 2, { data: Buffer.alloc(0) }),
        sampleRecord(run, 3, { data: large }),
        sampleRecord(run, 4, { data: large }),
        ...seqs(run, 5, 1000),
      ];
      expect(await store.tasks.putSamples(1, many)).toEqual({ written: 'written', conflicts: [] });
      expect(await store.tasks.putSamples(1, many)).toEqual({ written: 'written', conflicts: [] });
      expect((await store.tasks.samples(run.id, 0, 2000)).map(plain)).toEqual(many.map(plain));
    });

    test('are known up to the first gap', async () => {
      const run = await startedRun(store);
      await store.tasks.putSamples(1, [...seqs(run, 1, 4), ...seqs(run, 6, 9)]);
      await store.tasks.putSamples(1, seqs(run, 2, 5, { assignment: 2 }));
      await store.tasks.putSamples(1, seqs(run, 1, 5, { assignment: 3 }));
      const upTo = async () => (await store.tasks.storedUpTo(run.id)).map(({ assignment, upTo }) => [assignment, upTo]);
      expect(await upTo()).toEqual([
        [1, 4],
        [2, 0],
        [3, 5],
      ]);
      await store.tasks.putSamples(1, seqs(run, 5, 5));
      expect((await upTo())[0]).toEqual([1, 9]);
    });

    test('tell how far the run has come', async () => {
      const run = await startedRun(store);
      expect(await store.tasks.lastSecond(run.id)).toBeNull();
      await store.tasks.putSamples(1, [sampleRecord(run, 1, { second: 41 }), sampleRecord(run, 2, { second: 7 })]);
      expect(await store.tasks.lastSecond(run.id)).toBe(41);
      expect(await store.tasks.lastSecond(run.id + 1n)).toBeNull();
    });

    test('are read by second, late ones too, and a page ends after a whole second', { timeout: 120_000 }, async () => {
      const run = await startedRun(store);
      const workers = Array.from({ length: 600 }, (_, i) => i + 1);
      for (let second = 0; second < 20; second++) {
        const batch = workers.map((assignment) => sampleRecord(run, second + 1, { assignment, second }));
        await store.tasks.putSamples(1, batch);
      }
      const late = sampleRecord(run, 21, { second: 3 });
      await store.tasks.putSamples(1, [late]);
      expect((await store.tasks.samples(run.id, 3, 4)).map(({ seq }) => seq).filter((seq) => seq === 21)).toEqual([21]);
      let from = 0;
      const pages: number[] = [];
      for (;;) {
        const page = await store.tasks.samples(run.id, from, Infinity);
        if (page.length === 0) break;
        pages.push(page.length);
        from = page.at(-1)!.second + 1;
      }
      expect(pages.length).toBeGreaterThan(1);
      expect(pages.reduce((a, b) => a + b, 0)).toBe(600 * 20 + 1);
      expect(Math.max(...pages)).toBeLessThanOrEqual(5000);
    });

    test('one second with more than a page comes whole', { timeout: 120_000 }, async () => {
      const run = await startedRun(store);
      const workers = Array.from({ length: 5200 }, (_, i) => i + 1);
      await store.tasks.putSamples(
        1,
        workers.map((assignment) => sampleRecord(run, 1, { assignment, second: 7 })),
      );
      await store.tasks.putSamples(1, [sampleRecord(run, 2, { second: 8 })]);
      expect(await store.tasks.samples(run.id, 0, Infinity)).toHaveLength(5200);
      expect(await store.tasks.samples(run.id, 8, Infinity)).toHaveLength(1);
    });
  });

  describe('a term that is not the fence any more', () => {
    test('changes nothing, whatever it tries', async () => {
      const run = await startedRun(store);
      await store.tasks.putAssignments(1, run, [assignmentOf(run)]);
      await store.tasks.putSamples(1, seqs(run, 1, 2));
      await under.execute(`INSERT INTO task (spec, start_requested) VALUES ('{}', 1)`);
      await under.execute(
        `INSERT INTO task (spec, start_requested) VALUES ('{"request":{"url":"http://127.0.0.1/"}}', 1)`,
      );
      await store.fence.raise(2, { nodeId: 'b', incarnation: 1 });
      const before = await dump(under);
      expect(await store.tasks.updateRun(1, run, { state: 'FAILED' })).toBe('fenced');
      expect(await store.tasks.putAssignments(1, run, [assignmentOf(run, { version: 9 })])).toBe('fenced');
      expect(await store.tasks.putAssignments(1, run, [assignmentOf(run, { number: 2 })])).toBe('fenced');
      expect(await store.tasks.putSamples(1, seqs(run, 2, 5))).toEqual({ written: 'fenced', conflicts: [] });
      expect(await store.tasks.reviseRun(1, run.id)).toBe('fenced');
      expect(await store.tasks.takeUpRequests(1)).toBe(0);
      expect(await store.tasks.updateRun(3, run, { state: 'FAILED' })).toBe('fenced');
      expect(await dump(under)).toEqual(before);
      expect(await store.tasks.updateRun(2, run, { state: 'FAILED' })).toBe('written');
    });
  });

  describe('events', () => {
    test('come in their order, after one, or the latest', async () => {
      const event = {
        wallMs: 1_750_000_000_000.9,
        term: 7,
        nodeId: 'a',
        kind: 'node.joined',
        subject: 'nodes/b',
        text: 'ü',
      };
      for (const text of ['1', '2', '3', '4']) await store.tasks.addEvent({ ...event, text });
      const texts = async (after: bigint | null, limit: number) =>
        (await store.tasks.events({ after, limit })).map(({ text }) => text);
      expect(await texts(0n, 2)).toEqual(['1', '2']);
      expect(await texts(null, 3)).toEqual(['2', '3', '4']);
      const [first] = await store.tasks.events({ after: 0n, limit: 1 });
      expect(first).toMatchObject({ ...event, wallMs: 1_750_000_000_001, text: '1' });
      expect(await texts(first!.id, 10)).toEqual(['2', '3', '4']);
    });

    test('of one kind and term are found among others', async () => {
      const event = { wallMs: 1, nodeId: 'a', subject: '' };
      for (const [kind, term, text] of [
        ['x', 1, '1'],
        ['x', 2, '2'],
        ['y', 2, '3'],
        ['x', 2, '4'],
        ['x', 3, '5'],
      ] as const) {
        await store.tasks.addEvent({ ...event, kind, term, text });
      }
      const texts = async (kind: string, term: number, limit: number) =>
        (await store.tasks.events({ after: null, limit, of: { kind, term } })).map(({ text }) => text);
      expect(await texts('x', 2, 10)).toEqual(['2', '4']);
      expect(await texts('x', 2, 1)).toEqual(['4']);
      expect(await texts('y', 1, 10)).toEqual([]);
    });

    test('of any length are kept, cut', async () => {
      const long = 'ä'.repeat(100_000);
      await store.tasks.addEvent({ wallMs: 1, term: 1, nodeId: long, kind: long, subject: long, text: long });
      const [event] = await store.tasks.events({ after: null, limit: 1 });
      expect(event!.text).toMatch(/^ä{7999}…$/);
    });
  });

  describe('64-bit ids', () => {
    test('beyond 2^53 stay exact on every path', async () => {
      const base = 2n ** 53n + 1n;
      for (const table of ['task', 'run', 'event'] as const) await under.setNextId(table, base);
      const request = { id: 'r', digest: 'd' };
      const task = await store.tasks.createTask(await preparedTask(), DEFAULT_PLACEMENT, request);
      expect(task.id).toBe(base);
      await store.fence.raise(1, HOLDER);
      expect((await store.tasks.createTask(await preparedTask(), DEFAULT_PLACEMENT, request)).id).toBe(base);
      const { run } = (await store.tasks.startRun(task.id, { id: 's', digest: 'd' }))!;
      expect([run.id, run.taskId]).toEqual([base, base]);
      expect((await store.tasks.startRun(task.id, { id: 's', digest: 'd' }))?.run.id).toBe(base);
      expect((await store.tasks.activeRuns()).map(({ id }) => id)).toEqual([base]);
      expect(await store.tasks.putAssignments(1, run, [assignmentOf(run)])).toBe('written');
      expect((await store.tasks.assignments(base))[0]?.runId).toBe(base);
      await store.tasks.putSamples(1, seqs(run, 1, 2));
      expect((await store.tasks.samples(base, 0, 9)).map(({ runId }) => runId)).toEqual([base, base]);
      expect(await store.tasks.samples(base - 1n, 0, 9)).toEqual([]);
      await store.tasks.addEvent({ wallMs: 1, term: 1, nodeId: '', kind: 'k', subject: '', text: '' });
      expect((await store.tasks.events({ after: base - 1n, limit: 1 }))[0]?.id).toBe(base);
      expect(await store.tasks.updateRun(1, run, { state: 'FAILED' })).toBe('written');
      const second = (await store.tasks.startRun(base, null))!.run;
      expect(second.id).toBe(base + 1n);
      const page = await store.tasks.listRuns({ ...ALL, taskId: base, limit: 1 });
      expect(page.next).toBe(base + 1n);
      expect((await store.tasks.listRuns({ ...ALL, taskId: base, before: page.next })).items[0]?.id).toBe(base);
      expect((await store.tasks.setWanted(base + 1n, { ...RUNNING, target: 3 }, null))?.id).toBe(base + 1n);
    });
  });

  describe('by hand', () => {
    test('the statements of the README do what it says', async () => {
      await store.fence.raise(1, HOLDER);
      const [insert, rate, stages, pause, stop, again, look, ...more] = await readmeStatements();
      expect(more).toEqual([]);
      await under.execute(insert!);
      expect(await store.tasks.takeUpRequests(1)).toBe(1);
      expect(await store.tasks.takeUpRequests(1)).toBe(0);
      const [run] = await store.tasks.activeRuns();
      expect(run).toMatchObject({ taskId: 1n, number: 1, state: 'PENDING', placement: DEFAULT_PLACEMENT });
      expect(run!.task).toEqual(
        await preparedTask({ request: { url: 'http://127.0.0.1:8080/' }, load: { rate: 600, duration: '60s' } }),
      );
      const task = (await store.tasks.getTask(1n))!;
      expect(Math.abs(task.createdWallMs - Date.now())).toBeLessThan(600_000);
      const wanted = async () => (await store.tasks.activeRuns())[0]!.wanted;
      await under.execute(rate!);
      expect(await wanted()).toEqual({ ...RUNNING, target: 1000, version: 1 });
      await under.execute(stages!);
      expect((await wanted()).target).toBeNull();
      expect((await wanted()).stages).toEqual([
        { durationMs: 30_000, target: 2000, shape: 'ramp' },
        { durationMs: 30_000, target: 500, shape: 'constant' },
      ]);
      await under.execute(pause!);
      expect((await wanted()).state).toBe('PAUSED');
      await under.execute(stop!);
      expect((await wanted()).state).toBe('STOPPED');
      await end(store, run!);
      await under.execute(again!);
      expect(await store.tasks.takeUpRequests(1)).toBe(1);
      expect(await under.execute(look!)).toMatchObject([{ state: 'DONE' }, { state: 'PENDING' }]);
    });

    test('a start while a run is active waits for its end', async () => {
      const run = await startedRun(store);
      await under.execute(`UPDATE task SET start_requested = 1 WHERE id = ${run.taskId}`);
      expect(await store.tasks.takeUpRequests(1)).toBe(0);
      await end(store, run);
      expect(await store.tasks.takeUpRequests(1)).toBe(1);
      expect((await store.tasks.activeRuns())[0]).toMatchObject({ taskId: run.taskId, number: 2 });
    });

    test('a request that a master left half taken up makes one run, no more', async () => {
      const run = await startedRun(store);
      await end(store, run);
      const other = await startedRun(store);
      // One master fell before it made the run, the other after it.
      await under.execute(`UPDATE task SET start_requested = 2, start_number = 2 WHERE id = ${run.taskId}`);
      await under.execute(`UPDATE task SET start_requested = 2, start_number = 1 WHERE id = ${other.taskId}`);
      expect(await store.tasks.takeUpRequests(1)).toBe(1);
      expect(await store.tasks.takeUpRequests(1)).toBe(0);
      const active = (await store.tasks.activeRuns()).map(({ taskId, number }) => [taskId, number]);
      expect(active).toEqual([
        [other.taskId, 1],
        [run.taskId, 2],
      ]);
      expect(await under.execute('SELECT id FROM task WHERE start_requested <> 0')).toEqual([]);
    });

    test('two masters of one term and an API take up a request at once: one run', async () => {
      await store.fence.raise(1, HOLDER);
      for (let round = 0; round < 5; round++) {
        const id = await create(store);
        await under.execute(`UPDATE task SET start_requested = 1 WHERE id = ${id}`);
        await Promise.all([
          store.tasks.takeUpRequests(1),
          under.other.tasks.takeUpRequests(1),
          store.tasks.startRun(id, null),
        ]);
        expect((await store.tasks.listRuns({ ...ALL, taskId: id })).items).toHaveLength(1);
      }
    });

    test('a task that is none is marked and told, and does not stop the others', async () => {
      const good = await create(store);
      await store.fence.raise(1, HOLDER);
      await under.execute(
        `INSERT INTO task (spec, start_requested) VALUES
         ('{"request": {"url": "ftp://x"}, "load": {"rte": 5}}', 1), ('no json', 1),
         ('{"request": {"url": "http://x/", "body": {"file": "/etc/passwd"}}, "tls": {"ca": "ca.pem"}}', 1)`,
      );
      await under.execute(
        `UPDATE task SET placement = '{"maxNodes": "two", "spread": 1}', start_requested = 1 WHERE id = ${good}`,
      );
      const fine = await create(store);
      await under.execute(`UPDATE task SET start_requested = 1 WHERE id = ${fine}`);
      expect(await store.tasks.takeUpRequests(1)).toBe(1);
      expect((await store.tasks.activeRuns()).map(({ taskId }) => taskId)).toEqual([fine]);
      const rows = await under.execute('SELECT start_requested, problem FROM task ORDER BY id');
      const problems = rows.map(({ problem }) => problem as string | null);
      expect(rows.map((row) => Number(row['start_requested']))).toEqual([0, 0, 0, 0, 0]);
      expect(problems[0]).toBe(
        'placement: maxNodes: expected a number, found "two"\nplacement: spread: unknown key; expected one of strategy, labels, maxNodes, moving',
      );
      expect(problems[1]).toContain('spec: load.rte: unknown key; did you mean "rate"?');
      expect(problems[2]).toBe('spec: expected JSON, found a text of 7 characters that is not');
      expect(problems[3]).toBe(
        'body: expected the bytes of the file that the spec names, found NULL\ntls_ca: expected the file that the spec names (PEM), found NULL',
      );
      const events = await store.tasks.events({ after: null, limit: 10 });
      expect(events.map(({ kind }) => kind)).toEqual(Array(4).fill('task.invalid'));
      expect((await store.tasks.listTasks(ALL)).items.map(({ id }) => id)).toEqual([fine]);
      await expect(store.tasks.getTask(good)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      await expect(store.tasks.startRun(good, null)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      expect(await store.tasks.updateTask(good, 1, await preparedTask(), DEFAULT_PLACEMENT)).toMatchObject({
        version: 2,
      });
      expect(await store.tasks.deleteTask(good)).toBe('deleted');
    });

    test('a run that has no task fails, with the reason', async () => {
      await store.fence.raise(1, HOLDER);
      const good = await startedRun(store);
      await under.execute(`INSERT INTO run (task_id, number, spec, reason, created_ms) VALUES (77, 1, '{}', '', 1)`);
      expect((await store.tasks.activeRuns()).map(({ id }) => id)).toEqual([good.id]);
      await store.tasks.takeUpRequests(1);
      const [row] = await under.execute('SELECT state, reason FROM run WHERE task_id = 77');
      expect(row).toMatchObject({ state: 'FAILED', reason: expect.stringContaining('spec: request.url:') as string });
      expect((await store.tasks.events({ after: null, limit: 1 }))[0]).toMatchObject({ subject: 'tasks/77/runs/1' });
      await expect(store.tasks.getRun(77n, 1)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      expect((await store.tasks.listRuns({ ...ALL, taskId: null })).items).toHaveLength(1);
    });

    test('a run of which the state or what the master made is none fails, with the reason, and the others go on', async () => {
      const good = await startedRun(store);
      const expectFailed = async (set: string, reason: string, isReadableThen: boolean) => {
        const bad = await startedRun(store);
        const name = `tasks/${bad.taskId}/runs/1`;
        await under.execute(`UPDATE run SET ${set} WHERE id = ${bad.id}`);
        expect((await store.tasks.activeRuns()).map(({ id }) => id)).toEqual([good.id]);
        const listed = await store.tasks.listRuns({ ...ALL, taskId: bad.taskId });
        expect(listed).toEqual({ items: [], next: null });
        await expect(store.tasks.getRun(bad.taskId, 1)).rejects.toMatchObject({
          code: 'FAILED_PRECONDITION',
          problems: reason.split('\n').map((line) => `${name}, as it was written by hand: ${line}`),
        });
        await store.tasks.takeUpRequests(1);
        const [row] = await under.execute(`SELECT state, reason FROM run WHERE id = ${bad.id}`);
        expect(row).toEqual({ state: 'FAILED', reason });
        const [event] = await store.tasks.events({ after: null, limit: 1 });
        expect(event).toMatchObject({ kind: 'run.invalid', subject: name, text: `failed: ${reason}` });
        const { items } = await store.tasks.listRuns({ ...ALL, taskId: bad.taskId });
        expect(items.map(({ state }) => state)).toEqual(isReadableThen ? ['FAILED'] : []);
      };
      await expectFailed(`state = 'WEIRD'`, `state: expected one of ${RUN_STATES.join(', ')}, found "WEIRD"`, true);
      await expectFailed(
        `applied = '{not', plan = 'neither'`,
        'applied: expected JSON, found a text of 4 characters that is not\n' +
          'plan: expected JSON, found a text of 7 characters that is not',
        false,
      );
      await expectFailed(
        `applied = '{"state": "RUNNING", "target": "5", "rampMs": 0, "stages": null, "version": 1}'`,
        'applied: target: expected a number, found "5"',
        false,
      );
      await expectFailed(
        `plan = '{"model": "open", "segments": []}'`,
        'plan: segments: expected at least 1 items, found 0',
        false,
      );
    });

    test('a wish that cannot be goes back to what was applied, and is told', async () => {
      const run = await startedRun(store);
      const applied: Wanted = { ...RUNNING, target: 50, rampMs: 10, version: 1 };
      await store.tasks.updateRun(1, run, { applied });
      await under.execute(
        `UPDATE run SET wanted_stages = '[{"target": "many"}]', wanted_state = 'PAUSED' WHERE id = ${run.id}`,
      );
      expect((await store.tasks.activeRuns())[0]?.wanted).toEqual({ ...applied, state: 'PAUSED' });
      await store.tasks.takeUpRequests(1);
      const [event] = await store.tasks.events({ after: null, limit: 1 });
      expect(event).toMatchObject({ kind: 'run.invalid', subject: `tasks/${run.taskId}/runs/1` });
      expect(event?.text).toContain('wanted_stages[0].target: expected a number, found "many"');
      await store.tasks.takeUpRequests(1);
      expect(await store.tasks.events({ after: null, limit: 10 })).toHaveLength(1);
      expect((await store.tasks.activeRuns())[0]).toMatchObject({
        wanted: { ...applied, state: 'PAUSED' },
        version: 3,
      });
    });

    test.each([
      ['wanted_target = 0', `wanted_target: expected one above 0, found 0; for no load, set wanted_state to 'PAUSED'`],
      [
        `wanted_stages = '{not'`,
        'wanted_stages: expected a list of stages in JSON, found a text of 4 characters that is not',
      ],
      [`wanted_stages = '{}'`, 'wanted_stages: expected a list of stages in JSON, found a map'],
      [`wanted_stages = '[]'`, 'wanted_stages: expected a list of stages in JSON, found an empty one'],
    ])('%s is no wish: the stages that were applied stand', async (set, text) => {
      const run = await startedRun(store);
      const stages = [{ durationMs: 5_000, target: 50, shape: 'constant' }] as const;
      const applied: Wanted = { ...RUNNING, stages, version: 1 };
      await store.tasks.updateRun(1, run, { applied });
      await under.execute(`UPDATE run SET ${set} WHERE id = ${run.id}`);
      await store.tasks.takeUpRequests(1);
      expect((await store.tasks.events({ after: null, limit: 1 }))[0]).toMatchObject({ kind: 'run.invalid', text });
      const row = await under.execute(`SELECT wanted_target, wanted_stages FROM run WHERE id = ${run.id}`);
      expect(row).toEqual([
        { wanted_target: null, wanted_stages: '[{"duration":"5s","target":50,"shape":"constant"}]' },
      ]);
      expect((await store.tasks.activeRuns())[0]?.wanted).toEqual(applied);
      // Where that is no wish either, the task's plan does.
      await store.tasks.updateRun(1, (await store.tasks.activeRuns())[0]!, {
        applied: { ...RUNNING, target: 0, version: 1 },
      });
      await under.execute(`UPDATE run SET ${set} WHERE id = ${run.id}`);
      for (const expected of [2, 2]) {
        await store.tasks.takeUpRequests(1);
        expect(await store.tasks.events({ after: null, limit: 10 })).toHaveLength(expected);
      }
      expect((await store.tasks.activeRuns())[0]?.wanted).toEqual({ ...RUNNING, version: 1 });
    });

    test('states and numbers that make no sense are refused by the database itself', async () => {
      const run = await startedRun(store);
      for (const set of [
        `wanted_state = 'stopped'`,
        'wanted_target = -1',
        'wanted_ramp_ms = -1',
        `wanted_target = 'x'`,
      ]) {
        await expect(under.execute(`UPDATE run SET ${set} WHERE id = ${run.id}`)).rejects.toThrow(/./);
      }
      await expect(under.execute('UPDATE task SET start_requested = 5')).rejects.toThrow(/./);
    });
  });

  test('a closed store says so', async () => {
    await store.close();
    await store.close();
    await expect(store.tasks.activeRuns()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/cannot read the active runs: the store is closed$/) as string,
    });
    await expect(store.fence.read()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
}

async function create(store: Store): Promise<bigint> {
  return (await store.tasks.createTask(await preparedTask(), DEFAULT_PLACEMENT, null)).id;
}

/** The spec with what its files would hold. */
async function withContent(spec: TaskSpec, bytes: Uint8Array, pem: string): Promise<PreparedTask> {
  const isFile = spec.request.body?.kind === 'file';
  const bare = {
    ...spec,
    request: { ...spec.request, body: isFile ? null : spec.request.body },
    tls: { ...spec.tls, caFile: null, certFile: null, keyFile: null },
  };
  const { body } = await prepareTask(bare, '');
  const { caFile, certFile, keyFile } = spec.tls;
  const [ca, cert, key] = [caFile, certFile, keyFile].map((file) => (file === null ? null : pem));
  return { spec, body: isFile ? bytes : body, tls: { ca: ca!, cert: cert!, key: key! } };
}

function hex(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('hex');
}

/** All that is in the tables, but for the fence. */
async function dump(under: StoreUnderTest): Promise<unknown[]> {
  const orders = {
    task: 'id',
    run: 'id',
    assignment: 'run_id, number',
    sample: 'run_id, seq',
    event: 'id',
    leftover: 'run_id',
  };
  const tables: unknown[] = [];
  for (const [table, order] of Object.entries(orders))
    tables.push(await under.execute(`SELECT * FROM ${table} ORDER BY ${order}`));
  return tables;
}
