import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { expect } from 'vitest';
import { KEYS, prefixOf } from '../../../src/cluster/etcd-records.ts';
import { longestGapMs } from '../../e2e/target-log.ts';
import { eventually } from '../../support/eventually.ts';
import { LEADERLESS_MS, NOISE_MS, THREE_LEADERS, type Fault, type Nodes } from '../fault.ts';
import type { Findings } from '../findings.ts';
import type { Scene } from '../scene.ts';

/** A term may be ended soon, so that a case need not wait for it; all else is as by default. */
const SETTLE_MS = 2_000;
/** From the death of a master until enough sentinels hold it for down and the next one leads. */
const DOWN_MS = 2_000 + 1_500;
/** A vote goes with the record of the sentinel that made it. */
const SENTINEL_TTL_MS = 3_000;

/** Three candidates, three workers, and so many sentinels. */
function nodesWith(sentinels: readonly string[], quorum = 1): Nodes {
  const env = { GOSTRESS_TIMINGS: `termSettle=${SETTLE_MS}ms`, GOSTRESS_QUORUM: String(quorum) };
  const each = Object.entries(THREE_LEADERS).map(([id, node]) => [id, { env: { ...node.env, ...env } }] as const);
  const watching = sentinels.map((id) => [id, { env: { GOSTRESS_ROLES: 'sentinel', ...env } }] as const);
  return Object.fromEntries([...each, ...watching]);
}

const IDS = ['s1', 's2', 's3'];

/** Every sentinel is there, and the term may be ended. */
async function settled({ cluster, fault }: Scene): Promise<void> {
  const expected = Object.keys(fault.nodes ?? {}).filter((id) => id.startsWith('s')).length;
  await eventually(async () => {
    const { sentinels = [] } = (await cluster.call('ClusterService/GetCluster')) as { sentinels?: object[] };
    expect(sentinels).toHaveLength(expected);
  }, 20_000);
  await sleep(SETTLE_MS + 500);
}

/** How the master of a term became master: `NOMINATED`, `BY_RANK`. */
async function howOf({ cluster }: Scene, term: number): Promise<string> {
  const { how } = await cluster.call('ClusterService/ExplainTerm', { term });
  return String(how);
}

function expectOneReign({ reigns, isStarved }: Findings): void {
  if (!isStarved) expect(reigns.map(({ nodeId }) => nodeId)).toHaveLength(1);
}

/** The master is killed while so many sentinels look. */
function killWatched(sentinels: readonly string[]): Fault {
  const isWatched = sentinels.length > 0;
  let how = '';
  return {
    name: `F12 SIGKILL of the master with ${sentinels.length} sentinels: ${isWatched ? 'they nominate the next one' : 'the next one comes by rank'}`,
    nodes: nodesWith(sentinels),
    seconds: 20,
    leaderlessMs: isWatched ? DOWN_MS : LEADERLESS_MS,
    async act(scene) {
      await settled(scene);
      const { nodeId, term } = await scene.master();
      await scene.kill(nodeId);
      const next = await scene.master(term);
      how = await howOf(scene, next.term);
    },
    expects({ isStarved }) {
      if (!isStarved) expect(how).toBe(isWatched ? 'NOMINATED' : 'BY_RANK');
    },
  };
}

/** The id of the sentinel that is the first to vote against the master of a term, as soon as etcd knows it. */
async function firstVoter({ cluster }: Scene, term: number): Promise<string> {
  using client = new DisposableEtcd(cluster.etcd.host);
  const votes = `${prefixOf('gostress')}${KEYS.votes}${term}/`;
  const end = performance.now() + 20_000;
  for (;;) {
    const [found] = await client.etcd.getAll().prefix(votes).keys();
    if (found !== undefined) return found.slice(votes.length);
    if (performance.now() > end) throw new Error(`nobody voted against the master of term ${term}`);
    await sleep(2);
  }
}

class DisposableEtcd implements Disposable {
  readonly etcd: Etcd3;
  constructor(host: string) {
    this.etcd = new Etcd3({ hosts: host });
  }
  [Symbol.dispose](): void {
    this.etcd.close();
  }
}

/** A master that is well, and that no sentinel can reach. */
function falseAlarm(): Fault {
  let how = '';
  return {
    name: 'F5 stall between the master and all sentinels: they replace a master that is well, and the load goes on',
    nodes: nodesWith(IDS),
    seconds: 20,
    leaderlessMs: DOWN_MS,
    async act(scene) {
      await settled(scene);
      const { nodeId, term } = await scene.master();
      for (const id of IDS) scene.stallBetween(id, nodeId);
      const next = await scene.master(term);
      expect(next.nodeId).not.toBe(nodeId);
      how = await howOf(scene, next.term);
      await scene.mend();
    },
    expects({ hits }) {
      expect(how).toBe('NOMINATED');
      expect(longestGapMs(hits, hits[0]!.atMs, hits.at(-1)!.atMs)).toBeLessThan(NOISE_MS / 3);
    },
  };
}

export const SENTINELS: readonly Fault[] = [
  falseAlarm(),
  {
    name: 'F5 stall between the master and one of three sentinels: nobody follows it',
    nodes: nodesWith(IDS, 2),
    seconds: 20,
    async act(scene) {
      await settled(scene);
      scene.stallBetween('s1', (await scene.master()).nodeId);
      await sleep(DOWN_MS + NOISE_MS);
      await scene.mend();
    },
    expects: expectOneReign,
  },
  ...[[], ['s1'], IDS].map(killWatched),
  {
    name: 'F12 SIGKILL of the master, and of the sentinel that was the first to vote: the others nominate, or rank decides',
    nodes: nodesWith(IDS),
    seconds: 30,
    leaderlessMs: Math.max(LEADERLESS_MS, DOWN_MS + SENTINEL_TTL_MS + DOWN_MS),
    async act(scene) {
      await settled(scene);
      const { nodeId, term } = await scene.master();
      // What a sentinel hears of its vote is later than what this test hears of it.
      for (const id of IDS) scene.delay(id, 'etcd', 150);
      await sleep(1_000);
      await scene.kill(nodeId);
      await scene.kill(await firstVoter(scene, term));
      const next = await scene.master(term);
      expect(next.nodeId).not.toBe(nodeId);
    },
  },
  {
    name: 'F12 SIGSTOP of all sentinels for longer than TILT: awake again, they accuse nobody',
    nodes: nodesWith(IDS),
    seconds: 22,
    async act(scene) {
      await settled(scene);
      for (const id of IDS) scene.freeze(id);
      await sleep(5_000);
      for (const id of IDS) scene.thaw(id);
      await sleep(DOWN_MS + NOISE_MS);
    },
    expects: expectOneReign,
  },
];
