import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { acquireMastership, type Mastership } from '../../src/cluster/election.ts';
import { EtcdCoordinator } from '../../src/cluster/etcd.ts';
import type { NodeRecord, ProbeAnswer } from '../../src/cluster/ports.ts';
import { Sentinel } from '../../src/cluster/sentinel.ts';
import { timingsWith } from '../../src/cluster/timings.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { SILENT } from '../../src/lib/log.ts';
import { aborted } from '../../src/lib/wait.ts';
import { INFO, MemoryFence, record } from '../support/cluster-nodes.ts';
import { ETCD_MISSING, ETCD_START_MS, startEtcd, type Etcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

/** A lease that nobody waits for: what is faster than that was done by sentinels. */
const TIMINGS = timingsWith({ leaseTtlMs: 20_000, sentinelTtlMs: 2_000, downAfterMs: 1_400, termSettleMs: 1_500 });
const DEADLINE_MS = 15_000;

describe.skipIf(ETCD_MISSING !== null)('sentinels with etcd', { timeout: 60_000 }, () => {
  let etcd: Etcd;
  let clusters = 0;
  let fence: MemoryFence;
  let over: AbortController;
  const ends: (() => unknown)[] = [];
  const masterships = new Map<string, Mastership>();
  const nodes = new Map<string, NodeRecord>();
  /** Nodes that sentinels do not reach. */
  const mute = new Set<string>();

  beforeAll(async () => void (etcd = await startEtcd()), ETCD_START_MS);
  afterAll(() => etcd[Symbol.asyncDispose]());
  beforeEach(() => {
    clusters++;
    fence = new MemoryFence();
    over = new AbortController();
    for (const map of [masterships, nodes, mute]) map.clear();
  });
  afterEach(async () => {
    over.abort();
    for (const end of ends.splice(0).reverse()) await end();
  });

  const connect = (host = etcd.host): EtcdCoordinator => {
    const cluster = `s${clusters}`;
    const options = { hosts: [host], cluster, tls: null, user: null, password: null, log: SILENT };
    const coordinator = EtcdCoordinator.connect(options);
    ends.push(() => coordinator[Symbol.asyncDispose]());
    return coordinator;
  };

  /** A candidate that takes part again and again, and keeps what it wins. */
  const candidate = async (nodeId: string): Promise<EtcdCoordinator> => {
    const coordinator = connect();
    const wanted = record({ nodeId, incarnation: 0, seq: 0, address: nodeId, roles: ['candidate'] });
    const registration = await coordinator.register(wanted, TIMINGS.leaseTtlMs);
    const { node } = registration;
    nodes.set(nodeId, node);
    const stand = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const options = {
          coordinator,
          fence,
          node,
          maxWorkerTerm: 0,
          timings: TIMINGS,
          signal: over.signal,
          log: SILENT,
        };
        const mastership = await acquireMastership(options);
        if (mastership === null) continue;
        masterships.set(nodeId, mastership);
        await aborted(AbortSignal.any([mastership.signal, over.signal]));
        await mastership.release();
      }
    };
    const standing = stand();
    ends.push(
      () => registration.release(),
      () => standing,
    );
    return coordinator;
  };

  const probe = (nodeId: string): Promise<ProbeAnswer> => {
    const node = nodes.get(nodeId);
    if (node === undefined || mute.has(nodeId)) return Promise.reject(new Error('no answer'));
    const mastership = masterships.get(nodeId);
    const isMaster = mastership?.mayAct() === true;
    const { incarnation } = node;
    return Promise.resolve({ nodeId, incarnation, term: mastership?.term ?? 0, isMaster, info: INFO });
  };

  const sentinel = (nodeId: string): void => {
    const node = record({ nodeId, roles: ['sentinel'] });
    const options = { coordinator: connect(), probe, node: () => node, quorum: 1, timings: TIMINGS, log: SILENT };
    const ended = new Sentinel(options).run(over.signal);
    ends.push(() => ended);
  };

  const leads = (nodeId: string): Promise<Mastership> =>
    eventually(() => {
      const mastership = masterships.get(nodeId);
      expect(mastership?.mayAct()).toBe(true);
      return mastership!;
    }, DEADLINE_MS);

  /** Master a of term 1, candidate b, and sentinels that know the term for long enough. */
  const begin = async (sentinels: readonly string[]) => {
    const own = await candidate('a');
    const first = await leads('a');
    await candidate('b');
    for (const id of sentinels) sentinel(id);
    await eventually(async () => expect((await own.read()).sentinels).toHaveLength(sentinels.length));
    const settledAtMs = nowMs() + TIMINGS.termSettleMs;
    await eventually(() => expect(nowMs()).toBeGreaterThan(settledAtMs));
    return { first, own };
  };

  test('that alone do not see a master end its term: it stops, and in its last moments the fence keeps it out', async () => {
    const { first } = await begin(['s1', 's2', 's3']);
    mute.add('a');
    const next = await leads('b');
    expect(next.reasons).toMatchObject({ term: 2, how: 'nominated', nomination: { forTerm: 1, nodeId: 'b' } });
    expect((await fence.read()).term, 'the fence stood before the new one acted').toBe(2);
    await aborted(first.signal);
    expect(first.mayAct()).toBe(false);
    expect((first.signal.reason as Error).message).toMatch(/the master's lock is lost: .* gone$/);
    mute.delete('a');
    expect(next.mayAct()).toBe(true);
  });

  test('one of which dies with its vote are not held up by it', async () => {
    const { own } = await begin(['s2', 's3']);
    await using proxy = await TcpProxy.start(etcd.host);
    const dying = await connect(proxy.address).sit({ nodeId: 's1', incarnation: 1 }, TIMINGS.sentinelTtlMs);
    ends.push(() => dying.release());
    await dying.vote({ term: 1, why: 'no answer' });
    expect((await own.read()).sentinels.filter(({ vote }) => vote !== null)).toHaveLength(1);
    proxy.stall();
    mute.add('a');
    const next = await leads('b');
    expect(next.reasons.nomination!.by).toMatch(/^s[23]$/);
    mute.delete('a');
    const left = () => etcd.values(`/gostress/s${clusters}/sentinel/`);
    await eventually(async () => expect(await left(), 'nothing of a failover stays').toEqual([]));
  });

  test('that are gone all together leave the cluster as it was: an operator hands the mastership over', async () => {
    const { first } = await begin([]);
    const nomination = { forTerm: 1, nodeId: 'b', reason: 'of a test', by: 'operator', votes: [], candidates: [] };
    const beganAtMs = nowMs();
    expect(await first.handOver(nomination)).toBe(true);
    expect(first.mayAct()).toBe(false);
    const next = await leads('b');
    console.log(`handed over within ${Math.round(nowMs() - beganAtMs)} ms`);
    expect(next.reasons).toMatchObject({ term: 2, how: 'nominated', nomination });
  });
});
