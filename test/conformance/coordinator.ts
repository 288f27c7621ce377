import { afterEach, describe, expect, test } from 'vitest';
import { nowMs } from '../../src/lib/clock.ts';
import { aborted } from '../../src/lib/wait.ts';
import type { Coordinator, CoordinatorView, MasterLock, NodeRecord, SentinelSeat } from '../../src/cluster/ports.ts';
import { nominationOf } from '../support/cluster-nodes.ts';
import { eventually } from '../support/eventually.ts';

export interface CoordinatorSubject<C extends Coordinator> {
  /** A node's own access; all of one cluster, which is empty at first. */
  connect(): C | Promise<C>;
  /** Breaks the connection of a coordinator for good, as if its node were cut off: its leases run out. */
  cut(coordinator: C): void | Promise<void>;
}

/** The shortest that etcd grants. */
const TTL_MS = 2_000;
const LONG_MS = 30_000;

export function nodeNamed(nodeId: string, part: Partial<NodeRecord> = {}): NodeRecord {
  return {
    nodeId,
    incarnation: 0,
    address: `127.0.0.1:${7000 + nodeId.charCodeAt(0)}`,
    roles: ['worker', 'candidate'],
    priority: 100,
    labels: { zone: 'a' },
    seq: 0,
    version: '0.0.0',
    ...part,
  };
}

