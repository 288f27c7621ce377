import { expect } from 'vitest';
import { ClusterClient } from '../../../src/rpc/client.ts';
import { CALL_MS, LEADERLESS_MS, NOISE_MS, TWO_LEADERS, type Fault } from '../fault.ts';
import type { Scene } from '../scene.ts';

/** Longer than the server takes at most: so that what ends by this is seen to have no deadline. */
const PATIENCE_MS = 3 * CALL_MS;

type Call = (client: ClusterClient) => Promise<unknown>;

/** Every call of the public API that is not a stream. What would disturb the run is asked of one that is not there. */
function callsOf(run: string): Readonly<Record<string, Call>> {
  const task = run.replace(/\/runs.*/, '');
  const none = 'tasks/999/runs/1';
  const request = { request: { url: 'http://127.0.0.1:1/' } };
  return {
    CreateTask: (client) => client.createTask({ task: request, validateOnly: true }),
    GetTask: (client) => client.getTask(task),
    ListTasks: (client) => client.listTasks(),
    UpdateTask: (client) => client.updateTask({ name: 'tasks/999', ...request }),
    DeleteTask: (client) => client.deleteTask('tasks/999'),
    StartTask: (client) => client.startTask('tasks/999'),
    GetRun: (client) => client.getRun(run),
    ListRuns: (client) => client.listRuns(task),
    StopRun: (client) => client.stopRun(none),
    RetuneRun: (client) => client.retuneRun(none, { ratePerSecond: 1 }),
    PauseRun: (client) => client.pauseRun(none),
    ResumeRun: (client) => client.resumeRun(none),
    GetRunReport: (client) => client.getRunReport(run),
    GetCluster: (client) => client.getCluster(),
    ListNodes: (client) => client.listNodes(),
    DrainNode: (client) => client.drainNode('nodes/none'),
    ExplainTerm: (client) => client.explainTerm('0'),
    Failover: (client) => client.failover('nodes/none', 'a test'),
    PauseFailover: (client) => client.pauseFailover('a test'),
    ResumeFailover: (client) => client.resumeFailover(),
  };
}

/** All of them at once, of one node. */
async function callAll({ cluster, run }: Scene, nodeId: string): Promise<void> {
  using client = ClusterClient.connect(cluster.node(nodeId).address, { deadlineMs: PATIENCE_MS });
  const took = await Promise.all(
    Object.entries(callsOf(run)).map(async ([name, call]) => {
      const fromMs = performance.now();
      const problem = await call(client).then(
        () => null,
        (error: unknown) => String(error),
      );
      return { name, problem, ms: Math.round(performance.now() - fromMs) };
    }),
  );
  expect(took.filter(({ ms }) => ms > CALL_MS + NOISE_MS)).toEqual([]);
  // Bad luck has a name: whose call fails learns what is gone.
  expect(took.filter(({ problem }) => /internal|undefined|\[object/i.test(problem ?? ''))).toEqual([]);
}

export const CALLS: readonly Fault[] = [
  {
    name: 'F16 etcd is frozen: every public call returns within its deadline',
    seconds: 45,
    leaderlessMs: 3 * CALL_MS + LEADERLESS_MS,
    pauses: true,
    act: (scene) => scene.without('etcd', 'freeze', () => callAll(scene, 'w2')),
  },
  {
    name: 'F16 MySQL is frozen: every public call returns within its deadline',
    seconds: 40,
    leaderlessMs: 3 * CALL_MS + LEADERLESS_MS,
    act: (scene) => scene.without('mysql', 'freeze', () => callAll(scene, 'w2')),
  },
  {
    name: 'F16 the master is frozen: every public call to others returns within its deadline',
    seconds: 35,
    async act(scene) {
      const { nodeId, term } = await scene.master();
      scene.freeze(nodeId);
      await callAll(scene, 'w2');
      await scene.master(term);
      scene.thaw(nodeId);
    },
  },
  {
    name: 'F16 a sentinel is frozen: every public call to others returns within its deadline',
    nodes: { ...TWO_LEADERS, s1: { env: { GOSTRESS_ROLES: 'sentinel' } } },
    seconds: 25,
    async act(scene) {
      scene.freeze('s1');
      await callAll(scene, 'w2');
      scene.thaw('s1');
    },
  },
  {
    name: 'F16 a worker is frozen: every public call to others returns within its deadline',
    seconds: 25,
    async act(scene) {
      scene.freeze('w1');
      await callAll(scene, 'w2');
      scene.thaw('w1');
    },
  },
];
