import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { acquireMastership, turnMs, type ElectionOptions, type Mastership } from '../../src/cluster/election.ts';
import { EtcdCoordinator } from '../../src/cluster/etcd.ts';
import { MemoryCoordinator, MemoryHub } from '../../src/cluster/memory.ts';
import type { Coordinator, CoordinatorView, Fence, MasterLock, NodeRecord } from '../../src/cluster/ports.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { CodedError } from '../../src/lib/errors.ts';
import { SILENT } from '../../src/lib/log.ts';
import { aborted } from '../../src/lib/wait.ts';
import { MemoryFence, nominationOf, QUICK, record } from '../support/cluster-nodes.ts';
import { ETCD_MISSING, ETCD_START_MS, startEtcd, type Etcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';

if (ETCD_MISSING !== null) console.warn(`tests with etcd are skipped, missing: ${ETCD_MISSING}`);

const STEP_MS = 150;
/** Nothing here takes so long unless it hangs. */
const FOREVER_MS = 60_000;

const candidate = (nodeId: string, change: Partial<NodeRecord> = {}): NodeRecord =>
  record({ nodeId, roles: ['candidate'], ...change });
const [A, B, C] = [candidate('a', { seq: 1 }), candidate('b', { seq: 2 }), candidate('c', { seq: 3 })];

describe('the turn of a candidate', () => {
  const view = (nodes: NodeRecord[], nominee?: string): CoordinatorView => ({
    master: null,
    nodes,
    nomination: nominee === undefined ? null : nominationOf(nominee),
    sentinels: [],
    inhibit: null,
  });
  const preferred = candidate('z', { seq: 9, priority: 101 });

  test.each<[why: string, node: NodeRecord, view: CoordinatorView, steps: number, afterNominee: boolean]>([
    ['alone', A, view([A]), 0, false],
    ['not in the view', A, view([]), 0, false],
    ['the oldest', A, view([A, B, C]), 0, false],
    ['the second', B, view([A, B, C]), 1, false],
    ['the third', C, view([C, B, A]), 2, false],
    ['of higher priority than older ones', preferred, view([A, B, preferred]), 0, false],
    ['behind one of higher priority', A, view([A, B, preferred]), 1, false],
    ['behind a worker', B, view([{ ...A, roles: ['worker'] }, B]), 0, false],
    ['behind one that shall never be master', B, view([{ ...A, priority: 0 }, B]), 0, false],
    ['the nominee', C, view([A, B, C, preferred], 'c'), 0, false],
    ['the first after a nominee', A, view([A, B, C], 'c'), 0, true],
    ['the second after a nominee', B, view([A, B, C], 'c'), 1, true],
    ['after a nominee who is gone', A, view([A, B], 'c'), 0, true],
  ])('%s', (_, node, view, steps, afterNominee) => {
    expect(turnMs(node, view, { rankStepMs: STEP_MS, nomineeMs: 1_500 })).toBe(
      steps * STEP_MS + (afterNominee ? 1_500 : 0),
    );
  });
});

const ends: (() => unknown)[] = [];
let over = new AbortController();
afterEach(async () => {
  over.abort();
  over = new AbortController();
  for (const end of ends.splice(0).reverse()) await end();
});

interface Part extends Partial<ElectionOptions> {
  coordinator: Coordinator;
}

/** Takes part once; what was won is given back after the test. */
async function acquire(part: Part): Promise<Mastership | null> {
  const { signal } = over;
  const options = { fence: new MemoryFence(), node: A, maxWorkerTerm: 0, timings: QUICK, signal, log: SILENT };
  const mastership = await acquireMastership({ ...options, ...part });
  if (mastership !== null) ends.push(() => mastership.release());
  return mastership;
}

class CountedCoordinator extends MemoryCoordinator {
  campaigns = 0;
  override async campaign(...[node, options]: Parameters<MemoryCoordinator['campaign']>): Promise<MasterLock | null> {
    if ((await options.turn) === true) this.campaigns++;
    return super.campaign(node, options);
  }
}

function fenceWith(inner: Fence, part: Partial<Fence>): Fence {
  return { read: () => inner.read(), raise: (...args) => inner.raise(...args), ...part };
}

const unavailable = () => Promise.reject(new CodedError('UNAVAILABLE', 'MySQL does not answer'));

describe('the order of candidates', () => {
  test('the first by rank wins, whoever came first; the others do not even stand in the queue', async () => {
    const hub = new MemoryHub();
    const nodes: { node: NodeRecord; coordinator: CountedCoordinator }[] = [];
    for (const each of [A, B, C]) {
      const coordinator = new CountedCoordinator(hub);
      const registration = await coordinator.register({ ...each, seq: 0, incarnation: 0 }, FOREVER_MS);
      ends.push(() => registration.release());
      nodes.unshift({ node: registration.node, coordinator });
    }
    const stop = new AbortController();
    const timings = { ...QUICK, rankStepMs: 500 };
    const fence = new MemoryFence();
    const all = nodes.map((part) => acquire({ ...part, fence, timings, signal: stop.signal }));
    await eventually(() => expect(hub.view().master).toMatchObject({ term: 1, node: { nodeId: 'a' } }));
    expect((await Promise.all(all)).map((mastership) => mastership?.term)).toEqual([undefined, undefined, 1]);
    expect(nodes.map(({ coordinator }) => coordinator.campaigns)).toEqual([0, 0, 1]);
  });

  test('who is named by the master stands in the queue while that one finishes, and nobody else does', async () => {
    const hub = new MemoryHub();
    const fence = new MemoryFence();
    const [named, other] = [new CountedCoordinator(hub), new CountedCoordinator(hub)];
    const first = (await acquire({ coordinator: hub.coordinator(), fence }))!;
    const second = acquire({ coordinator: named, fence, node: C });
    const third = acquire({ coordinator: other, fence, node: B, timings: { ...QUICK, nomineeMs: FOREVER_MS } });
    expect(await first.handOver(nominationOf('c', { forTerm: 1, by: 'operator' }))).toBe(true);
    await eventually(() => expect(named.campaigns).toBe(1));
    expect(hub.view().master, 'not before the other has finished').toMatchObject({ term: 1, node: { nodeId: 'a' } });
    await first.release();
    expect((await second)?.reasons).toMatchObject({ term: 2, how: 'nominated' });
    expect([named.campaigns, other.campaigns]).toEqual([1, 0]);
    over.abort();
    expect(await third).toBeNull();
  });

  test('one that is master has no follower before it ends, and then at once, with a higher term', async () => {
    const hub = new MemoryHub();
    const fence = new MemoryFence();
    const coordinator = new CountedCoordinator(hub);
    const first = (await acquire({ coordinator: hub.coordinator(), fence }))!;
    const second = acquire({ coordinator, fence, node: B });
    // Let it look for a while.
    await eventually(() => expect(first.validUntilMs()).toBeGreaterThan(nowMs() + QUICK.leaseTtlMs / 2));
    expect(coordinator.campaigns).toBe(0);
    await first.release();
    expect(first.mayAct()).toBe(false);
    expect(await second).toMatchObject({ term: 2 });
  });

  test('one that shall never be master does not take part; one whose signal aborts ends', async () => {
    const hub = new MemoryHub();
    expect(await acquire({ coordinator: hub.coordinator(), node: { ...A, priority: 0 } })).toBeNull();
    await acquire({ coordinator: hub.coordinator() });
    const stop = new AbortController();
    const waiting = acquire({ coordinator: hub.coordinator(), node: B, signal: stop.signal });
    stop.abort();
    expect(await waiting).toBeNull();
  });
});

describe('the term', () => {
  test.each([
    ['the coordinator', { coordinator: 9, fence: 4, worker: 4 }],
    ['the fence', { coordinator: 4, fence: 9, worker: 4 }],
    ['a worker', { coordinator: 4, fence: 4, worker: 9 }],
  ])('is higher than any that %s has met, and so is the fence', async (_, met) => {
    const coordinator = new MemoryHub().coordinator();
    const { signal } = new AbortController();
    const lock = (await coordinator.campaign(B, { leaseTtlMs: FOREVER_MS, deadlineMs: FOREVER_MS, signal }))!;
    await lock.establish(met.coordinator);
    await lock.release();
    const fence = new MemoryFence();
    await fence.raise(met.fence, B);
    const mastership = (await acquire({ coordinator, fence, maxWorkerTerm: met.worker }))!;
    expect(mastership.term).toBe(10);
    expect(mastership.mayAct()).toBe(true);
    expect(await coordinator.readTerm()).toBe(10);
    expect(await fence.read()).toEqual({ term: 10, holder: { nodeId: 'a', incarnation: 1 } });
  });
});

describe('a fence in trouble', { timeout: 20_000 }, () => {
  test('one that cannot read it does not campaign; another can become master', async () => {
    const hub = new MemoryHub();
    const coordinator = new CountedCoordinator(hub);
    const fence = fenceWith(new MemoryFence(), { read: unavailable });
    await expect(acquire({ coordinator, fence })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(coordinator.campaigns).toBe(0);
    expect(await acquire({ coordinator: hub.coordinator(), node: B })).toMatchObject({ term: 1 });
  });

  const raisedBy = (node: NodeRecord) => (inner: Fence) => async (term: number) => {
    await inner.raise(term, node);
    return unavailable();
  };
  test.each<[why: string, raise: (inner: Fence) => Fence['raise'], isReadable: boolean]>([
    ['says no', () => () => Promise.resolve(false), true],
    ['does not answer and was not raised', () => unavailable, true],
    ['does not answer and cannot be read', raisedBy(A), false],
    ['does not answer and was raised by another node', raisedBy(B), true],
    ['does not answer and was raised by an earlier process', raisedBy({ ...A, incarnation: 7 }), true],
  ])('one that %s makes no master: the lock is given back at once, and the next try has to wait', async (...row) => {
    const [, raise, isReadable] = row;
    const hub = new MemoryHub();
    const inner = new MemoryFence();
    let isRaised = false;
    const fence = fenceWith(inner, {
      raise: (...args) => ((isRaised = true), raise(inner)(...args)),
      read: () => (isRaised && !isReadable ? unavailable() : inner.read()),
    });
    const failing = acquire({ coordinator: hub.coordinator(), fence, timings: { ...QUICK, fenceRetryMs: 1_000 } });
    await eventually(() => expect(isRaised).toBe(true));
    const raisedAtMs = nowMs();
    // While the first waits.
    expect(await acquire({ coordinator: hub.coordinator(), fence: inner, node: B })).toMatchObject({ term: 2 });
    expect(nowMs() - raisedAtMs).toBeLessThan(900);
    expect(await failing).toBeNull();
    expect(nowMs() - raisedAtMs).toBeGreaterThan(900);
  });

  test('one whose answer was lost is read again: if it stands, the node is master', async () => {
    const fence = new MemoryFence();
    const lossy = fenceWith(fence, { raise: (term, holder) => raisedBy(record(holder))(fence)(term) });
    const mastership = await acquire({ coordinator: new MemoryHub().coordinator(), fence: lossy });
    expect(mastership).toMatchObject({ term: 1 });
    expect(mastership!.mayAct()).toBe(true);
  });
});

describe('a mastership', () => {
  const timings = { ...QUICK, leaseTtlMs: 2_000 };
  const block = (ms: number, meanwhile: () => void = () => undefined) => {
    for (const end = nowMs() + ms; nowMs() < end;) meanwhile();
  };

  test('survives a main loop that stood still for less than half a lease', async () => {
    const mastership = (await acquire({ coordinator: new MemoryHub().coordinator(), timings }))!;
    block(timings.leaseTtlMs / 4);
    expect(mastership.mayAct()).toBe(true);
  });

  test.each([
    ['', () => undefined],
    [', also when it is asked all the time', (mastership: Mastership) => mastership.mayAct()],
  ])('ends for good with a main loop that stood still for more than half a lease%s', async (_, meanwhile) => {
    const hub = new MemoryHub();
    const mastership = (await acquire({ coordinator: hub.coordinator(), timings }))!;
    block(timings.leaseTtlMs * 0.6, () => meanwhile(mastership));
    expect(mastership.mayAct(), 'before any timer could tell').toBe(false);
    expect(mastership.signal.reason).toMatchObject({
      message: expect.stringMatching(/stood still for \d+ ms/) as string,
    });
    // Its lease is still renewed, until it is given back.
    const view = hub.view();
    await sleep(timings.leaseTtlMs * 1.2);
    expect(hub.view()).toEqual(view);
    expect(mastership.mayAct()).toBe(false);
    expect(mastership.validUntilMs()).toBe(0);
  });

  test('is over when its lock is lost, before another has a higher term', async () => {
    const hub = new MemoryHub();
    const fence = new MemoryFence();
    const coordinator = hub.coordinator();
    const mastership = (await acquire({ coordinator, fence }))!;
    coordinator.isCut = true;
    const next = acquire({ coordinator: hub.coordinator(), fence, node: B }).then((won) => {
      expect(mastership.mayAct()).toBe(false);
      return won;
    });
    await aborted(mastership.signal);
    expect(String(mastership.signal.reason)).toMatch(/the master's lock is lost: it could not be renewed in time/);
    expect(await next).toMatchObject({ term: 2 });
  });
});

describe.skipIf(ETCD_MISSING !== null)('in etcd', { timeout: 60_000 }, () => {
  let etcd: Etcd;
  beforeAll(async () => void (etcd = await startEtcd()), ETCD_START_MS);
  afterAll(() => etcd[Symbol.asyncDispose]());
  const timings = { ...QUICK, leaseTtlMs: 2_000, campaignMs: FOREVER_MS };

  const connect = (cluster: string): EtcdCoordinator => {
    const options = { hosts: [etcd.host], cluster, tls: null, user: null, password: null, log: SILENT };
    const coordinator = EtcdCoordinator.connect(options);
    ends.push(() => coordinator[Symbol.asyncDispose]());
    return coordinator;
  };

  const campaigners = async (cluster: string) => {
    const values = await etcd.values(`/gostress/${cluster}/election/master/`);
    return values.map((text) => (JSON.parse(text) as NodeRecord).nodeId);
  };

  test('one that stands in the queue leaves it when another becomes master', async () => {
    const [coordinator, other] = [connect('queue'), connect('queue')];
    const { signal } = new AbortController();
    const lock = (await other.campaign(B, { leaseTtlMs: 2_000, deadlineMs: FOREVER_MS, signal }))!;
    const waiting = acquire({ coordinator, timings });
    await eventually(async () => expect(await campaigners('queue')).toEqual(['b', 'a']));
    expect(await lock.establish(1)).toBe(true);
    expect(await waiting).toBeNull();
    expect(await campaigners('queue')).toEqual(['b']);
    await lock.release();
  });

  test('one whose key is gone before its term stands is no master', async () => {
    const coordinator = connect('early');
    const fence = new MemoryFence();
    const campaign = coordinator.campaign.bind(coordinator);
    coordinator.campaign = async (...args) => {
      const lock = await campaign(...args);
      await etcd.delete('/gostress/early/election/master/');
      return lock;
    };
    expect(await acquire({ coordinator, timings, fence })).toBeNull();
    expect(await coordinator.readTerm()).toBe(0);
    expect((await fence.read()).term, 'the fence was not raised').toBe(0);
  });

  test('data that was wiped ends the mastership, and the next term is higher all the same', async () => {
    const coordinator = connect('wiped');
    const fence = new MemoryFence();
    await fence.raise(41, B);
    const mastership = (await acquire({ coordinator, timings, fence }))!;
    expect(mastership.term).toBe(42);
    await etcd.wipe();
    await aborted(mastership.signal);
    expect(mastership.mayAct()).toBe(false);
    await mastership.release();
    await eventually(async () => expect(await coordinator.readTerm()).toBe(0));
    expect(await acquire({ coordinator, timings, fence })).toMatchObject({ term: 43 });
  });
});
