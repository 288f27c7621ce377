import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTarget, type Target } from '../../src/load/target/server.ts';
import type {
  ClusterMessage,
  EventMessage,
  NodeMessage,
  RunMessage,
  RunReportMessage,
  ShareMessage,
  WatchRunMessage,
} from '../../src/rpc/messages.ts';
import { structToJson } from '../../src/rpc/well-known.ts';
import { ApiClient, ServedApi } from '../support/api.ts';
import { eventually } from '../support/eventually.ts';

/** Runs and nodes over the public API: a real server, a real engine, a target on loopback. */

let api: ServedApi;
let target: Target;

beforeAll(async () => {
  [api, target] = await Promise.all([ServedApi.start(), startTarget()]);
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await target.close();
});

async function start(load: object, rest: object = {}): Promise<string> {
  const task = { request: { url: target.url }, load, ...rest };
  const { name } = await api.client.call<{ name: string }>('CreateTask', { task });
  return (await api.client.call<RunMessage>('StartTask', { name })).name;
}

const taskOf = (run: string): string => run.split('/runs/')[0]!;
const long = { seconds: '60' };

describe('an active run of the open model', () => {
  let name: string;

  beforeAll(async () => {
    name = await start({ ratePerSecond: 40, duration: long });
    await api.reaches(name, 'RUNNING');
  });
  afterAll(async () => {
    await api.client.call('StopRun', { name });
    await api.reaches(name, 'DONE');
  });

  test('is the only one of its task: a second start names it, the same request id gives it', async () => {
    const again = await api.client.refusal('StartTask', { name: taskOf(name) });
    expect(again).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'FAILED_PRECONDITION' });
    expect(again.details).toContain(name);
    expect(await api.client.call('GetTask', { name: taskOf(name) })).toMatchObject({ activeRun: name, lastRun: name });
  });

  test('keeps its task from being deleted, and names itself', async () => {
    const { code, details } = await api.client.refusal('DeleteTask', { name: taskOf(name) });
    expect(code).toBe('FAILED_PRECONDITION');
    expect(details).toContain(name);
  });

  test('keeps the task as it was at the start when that is updated', async () => {
    const task = { name: taskOf(name), load: { ratePerSecond: 1, duration: long } };
    await api.client.call('UpdateTask', { task });
    const run = await api.client.call<RunMessage>('GetRun', { name });
    expect(run.task).toMatchObject({ load: { ratePerSecond: 40 } });
  });

  test.each([
    ['no target', {}, 'rate_per_second', 'use PauseRun'],
    ['a rate of 0', { ratePerSecond: 0 }, 'rate_per_second', 'use PauseRun'],
    ['a rate below 0', { ratePerSecond: -1 }, 'rate_per_second', 'more than 0'],
    ['a rate that is no number', { ratePerSecond: NaN }, 'rate_per_second', 'found NaN'],
    ['an infinite rate', { ratePerSecond: Infinity }, 'rate_per_second', 'found Infinity'],
    ['0 users', { users: 0 }, 'users', 'use PauseRun'],
    ['users, since its model is open', { users: 5 }, 'users', 'OPEN'],
    ['a plan of users', { plan: { model: 'CLOSED', stages: [{ target: 3 }] } }, 'plan.model', 'OPEN'],
    ['a plan without stages', { plan: { stages: [] } }, 'plan.stages', 'expected'],
    ['a plan of nothing', { plan: { stages: [{ target: 0, duration: long }] } }, 'plan.stages', 'use PauseRun'],
    ['a negative ramp', { ratePerSecond: 5, ramp: { seconds: '-1' } }, 'ramp', 'negative'],
    ['a plan with a ramp', { plan: { stages: [{ target: 3 }] }, ramp: { seconds: '1' } }, 'ramp', 'only with'],
    ['an etag that is none', { ratePerSecond: 5, etag: 'x' }, 'etag', 'found "x"'],
  ])('is not retuned to %s', async (_, request, field, words) => {
    const { code, violations } = await api.client.refusal('RetuneRun', { name, ...request });
    expect(code).toBe('INVALID_ARGUMENT');
    expect(violations).toEqual([{ field, description: expect.stringContaining(words) as string }]);
    expect(await api.client.call('GetRun', { name })).toMatchObject({ state: 'RUNNING', etag: '1' });
  });

  test('is retuned at once, by a ramp and by a plan; each answer has the version and the shares', async () => {
    interface Answer {
      run: RunMessage;
      version: string;
      shares: ShareMessage[];
    }
    const retune = (request: object) => api.client.call<Answer>('RetuneRun', { name, ...request });
    const first = await retune({ ratePerSecond: 60, etag: '1' });
    expect(first).toMatchObject({ version: '2', run: { etag: '2', wanted: { constant: 60, version: '2' } } });
    expect(first.shares.map(({ node, target: share }) => [node, share])).toEqual([['nodes/a', 60]]);
    const stale = await api.client.refusal('RetuneRun', { name, ratePerSecond: 70, etag: '1' });
    expect(stale).toMatchObject({ code: 'ABORTED', reason: 'ABORTED' });
    expect(await retune({ ratePerSecond: 80, ramp: { seconds: '1' } })).toMatchObject({
      version: '3',
      run: { wanted: { constant: 80, ramp: { seconds: '1' } } },
    });
    const stages = [
      { target: 30, duration: { seconds: '5' } },
      { target: 20, shape: 'RAMP', duration: { seconds: '5' } },
    ];
    expect(await retune({ plan: { stages } })).toMatchObject({
      version: '4',
      run: { wanted: { plan: { stages: [{ target: 30 }, { target: 20, shape: 'RAMP' }] } } },
    });
  });

  test('pauses and goes on', async () => {
    expect(await api.client.call('PauseRun', { name })).toMatchObject({ wanted: { state: 'PAUSED' } });
    await api.reaches(name, 'PAUSED');
    expect(await api.client.call('ResumeRun', { name })).toMatchObject({ wanted: { state: 'RUNNING' } });
    await api.reaches(name, 'RUNNING');
  });

  test('is in GetCluster with its shares, and in the lists of its state', async () => {
    const cluster = await api.client.call<ClusterMessage>('GetCluster');
    expect(cluster).toMatchObject({ master: { name: 'nodes/a', master: true }, runs: [{ run: { name, task: null } }] });
    expect(cluster.runs[0]!.shares).toMatchObject([{ node: 'nodes/a', state: 'RUNNING' }]);
    const listed = async (request: object) =>
      (await api.client.call<{ runs: RunMessage[] }>('ListRuns', request)).runs.map((run) => run.name);
    expect(await listed({ parent: taskOf(name), states: ['RUNNING', 'RETUNING'] })).toEqual([name]);
    expect(await listed({ parent: taskOf(name), states: ['DONE'] })).toEqual([]);
    expect(await listed({ parent: 'tasks/-' })).toContain(name);
    const { tasks } = await api.client.call<{ tasks: { name: string }[] }>('ListTasks', { states: ['RUNNING'] });
    expect(tasks.map((task) => task.name)).toContain(taskOf(name));
  });

  test('has a report that is not complete yet', async () => {
    const report = await eventually(async () => {
      const found = await api.client.call<RunReportMessage>('GetRunReport', { name });
      expect(Number(found.scheduled)).toBeGreaterThan(0);
      return found;
    });
    expect(report).toMatchObject({ complete: false, run: { name } });
    const { run } = structToJson(report.report!) as { run: { stop: object } };
    expect(run.stop).toMatchObject({ kind: 'running' });
  });
});

