import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NginxTarget } from '../support/nginx-target.ts';
import { MISSING, TestCluster } from './cluster.ts';
import { perSecond } from './target-log.ts';

/** What `docs` of a browser give: a curl command, pasted. */
const curl = (url: string) => `curl '${url}orders?page=1' -H 'Accept: application/json' --compressed`;

function total(shares: readonly { target: number }[]): number {
  return shares.reduce((sum, { target }) => sum + target, 0);
}

describe.skipIf(MISSING !== null)(
  `three nodes as processes, etcd, MariaDB, nginx (needs ${MISSING ?? 'nothing'})`,
  () => {
    let cluster: TestCluster;
    let target: NginxTarget;

    beforeAll(async () => {
      [cluster, target] = await Promise.all([TestCluster.start({ a: {}, b: {}, c: {} }), NginxTarget.start()]);
    }, 180_000);
    afterAll(async () => {
      await cluster[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    });

    test('a task from curl runs on all, is retuned, paused, resumed and stopped, and the target agrees with the report', async () => {
      const before = await target.count();
      const load = { rate_per_second: 600, duration: '300s' };
      const name = await cluster.start({ curl_command: curl(target.url), task: { load } });
      await cluster.reach(name, 'RUNNING');
      const first = await cluster.shares(name);
      expect(first.map(({ target: share }) => share)).toEqual([200, 200, 200]);
      expect(new Set(first.map(({ node }) => node))).toEqual(new Set(['nodes/a', 'nodes/b', 'nodes/c']));

      /** Each of some seconds in which nothing changes, as the target sees it. */
      const measured = async (seconds: number): Promise<number[]> => {
        const fromMs = Date.now();
        await sleep(seconds * 1000 + 100);
        return perSecond(await target.hits(), fromMs, fromMs + seconds * 1000);
      };
      /** Within 1 % of the plan, and a hit of each worker on the edge of the second. */
      const expectSteady = async (rate: number, seconds: number): Promise<void> => {
        for (const count of await measured(seconds))
          expect(Math.abs(count - rate)).toBeLessThanOrEqual(rate * 0.01 + 3);
      };
      await expectSteady(600, 5);

      for (const [rate, shares] of [
        [1000, [334, 333, 333]],
        [301, [101, 100, 100]],
      ] as const) {
        const answer = await cluster.call('TaskService/RetuneRun', { name, rate_per_second: rate });
        expect(total(answer.shares as { target: number }[])).toBe(rate);
        await cluster.reach(name, 'RUNNING');
        const now = await cluster.shares(name);
        expect(now.map(({ target: share }) => share).sort((a, b) => b - a)).toEqual(shares);
        await expectSteady(rate, 5);
      }

      await cluster.call('TaskService/PauseRun', { name });
      await cluster.reach(name, 'PAUSED');
      expect(await measured(2)).toEqual([0, 0]);
      await cluster.call('TaskService/ResumeRun', { name });
      await cluster.reach(name, 'RUNNING');
      await expectSteady(301, 3);

      await cluster.call('TaskService/StopRun', { name });
      const end = await cluster.finish(name);
      expect(end).toMatchObject({ state: 'DONE' });
      const { complete, counts } = await cluster.report(name);
      expect(complete).toBe(true);
      expect(counts).toMatchObject({ failed: 0, unknown: 0 });
      expect(counts.ok).toBe((await target.count()) - before);
      expect(counts.ok).toBe(counts.started);
    }, 120_000);

    test('every node serves the API, whoever is master', async () => {
      const { nodeId } = await cluster.master();
      for (const node of cluster.nodes.values()) {
        const answer = await cluster.call('ClusterService/GetCluster');
        expect((answer.master as { name: string }).name, node.nodeId).toBe(`nodes/${nodeId}`);
      }
    });

    test('a bad request names the field', async () => {
      const { code, stderr } = await cluster.ask('TaskService/CreateTask', {
        task: { request: { url: target.url }, load: { rate_per_second: -1 } },
      });
      expect(code).toBe(64 + 3);
      expect(stderr).toMatch(/load\.rate_per_second/);
    });

    test('WatchRun tells of each second once, also when the reader came late, and ends', async () => {
      const load = { rate_per_second: 50, duration: '6s' };
      const name = await cluster.start({ task: { request: { url: target.url }, load } });
      await cluster.reach(name, 'RUNNING');
      await sleep(2000);
      const { code, messages } = await cluster.ask('TaskService/WatchRun', { name, from_second: '0' });
      expect(code).toBe(0);
      const seconds = messages.flatMap(({ second }) =>
        second === undefined ? [] : [Number((second as { second?: string }).second ?? 0)],
      );
      expect(seconds).toEqual([...new Set(seconds)].sort((a, b) => a - b));
      expect(seconds.slice(0, 6)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(messages.at(-1)).toMatchObject({ final: true, run: { state: 'DONE' } });
    }, 60_000);
  },
);
