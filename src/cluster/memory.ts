import { nowMs } from '../lib/clock.ts';
import { CodedError } from '../lib/errors.ts';
import { Listeners } from '../lib/listeners.ts';
import { pause } from '../lib/wait.ts';
import { instant, RenewedLease } from './lease.ts';
import { HubSeats, type HubSeat } from './memory-seats.ts';
import type {
  CampaignOptions,
  Coordinator,
  CoordinatorView,
  Inhibit,
  MasterLock,
  NodeRecord,
  NodeRef,
  Nomination,
  Registration,
  SentinelRecord,
  SentinelSeat,
  Subscription,
} from './ports.ts';

const MARGIN_MS = 50;
/** How often a campaigner looks whether the lock is free. */
const LOOK_MS = 20;

interface HubLease {
  expiresAtMs: number;
  timer: NodeJS.Timeout;
  over: () => void;
}

/** A lock as its holder gets it. */
interface HubTaken {
  lease: HubLease;
  /** @param seen the term when it was taken */
  establish: (seen: number, term: number) => boolean;
  nominate: (nomination: Nomination) => boolean;
}

/** A lock that was taken; `established` once it has a term. */
interface HubLock {
  node: NodeRecord;
  established: boolean;
  lease: HubLease;
}

/** Coordination within one process, for a cluster of one: what etcd is to a cluster of many. Forgets all at its end. */
export class MemoryHub {
  readonly #nodes = new Map<string, { record: NodeRecord; lease: HubLease }>();
  /** Given to an id once: seq for good, and the highest incarnation. */
  readonly #known = new Map<string, { seq: number; incarnation: number }>();
  readonly #listeners = new Listeners<[]>(() => undefined);
  readonly seats = new HubSeats();
  #lock: HubLock | null = null;
  #term = 0;
  #nomination: Nomination | null = null;
  #inhibit: Inhibit | null = null;

  coordinator(): MemoryCoordinator {
    return new MemoryCoordinator(this);
  }

  get term(): number {
    return this.#term;
  }

  get isFree(): boolean {
    return this.#lock === null;
  }