test('a stopped run ends, its report agrees with the target, and a second stop returns it', async () => {
  target.reset();
  const name = await start({ ratePerSecond: 50, duration: long });
  await eventually(() => expect(target.stats().received).toBeGreaterThan(20));
  await api.client.call('StopRun', { name });
  await api.reaches(name, 'DONE');
  const ended = await api.client.call<RunMessage>('StopRun', { name });
  expect(ended).toMatchObject({ name, state: 'DONE' });
  expect(ended.endTime).not.toBeNull();
  const report = await api.client.call<RunReportMessage>('GetRunReport', { name });
  expect(report).toMatchObject({ complete: true, failed: '0', unknown: '0' });
  expect(Number(report.started)).toBe(target.stats().received);
  for (const method of ['RetuneRun', 'PauseRun', 'ResumeRun']) {
    const { code, details } = await api.client.refusal(method, { name, ratePerSecond: 1 });
    expect({ method, code }).toEqual({ method, code: 'FAILED_PRECONDITION' });
    expect(details).toContain('DONE');
  }
  await api.client.call('DeleteTask', { name: taskOf(name) });
  expect((await api.client.refusal('GetRunReport', { name })).code).toBe('NOT_FOUND');
});

test('StartTask with the same request id gives the same run, also when that has ended', async () => {
  const task = { request: { url: target.url }, load: { ratePerSecond: 10, hits: '1' } };
  const { name } = await api.client.call<{ name: string }>('CreateTask', { task });
  const first = await api.client.call<RunMessage>('StartTask', { name, requestId: 'start once' });
  expect(await api.client.call('StartTask', { name, requestId: 'start once' })).toMatchObject({ name: first.name });
  await api.reaches(first.name, 'DONE');
  expect(await api.client.call('StartTask', { name, requestId: 'start once' })).toMatchObject({
    name: first.name,
    state: 'DONE',
  });
  expect(await api.client.call('StartTask', { name })).toMatchObject({ name: `${name}/runs/2` });
  await api.reaches(`${name}/runs/2`, 'DONE');
});

