import { expect, test } from 'vitest';
import { contradictions, type Op } from '../sim/linearizable.ts';
import { eventually } from '../support/eventually.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { MISSING, TestCluster } from './cluster.ts';

const NODES = { a: {}, b: {}, c: {} };
const ROUNDS = ['SIGSTOP', 'SIGKILL', 'SIGSTOP', 'SIGKILL'] as const;

/** Each term that a process began: its fence stood before it said so, and was not raised before the process started. */
function raisesOf(node: NodeProcess, startedAtMs: number): Op[] {
  const lines = node.log().filter(({ msg }) => msg === 'master');
  return lines.map(({ term, time }) => {
    return {
      kind: 'raise',
      term: term as number,
      holder: node.nodeId,
      fromMs: startedAtMs,
      toMs: Date.parse(String(time)),
    };
  });
}

/** Looks at the fence again and again. */
async function watchFence(cluster: TestCluster, seen: Op[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const fromMs = Date.now();
    const [row] = await cluster.mariadb.query('select term, holder from gostress.fence');
    const { term, holder } = row as { term: number | bigint; holder: string | null };
    if (holder !== null) seen.push({ kind: 'see', term: Number(term), holder, fromMs, toMs: Date.now() });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test.skipIf(MISSING !== null)(
  `the history of the lock is linearizable while its masters are frozen and killed (needs ${MISSING ?? 'nothing'})`,
  async () => {
    const beganMs = Date.now();
    await using cluster = await TestCluster.start(NODES);
    const over = new AbortController();
    const history: Op[] = [];
    const watching = watchFence(cluster, history, over.signal);
    const processes = [...cluster.nodes.values()].map((node) => ({ node, startedAtMs: beganMs }));
    let { nodeId, term } = await cluster.master();
    for (const signal of ROUNDS) {
      const former = cluster.node(nodeId);
      if (signal === 'SIGSTOP') former.freeze();
      else await former.kill();
      ({ nodeId, term } = await cluster.master(term, 60_000));
      const startedAtMs = Date.now();
      if (signal === 'SIGSTOP') former.thaw();
      else processes.push({ node: await cluster.add(former.nodeId), startedAtMs });
      // It is back, and follows.
      await eventually(async () => {
        const { nodes } = await cluster.status();
        expect(nodes.filter(({ connected }) => connected === true)).toHaveLength(3);
      }, 60_000);
    }
    over.abort();
    await watching;
    for (const { node, startedAtMs } of processes) history.push(...raisesOf(node, startedAtMs));
    const raises = history.filter(({ kind }) => kind === 'raise');
    expect(raises.length).toBeGreaterThan(ROUNDS.length);
    expect(contradictions(history)).toEqual([]);
    // Who wrote in a term is who raised it.
    const writers = await cluster.mariadb.query("select term, node_id node from gostress.event where node_id <> ''");
    expect(writers.length).toBeGreaterThan(ROUNDS.length);
    const holders = new Map(raises.map(({ term: of, holder }) => [of, holder]));
    for (const { term: of, node } of writers)
      expect(node, `writer of term ${String(of)}`).toBe(holders.get(Number(of)));
  },
  240_000,
);
