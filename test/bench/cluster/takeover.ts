import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterClient } from '../../../src/rpc/client.ts';
import { TestCluster } from '../../e2e/cluster.ts';
import { longestGapMs, perSecond } from '../../e2e/target-log.ts';
import { eventually } from '../../support/eventually.ts';
import type { NginxTarget } from '../../support/nginx-target.ts';
import type { NodeOptions } from '../../support/node-process.ts';
import { newTask, reached, stopped } from './runs.ts';

/** What happens to the master, or to a worker. */
export const HOWS = ['kill', 'freeze', 'planned', 'worker'] as const;
export type How = (typeof HOWS)[number];

export interface Takeover {
  how: How;
  sentinels: number;
  /** Of the timings: `default` or `fast`. */
  profile: string;
}

/** One sample, milliseconds and hits. */
export interface TakeoverSample {
  /** From the deed until the next master leads, by its own word; of a worker: null. */
  newMasterMs: number | null;
  /** Of a worker: how long its share was missing at the target, by the hits that are missing; else null. */
  restoredMs: number | null;
  /** The longest time without any hit at the target, from a second before the deed on. */
  gapMs: number;
  /** Hits of whole seconds above and below the plan, in `watchSeconds` from the deed on. */
  over: number;
  under: number;
}

/** Hits per second over all workers. */
export const RATE = 300;
/** Terms settle sooner than by default, so that a sample need not wait for it. */
const SETTLE_MS = 2_000;
const DEADLINE_MS = 30_000;
const WORKERS = ['w1', 'w2', 'w3'];

/** A fresh cluster, a load, a deed; and what the target saw of it. */
export async function takeover(kind: Takeover, target: NginxTarget): Promise<TakeoverSample> {
  const { how, sentinels, profile } = kind;
  const watchS = watchSeconds(kind);
  await using cluster = await TestCluster.start(nodesOf(sentinels, profile));
  using client = ClusterClient.connect(cluster.node('w3').address);
  await eventually(async () => {
    if ((await client.getCluster()).sentinels.length < sentinels) throw new Error('a sentinel is missing');
  }, DEADLINE_MS);
  const { name } = await client.startTask(await newTask(client, target.url, RATE));
  await reached(client, name, 'RUNNING');
  // Any instant between two renewals, probes and passes is as good as another.
  await sleep(SETTLE_MS + 500 + Math.random() * 1_000);
  const { nodeId, term } = await cluster.master();
  const beganMs = Date.now();
  const newMasterMs = how === 'worker' ? null : await replaced(cluster, client, how, { nodeId, term });
  if (how === 'worker') await cluster.node('w1').kill();
  await sleep(Math.max(0, beganMs + watchS * 1_000 - Date.now()));
  for (const node of cluster.nodes.values()) if (node.isAlive && node.isFrozen) node.thaw();
  await stopped(client, name);
  const hits = (await target.hits()).filter(({ atMs }) => atMs >= beganMs - 1_000);
  const counts = perSecond(hits, beganMs, beganMs + watchS * 1_000);
  const sum = (differences: number[]): number => differences.reduce((all, one) => all + Math.max(0, one), 0);
  const missing = RATE * watchS - counts.reduce((all, one) => all + one, 0);
  return {
    newMasterMs,
    restoredMs: how === 'worker' ? Math.max(0, missing) / (RATE / WORKERS.length / 1_000) : null,
    gapMs: longestGapMs(hits, beganMs - 1_000, beganMs + watchS * 1_000),
    over: sum(counts.map((count) => count - RATE)),
    under: sum(counts.map((count) => RATE - count)),
  };
}

/** Until all that comes of the deed has come. */
function watchSeconds({ how, sentinels }: Takeover): number {
  if (how === 'planned' || how === 'worker') return 5;
  return sentinels > 0 ? 8 : 12;
}

function nodesOf(sentinels: number, profile: string): Record<string, Partial<NodeOptions>> {
  const node = (roles: string) => ({
    env: {
      GOSTRESS_ROLES: roles,
      GOSTRESS_LOG_LEVEL: 'info',
      GOSTRESS_TIMING_PROFILE: profile,
      GOSTRESS_TIMINGS: `termSettle=${SETTLE_MS}ms`,
    },
  });
  const ids = Array.from({ length: sentinels }, (_, i) => `s${i + 1}`);
  return {
    ...{ m1: node('candidate'), m2: node('candidate'), m3: node('candidate') },
    ...Object.fromEntries(WORKERS.map((id) => [id, node('worker')])),
    ...Object.fromEntries(ids.map((id) => [id, node('sentinel')])),
  };
}

async function replaced(
  cluster: TestCluster,
  client: ClusterClient,
  how: Exclude<How, 'worker'>,
  { nodeId, term }: { nodeId: string; term: number },
): Promise<number> {
  const beganMs = Date.now();
  if (how === 'kill') await cluster.node(nodeId).kill();
  else if (how === 'freeze') cluster.node(nodeId).freeze();
  else await client.failover('', 'a measurement');
  const next = await cluster.master(term, DEADLINE_MS);
  const { time } = await client.explainTerm(String(next.term));
  return Number(time?.seconds ?? 0) * 1_000 + (time?.nanos ?? 0) / 1e6 - beganMs;
}