test('a run of the closed model is retuned by users, not by a rate', async () => {
  const name = await start({ users: 3, duration: long, thinkTime: { nanos: 50_000_000 } });
  await api.reaches(name, 'RUNNING');
  const { code, violations } = await api.client.refusal('RetuneRun', { name, ratePerSecond: 5 });
  expect(code).toBe('INVALID_ARGUMENT');
  expect(violations).toMatchObject([
    { field: 'rate_per_second', description: expect.stringContaining('CLOSED') as string },
  ]);
  const { shares } = await api.client.call<{ shares: ShareMessage[] }>('RetuneRun', { name, users: 1 });
  expect(shares).toMatchObject([{ target: 1 }]);
  await api.client.call('StopRun', { name });
  await api.reaches(name, 'DONE');
});

describe('WatchRun', () => {
  test('tells each second once from one on, has the task first and last, is final and ends OK', async () => {
    const name = await start({ ratePerSecond: 20, duration: { seconds: '3' } });
    const messages: WatchRunMessage[] = [];
    const request = { name, includeSamples: true };
    for await (const message of api.client.stream<WatchRunMessage>('WatchRun', request, AbortSignal.timeout(20_000))) {
      messages.push(message);
    }
    const secondsOf = (all: WatchRunMessage[]) => all.flatMap(({ second }) => (second === null ? [] : [second.second]));
    expect(secondsOf(messages).slice(0, 3)).toEqual(['0', '1', '2']);
    expect(new Set(secondsOf(messages)).size).toBe(secondsOf(messages).length);
    expect(messages.map(({ final }) => final).indexOf(true)).toBe(messages.length - 1);
    expect(messages.map(({ run }) => run!.task !== null).filter(Boolean)).toHaveLength(2);
    expect(messages[0]!.run!.task).not.toBeNull();
    expect(messages.at(-1)).toMatchObject({ run: { state: 'DONE', task: { load: { ratePerSecond: 20 } } } });
    for (const { second, sample } of messages) expect(sample.length > 0).toBe(second !== null);

    const late: WatchRunMessage[] = [];
    const fromTwo = { name, fromSecond: '2' };
    for await (const message of api.client.stream<WatchRunMessage>('WatchRun', fromTwo, AbortSignal.timeout(20_000))) {
      late.push(message);
    }
    expect(secondsOf(late)).toEqual(secondsOf(messages).filter((second) => Number(second) >= 2));
    expect(late.every(({ sample }) => sample.length === 0)).toBe(true);
  });

  test.each([
    ['tasks/999/runs/1', 'NOT_FOUND'],
    ['tasks/999', 'INVALID_ARGUMENT'],
  ])('of %s is %s', async (name, code) => {
    const read = api.client.stream('WatchRun', { name }, AbortSignal.timeout(20_000)).next();
    await expect(read).rejects.toMatchObject({ message: expect.stringContaining(code) as string });
  });
});

