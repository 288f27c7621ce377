import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { reflect } from '../support/grpcurl.ts';
import { NginxTarget } from '../support/nginx-target.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { askPython, PYTHON_MISSING } from '../support/python-client.ts';
import { MISSING, secondsOf, TestCluster, type Second } from './cluster.ts';
import { perSecond, portsOf, threadsOf } from './target-log.ts';

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

    test('a task from a curl file runs on all, is retuned, paused, resumed and stopped, and the target agrees with the report', async () => {
      const before = await target.count();
      const folder = mkdtempSync(path.join(tmpdir(), 'gostress-curl-'));
      const file = path.join(folder, 'orders.curl');
      writeFileSync(file, curl(target.url));
      const flags = ['-p', file, '-q', '600', '-d', '300s', '--cluster', cluster.address];
      const { code, stdout, stderr } = await runCli(['run', ...flags, '--detach']);
      rmSync(folder, { recursive: true });
      expect(code, stderr).toBe(0);
      const name = stdout.trim();
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
      /**
       * Within 1 % of the plan at the target too. Its seconds are cut at other instants than the run's, and by when it answered: each
       * worker's hits at both edges may be in the one second or the other, so that one hit a worker is allowed on top.
       */
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

      const targetPort = Number(new URL(target.url).port);
      const nodes = [...cluster.nodes.values()];
      const held = ({ pid }: NodeProcess) => ({ sockets: portsOf(pid, targetPort).size, threads: threadsOf(pid) });
      const loading = nodes.map(held);
      await cluster.call('TaskService/StopRun', { name });
      const end = await cluster.finish(name);
      expect(end).toMatchObject({ state: 'DONE' });
      await eventually(() => {
        for (const [i, node] of nodes.entries()) {
          const { sockets, threads } = held(node);
          expect(sockets, node.nodeId).toBe(0);
          expect(threads, node.nodeId).toBeLessThan(loading[i]!.threads);
        }
      });
      expect(loading.map(({ sockets }) => sockets)).not.toContain(0);
      const { complete, counts } = await cluster.report(name);
      expect(complete).toBe(true);
      expect(counts).toMatchObject({ failed: 0, unknown: 0 });
      expect(counts.ok).toBe((await target.count()) - before);
      expect(counts.ok).toBe(counts.started);
      // In the run's own seconds, which no edge divides: within 1 % of the target in each steady one.
      const seconds = await cluster.seconds(name);
      for (const [rate, least] of [
        [600, 2],
        [1000, 2],
        [301, 2],
      ] as const) {
        const isOf = (second: Second | undefined) => second?.target === rate;
        // Neither the one in which a change came nor the one in which the next came, or the end.
        const steady = seconds.filter((second, i) => isOf(second) && isOf(seconds[i - 1]) && isOf(seconds[i + 1]));
        expect(steady.length, `seconds of ${rate}/s`).toBeGreaterThanOrEqual(least);
        expect(steady.filter(({ started }) => Math.abs(started - rate) > rate * 0.01)).toEqual([]);
      }
    }, 120_000);

    test('every node serves the API, whoever is master', async () => {
      const { nodeId } = await cluster.master();
      await cluster.add('w', { env: { GOSTRESS_ROLES: 'worker', GOSTRESS_MYSQL_URL: undefined } });
      const name = `nodes/${nodeId}`;
      for (const node of cluster.nodes.values()) {
        await eventually(async () => {
          const answer = await cluster.call('ClusterService/GetCluster', {}, node.address);
          expect(answer.master, node.nodeId).toMatchObject({ name });
          expect(answer.nodes, node.nodeId).toContainEqual(expect.objectContaining({ name, connected: true }));
        });
      }
      // Each of them made one, and each knows of all.
      const tasks = new Set<unknown>();
      for (const node of cluster.nodes.values()) {
        const task = { request: { url: target.url }, display_name: node.nodeId };
        tasks.add((await cluster.call('TaskService/CreateTask', { task }, node.address)).name);
      }
      for (const { nodeId: id, address } of cluster.nodes.values()) {
        const { tasks: listed } = await cluster.call('TaskService/ListTasks', {}, address);
        const names = (listed as { name: string }[]).map((task) => task.name);
        expect(names.slice(0, tasks.size), id).toEqual([...tasks].reverse());
      }
      cluster.node('w').signal('SIGTERM');
      await cluster.node('w').ended;
      cluster.nodes.delete('w');
    });

    test('grpcurl lists and describes all that there is', async () => {
      const { address } = cluster;
      const services = (await reflect(address, 'list')).trim().split('\n');
      expect(services).toEqual(expect.arrayContaining(['gostress.v1.ClusterService', 'gostress.v1.TaskService']));
      expect(services).toEqual(
        expect.arrayContaining(['grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection']),
      );
      const described = new Set<string>();
      for (const service of services.filter((name) => name.startsWith('gostress.'))) {
        const methods = (await reflect(address, 'list', service)).trim().split('\n');
        const text = await reflect(address, 'describe', service);
        for (const method of methods) expect(text).toContain(`rpc ${method.slice(service.length + 1)} (`);
        for (const [, type] of text.matchAll(/\( (?:stream )?\.([\w.]+) \)/g)) described.add(type!);
      }
      expect(described).toContain('gostress.v1.RetuneRunRequest');
      for (const type of described) expect(await reflect(address, 'describe', type)).toContain(`${type} is a message:`);
      expect(await reflect(address, 'describe', 'gostress.v1.RetuneRunRequest')).toMatch(
        /oneof target \{[^}]*rate_per_second/,
      );
    });

    test.skipIf(PYTHON_MISSING !== null)(
      `Python learns the API by reflection and does all of it, on a node that is not the master (needs ${PYTHON_MISSING ?? 'nothing'})`,
      async () => {
        const { nodeId } = await cluster.master();
        const { address } = [...cluster.nodes.values()].find((node) => node.nodeId !== nodeId)!;
        const call = async (method: string, request: object): Promise<Record<string, unknown>[]> => {
          const { messages, details } = await askPython(address, `gostress.v1.TaskService/${method}`, request);
          expect(details, method).toBeUndefined();
          return messages!;
        };
        const before = await target.count();
        const load = { rate_per_second: 50, duration: '60s' };
        const [task] = await call('CreateTask', { curl_command: curl(target.url), task: { load } });
        expect(task).toMatchObject({ request: { url: `${target.url}orders?page=1` } });
        const [run] = await call('StartTask', { name: task!.name });
        const name = run!.name as string;
        await cluster.reach(name, 'RUNNING');
        const [retuned] = await call('RetuneRun', { name, rate_per_second: 20 });
        expect(total(retuned!.shares as { target: number }[])).toBe(20);
        const watching = call('WatchRun', { name });
        await cluster.reach(name, 'RUNNING');
        await call('StopRun', { name });
        expect((await watching).at(-1)).toMatchObject({ final: true, run: { state: 'DONE' } });
        const [report] = await call('GetRunReport', { name });
        expect(report).toMatchObject({ complete: true, ok: String((await target.count()) - before) });
        const bad = { task: { request: { url: target.url }, load: { rate_per_second: -1 } } };
        expect(await askPython(address, 'gostress.v1.TaskService/CreateTask', bad)).toMatchObject({
          code: 'INVALID_ARGUMENT',
          violations: ['task.load.rate_per_second'],
        });
      },
      120_000,
    );

    test('a node whose id is that of a living one ends with the reason; one that takes the id of a frozen one ends that', async () => {
      const { nodeId: masterId } = await cluster.master();
      const older = [...cluster.nodes.values()].find(({ nodeId }) => nodeId !== masterId)!;
      const { nodeId, port, address } = older;
      const refused = await (await cluster.add(nodeId)).ended;
      expect({ code: refused.code, last: refused.stderr.trim().split('\n').at(-1) }).toEqual({
        code: 1,
        last: `gostress node: node ${nodeId}: expected an id that is free, found its process at ${address} alive; stop that one, or give this one another id`,
      });
      older.freeze();
      const twin = await cluster.add(nodeId);
      await eventually(async () => {
        const { nodes } = await cluster.status();
        expect(nodes).toContainEqual(expect.objectContaining({ name: `nodes/${nodeId}`, address: twin.address }));
      });
      older.thaw();
      const { code, stderr } = await older.ended;
      expect({ code, last: stderr.trim().split('\n').at(-1) }).toEqual({
        code: 1,
        last: `gostress node: node ${nodeId}: expected to be the only process of this id, found a later start of it registered`,
      });
      await twin.kill();
      const again = await cluster.add(nodeId, { port });
      await eventually(async () => {
        const { nodes } = await cluster.status();
        expect(nodes).toContainEqual(
          expect.objectContaining({ name: `nodes/${nodeId}`, address: again.address, connected: true }),
        );
      });
    }, 60_000);

    test('a bad request names the field', async () => {
      const { code, stderr } = await cluster.ask('TaskService/CreateTask', {
        task: { request: { url: target.url }, load: { rate_per_second: -1 } },
      });
      expect(code).toBe(64 + 3);
      expect(stderr).toMatch(/load\.rate_per_second/);
    });

    test('WatchRun of a task from a curl command tells of each second once, also when the reader came late, and ends', async () => {
      const load = { rate_per_second: 50, duration: '6s' };
      const name = await cluster.start({ curl_command: curl(target.url), task: { load } });
      await cluster.reach(name, 'RUNNING');
      await sleep(2000);
      const { code, messages } = await cluster.ask('TaskService/WatchRun', { name, from_second: '0' });
      expect(code).toBe(0);
      const seconds = secondsOf(messages);
      expect(seconds).toEqual([...new Set(seconds)].sort((a, b) => a - b));
      expect(seconds.slice(0, 6)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(messages.at(-1)).toMatchObject({ final: true, run: { state: 'DONE' } });
    }, 60_000);
  },
);
