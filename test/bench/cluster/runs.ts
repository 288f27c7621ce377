import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '../../../src/lib/errors.ts';
import { ClusterClient } from '../../../src/rpc/client.ts';
import { durationToMessage } from '../../../src/rpc/well-known.ts';
import { FINAL_STATES, type RunState } from '../../../src/task/status.ts';
import { TestCluster } from '../../e2e/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { NginxTarget } from '../../support/nginx-target.ts';

/** Of one round, milliseconds, by name. */
export type Round = Record<string, number>;
export type OnRound = (round: Round) => void;

const NODES = ['a', 'b', 'c'];
/** Hits per second over all workers: low, since the load itself is not what is measured. */
const RATE = 300;
const RETUNED_RATE = 600;
/** The first hit has come by then. */
const FIRST_HIT_MS = 4_000;
const RETRY_MS = 10;
const DEADLINE_MS = 60_000;
/** The nodes of tests say more than nodes do by default. */
export const QUIET = { env: { GOSTRESS_LOG_LEVEL: 'info' } };

/** How long commands take from the call to their effect, on three workers. */
export async function latency(rounds: number, onRound: OnRound): Promise<void> {
  await using target = await NginxTarget.start();
  await using cluster = await TestCluster.start(Object.fromEntries(NODES.map((id) => [id, QUIET])));
  using client = ClusterClient.connect(cluster.address);
  const task = await newTask(client, target.url, RATE);
  for (let round = 0; round < rounds; round++) {
    const calledAtMs = Date.now();
    const { value: run, ms: startAnsweredMs } = await timed(() => client.startTask(task));
    await sleep(FIRST_HIT_MS);
    const hits = (await target.hits()).map(({ atMs }) => atMs).filter((atMs) => atMs >= calledAtMs);
    if (hits.length === 0) throw new Error(`no hit came within ${FIRST_HIT_MS} ms`);
    await reached(client, run.name, 'RUNNING');
    const { ms: retuneUpMs } = await timed(() => retune(client, run.name, RETUNED_RATE));
    await sleep(1_000);
    const { ms: retuneDownMs } = await timed(() => retune(client, run.name, RATE));
    onRound({ startAnsweredMs, firstHitMs: Math.min(...hits) - calledAtMs, retuneUpMs, retuneDownMs });
    await stopped(client, run.name);
  }
}

/** How long nobody commands after the master was killed; it is started again after each round. */
export async function failover(rounds: number, onRound: OnRound): Promise<void> {
  await using target = await NginxTarget.start();
  await using cluster = await TestCluster.start(Object.fromEntries(NODES.map((id) => [id, QUIET])));
  for (let round = 0; round < rounds; round++) {
    const { nodeId: masterId, term } = await cluster.master();
    const survivor = NODES.find((id) => id !== masterId)!;
    using client = ClusterClient.connect(cluster.node(survivor).address);
    const { name } = await client.startTask(await newTask(client, target.url, RATE));
    await reached(client, name, 'RUNNING');
    // Any instant between two renewals of the lease is as good as another.
    await sleep(2_000 + Math.random() * 1_500);
    const killedAtMs = performance.now();
    await cluster.node(masterId).kill();
    await insist(async () => {
      const status = await client.getCluster();
      if (status.master === null || Number(status.term) <= term) throw new CodedError('UNAVAILABLE', 'no new master');
    });
    const newMasterMs = performance.now() - killedAtMs;
    await insist(() => retune(client, name, RETUNED_RATE));
    onRound({ newMasterMs, retunedMs: performance.now() - killedAtMs });
    await stopped(client, name);
    await cluster.add(masterId, QUIET);
    await eventually(async () => {
      const { nodes } = await client.getCluster();
      const ready = nodes.filter(({ connected, standing }) => connected && standing === 'LIVE').length;
      if (ready < NODES.length) throw new Error(`${ready} workers are connected`);
    }, DEADLINE_MS);
  }
}

/**
 * @param options.lasts s; its run is stopped before
 * @returns the task's name
 */
export async function newTask(
  client: ClusterClient,
  url: string,
  ratePerSecond: number,
  options: { lasts?: number; maxNodes?: number } = {},
): Promise<string> {
  const { lasts = 600, ...placement } = options;
  const load = { ratePerSecond, duration: durationToMessage(lasts * 1_000) };
  const { name } = await client.createTask({ task: { request: { url }, load, placement } });
  return name!;
}

export async function reached(client: ClusterClient, name: string, state: RunState): Promise<void> {
  await eventually(async () => {
    const run = await client.getRun(name);
    if (run.state !== state) throw new Error(`${name} is ${run.state} (${run.reason}), not ${state}`);
  }, DEADLINE_MS);
}

/** Stops the run and waits for its end. @returns its state */
export async function stopped(client: ClusterClient, name: string): Promise<string> {
  await client.stopRun(name);
  return eventually(async () => {
    const { state } = await client.getRun(name);
    if (!FINAL_STATES.has(state as RunState)) throw new Error(`${name} is ${state}`);
    return state;
  }, DEADLINE_MS);
}

/** The call is answered when all workers have applied it. @throws Error when it was answered before that */
async function retune(client: ClusterClient, name: string, ratePerSecond: number): Promise<void> {
  const { run, shares } = await client.retuneRun(name, { ratePerSecond });
  const active = shares.filter(({ state }) => state === 'ASSIGNED' || state === 'RUNNING');
  const total = active.reduce((sum, { target }) => sum + target, 0);
  if (run.state === 'RUNNING' && total === ratePerSecond) return;
  throw new Error(`expected ${name} RUNNING with ${ratePerSecond}/s, found it ${run.state} with ${total}/s`);
}

async function timed<T>(call: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const beganMs = performance.now();
  const value = await call();
  return { value, ms: performance.now() - beganMs };
}

/** Calls again while nobody can answer. */
async function insist(call: () => Promise<void>): Promise<void> {
  const endMs = performance.now() + DEADLINE_MS;
  for (;;) {
    try {
      await call();
      return;
    } catch (error) {
      const isPassing = error instanceof CodedError && error.code === 'UNAVAILABLE';
      if (!isPassing || performance.now() >= endMs) throw error;
    }
    await sleep(RETRY_MS);
  }
}