describe('nodes', () => {
  test('are listed with what they are and how they fare', async () => {
    const list = await eventually(async () => {
      const answer = await api.client.call<{ nodes: NodeMessage[]; nextPageToken: string }>('ListNodes');
      expect(answer.nodes[0]?.info).not.toBeNull();
      return answer;
    });
    expect(list.nextPageToken).toBe('');
    expect(list.nodes).toMatchObject([
      {
        name: 'nodes/a',
        address: api.address,
        roles: ['WORKER', 'CANDIDATE'],
        master: true,
        connected: true,
        standing: 'LIVE',
        draining: false,
      },
    ]);
    expect(list.nodes[0]!.info!.cores).toBeGreaterThan(0);
  });
});

describe('WatchEvents', () => {
  test('tells of what is stored after an id, then of what happens', async () => {
    using watching = new Watch<EventMessage>('WatchEvents', { afterId: '0' });
    const name = await start({ ratePerSecond: 10, hits: '1' });
    await eventually(() => {
      const states = watching.messages.filter(({ kind, subject }) => kind === 'run.state' && subject === name);
      expect(states.at(-1)?.text).toContain('DONE');
    });
    const ids = watching.messages.map(({ id }) => Number(id)).filter((id) => id > 0);
    expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b));
    const afterId = String(ids.at(-2));
    using later = new Watch<EventMessage>('WatchEvents', { afterId });
    await eventually(() => expect(later.messages.length).toBeGreaterThan(0));
    expect(later.messages[0]!.id).toBe(String(ids.at(-1)));
  });

  test('without an id tells only of what is new', async () => {
    using watching = new Watch<EventMessage>('WatchEvents', {});
    const last = await newest();
    const name = await start({ ratePerSecond: 10, hits: '1' });
    await eventually(() => expect(watching.messages.map(({ subject }) => subject)).toContain(name));
    for (const { id } of watching.messages) if (id !== '0') expect(Number(id)).toBeGreaterThan(last);
  });

  /** The id of the last event that is stored now. */
  async function newest(): Promise<number> {
    using all = new Watch<EventMessage>('WatchEvents', { afterId: '0' });
    return await eventually(() => {
      expect(all.messages.length).toBeGreaterThan(0);
      return Number(all.messages.at(-1)!.id);
    });
  }
});

/** A stream that is read as it comes. */
class Watch<T> implements Disposable {
  readonly messages: T[] = [];
  readonly #over = new AbortController();

  constructor(method: string, request: object) {
    void this.#read(method, request);
  }

  async #read(method: string, request: object): Promise<void> {
    for await (const message of api.client.stream<T>(method, request, this.#over.signal)) this.messages.push(message);
  }

  [Symbol.dispose](): void {
    this.#over.abort();
  }
}

describe('requests as such', () => {
  test('a field that this version does not know is refused, with its number', async () => {
    using later = new ApiClient(api.address, []);
    const { code, violations } = await later.raw('/gostress.v1.TaskService/GetTask', Buffer.from([0xf8, 0x07, 0x01]));
    expect(code).toBe('INVALID_ARGUMENT');
    expect(violations[0]!.description).toContain('number 127');
  });

  test('a call that came by another node is answered here, since this one is the master', async () => {
    const hop = new Metadata();
    hop.set('gostress-forwarded-by', 'b');
    expect(await api.client.call('ListNodes', {}, hop)).toMatchObject({ nodes: [{ name: 'nodes/a' }] });
  });
});

test('DrainNode gives a node no new work, and takes what it has', async () => {
  expect(await api.client.call('DrainNode', { name: 'nodes/a' })).toMatchObject({ name: 'nodes/a', draining: true });
  const name = await start({ ratePerSecond: 10, duration: long });
  const { reason } = await api.reaches(name, 'SHORT_OF_WORKERS');
  expect(reason).toContain('worker');
  await api.client.call('StopRun', { name });
  await api.reaches(name, 'CANCELLED');
});