/** What every Coordinator does. @param open a cluster without anything in it */
export function coordinatorSuite<C extends Coordinator>(open: () => CoordinatorSubject<C>): void {
  const closers: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  const connectTo = async (subject: CoordinatorSubject<C>): Promise<C> => {
    const coordinator = await subject.connect();
    closers.push(() => coordinator[Symbol.asyncDispose]());
    return coordinator;
  };
  const campaign = async (
    coordinator: Coordinator,
    node: NodeRecord,
    deadlineMs = LONG_MS,
  ): Promise<MasterLock | null> => {
    const lock = await coordinator.campaign(node, {
      leaseTtlMs: TTL_MS,
      deadlineMs,
      signal: new AbortController().signal,
    });
    if (lock !== null) closers.push(() => lock.release());
    return lock;
  };
  const watch = (coordinator: Coordinator): (CoordinatorView | null)[] => {
    const views: (CoordinatorView | null)[] = [];
    const subscription = coordinator.watch((view) => views.push(view));
    closers.push(() => subscription.close());
    return views;
  };

  describe('registration', () => {
    test('gives each node a number in the order of joining and an incarnation, and keeps the rest of its record', async () => {
      const coordinator = await connectTo(open());
      const a = await coordinator.register(nodeNamed('a'), TTL_MS);
      const b = await coordinator.register(nodeNamed('b'), TTL_MS);
      closers.push(
        () => a.release(),
        () => b.release(),
      );
      expect([a.node.seq, b.node.seq]).toEqual([1, 2]);
      expect(a.node.incarnation).toBeGreaterThan(0);
      expect(a.node).toEqual({ ...nodeNamed('a'), seq: 1, incarnation: a.node.incarnation });
      expect((await coordinator.read()).nodes).toEqual([a.node, b.node]);
      expect(a.validUntilMs()).toBeGreaterThan(nowMs());
      expect(a.validUntilMs()).toBeLessThan(nowMs() + TTL_MS);
    });

    test('ends with its release: the record is gone at once', async () => {
      const coordinator = await connectTo(open());
      const a = await coordinator.register(nodeNamed('a'), TTL_MS);
      await a.release();
      expect(a.signal.aborted).toBe(true);
      expect(a.validUntilMs()).toBeLessThanOrEqual(nowMs());
      expect((await coordinator.read()).nodes).toEqual([]);
    });

    test('is renewed for as long as it is held', async () => {
      const coordinator = await connectTo(open());
      const a = await coordinator.register(nodeNamed('a'), TTL_MS);
      closers.push(() => a.release());
      const first = a.validUntilMs();
      await eventually(() => expect(a.validUntilMs()).toBeGreaterThan(first + 2 * TTL_MS), LONG_MS);
      expect(a.signal.aborted).toBe(false);
      expect((await coordinator.read()).nodes).toHaveLength(1);
    });

    test('of the same id again has the same number and a higher incarnation, also after the first has left', async () => {
      const coordinator = await connectTo(open());
      const first = await coordinator.register(nodeNamed('a'), TTL_MS);
      await (await coordinator.register(nodeNamed('b'), TTL_MS)).release();
      await first.release();
      const again = await coordinator.register(nodeNamed('a'), TTL_MS);
      closers.push(() => again.release());
      expect(again.node.seq).toBe(1);
      expect(again.node.incarnation).toBeGreaterThan(first.node.incarnation);
    });

    test('of a process that comes again keeps what it was given, unless a later start of the id is there', async () => {
      const coordinator = await connectTo(open());
      const first = await coordinator.register(nodeNamed('a'), TTL_MS);
      await first.release();
      const again = await coordinator.register(first.node, TTL_MS);
      expect(again.node).toEqual(first.node);
      const later = await coordinator.register(nodeNamed('a'), TTL_MS);
      closers.push(
        () => later.release(),
        () => again.release(),
      );
      await expect(coordinator.register(first.node, TTL_MS)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      expect((await coordinator.read()).nodes).toEqual([later.node]);
    });

    test('of a later start takes the record over: the earlier process loses it at its next renewal, not its successor', async () => {
      const subject = open();
      const [a, b] = [await connectTo(subject), await connectTo(subject)];
      const earlier = await a.register(nodeNamed('a'), TTL_MS);
      const later = await b.register(nodeNamed('a'), TTL_MS);
      closers.push(() => later.release());
      await aborted(earlier.signal);
      await earlier.release();
      expect(later.signal.aborted).toBe(false);
      expect((await a.read()).nodes).toEqual([later.node]);
    });

    test('at the same time gives each its own number', async () => {
      const coordinator = await connectTo(open());
      const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
      const all = await Promise.all(ids.map((id) => coordinator.register(nodeNamed(id), TTL_MS)));
      closers.push(...all.map((registration) => () => registration.release()));
      expect(all.map(({ node }) => node.seq).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    });

    test('of a node that is cut off ends: first for the node, then for the others', async () => {
      const subject = open();
      const [own, other] = [await connectTo(subject), await connectTo(subject)];
      const a = await own.register(nodeNamed('a'), TTL_MS);
      await subject.cut(own);
      await aborted(a.signal);
      expect((a.signal.reason as Error).message).toContain('could not be renewed');
      expect((await other.read()).nodes, 'the record outlives what its node believes').toHaveLength(1);
      await eventually(async () => expect((await other.read()).nodes).toEqual([]), LONG_MS);
    });
  });

  describe('the lock', () => {
    test('makes a master of who won it, once it has established a term', async () => {
      const coordinator = await connectTo(open());
      const lock = (await campaign(coordinator, nodeNamed('a')))!;
      expect(lock.seenTerm).toBe(0);
      expect((await coordinator.read()).master, 'not before').toBeNull();
      expect(await lock.establish(7)).toBe(true);
      expect((await coordinator.read()).master).toEqual({ node: nodeNamed('a'), term: 7 });
      expect(await coordinator.readTerm()).toBe(7);
    });

    test('is held by one at a time: another waits until its deadline and leaves nothing behind', async () => {
      const subject = open();
      const [a, b, c] = [await connectTo(subject), await connectTo(subject), await connectTo(subject)];
      const lock = (await campaign(a, nodeNamed('a')))!;
      expect(await campaign(b, nodeNamed('b'), 300)).toBeNull();
      await lock.release();
      expect(await campaign(c, nodeNamed('c'), 1_500), 'b does not stand in the way').not.toBeNull();
    });

    test('is not won before the turn has come, and not at all when it does not: nothing stays behind', async () => {
      const subject = open();
      const [a, b] = [await connectTo(subject), await connectTo(subject)];
      const options = { leaseTtlMs: TTL_MS, deadlineMs: LONG_MS, signal: new AbortController().signal };
      const turn = Promise.withResolvers<boolean>();
      const waiting = a.campaign(nodeNamed('a'), { ...options, turn: turn.promise });
      const first = (await campaign(b, nodeNamed('b'), 1_500))!;
      await first.release();
      turn.resolve(true);
      await (await waiting)!.release();
      expect(await a.campaign(nodeNamed('a'), { ...options, turn: Promise.resolve(false) })).toBeNull();
      const lost = Promise.reject(new Error('of a test'));
      await expect(a.campaign(nodeNamed('a'), { ...options, turn: lost })).rejects.toThrow('of a test');
      expect(await campaign(b, nodeNamed('b'), 1_500)).not.toBeNull();
    });

    test('goes to who waits for it as soon as it is given back', async () => {
      const subject = open();
      const [a, b] = [await connectTo(subject), await connectTo(subject)];
      const lock = (await campaign(a, nodeNamed('a')))!;
      await lock.establish(1);
      const next = campaign(b, nodeNamed('b'));
      await lock.release();
      const won = (await next)!;
      expect(won.seenTerm).toBe(1);
      expect((await a.read()).master, 'nobody, until b has a term').toBeNull();
      expect(await won.establish(2)).toBe(true);
      expect((await a.read()).master).toMatchObject({ term: 2, node: { nodeId: 'b' } });
    });

    test('establishes no term that is not higher, and only one', async () => {
      const coordinator = await connectTo(open());
      const first = (await campaign(coordinator, nodeNamed('a')))!;
      expect(await first.establish(3)).toBe(true);
      expect(await first.establish(4)).toBe(false);
      await first.release();
      const second = (await campaign(coordinator, nodeNamed('a')))!;
      expect(second.seenTerm).toBe(3);
      expect(await second.establish(3)).toBe(false);
      expect(await second.establish(2)).toBe(false);
      expect(await second.establish(4)).toBe(true);
      expect(await coordinator.readTerm()).toBe(4);
    });

    test('establishes nothing after it was lost', async () => {
      const coordinator = await connectTo(open());
      const lock = (await campaign(coordinator, nodeNamed('a')))!;
      await lock.release();
      expect(await lock.establish(1).catch(() => false)).toBe(false);
      expect(await coordinator.readTerm()).toBe(0);
    });

    test('of a node that is cut off is over for it before another can win', async () => {
      const subject = open();
      const [a, b] = [await connectTo(subject), await connectTo(subject)];
      const lock = (await campaign(a, nodeNamed('a')))!;
      await lock.establish(1);
      const next = campaign(b, nodeNamed('b')).then((won) => ({ won, atMs: nowMs() }));
      await subject.cut(a);
      await aborted(lock.signal);
      const overAtMs = nowMs();
      expect(lock.validUntilMs()).toBeLessThanOrEqual(overAtMs);
      const { won, atMs } = await next;
      expect(won).not.toBeNull();
      expect(atMs).toBeGreaterThanOrEqual(overAtMs);
    });

    test('is not waited for when the signal aborts', async () => {
      const subject = open();
      const [a, b] = [await connectTo(subject), await connectTo(subject)];
      await campaign(a, nodeNamed('a'));
      const stop = new AbortController();
      const next = b.campaign(nodeNamed('b'), { leaseTtlMs: TTL_MS, deadlineMs: LONG_MS, signal: stop.signal });
      stop.abort();
      expect(await next).toBeNull();
    });

    test('in ten hands one after another: no two are valid at the same time, and the terms grow', async () => {
      const subject = open();
      const nodes = [
        { id: 'a', coordinator: await connectTo(subject) },
        { id: 'b', coordinator: await connectTo(subject) },
      ];
      const held: { fromMs: number; toMs: number; term: number }[] = [];
      const contend = async ({ id, coordinator }: (typeof nodes)[0]): Promise<void> => {
        while (held.length < 10) {
          const lock = await campaign(coordinator, nodeNamed(id), 5_000);
          if (lock === null) continue;
          const fromMs = nowMs();
          if (await lock.establish(lock.seenTerm + 1)) held.push({ fromMs, toMs: nowMs(), term: lock.seenTerm + 1 });
          await lock.release();
        }
      };
      await Promise.all(nodes.map(contend));
      expect(held.map(({ term }) => term)).toEqual(held.map((_, k) => k + 1));
      for (const [k, { fromMs }] of held.entries()) if (k > 0) expect(fromMs).toBeGreaterThan(held[k - 1]!.toMs);
    });
  });

  describe('a watch', () => {
    test('tells the state soon, and again after each change', async () => {
      const subject = open();
      const [a, b] = [await connectTo(subject), await connectTo(subject)];
      const views = watch(b);
      await eventually(() =>
        expect(views.at(-1)).toEqual({ master: null, nodes: [], nomination: null, sentinels: [], inhibit: null }),
      );
      const registration = await a.register(nodeNamed('a'), TTL_MS);
      await eventually(() => expect(views.at(-1)?.nodes).toEqual([registration.node]));
      const lock = (await campaign(a, registration.node))!;
      await lock.establish(1);
      await eventually(() => expect(views.at(-1)?.master).toEqual({ node: registration.node, term: 1 }));
      await lock.release();
      await eventually(() => expect(views.at(-1)?.master).toBeNull());
      await registration.release();
      await eventually(() => expect(views.at(-1)?.nodes).toEqual([]));
    });

    test('tells null when the coordinator cannot be reached', async () => {
      const subject = open();
      const coordinator = await connectTo(subject);
      const views = watch(coordinator);
      await eventually(() => expect(views.at(-1)).toMatchObject({ master: null }));
      await subject.cut(coordinator);
      await eventually(() => expect(views.at(-1)).toBeNull());
    });

    test('tells who comes later, too, and nothing after it was closed', async () => {
      const coordinator = await connectTo(open());
      const early = watch(coordinator);
      await eventually(() => expect(early).not.toEqual([]));
      const late: unknown[] = [];
      const subscription = coordinator.watch((view) => late.push(view));
      await eventually(() => expect(late).toHaveLength(1));
      subscription.close();
      subscription.close();
      const a = await coordinator.register(nodeNamed('a'), TTL_MS);
      closers.push(() => a.release());
      await eventually(() => expect(early.at(-1)?.nodes).toHaveLength(1));
      expect(late).toHaveLength(1);
    });
  });
  describe('a sentinel', () => {
    const sit = async (coordinator: Coordinator, nodeId: string, incarnation = 1): Promise<SentinelSeat> => {
      const seat = await coordinator.sit({ nodeId, incarnation }, TTL_MS);
      closers.push(() => seat.release());
      return seat;
    };
    /** Two sentinels, and a master of term 1. */
    const two = async () => {
      const subject = open();
      const [own, other] = [await connectTo(subject), await connectTo(subject)];
      const lock = (await campaign(own, nodeNamed('m')))!;
      await lock.establish(1);
      const [s1, s2] = [await sit(other, 's1'), await sit(other, 's2')];
      return { subject, own, other, lock, s1, s2 };
    };

    test('is seen with whom it holds for down, and takes it back', async () => {
      const { other, s1 } = await two();
      await s1.vote({ term: 1, why: 'no answer' });
      await s1.doubt({ nodeId: 'w', incarnation: 5 }, 'reset');
      const [first, second] = (await other.read()).sentinels;
      const doubts = [{ nodeId: 'w', incarnation: 5, why: 'reset' }];
      expect(first).toEqual({ nodeId: 's1', incarnation: 1, vote: { term: 1, why: 'no answer' }, doubts });
      expect(second).toEqual({ nodeId: 's2', incarnation: 1, vote: null, doubts: [] });
      await s1.vote(null);
      await s1.doubt({ nodeId: 'w', incarnation: 5 }, null);
      expect((await other.read()).sentinels[0]).toMatchObject({ vote: null, doubts: [] });
    });

    test('whose lease is over has said nothing', async () => {
      const { other, s1, s2 } = await two();
      await s1.vote({ term: 1, why: 'no answer' });
      await s2.vote({ term: 1, why: 'no answer' });
      await s1.release();
      expect((await other.read()).sentinels.map(({ nodeId, vote }) => [nodeId, vote?.term])).toEqual([['s2', 1]]);
      const by = { by: 's2' };
      expect(await s2.nominate(nominationOf('n', { ...by, votes: ['s1', 's2'] })), 'a vote of one that is gone').toBe(
        false,
      );
      expect(await s2.nominate(nominationOf('n', { ...by, votes: ['s2'] }))).toBe(true);
    });

    test('that was started again takes the place of its earlier process', async () => {
      const { other, s1 } = await two();
      await sit(other, 's1', 2);
      await aborted(s1.signal);
      expect((await other.read()).sentinels).toMatchObject([{ nodeId: 's1', incarnation: 2 }, { nodeId: 's2' }]);
    });

    test('ends the term: the lock is free, the nomination stands until the next term, the old master learns of it', async () => {
      const { own, other, lock, s1, s2 } = await two();
      const nomination = nominationOf('n', { by: 's1', votes: ['s1', 's2'] });
      expect(await s1.nominate(nomination), 'before they have voted').toBe(false);
      for (const seat of [s1, s2]) await seat.vote({ term: 1, why: 'no answer' });
      expect(await s1.nominate({ ...nomination, forTerm: 2 }), 'another term').toBe(false);
      expect(await s1.nominate(nomination)).toBe(true);
      expect(await other.read()).toMatchObject({ master: null, nomination });
      expect(await s1.nominate(nomination), 'a second time').toBe(false);
      expect(await s2.nominate({ ...nomination, by: 's2', nodeId: 'm' }), 'another one, later').toBe(false);
      await aborted(lock.signal);
      const next = (await campaign(other, nodeNamed('n')))!;
      expect(next.nomination).toEqual(nomination);
      expect(await lock.establish(2).catch(() => false)).toBe(false);
      expect(await next.establish(2)).toBe(true);
      expect((await own.read()).nomination).toBeNull();
    });

    test('ends no term when a vote was taken back, or an operator has paused it', async () => {
      const { other, s1, s2 } = await two();
      for (const seat of [s1, s2]) await seat.vote({ term: 1, why: 'no answer' });
      const nomination = nominationOf('n', { by: 's1', votes: ['s1', 's2'] });
      await s2.vote(null);
      expect(await s1.nominate(nomination)).toBe(false);
      await s2.vote({ term: 1, why: 'no answer' });
      await other.inhibit({ reason: 'maintenance', sinceWallMs: 5 });
      expect((await other.read()).inhibit).toEqual({ reason: 'maintenance', sinceWallMs: 5 });
      expect(await s1.nominate(nomination)).toBe(false);
      expect((await other.read()).master).toMatchObject({ term: 1 });
      await other.inhibit(null);
      expect((await other.read()).inhibit).toBeNull();
      expect(await s1.nominate(nomination)).toBe(true);
    });

    test('ends the term of a master that is cut off, and the next one need not wait for its lease', async () => {
      const { subject, own, other, lock, s1 } = await two();
      await s1.vote({ term: 1, why: 'no answer' });
      await subject.cut(own);
      expect(await s1.nominate(nominationOf('n', { votes: ['s1'] }))).toBe(true);
      const next = (await campaign(other, nodeNamed('n'), TTL_MS / 4))!;
      expect(await next.establish(2)).toBe(true);
      expect(lock.signal.aborted, 'it cannot know yet: the fence keeps its writes out').toBe(false);
      await aborted(lock.signal);
    });

    test('that is cut off is over for itself first', async () => {
      const subject = open();
      const [own, other] = [await connectTo(subject), await connectTo(subject)];
      const seat = await sit(own, 's1');
      await subject.cut(own);
      await aborted(seat.signal);
      expect((await other.read()).sentinels).toHaveLength(1);
      await eventually(async () => expect((await other.read()).sentinels).toEqual([]), LONG_MS);
    });
  });

  describe('a master that goes', () => {
    test('says who shall follow, as long as it holds the lock', async () => {
      const coordinator = await connectTo(open());
      const lock = (await campaign(coordinator, nodeNamed('a')))!;
      await lock.establish(1);
      const nomination = nominationOf('b', { by: 'operator' });
      expect(await lock.nominate(nomination)).toBe(true);
      expect((await coordinator.read()).nomination).toEqual(nomination);
      await lock.release();
      expect((await coordinator.read()).master).toBeNull();
      expect(await lock.nominate(nominationOf('c')).catch(() => false)).toBe(false);
      expect((await coordinator.read()).nomination).toEqual(nomination);
    });
  });
}
