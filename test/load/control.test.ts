import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Sample } from '../../src/task/sample.ts';
import {
  constant,
  expectIdentity,
  runTask,
  taskForClient,
  type RunResult,
  type TaskChanges,
} from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';

/** One of each kind: a connection for each hit in flight, and one for all. */
const CLIENTS = ['http1', 'http2'] as const;

let taskFor = taskForClient('http1');
let url: string;
let count = 0;
let body = 'ok';
/** Answers wait until this is resolved. */
let gate: Promise<void> = Promise.resolve();

/** For the tests of a group: a server for this client, and tasks for it. */
function useClient(client: (typeof CLIENTS)[number]): void {
  const sockets = new Set<Socket>();
  const heard = (_: unknown, response: { end(text: string): unknown }): void => {
    count++;
    void gate.then(() => response.end(body));
  };
  const server: Server = client === 'http2' ? createHttp2Server(heard) : createServer(heard);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });

  beforeAll(async () => {
    taskFor = taskForClient(client);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });

  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
}

beforeEach(() => {
  count = 0;
  body = 'ok';
  gate = Promise.resolve();
});

/** Every scheduled hit was answered, but for those that this machine was too busy to send in time. */
function expectNoneLost({ total: { counts } }: RunResult): void {
  const { stalled, 'generator-limited': late } = counts.dropped;
  expect(counts.ok).toBe(counts.scheduled - stalled - late);
  expect(count).toBe(counts.ok);
}

/** Runs a task whose target answers nothing in the first second, which `look` gets to see. */
async function runHeld(
  overrides: TaskChanges,
  look: (first: Sample) => void = () => undefined,
  threads = 1,
): Promise<RunResult> {
  const held = Promise.withResolvers<void>();
  gate = held.promise;
  const result = await runTask(taskFor(url, overrides), {
    threads,
    control: async (_, samples) => {
      await eventually(() => expect(samples.length).toBeGreaterThan(0));
      look(samples[0]!);
      held.resolve();
    },
  });
  expectIdentity(result);
  return result;
}

const seconds = (samples: readonly Sample[], from: number): number[] =>
  samples.slice(from).map((sample) => sample.counts.scheduled);

describe.each(CLIENTS)('a run (%s)', (client) => {
  useClient(client);

  test('of the open model sends rate × duration hits, over any number of threads', async () => {
    for (const threads of [1, 3]) {
      count = 0;
      const result = await runTask(taskFor(url, { load: { stages: [constant(200, 1_500)] } }), { threads });
      expect(result.end).toEqual({ kind: 'completed', reason: '' });
      expectIdentity(result);
      expect(result.total.counts.scheduled).toBe(300);
      expectNoneLost(result);
    }
  });

  test('ends after its hits, over any number of threads', async () => {
    for (const model of ['open', 'closed'] as const) {
      count = 0;
      const load = { model, stages: [constant(model === 'open' ? 1_000 : 7, null)], hits: 101 };
      const result = await runTask(taskFor(url, { load }), { threads: 2 });
      expectIdentity(result);
      expect(result.total.counts.scheduled).toBe(101);
      expectNoneLost(result);
    }
  });

  test('of the closed model has one hit in flight for each user', async () => {
    const load = { model: 'closed' as const, stages: [constant(9, 1_200)] };
    const look = (first: Sample): void => {
      expect(first).toMatchObject({ inFlight: 9, users: 9 });
      expect(count).toBe(9);
    };
    const result = await runHeld({ load }, look, 2);
    expect(result.total.counts.ok).toBe(count);
  });

  test('of the closed model has fewer hits when users think', async () => {
    const load = { model: 'closed' as const, stages: [constant(2, 1_000)], thinkTimeMs: 200 };
    const result = await runTask(taskFor(url, { load }));
    expectIdentity(result);
    expect(count).toBeGreaterThanOrEqual(4);
    expect(count).toBeLessThanOrEqual(10);
  });

  test('counts the warm-up apart and keeps it out of the histograms', async () => {
    const result = await runTask(taskFor(url, { load: { stages: [constant(100, 2_000)], warmupMs: 1_000 } }));
    expectIdentity(result);
    expectNoneLost(result);
    expect(result.total.counts.scheduled).toBe(200);
    expect(result.total.warmup.scheduled).toBe(100);
    expect(result.histogram('responseOk').count).toBe(result.total.counts.ok - result.total.warmup.ok);
    expect(result.histogram('lateness').count).toBe(100);
  });

  test('queues hits that find no free connection, and sends them when one is free', async () => {
    const load = { stages: [constant(100, 1_000)], maxInFlight: 2, onSaturated: 'queue' as const };
    const result = await runHeld({ load }, ({ inFlight, queued, counts }) => {
      expect(inFlight).toBe(2);
      expect(queued).toBeGreaterThan(50);
      expect(counts.started).toBe(2);
    });
    expect(result.total.counts.scheduled).toBe(100);
    expectNoneLost(result);
  });

  test('drops hits that find no free connection, naming the target as the cause', async () => {
    const result = await runHeld({ load: { maxInFlight: 2 } });
    expect(result.total.counts.started).toBe(2);
    expect(result.total.counts.dropped['target-limited']).toBeGreaterThan(90);
  });

  test('drops what does not fit into the queue', async () => {
    const result = await runHeld({ load: { maxInFlight: 1, onSaturated: 'queue', maxQueue: 10 } });
    expect(result.total.counts.started).toBe(11);
  });
});

