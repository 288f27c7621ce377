import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { NginxTarget } from '../support/nginx-target.ts';
import { MISSING, TestCluster } from './cluster.ts';

/** A share has no owner while it is taken from one and given to others: some milliseconds, on a busy machine up to this. */
const MOVE_S = 2;
/** A node is soon up for longer than work without a permit is kept: who counts from its start would give it up. */
const KEPT_MS = 6_000;
const NODE = { env: { GOSTRESS_TIMINGS: `permitOnLease=${KEPT_MS}ms,abortAfter=${KEPT_MS}ms` } };

describe.skipIf(MISSING !== null)(`a node that is told to end (needs ${MISSING ?? 'nothing'})`, () => {
  let cluster: TestCluster;
  let target: NginxTarget;

  beforeAll(async () => {
    [cluster, target] = await Promise.all([TestCluster.start({ a: NODE, b: NODE, c: NODE }), NginxTarget.start()]);
  }, 180_000);
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await target[Symbol.asyncDispose]();
  });

  test.each([
    ['is not the master', false],
    ['is the master and a worker', true],
  ])(
    'hands its share over, loses nothing and exits 0; it %s',
    async (_, isMaster) => {
      const { nodeId: masterId } = await cluster.master();
      const leaving = [...cluster.nodes.values()].find(({ nodeId }) => (nodeId === masterId) === isMaster)!;
      const before = await target.count();
      const load = { rate_per_second: 300, duration: '20s' };
      const name = await cluster.start({ task: { request: { url: target.url }, load } });
      await cluster.reach(name, 'RUNNING');
      await sleep(KEPT_MS + 1_000);
      leaving.signal('SIGTERM');
      expect(await leaving.ended).toMatchObject({ code: 0 });
      await eventually(async () => {
        const shares = await cluster.shares(name);
        expect(shares.map(({ node }) => node)).not.toContain(`nodes/${leaving.nodeId}`);
        expect(shares.reduce((sum, { target: share }) => sum + share, 0)).toBe(300);
      });
      expect(await cluster.finish(name)).toMatchObject({ state: 'DONE' });
      const { complete, counts, report } = await cluster.report(name);
      expect(complete).toBe(true);
      expect(counts).toMatchObject({ unknown: 0, failed: 0, ok: (await target.count()) - before });
      // Its load went on until the others had its share: what is missing is the time between lowering and raising.
      expect(report).toMatchObject({ counts: { dropped: { 'no-permit': 0 } } });
      expect(300 * 20 - counts.scheduled).toBeLessThanOrEqual(MOVE_S * 100);
      expect(leaving.output).not.toMatch(/no permit for/);
      await cluster.add(leaving.nodeId, { ...NODE, port: leaving.port });
    },
    120_000,
  );
});
