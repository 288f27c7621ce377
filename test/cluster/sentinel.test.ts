import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { MemoryCoordinator, MemoryHub } from '../../src/cluster/memory.ts';
import type { MasterLock, NodeRecord, ProbeAnswer, SentinelSeat } from '../../src/cluster/ports.ts';
import { Sentinel } from '../../src/cluster/sentinel.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { SILENT } from '../../src/lib/log.ts';
import { INFO, nominationOf, QUICK, record } from '../support/cluster-nodes.ts';
import { eventually } from '../support/eventually.ts';

const DEADLINE_MS = 30_000;

/** What a sentinel says is done, and while it is deaf it does not learn so; of its votes only when `hold` is over. */
class DeafCoordinator extends MemoryCoordinator {
  isDeaf = false;
  hold: Promise<void> | null = null;

  override async sit(...args: Parameters<MemoryCoordinator['sit']>): Promise<SentinelSeat> {
    const seat = await super.sit(...args);
    const [vote, doubt] = [seat.vote.bind(seat), seat.doubt.bind(seat)];
    const answered = (): void => {
      if (this.isDeaf) throw new Error('no answer');
    };
    return Object.assign(seat, {
      vote: (...what: Parameters<typeof vote>) =>
        vote(...what)
          .then(() => this.hold)
          .then(answered),
      doubt: (...what: Parameters<typeof doubt>) => doubt(...what).then(answered),
    });
  }
}

/** Sentinels that run, over nodes that only answer probes, or do not. */
class Bench {
  readonly hub = new MemoryHub();
  readonly #coordinator = this.hub.coordinator();
  readonly #over = new AbortController();
  readonly #ends: (() => Promise<unknown>)[] = [];
  readonly nodes = new Map<string, NodeRecord>();
  /** Node ids that do not answer. */
  readonly mute = new Set<string>();
  /** What a node answers otherwise than it should. */
  readonly answers = new Map<string, Partial<ProbeAnswer>>();
  lock: MasterLock | null = null;

  async node(nodeId: string, change: Partial<NodeRecord> = {}): Promise<NodeRecord> {
    const wanted = record({ nodeId, incarnation: 0, seq: 0, address: nodeId, roles: ['candidate'], ...change });
    const registration = await this.#coordinator.register(wanted, 60_000);
    this.#ends.push(() => registration.release());
    this.nodes.set(nodeId, registration.node);
    return registration.node;
  }

