import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, jsonDocuments, startGrpcurl } from '../support/grpcurl.ts';
import { NginxTarget } from '../support/nginx-target.ts';
import { MISSING, secondsOf, TestCluster, type ClusterAnswer } from './cluster.ts';
import { longestGapMs, perSecond } from './target-log.ts';

/** Only generates load, or only leads: so that a fault hits one of both. */
const WORKER = { env: { GOSTRESS_ROLES: 'worker' } };
const CANDIDATE = { env: { GOSTRESS_ROLES: 'candidate' } };
const NODES = { m1: CANDIDATE, m2: CANDIDATE, w1: WORKER, w2: WORKER, w3: WORKER };

/** By how much a second may be above the plan: 1 % and one hit a worker. */
function bound(rate: number, workers: number): number {
  return rate * 1.01 + workers;
}

describe.skipIf(MISSING !== null)(`faults while a task runs (needs ${MISSING ?? 'nothing'})`, () => {
  let cluster: TestCluster;
  let target: NginxTarget;

  beforeAll(async () => {
    target = await NginxTarget.start();
  }, 60_000);
  afterAll(() => target[Symbol.asyncDispose]());
  beforeEach(async () => {
    cluster = await TestCluster.start(NODES);
  }, 180_000);
  afterEach(async () => {
    for (const node of cluster.nodes.values()) if (node.isAlive) node.thaw();
    await cluster[Symbol.asyncDispose]();
  });

  async function startLoad(rate: number, seconds: number): Promise<string> {
    const load = { rate_per_second: rate, duration: `${seconds}s` };
    const name = await cluster.start({ task: { request: { url: target.url }, load } });
    await cluster.reach(name, 'RUNNING');
    await sleep(2000);
    return name;
  }

  test('SIGKILL of the master: another one goes on, the load has no gap, and not a hit is lost or counted twice', async () => {
    const before = await target.count();
    const name = await startLoad(600, 25);
    const { nodeId, term } = await cluster.master();
    // Of a node that forwards it: one call, across both masters.
    const request = { name, from_second: '0' };
    await using watch = startGrpcurl(cluster.node('w1').address, 'gostress.v1.TaskService/WatchRun', request);
    await watch.waitFor('stdout', /"second"/);
    const killedAtMs = Date.now();
    await cluster.node(nodeId).kill();
    const next = await cluster.master(term);
    expect(next.nodeId).not.toBe(nodeId);
    expect(await cluster.finish(name)).toMatchObject({ state: 'DONE' });
    const { code, stdout, stderr } = await watch.ended;
    expect(code, stderr).toBe(0);
    const messages = jsonDocuments(stdout);
    expect(messages.at(-1)).toMatchObject({ final: true, run: { state: 'DONE' } });
    const seconds = secondsOf(messages);
    expect(seconds).toEqual(Array.from({ length: Math.max(25, seconds.length) }, (_, second) => second));
    const hits = await target.hits();
    expect(longestGapMs(hits, killedAtMs - 1000, killedAtMs + 12_000)).toBeLessThan(200);
    for (const count of perSecond(hits, killedAtMs - 1000, killedAtMs + 12_000))
      expect(count).toBeLessThanOrEqual(bound(600, 3));
    const { complete, counts } = await cluster.report(name);
    expect(complete).toBe(true);
    expect(counts).toMatchObject({ unknown: 0, failed: 0, ok: hits.length - before });
    expect(counts.ok).toBe(counts.scheduled - counts.dropped);
  }, 120_000);

  /** Every method of the public services that answers once, of a task with a run. */
  const everyCall = (run: string): readonly [string, object][] => {
    const task = run.replace(/\/runs.*/, '');
    return [
      ['TaskService/CreateTask', { task: { request: { url: target.url } } }],
      ['TaskService/GetTask', { name: task }],
      ['TaskService/ListTasks', {}],
      ['TaskService/UpdateTask', { task: { name: task, display_name: 'x' }, update_mask: { paths: ['display_name'] } }],
      ['TaskService/DeleteTask', { name: task }],
      ['TaskService/StartTask', { name: task }],
      ['TaskService/GetRun', { name: run }],
      ['TaskService/ListRuns', { parent: task }],
      ['TaskService/RetuneRun', { name: run, rate_per_second: 2 }],
      ['TaskService/PauseRun', { name: run }],
      ['TaskService/ResumeRun', { name: run }],
      ['TaskService/StopRun', { name: run }],
      ['TaskService/GetRunReport', { name: run }],
      ['ClusterService/ListNodes', {}],
      ['ClusterService/DrainNode', { name: 'nodes/w3' }],
      ['ClusterService/ExplainTerm', {}],
      ['ClusterService/PauseFailover', { reason: 'a test' }],
      ['ClusterService/ResumeFailover', {}],
      ['ClusterService/Failover', { to: 'nodes/none' }],
    ];
  };
  /** The product's own deadline, and time for a busy machine to start grpcurl many times. */
  const ANSWER_MS = 10_000 + 10_000;
  /** The streams of the public services. */
  const everyStream = (run: string): readonly [string, object][] => [
    ['TaskService/WatchRun', { name: run }],
    ['ClusterService/WatchEvents', {}],
  ];
  /** A watch looks for a master that can tell it more for half a minute. */
  const WATCH_MS = 30_000 + ANSWER_MS;

  async function streamsEnd(run: string, reason: RegExp): Promise<void> {
    const askedAtMs = performance.now();
    await Promise.all(
      everyStream(run).map(async ([method, request]) => {
        const { code, stderr } = await cluster.ask(method, request);
        expect(code, `${method}: ${stderr}`).toBe(64 + 14);
        expect(stderr, method).toMatch(reason);
      }),
    );
    expect(performance.now() - askedAtMs).toBeLessThan(WATCH_MS);
  }

  async function withFrozen(dependency: { freeze(): void; thaw(): void }, act: () => Promise<void>): Promise<void> {
    dependency.freeze();
    try {
      await act();
    } finally {
      dependency.thaw();
    }
  }

  test('a frozen etcd: each node says that it is gone, what it knows of the cluster, and that it does not serve', async () => {
    const name = await startLoad(20, 120);
    const task = name.replace(/\/runs.*/, '');
    const nodes = [...cluster.nodes.values()];
    await withFrozen(cluster.etcd, async () => {
      for (const { nodeId, address } of nodes) {
        await eventually(async () => {
          const health = await call(address, 'grpc.health.v1.Health/Check', { service: 'gostress.v1.TaskService' });
          expect(health, nodeId).toEqual({ status: 'NOT_SERVING' });
        }, 30_000);
      }
      for (const { nodeId, address } of nodes) {
        const { code, stderr } = await cluster.ask('TaskService/GetTask', { name: task }, address);
        expect(code, nodeId).toBe(64 + 14);
        expect(stderr, nodeId).toMatch(/etcd does not answer/);
        const known = (await cluster.call('ClusterService/GetCluster', {}, address)) as unknown as ClusterAnswer;
        expect(known.master, nodeId).toBeUndefined();
        expect(known.nodes.map((node) => node.name).sort()).toEqual(nodes.map((node) => `nodes/${node.nodeId}`).sort());
      }
      const askedAtMs = performance.now();
      await Promise.all(
        everyCall(name).map(async ([method, request]) => {
          const { code, stderr } = await cluster.ask(method, request);
          expect(code, `${method}: ${stderr}`).toBe(64 + 14);
          expect(stderr, method).toMatch(/etcd/);
        }),
      );
      expect(performance.now() - askedAtMs).toBeLessThan(ANSWER_MS);
      await streamsEnd(name, /etcd/);
    });
    await eventually(() => cluster.call('TaskService/StopRun', { name }), 60_000);
    expect(await cluster.finish(name)).toMatchObject({ state: 'DONE' });
  }, 240_000);

  test('a frozen MySQL makes no call hang, and the answer says what is gone', async () => {
    const name = await startLoad(20, 120);
    const { nodeId, term } = await cluster.master();
    await withFrozen(cluster.mariadb, async () => {
      const askedAtMs = performance.now();
      await Promise.all(
        everyCall(name).map(async ([method, request]) => {
          const { code, stderr, stdout } = await cluster.ask(method, request);
          // Of nodes etcd tells: these calls are answered, that for a node that is not there with NOT_FOUND. Of terms MySQL does.
          const needsMysql = method.startsWith('TaskService') || method.endsWith('/ExplainTerm');
          const expected = needsMysql ? 64 + 14 : method.endsWith('/Failover') ? 64 + 5 : 0;
          expect(code, `${method}: ${stdout}${stderr}`).toBe(expected);
          if (needsMysql) expect(stderr, method).toMatch(/MySQL/);
        }),
      );
      expect(performance.now() - askedAtMs).toBeLessThan(ANSWER_MS);
      await streamsEnd(name, /MySQL/);
    });
    await eventually(() => cluster.call('TaskService/StopRun', { name }), 60_000);
    expect(await cluster.finish(name)).toMatchObject({ state: 'DONE' });
    // Lines of the store are no driver's, and carry role and term all the same.
    const lines = cluster.node(nodeId).log();
    const ofStore = lines.filter(({ msg, driver }) => driver === undefined && /MySQL/.test(String(msg)));
    expect(ofStore).not.toEqual([]);
    for (const line of ofStore) expect(line).toMatchObject({ node: nodeId, role: 'master', term });
  }, 240_000);
});
