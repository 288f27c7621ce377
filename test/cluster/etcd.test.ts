import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EtcdCoordinator } from '../../src/cluster/etcd.ts';
import { SILENT } from '../../src/lib/log.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { aborted } from '../../src/lib/wait.ts';
import type { CoordinatorView } from '../../src/cluster/ports.ts';
import { coordinatorSuite, nodeNamed } from '../conformance/coordinator.ts';
import { ETCD_MISSING, ETCD_START_MS, startEtcd, type Etcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

if (ETCD_MISSING !== null) console.warn(`tests with etcd are skipped, missing: ${ETCD_MISSING}`);

const TTL_MS = 2_000;

describe.skipIf(ETCD_MISSING !== null)('the coordinator in etcd', { timeout: 60_000 }, () => {
  let etcd: Etcd;
  let clusters = 0;
  beforeAll(async () => void (etcd = await startEtcd()), ETCD_START_MS);
  afterAll(() => etcd[Symbol.asyncDispose]());

  const connect = (cluster: string, host = etcd.host): EtcdCoordinator =>
    EtcdCoordinator.connect({ hosts: [host], cluster, tls: null, user: null, password: null, log: SILENT });

  coordinatorSuite(() => {
    const cluster = `c${++clusters}`;
    const proxies = new Map<EtcdCoordinator, TcpProxy>();
    return {
      connect: async () => {
        const proxy = await TcpProxy.start(etcd.host);
        const coordinator = connect(cluster, proxy.address);
        proxies.set(coordinator, proxy);
        const dispose = coordinator[Symbol.asyncDispose].bind(coordinator);
        coordinator[Symbol.asyncDispose] = async () => {
          await dispose();
          await proxy[Symbol.asyncDispose]();
        };
        return coordinator;
      },
      cut: (coordinator) => proxies.get(coordinator)!.stall(),
    };
  });

  test('clusters of different names do not see each other', async () => {
    await using a = connect('one');
    await using b = connect('two');
    const registration = await a.register(nodeNamed('a'), TTL_MS);
    expect((await b.read()).nodes).toEqual([]);
    await registration.release();
  });

  describe('when etcd is gone', () => {
    let own: Etcd;
    beforeAll(async () => void (own = await startEtcd()), ETCD_START_MS);
    afterAll(() => own[Symbol.asyncDispose]());

    test('frozen: a lease ends by its own clock, calls end by their deadline and name etcd, and all goes on when it is back', async () => {
      await using coordinator = connect('frozen', own.host);
      const views: (CoordinatorView | null)[] = [];
      coordinator.watch((view) => views.push(view));
      const registration = await coordinator.register(nodeNamed('a'), TTL_MS);
      await eventually(() => expect(views.at(-1)?.nodes).toHaveLength(1));
      own.freeze();
      const frozenAtMs = nowMs();
      await aborted(registration.signal);
      expect(nowMs() - frozenAtMs).toBeLessThan(TTL_MS + 1_000);
      expect(String(registration.signal.reason)).toMatch(/could not be renewed in time: etcd does not answer/);
      const refused = {
        code: 'UNAVAILABLE',
        message: expect.stringContaining('etcd does not answer: could not') as string,
      };
      await expect(coordinator.read()).rejects.toMatchObject(refused);
      await expect(coordinator.register(nodeNamed('b'), TTL_MS)).rejects.toMatchObject(refused);
      await eventually(() => expect(views.at(-1)).toBeNull());
      own.thaw();
      await eventually(async () => expect((await coordinator.read()).nodes).toEqual([]));
      await eventually(() => expect(views.at(-1)).toEqual({ master: null, nodes: [], nomination: null }));
      const again = await coordinator.register(nodeNamed('a'), TTL_MS);
      await eventually(() => expect(views.at(-1)?.nodes).toEqual([again.node]));
      await again.release();
    });

    test('killed and started again: calls fail at once and name it; what it knew is there; changes are seen', async () => {
      await using coordinator = connect('killed', own.host);
      const views: (CoordinatorView | null)[] = [];
      coordinator.watch((view) => views.push(view));
      const lock = (await coordinator.campaign(nodeNamed('a'), {
        leaseTtlMs: TTL_MS,
        deadlineMs: 5_000,
        signal: new AbortController().signal,
      }))!;
      await lock.establish(5);
      await eventually(() => expect(views.at(-1)?.master?.term).toBe(5));
      await own.kill();
      await expect(coordinator.readTerm()).rejects.toThrow(/etcd does not answer: could not read master\/term/);
      await eventually(() => expect(views.at(-1)).toBeNull());
      await own.start();
      await eventually(async () => expect(await coordinator.readTerm()).toBe(5));
      await lock.release();
      await eventually(() => expect(views.at(-1)).toMatchObject({ master: null }));
    });

    test('a lock whose key somebody took away is lost, though its lease goes on', async () => {
      await using coordinator = connect('taken', own.host);
      const lock = (await coordinator.campaign(nodeNamed('a'), {
        leaseTtlMs: TTL_MS,
        deadlineMs: 5_000,
        signal: new AbortController().signal,
      }))!;
      await lock.establish(1);
      await deleteKeys(own, '/gostress/taken/election/master/');
      await aborted(lock.signal);
      expect(String(lock.signal.reason)).toContain("the lock's key is gone");
      await lock.release();
    });
  });

  test('an etcd that is not there fails a call at once, with its name', async () => {
    await using coordinator = connect('x', '127.0.0.1:1');
    await expect(coordinator.read()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/^etcd does not answer: could not list the cluster: .*ECONNREFUSED/) as string,
    });
  });
});

/** By etcd's JSON gateway: a client of its own. */
async function deleteKeys(etcd: Etcd, prefix: string): Promise<void> {
  const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  const body = JSON.stringify({ key: btoa(prefix), range_end: btoa(end) });
  const response = await fetch(`http://${etcd.host}/v3/kv/deleterange`, { method: 'POST', body });
  expect(response.status).toBe(200);
}