  async lead(nodeId: string, term: number): Promise<void> {
    const options = { leaseTtlMs: 60_000, deadlineMs: DEADLINE_MS, signal: this.#over.signal };
    const lock = (await this.#coordinator.campaign(this.nodes.get(nodeId)!, options))!;
    this.#ends.push(() => lock.release());
    await lock.establish(term);
    this.lock = lock;
    this.answers.set(nodeId, { term, isMaster: true });
  }

  sentinel(nodeId: string, { quorum = 1, timings = QUICK } = {}): { coordinator: DeafCoordinator } {
    const coordinator = new DeafCoordinator(this.hub);
    const node = record({ nodeId, roles: ['sentinel'] });
    const probe = (address: string) => this.#answer(address);
    const sentinel = new Sentinel({ coordinator, probe, node: () => node, quorum, timings, log: SILENT });
    const ended = sentinel.run(this.#over.signal);
    this.#ends.push(() => ended);
    return { coordinator };
  }

  view() {
    return this.hub.view();
  }

  votes(): (number | null)[] {
    return this.view().sentinels.map(({ vote }) => vote?.term ?? null);
  }

  /** A term old enough to be ended, that all of the sentinels know. */
  async settle(sentinels: number): Promise<void> {
    await eventually(() => expect(this.view().sentinels).toHaveLength(sentinels));
    await sleep(QUICK.termSettleMs + 50);
  }

  async end(): Promise<void> {
    this.#over.abort();
    for (const end of this.#ends.reverse()) await end();
  }

  #answer(nodeId: string): Promise<ProbeAnswer> {
    const node = this.nodes.get(nodeId);
    if (node === undefined || this.mute.has(nodeId)) return Promise.reject(new Error('no answer'));
    const { incarnation } = node;
    return Promise.resolve({ nodeId, incarnation, term: 0, isMaster: false, info: INFO, ...this.answers.get(nodeId) });
  }
}

let bench: Bench;
afterEach(() => bench.end());

/** A master of term 7, and two candidates. */
async function three(sentinels: readonly string[], options: Parameters<Bench['sentinel']>[1] = {}): Promise<void> {
  bench = new Bench();
  await bench.node('m', { priority: 200 });
  await bench.node('a');
  await bench.node('b');
  await bench.lead('m', 7);
  for (const id of sentinels) bench.sentinel(id, options);
  await bench.settle(sentinels.length);
}

describe('a master that does not answer', () => {
  test('is replaced: its term is ended for the best candidate, with votes and reasons', async () => {
    await three(['s1', 's2', 's3']);
    const mutedAtMs = nowMs();
    bench.mute.add('m');
    const nomination = await eventually(() => {
      expect(bench.view().nomination).not.toBeNull();
      return bench.view().nomination!;
    });
    expect(nowMs() - mutedAtMs).toBeGreaterThanOrEqual(QUICK.downAfterMs - QUICK.sentinelProbeMs);
    expect(bench.view().master).toBeNull();
    expect(nomination).toMatchObject({ forTerm: 7, nodeId: 'a' });
    expect(nomination.reason).toBe('the master of term 7, node m, is down: no answer');
    expect(['s1', 's2', 's3']).toContain(nomination.by);
    expect(nomination.votes.length).toBeGreaterThanOrEqual(2);
    expect(nomination.candidates.map(({ nodeId, refused }) => [nodeId, refused])).toEqual([
      ['a', ''],
      ['b', ''],
      ['m', 'it is the one that is to be followed'],
    ]);
    await eventually(() => expect(bench.lock!.signal.aborted).toBe(true), DEADLINE_MS);
    await bench.lead('a', 8);
    const noVotes = (): void => expect(bench.votes(), 'a term that is over needs no votes').toEqual([null, null, null]);
    await eventually(noVotes, DEADLINE_MS);
  });

  test('as master of its term is down too, however alive its process is', async () => {
    await three(['s1']);
    bench.answers.set('m', { term: 7, isMaster: false });
    await eventually(() => expect(bench.view().nomination?.reason).toMatch(/alive, but not master of term 7$/));
  });

  test('is not replaced while most sentinels see it', async () => {
    bench = new Bench();
    await bench.node('m');
    await bench.node('a');
    await bench.lead('m', 7);
    for (const id of ['s1', 's2', 's3']) bench.sentinel(id, { timings: { ...QUICK, downAfterMs: 60_000 } });
    bench.sentinel('alone');
    await bench.settle(4);
    bench.mute.add('m');
    await eventually(() => expect(bench.votes()).toEqual([7, null, null, null]));
    await sleep(2 * QUICK.downAfterMs);
    expect(bench.view()).toMatchObject({ master: { term: 7 }, nomination: null });
    bench.mute.delete('m');
    await eventually(() => expect(bench.votes(), 'it answers again').toEqual([null, null, null, null]));
  });

  test('is not replaced below the quorum, while failover is paused, or without a candidate that is fit', async () => {
    await three(['s1'], { quorum: 2 });
    await bench.hub.coordinator().inhibit({ reason: 'of a test', sinceWallMs: 0 });
    bench.mute.add('m').add('a').add('b');
    await eventually(() => expect(bench.votes()).toEqual([7]));
    bench.sentinel('s2', { quorum: 2 });
    await eventually(() => expect(bench.votes()).toEqual([7, 7]));
    await sleep(QUICK.termSettleMs + QUICK.downAfterMs);
    expect(bench.view().nomination).toBeNull();
    await bench.hub.coordinator().inhibit(null);
    await sleep(QUICK.downAfterMs);
    expect(bench.view(), 'nobody answers').toMatchObject({ master: { term: 7 }, nomination: null });
    bench.mute.delete('b');
    await eventually(() => expect(bench.view().nomination?.nodeId).toBe('b'));
  });

  test('of a young term keeps it for a while', async () => {
    bench = new Bench();
    const settleMs = 1_500;
    await bench.node('m');
    await bench.node('a');
    await bench.lead('m', 7);
    bench.mute.add('m');
    const beganAtMs = nowMs();
    bench.sentinel('s1', { timings: { ...QUICK, termSettleMs: settleMs } });
    await eventually(() => expect(bench.votes()).toEqual([7]));
    await eventually(() => expect(bench.view().nomination).not.toBeNull());
    expect(nowMs() - beganAtMs).toBeGreaterThanOrEqual(settleMs);
  });
});

test('a sentinel that hears late of its vote leaves the master alone that has followed meanwhile', async () => {
  await three([]);
  const { coordinator } = bench.sentinel('s1');
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  coordinator.hold = held;
  const others = await Promise.all(
    ['s2', 's3'].map((nodeId) => bench.hub.coordinator().sit({ nodeId, incarnation: 1 }, 60_000)),
  );
  await bench.settle(3);
  for (const seat of others) await seat.vote({ term: 7, why: 'no answer' });
  bench.mute.add('m');
  await eventually(() => expect(bench.votes()).toEqual([7, 7, 7]));
  expect(await others[0]!.nominate(nominationOf('a', { forTerm: 7, votes: ['s2', 's3'] }))).toBe(true);
  const followed = new Promise<void>((resolve) => {
    coordinator.watch((view) => {
      if (view?.master?.term === 8) resolve();
    });
  });
  await bench.lead('a', 8);
  await followed;
  release();
  await eventually(() => expect(bench.votes()[0]).toBeNull(), DEADLINE_MS);
  expect(bench.view()).toMatchObject({ master: { term: 8 }, nomination: null });
  for (const seat of others) await seat.release();
});

describe('a worker that does not answer', () => {
  const doubts = () => bench.view().sentinels.map(({ doubts: list }) => list.map(({ nodeId, why }) => [nodeId, why]));

  test('is doubted by name, and no more when it answers or has gone', async () => {
    await three(['s1', 's2']);
    const { incarnation } = await bench.node('w', { roles: ['worker'] });
    bench.mute.add('w');
    await eventually(() => expect(doubts()).toEqual([[['w', 'no answer']], [['w', 'no answer']]]));
    expect(bench.view().sentinels[0]!.doubts[0]!.incarnation).toBe(incarnation);
    expect(bench.view().master, 'the master is not concerned').toMatchObject({ term: 7 });
    bench.mute.delete('w');
    await eventually(() => expect(doubts()).toEqual([[], []]));
  });

  test('because another process has its address is doubted too', async () => {
    await three(['s1']);
    await bench.node('w', { roles: ['worker'] });
    bench.answers.set('w', { nodeId: 'x' });
    await eventually(() => expect(doubts()).toEqual([[['w', 'node x answers at its address']]]));
  });
});

test('a sentinel that was cut off from the coordinator is one again when it can be', async () => {
  await three([]);
  const { coordinator } = bench.sentinel('s1');
  await bench.settle(1);
  coordinator.isCut = true;
  await eventually(() => expect(bench.view().sentinels).toEqual([]), DEADLINE_MS);
  coordinator.isCut = false;
  await eventually(() => expect(bench.view().sentinels).toHaveLength(1), DEADLINE_MS);
  bench.mute.add('m');
  await eventually(() => expect(bench.view().nomination).not.toBeNull());
});

// Found by the simulation: the vote stayed, and half a minute later it helped to end the term of a master that was well.
test.each([
  ['its vote', 'm', [7, []]],
  ['its doubt', 'w', [null, ['w']]],
])('a sentinel takes back %s that was heard without an answer', async (_, muted, expected) => {
  await three([]);
  await bench.node('w', { roles: ['worker'] });
  const { coordinator } = bench.sentinel('s1', { quorum: 2 });
  await bench.settle(1);
  const said = () =>
    bench.view().sentinels.map(({ vote, doubts }) => [vote?.term ?? null, doubts.map((d) => d.nodeId)]);
  coordinator.isDeaf = true;
  bench.mute.add(muted);
  await eventually(() => expect(said()).toEqual([expected]));
  bench.mute.clear();
  await eventually(() => expect(said()).toEqual([[null, []]]));
  coordinator.isDeaf = false;
  expect(bench.view()).toMatchObject({ master: { term: 7 }, nomination: null });
});

test('a sentinel that stood still takes its vote back and only observes for a while', async () => {
  await three(['s1'], { timings: { ...QUICK, sentinelTtlMs: 30_000, tiltMs: 800 } });
  await bench.hub.coordinator().inhibit({ reason: 'of a test', sinceWallMs: 0 });
  bench.mute.add('m');
  await eventually(() => expect(bench.votes()).toEqual([7]));
  const end = nowMs() + 1_300;
  while (nowMs() < end);
  const blockedUntilMs = nowMs();
  await eventually(() => expect(bench.votes()).toEqual([null]));
  await eventually(() => expect(bench.votes()).toEqual([7]));
  expect(nowMs() - blockedUntilMs).toBeGreaterThanOrEqual(750);
});
