import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { EtcdCoordinator } from '../../src/cluster/etcd.ts';
import { SILENT } from '../../src/lib/log.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { aborted } from '../../src/lib/wait.ts';
import type { CoordinatorView, MasterLock } from '../../src/cluster/ports.ts';
import { coordinatorSuite, nodeNamed } from '../conformance/coordinator.ts';
import { nominationOf } from '../support/cluster-nodes.ts';
import { makeCertificates } from '../support/certificates.ts';
import { ETCD_MISSING, ETCD_START_MS, range, startEtcd, type Etcd } from '../support/etcd.ts';
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

  test('a term that stands, though the answer to its transaction was lost, is established', async () => {
    await using proxy = await TcpProxy.start(etcd.host);
    await using coordinator = connect('unanswered', proxy.address);
    await using other = connect('unanswered');
    const lock = (await campaign(coordinator))!;
    proxy.stallAnswers();
    const established = lock.establish(1);
    await eventually(async () => expect(await other.readTerm()).toBe(1));
    proxy.drop();
    expect(await established).toBe(true);
    await lock.release();
  });

  test('a rehearsal leaves nothing behind, and nobody takes it for an election', async () => {
    await using coordinator = connect('rehearsed');
    await using other = connect('rehearsed');
    const lock = (await campaign(other))!;
    await lock.establish(1);
    const before = await other.read();
    const seen: (CoordinatorView | null)[] = [];
    const watch = other.watch((view) => seen.push(view));
    await eventually(() => expect(seen).toHaveLength(1));
    await coordinator.rehearse(nodeNamed('a'));
    expect(await etcd.values('/gostress/rehearsed/election/')).toHaveLength(1);
    expect(await other.read()).toEqual(before);
    expect(seen).toEqual([before]);
    watch.close();
    await lock.release();
  });

  test('a term that came while one waited for the lock is not written over', async () => {
    await using coordinator = connect('overtaken');
    await using other = connect('overtaken');
    const first = (await campaign(coordinator))!;
    const second = campaign(other);
    await eventually(async () => expect(await etcd.values('/gostress/overtaken/election/')).toHaveLength(2));
    // What it asked for when it joined the queue is answered by then.
    await other.read();
    await first.establish(1);
    await first.release();
    const lock = (await second)!;
    expect(await lock.establish(2)).toBe(false);
    await lock.release();
    const again = (await campaign(other))!;
    expect(again.seenTerm).toBe(1);
    expect(await again.establish(2)).toBe(true);
    await again.release();
  });

  test('connections that the network has forgotten are replaced', async () => {
    await using proxy = await TcpProxy.start(etcd.host);
    await using coordinator = connect('forgotten', proxy.address);
    const views: (CoordinatorView | null)[] = [];
    coordinator.watch((view) => views.push(view));
    await (await campaign(coordinator))!.release();
    proxy.forget();
    const registration = await eventually(() => coordinator.register(nodeNamed('a'), TTL_MS));
    const lock = await eventually(async () => (await campaign(coordinator, 1_000)) ?? expect.fail('no lock'));
    await lock.establish(1);
    await eventually(() => expect(views.at(-1)).toMatchObject({ master: { term: 1 }, nodes: [{ nodeId: 'a' }] }));
    await lock.release();
    await registration.release();
  });

  test('what a sentinel has nominated ends with the term that was established', async () => {
    await using coordinator = connect('nominated');
    const nomination = nominationOf('a');
    await etcd.ask('kv/put', {
      key: btoa('/gostress/nominated/master/nomination'),
      value: btoa(JSON.stringify(nomination)),
    });
    expect((await coordinator.read()).nomination).toEqual(nomination);
    const lock = (await campaign(coordinator))!;
    expect(await lock.establish(1)).toBe(true);
    expect((await coordinator.read()).nomination).toBeNull();
    await lock.release();
  });

  test('through TLS, with a certificate of its own', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'gostress-etcd-tls-'));
    const { ca, server, client } = makeCertificates();
    const file = async (name: string, text: string) => {
      await writeFile(path.join(folder, name), text);
      return path.join(folder, name);
    };
    const [host, port] = etcd.host.split(':');
    const proxy = createTlsServer({ ...server, ca, requestCert: true, ALPNProtocols: ['h2'] }, (inner) => {
      const outer = connectTcp({ host: host!, port: Number(port) });
      inner
        .on('error', () => outer.destroy())
        .pipe(outer)
        .on('error', () => inner.destroy())
        .pipe(inner);
    });
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    const hosts = [`localhost:${(proxy.address() as AddressInfo).port}`];
    const options = { hosts, cluster: 'tls', user: null, password: null, log: SILENT };
    const caFile = await file('ca.pem', ca);
    const [cert, key] = [await file('client.pem', client.cert), await file('client.key', client.key)];
    onTestFinished(async () => {
      proxy.close();
      await rm(folder, { recursive: true });
    });
    await using coordinator = EtcdCoordinator.connect({ ...options, tls: { ca: caFile, cert, key } });
    await using unknown = EtcdCoordinator.connect({ ...options, tls: { ca: caFile, cert: null, key: null } });
    const lock = (await campaign(coordinator))!;
    expect(await lock.establish(1)).toBe(true);
    await expect(unknown.readTerm()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await lock.release();
  });

  test('as a user who may see only the keys of the cluster', async () => {
    await using own = await startEtcd();
    const user = { name: 'gostress', password: 'secret' };
    for (const name of ['root', user.name]) {
      await own.ask('auth/user/add', { name, password: user.password });
      await own.ask('auth/role/add', { name });
      await own.ask('auth/user/grant', { user: name, role: name });
    }
    await own.ask('auth/role/grant', { name: user.name, perm: { permType: 'READWRITE', ...range('/gostress/mine/') } });
    await own.ask('auth/enable', {});
    const options = { hosts: [own.host], tls: null, user: user.name, password: user.password, log: SILENT };
    await using coordinator = EtcdCoordinator.connect({ ...options, cluster: 'mine' });
    const views: (CoordinatorView | null)[] = [];
    coordinator.watch((view) => views.push(view));
    const registration = await coordinator.register(nodeNamed('a'), TTL_MS);
    const lock = (await campaign(coordinator))!;
    const firstMs = lock.validUntilMs();
    expect(await lock.establish(1)).toBe(true);
    await eventually(() => expect(views.at(-1)?.master?.term).toBe(1));
    await eventually(() => expect(lock.validUntilMs(), 'it is renewed').toBeGreaterThan(firstMs));
    await using foreign = EtcdCoordinator.connect({ ...options, cluster: 'theirs' });
    await expect(foreign.read()).rejects.toThrow(/could not list the cluster: .*permission denied/);
    await using stranger = EtcdCoordinator.connect({ ...options, cluster: 'mine', password: 'guess' });
    await expect(stranger.read()).rejects.toThrow(/could not list the cluster: .*authentication failed/);
    await lock.release();
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
      await eventually(() => expect(views.at(-1)).toMatchObject({ master: null, nodes: [], nomination: null }));
      const again = await coordinator.register(nodeNamed('a'), TTL_MS);
      await eventually(() => expect(views.at(-1)?.nodes).toEqual([again.node]));
      await again.release();
    });

    test('killed and started again: calls fail at once and name it; what it knew is there; changes are seen', async () => {
      await using coordinator = connect('killed', own.host);
      const views: (CoordinatorView | null)[] = [];
      coordinator.watch((view) => views.push(view));
      const lock = (await campaign(coordinator))!;
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
      const lock = (await campaign(coordinator))!;
      await lock.establish(1);
      await own.delete('/gostress/taken/election/master/');
      await aborted(lock.signal);
      expect(String(lock.signal.reason)).toContain("the lock's key is gone");
      await lock.release();
    });
  });

  test('an etcd that is not there fails a call at once, with its name', async () => {
    await using coordinator = connect('x', '127.0.0.1:1');
    await expect(coordinator.read()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(
        /^etcd does not answer: could not list the cluster: connect ECONNREFUSED 127\.0\.0\.1:1$/,
      ) as string,
    });
  });
});

function campaign(coordinator: EtcdCoordinator, deadlineMs = 5_000): Promise<MasterLock | null> {
  const { signal } = new AbortController();
  return coordinator.campaign(nodeNamed('a'), { leaseTtlMs: TTL_MS, deadlineMs, signal });
}