  view(): CoordinatorView {
    const lock = this.#lock;
    return {
      master: lock?.established === true ? { node: lock.node, term: this.#term } : null,
      nodes: [...this.#nodes.values()].map(({ record }) => record).sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)),
      nomination: this.#nomination,
      sentinels: this.seats.list(),
      inhibit: this.#inhibit,
    };
  }

  get nomination(): Nomination | null {
    return this.#nomination;
  }

  inhibit(inhibit: Inhibit | null): void {
    this.#inhibit = inhibit;
    this.#listeners.tell();
  }

  onChange(listener: () => void): Subscription {
    return this.#listeners.add(listener);
  }

  /** @returns the lease, which takes the record away when it ends; that of an earlier record of the node ends here */
  putNode(node: NodeRecord, ttlMs: number): { node: NodeRecord; lease: HubLease } {
    const known = this.#known.get(node.nodeId);
    if (node.incarnation !== 0 && (known?.incarnation ?? 0) > node.incarnation) {
      const expected = 'expected to be the only process of this id';
      throw new CodedError(
        'FAILED_PRECONDITION',
        `node ${node.nodeId}: ${expected}, found a later start of it registered`,
      );
    }
    const seq = known?.seq ?? this.#known.size + 1;
    const incarnation = node.incarnation || Math.max(Date.now(), (known?.incarnation ?? 0) + 1);
    const record = { ...node, seq, incarnation };
    this.#known.set(node.nodeId, { seq, incarnation });
    const earlier = this.#nodes.get(node.nodeId)?.lease;
    const lease = this.#grant(ttlMs, () => {
      if (this.#nodes.get(node.nodeId)?.lease === lease) this.#nodes.delete(node.nodeId);
    });
    this.#nodes.set(node.nodeId, { record, lease });
    if (earlier !== undefined) this.end(earlier);
    this.#listeners.tell();
    return { node: record, lease };
  }

  /** To be called when the lock is free. */
  takeLock(node: NodeRecord, ttlMs: number): HubTaken {
    const lease = this.#grant(ttlMs, () => {
      if (this.#lock === lock) this.#lock = null;
    });
    const lock = { node, established: false, lease };
    this.#lock = lock;
    const establish = (seen: number, term: number): boolean => {
      if (this.#lock !== lock || lock.established || this.#term !== seen || term <= seen) return false;
      this.#term = term;
      lock.established = true;
      this.#nomination = null;
      this.#listeners.tell();
      return true;
    };
    const nominate = (nomination: Nomination): boolean => {
      if (this.#lock !== lock) return false;
      this.#nomination = nomination;
      this.#listeners.tell();
      return true;
    };
    return { lease, establish, nominate };
  }

  sit(sentinel: NodeRef, ttlMs: number): { seat: HubSeat; lease: HubLease } {
    const seat = this.seats.add(sentinel);
    const lease = this.#grant(ttlMs, () => this.seats.remove(seat));
    this.#listeners.tell();
    return { seat, lease };
  }

  /** What a sentinel says; of one whose lease is over nothing is heard. */
  say(seat: HubSeat, words: (seat: HubSeat) => void): void {
    if (!this.seats.has(seat)) return;
    words(seat);
    this.#listeners.tell();
  }

  nominate(nomination: Nomination): boolean {
    const lock = this.#lock;
    const stands = this.#term === nomination.forTerm && lock?.established === true;
    if (!stands || this.#inhibit !== null || !this.seats.haveVoted(nomination)) return false;
    this.#nomination = nomination;
    this.end(lock.lease);
    return true;
  }

  /** @returns whether the lease was still there */
  renew(lease: HubLease, ttlMs: number): boolean {
    if (lease.expiresAtMs < nowMs()) return false;
    lease.expiresAtMs = nowMs() + ttlMs;
    return true;
  }

  end(lease: HubLease): void {
    if (lease.expiresAtMs === -Infinity) return;
    clearTimeout(lease.timer);
    lease.expiresAtMs = -Infinity;
    lease.over();
    this.#listeners.tell();
  }

  #grant(ttlMs: number, over: () => void): HubLease {
    const look = (): void => {
      const leftMs = lease.expiresAtMs - nowMs();
      if (leftMs <= 0) this.end(lease);
      else lease.timer = setTimeout(look, leftMs).unref();
    };
    const lease: HubLease = { expiresAtMs: nowMs() + ttlMs, timer: setTimeout(look, ttlMs).unref(), over };
    return lease;
  }
}

/** One node's access to a hub. */
export class MemoryCoordinator implements Coordinator {
  readonly #hub: MemoryHub;
  readonly #watchers = new Listeners<[]>(() => undefined);
  #isCut = false;

  constructor(hub: MemoryHub) {
    this.#hub = hub;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** true: as if the network to the coordinator were broken; its leases run out. For tests of what then happens. */
  set isCut(isCut: boolean) {
    this.#isCut = isCut;
    this.#watchers.tell();
  }

  async register(node: NodeRecord, leaseTtlMs: number): Promise<Registration> {
    await this.#reach();
    const sent = instant();
    const { node: record, lease } = this.#hub.putNode(node, leaseTtlMs);
    const renewed = this.#renewed(lease, leaseTtlMs, sent);
    return Object.assign(renewed, { node: record });
  }

  async campaign(node: NodeRecord, options: CampaignOptions): Promise<MasterLock | null> {
    const { leaseTtlMs, deadlineMs, signal, turn = Promise.resolve(true) } = options;
    if (!(await turn)) return null;
    const endMs = nowMs() + deadlineMs;
    for (;;) {
      await this.#reach();
      if (signal.aborted) return null;
      if (this.#hub.isFree) break;
      if (nowMs() >= endMs) return null;
      await pause(LOOK_MS, signal);
    }
    const sent = instant();
    const { lease, establish, nominate } = this.#hub.takeLock(node, leaseTtlMs);
    const { term: seenTerm, nomination } = this.#hub;
    return Object.assign(this.#renewed(lease, leaseTtlMs, sent), {
      seenTerm,
      nomination,
      establish: async (term: number) => {
        await this.#reach();
        return establish(seenTerm, term);
      },
      nominate: async (next: Nomination) => {
        await this.#reach();
        return nominate(next);
      },
    });
  }

  async sit({ nodeId, incarnation }: NodeRef, leaseTtlMs: number): Promise<SentinelSeat> {
    await this.#reach();
    const sent = instant();
    const hub = this.#hub;
    const { seat, lease } = hub.sit({ nodeId, incarnation }, leaseTtlMs);
    const renewed = this.#renewed(lease, leaseTtlMs, sent, () => (hub.seats.has(seat) ? null : 'the record is gone'));
    const reached = async <T>(act: () => T): Promise<T> => {
      await this.#reach();
      return act();
    };
    return Object.assign(renewed, {
      vote: (vote: SentinelRecord['vote']) => reached(() => hub.say(seat, (own) => (own.vote = vote))),
      doubt: (node: NodeRef, why: string | null) =>
        reached(() =>
          hub.say(seat, ({ doubts }) => {
            if (why === null) doubts.delete(node.nodeId);
            else doubts.set(node.nodeId, { nodeId: node.nodeId, incarnation: node.incarnation, why });
          }),
        ),
      nominate: (nomination: Nomination) => reached(() => hub.nominate(nomination)),
    });
  }

  async inhibit(inhibit: Inhibit | null): Promise<void> {
    await this.#reach();
    this.#hub.inhibit(inhibit);
  }

  async readTerm(): Promise<number> {
    await this.#reach();
    return this.#hub.term;
  }

  async read(): Promise<CoordinatorView> {
    await this.#reach();
    return this.#hub.view();
  }

  watch(listener: (view: CoordinatorView | null) => void): Subscription {
    let isClosed = false;
    // Not within the call that changed something: as it is with a coordinator that is elsewhere.
    const tell = (): void => {
      setImmediate(() => isClosed || listener(this.#isCut ? null : this.#hub.view()));
    };
    const subscriptions = [this.#hub.onChange(tell), this.#watchers.add(tell)];
    tell();
    const close = (): void => {
      isClosed = true;
      for (const subscription of subscriptions) subscription.close();
    };
    return { close, [Symbol.dispose]: close };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its leases end with those who hold them.
  }

  /** @param problem why what the lease is for is lost; null: it is not */
  #renewed(
    lease: HubLease,
    ttlMs: number,
    sent: ReturnType<typeof instant>,
    problem: () => string | null = () => null,
  ): RenewedLease {
    return new RenewedLease({
      ttlMs,
      marginMs: MARGIN_MS,
      sent,
      renew: async () => {
        await this.#reach();
        return this.#hub.renew(lease, ttlMs) ? problem() : 'the lease has run out';
      },
      revoke: async () => {
        await this.#reach();
        this.#hub.end(lease);
      },
    });
  }

  #reach(): Promise<void> {
    if (!this.#isCut) return Promise.resolve();
    return Promise.reject(
      new CodedError('UNAVAILABLE', 'the coordinator does not answer: the node is cut off from it'),
    );
  }
}
