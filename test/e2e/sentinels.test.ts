import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { NginxTarget } from '../support/nginx-target.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { MISSING, TestCluster } from './cluster.ts';
import { longestGapMs } from './target-log.ts';

/** A term may be ended soon, so that the tests need not wait; all else is as by default. */
const GOSTRESS_TIMINGS = 'termSettle=2s';
const withRoles = (roles: string) => ({ env: { GOSTRESS_ROLES: roles, GOSTRESS_TIMINGS } });
const NODES = {
  m1: withRoles('candidate'),
  m2: withRoles('candidate'),
  m3: withRoles('candidate'),
  s1: withRoles('sentinel'),
  s2: withRoles('sentinel'),
  s3: withRoles('sentinel'),
  w1: withRoles('worker'),
};
/** A lock of a dead master may stay as long; that it was still there is what NOMINATED says. */
const LEASE_TTL_MS = 5_000;

interface Reasons {
  node: string;
  how: string;
  time: string;
  nomination?: { by: string; node: string; reason: string; votes?: string[]; candidates: { node: string }[] };
}

describe.skipIf(MISSING !== null)(`three sentinels as processes (needs ${MISSING ?? 'nothing'})`, () => {
  let cluster: TestCluster;
  let target: NginxTarget;

  beforeAll(async () => {
    target = await NginxTarget.start();
  }, 60_000);
  afterAll(() => target[Symbol.asyncDispose]());
  beforeEach(async () => {
    cluster = await TestCluster.start(NODES);
    await eventually(async () => expect((await cluster.call('ClusterService/GetCluster')).sentinels).toHaveLength(3));
    await sleep(2_500);
  }, 180_000);
  afterEach(async () => {
    for (const node of cluster.nodes.values()) if (node.isAlive) node.thaw();
    await cluster[Symbol.asyncDispose]();
  });

  const explain = async (term: number): Promise<Reasons> =>
    (await cluster.call('ClusterService/ExplainTerm', { term })) as unknown as Reasons;
  const gostress = async (...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runCli([...argv, '--cluster', cluster.address]);
    expect(code, stderr).toBe(0);
    return stdout;
  };

  async function startLoad(seconds: number): Promise<string> {
    const load = { rate_per_second: 200, duration: `${seconds}s` };
    const name = await cluster.start({ task: { request: { url: target.url }, load } });
    await cluster.reach(name, 'RUNNING');
    return name;
  }

  test.each([
    ['SIGKILL', (node: NodeProcess) => node.kill()],
    [
      'SIGSTOP',
      (node: NodeProcess) => {
        node.freeze();
        return Promise.resolve();
      },
    ],
  ])(
    '%s of the master: another one is nominated before the lease ends, and why is kept',
    async (signal, stop) => {
      const before = await target.count();
      const name = await startLoad(12);
      await sleep(2_500);
      const { nodeId, term } = await cluster.master();
      const stoppedAtMs = Date.now();
      await stop(cluster.node(nodeId));
      const next = await cluster.master(term);
      const reasons = await explain(next.term);
      // By the new master's clock, which is this machine's: what is asked of a frozen master waits for its deadline.
      const tookMs = Date.parse(reasons.time) - stoppedAtMs;
      console.log(`${signal}: a new master ${tookMs} ms after the old one had stopped`);
      expect(next.nodeId).not.toBe(nodeId);
      expect(next.term).toBe(term + 1);
      expect(tookMs).toBeLessThan(LEASE_TTL_MS);
      expect(reasons).toMatchObject({ how: 'NOMINATED', node: `nodes/${next.nodeId}` });
      expect(reasons.nomination!.by).toMatch(/^nodes\/s[123]$/);
      expect(reasons.nomination!.votes!.length).toBeGreaterThanOrEqual(2);
      expect(reasons.nomination!.candidates).toHaveLength(3);
      expect(await gostress('cluster', 'explain')).toMatch(new RegExp(`nodes/${nodeId} +it is the one that is to be`));
      if (signal === 'SIGSTOP') cluster.node(nodeId).thaw();
      expect(await cluster.finish(name)).toMatchObject({ state: 'DONE' });
      expect((await cluster.status()).term, 'the old one changes nothing').toBe(next.term);
      const { counts, complete } = await cluster.report(name);
      const hits = await target.hits();
      expect(complete).toBe(true);
      expect(counts).toMatchObject({ unknown: 0, ok: hits.length - before });
      expect(longestGapMs(hits, stoppedAtMs - 1_000, stoppedAtMs + 5_000)).toBeLessThan(300);
    },
    120_000,
  );

  test('a planned switchover: the load goes on, nothing is lost, and the next master is the one that was named', async () => {
    const before = await target.count();
    const name = await startLoad(8);
    const { nodeId, term } = await cluster.master();
    const to = ['m1', 'm2', 'm3'].findLast((id) => id !== nodeId)!;
    await expect(gostress('cluster', 'failover', '--to', 'w1')).rejects.toThrow('it is no candidate');
    const said = await gostress('cluster', 'failover', '--to', to, '--reason', 'a new kernel');
    console.log(said.trim());
    expect(said).toMatch(new RegExp(`^nodes/${to} is the master of term ${term + 1}, \\d+ ms after`));
    expect(await explain(term + 1)).toMatchObject({
      how: 'NOMINATED',
      nomination: { by: 'operator', node: `nodes/${to}`, reason: 'a new kernel' },
    });
    expect(await cluster.finish(name)).toMatchObject({ state: 'DONE' });
    const { counts, complete } = await cluster.report(name);
    expect(complete).toBe(true);
    expect(counts).toMatchObject({ unknown: 0, failed: 0, ok: (await target.count()) - before });
  }, 120_000);

  test('paused, they leave a dead master to its lease; a frozen worker is doubted by name', async () => {
    expect(await gostress('cluster', 'pause', '--reason', 'maintenance')).toMatch(/is paused/);
    expect(await gostress('status')).toMatch(/failover: +paused since .*: maintenance/);
    cluster.node('w1').freeze();
    await eventually(async () => expect(await gostress('nodes', 'list')).toMatch(/w1 .* s1,s2,s3 \(down\)/));
    cluster.node('w1').thaw();
    await eventually(async () => expect(await gostress('nodes', 'list')).not.toMatch(/s1,s2,s3/));
    const { nodeId, term } = await cluster.master();
    await cluster.node(nodeId).kill();
    const next = await cluster.master(term);
    expect(await explain(next.term)).toMatchObject({ how: 'BY_RANK' });
    expect(await gostress('cluster', 'resume')).toMatch(/is on/);
  }, 120_000);
});