describe.each(CLIENTS)('a running engine (%s)', (client) => {
  useClient(client);

  test('retunes to another rate and keeps its end time', async () => {
    const result = await runTask(taskFor(url, { load: { stages: [constant(50, 4_000)] } }), {
      threads: 2,
      control: async (engine, samples) => {
        await eventually(() => expect(samples.length).toBeGreaterThan(0));
        await engine.retune([constant(200, null)]);
      },
    });
    expectIdentity(result);
    for (const scheduled of seconds(result.samples, 2).slice(0, 2))
      expect(Math.abs(scheduled - 200)).toBeLessThanOrEqual(5);
    expect(result.samples).toHaveLength(5);
    expect(result.total.counts.ok).toBe(count);
  });

  test('pauses with everything kept, and resumes', async () => {
    const result = await runTask(taskFor(url, { load: { stages: [constant(100, 5_000)] } }), {
      control: async (engine, samples) => {
        await eventually(() => expect(samples.length).toBeGreaterThan(0));
        await engine.pause();
        await eventually(() => expect(samples.length).toBeGreaterThan(2));
        await engine.resume();
      },
    });
    expectIdentity(result);
    const perSecond = seconds(result.samples, 0);
    expect(perSecond[2]).toBe(0);
    expect(Math.abs(perSecond[4]! - 100)).toBeLessThanOrEqual(5);
    expect(result.total.traffic.connectionsOpened).toBeLessThan(100);
    expect(result.end.kind).toBe('completed');
  });

  test('of the closed model follows a retune to more users than it began with', async () => {
    const held = Promise.withResolvers<void>();
    gate = held.promise;
    const load = { model: 'closed' as const, stages: [constant(3, 3_000)], maxInFlight: 3 };
    const result = await runTask(taskFor(url, { load }), {
      threads: 2,
      control: async (engine, samples) => {
        await eventually(() => expect(count).toBe(3));
        await engine.retune([constant(8, null)]);
        await eventually(() => expect(samples.at(-1)).toMatchObject({ users: 8, inFlight: 8 }));
        held.resolve();
      },
    });
    expectIdentity(result);
    expect(result.total.counts.ok).toBe(count);
  });

  test('of the closed model lets its users rest in a pause, and go on after it', async () => {
    const load = { model: 'closed' as const, stages: [constant(4, 5_000)], thinkTimeMs: 5 };
    const result = await runTask(taskFor(url, { load }), {
      control: async (engine, samples) => {
        await eventually(() => expect(samples.length).toBeGreaterThan(0));
        await engine.pause();
        await eventually(() => expect(samples.length).toBeGreaterThan(2));
        await engine.resume();
      },
    });
    expectIdentity(result);
    expect(result.samples[2]).toMatchObject({ users: 0, inFlight: 0, counts: { started: 0 } });
    expect(result.samples[4]!.counts.ok).toBeGreaterThan(4);
  });

  test('drains: nothing new is sent, and what is in flight is waited for', async () => {
    const held = Promise.withResolvers<void>();
    gate = held.promise;
    const result = await runTask(taskFor(url, { load: { stages: [constant(100, 60_000)] } }), {
      control: async (engine, samples) => {
        await eventually(() => expect(count).toBeGreaterThan(10));
        engine.drain('enough');
        await eventually(() => expect(samples.length).toBeGreaterThan(1));
        held.resolve();
      },
    });
    expect(result.end).toEqual({ kind: 'drained', reason: 'enough' });
    expectIdentity(result);
    expect(result.samples[1]!.counts.scheduled).toBe(0);
    expect(result.total.counts.ok).toBe(count);
  });

  test('cancels what is queued when it drains', async () => {
    const held = Promise.withResolvers<void>();
    gate = held.promise;
    const load = { stages: [constant(100, 60_000)], maxInFlight: 3, onSaturated: 'queue' as const };
    const result = await runTask(taskFor(url, { load }), {
      control: async (engine, samples) => {
        await eventually(() => expect(samples.length).toBeGreaterThan(0));
        engine.drain('enough');
        held.resolve();
      },
    });
    expectIdentity(result);
    expect(result.total.counts.ok).toBe(3);
    expect(result.total.counts.cancelled).toBeGreaterThanOrEqual(97);
  });

  test('aborts what is in flight when the grace period is over', async () => {
    gate = new Promise(() => undefined);
    const result = await runTask(taskFor(url, { load: { stages: [constant(100, 500)], graceMs: 200 } }));
    expectIdentity(result);
    expect(result.end.kind).toBe('completed');
    const { written, aborted } = result.total.counts;
    expect(written).toBeGreaterThan(25);
    expect(aborted).toBe(written);
    expect(count).toBe(written);
  });

  test('aborts at once when told to, after a drain too', async () => {
    gate = new Promise(() => undefined);
    const result = await runTask(taskFor(url, { load: { stages: [constant(100, 60_000)], graceMs: 60_000 } }), {
      threads: 2,
      control: async (engine) => {
        await eventually(() => expect(count).toBeGreaterThan(10));
        engine.drain('first');
        engine.abort('second');
        await Promise.resolve();
      },
    });
    expect(result.end).toEqual({ kind: 'aborted', reason: 'second' });
    expectIdentity(result);
    expect(result.total.counts.aborted).toBeGreaterThan(10);
  });

  test('that does not react to an abort is ended by force', async () => {
    // This check never comes back: it backtracks through 2^60 ways.
    gate = Promise.resolve();
    const task = taskFor(url, {
      load: { stages: [constant(100, 60_000)] },
      checks: [{ kind: 'bodyMatches', pattern: `(${'(o|ok|k)*'.repeat(3)})*z` }],
    });
    body = 'ok'.repeat(40);
    const run = runTask(task, {
      control: async (engine) => {
        await eventually(() => expect(count).toBeGreaterThan(0));
        engine.abort('enough');
      },
    });
    await expect(run).rejects.toThrow('did not end within 5000 ms of the abort');
  });

  test('can be stopped before it has started', async () => {
    const result = await runTask(taskFor(url, { load: { stages: [constant(100, 60_000)] } }), {
      control: async (engine) => {
        engine.drain('changed my mind');
        await Promise.resolve();
      },
    });
    expect(result.end.kind).toBe('drained');
    expectIdentity(result);
  });

  test('times out hits by phase and goes on', async () => {
    gate = new Promise(() => undefined);
    const result = await runTask(
      taskFor(url, { load: { stages: [constant(50, 1_000)] }, timeouts: { responseMs: 100 } }),
    );
    expectIdentity(result);
    const { written, failed } = result.total.counts;
    expect(failed).toBeGreaterThan(25);
    expect(failed).toBe(written);
    expect(result.total.errors['response-timeout']!.count).toBe(failed);
  });
});
