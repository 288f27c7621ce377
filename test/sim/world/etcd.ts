import { RenewedLease, instant, type Instant } from '../../../src/cluster/lease.ts';
import type {
  CampaignOptions,
  Coordinator,
  CoordinatorView,
  MasterLock,
  NodeRecord,
  Registration,
  SentinelSeat,
  Subscription,
} from '../../../src/cluster/ports.ts';
import { CodedError } from '../../../src/lib/errors.ts';
import type { Dice, SimClock, SimProcess } from './clock.ts';
import { inside } from './globals.ts';
import type { SimNetwork } from './network.ts';

const CALL_MS = 1_000;
const MARGIN_MS = 200;
const LIST_EVERY_MS = 2_000;

interface ServerLease {
  id: number;
  ttlMs: number;
  expiresAtMs: number;
}

interface Candidature {
  rev: number;
  lease: ServerLease;
  node: NodeRecord;
  won: (rev: number) => void;
}

/** etcd as its clients see it: leases, the keys of a cluster, and the election's queue. All in one place, at true time. */
export class SimEtcd {
  /** Who was established, in order: for the judge. */
  readonly terms: { term: number; nodeId: string; incarnation: number; atMs: number }[] = [];
  /** Leases end up to so much after their time (a new leader of etcd prolongs them). */
  lateExpiryMs = 0;
  readonly #clock: SimClock;
  readonly #dice: Dice;
  readonly #leases = new Map<number, ServerLease>();
  readonly #nodes = new Map<string, { record: NodeRecord; lease: ServerLease }>();
  readonly #known = new Map<string, { seq: number; incarnation: number }>();
  readonly #watchers = new Set<() => void>();
  #queue: Candidature[] = [];
  #term = { term: 0, rev: 0 };
  #rev = 1;
  #registrations = 0;

  constructor(clock: SimClock, dice: Dice) {
    this.#clock = clock;
    this.#dice = dice;
  }

  get term(): number {
    return this.#term.term;
  }

  get termRev(): number {
    return this.#term.rev;
  }

  /** All keys and leases are gone, and the term with them. */
  wipe(): void {
    for (const lease of [...this.#leases.values()]) this.revoke(lease);
    this.#term = { term: 0, rev: 0 };
    this.#known.clear();
    this.#changed();
  }

  /** Every lease ends now. */
  expireAll(): void {
    for (const lease of [...this.#leases.values()]) this.revoke(lease);
  }

  view(): CoordinatorView {
    const first = this.#queue[0];
    const isEstablished = first !== undefined && first.rev === this.#term.rev;
    return {
      master: isEstablished ? { node: first.node, term: this.#term.term } : null,
      nodes: [...this.#nodes.values()].map(({ record }) => record).sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)),
      nomination: null,
      sentinels: [],
      inhibit: null,
    };
  }

  /** Its record stands. */
  isRegistered(nodeId: string, incarnation: number): boolean {
    return this.#nodes.get(nodeId)?.record.incarnation === incarnation;
  }

  grant(ttlMs: number): ServerLease {
    const lease = { id: this.#rev++, ttlMs, expiresAtMs: 0 };
    this.#leases.set(lease.id, lease);
    this.#prolong(lease);
    return lease;
  }

  renew(lease: ServerLease): boolean {
    if (!this.#leases.has(lease.id)) return false;
    this.#prolong(lease);
    return true;
  }

  revoke(lease: ServerLease): void {
    if (!this.#leases.delete(lease.id)) return;
    for (const [nodeId, node] of this.#nodes) if (node.lease === lease) this.#nodes.delete(nodeId);
    const firstRev = this.#queue[0]?.rev;
    this.#queue = this.#queue.filter((each) => each.lease !== lease);
    const first = this.#queue[0];
    if (first !== undefined && first.rev !== firstRev) first.won(first.rev);
    this.#changed();
  }

  /** Grows with each registration. */
  get registrations(): number {
    return this.#registrations;
  }

  /** @param seen `registrations` as it was read before; @returns null: somebody else has registered since */
  putNode(node: NodeRecord, lease: ServerLease, wallMs: number, seen: number): NodeRecord | null {
    if (seen !== this.#registrations) return null;
    const known = this.#known.get(node.nodeId);
    if (node.incarnation !== 0 && (known?.incarnation ?? 0) > node.incarnation) {
      throw new CodedError('FAILED_PRECONDITION', 'a later start of it is registered');
    }
    if (!this.#leases.has(lease.id)) throw new CodedError('UNAVAILABLE', 'the lease is gone');
    const seq = known?.seq ?? this.#known.size + 1;
    const incarnation = node.incarnation || Math.max(wallMs, (known?.incarnation ?? 0) + 1);
    const record = { ...node, seq, incarnation };
    this.#registrations += 1;
    this.#known.set(node.nodeId, { seq, incarnation });
    this.#nodes.set(node.nodeId, { record, lease });
    this.#changed();
    return record;
  }

  /** @param won called once its key is the first of the queue */
  campaign(node: NodeRecord, lease: ServerLease, won: (rev: number) => void): void {
    if (!this.#leases.has(lease.id)) return;
    const candidature = { rev: this.#rev++, lease, node, won };
    this.#queue.push(candidature);
    if (this.#queue.length === 1) won(candidature.rev);
  }

  isLock(rev: number): boolean {
    return this.#queue.some((each) => each.rev === rev);
  }

  establish(rev: number, seen: number, term: number): boolean {
    const first = this.#queue[0];
    if (first?.rev !== rev || this.#term.rev !== seen) return false;
    this.#term = { term, rev };
    const { node } = first;
    this.terms.push({ term, nodeId: node.nodeId, incarnation: node.incarnation, atMs: this.#clock.nowMs });
    this.#changed();
    return true;
  }

  onChange(act: () => void): () => void {
    this.#watchers.add(act);
    return () => this.#watchers.delete(act);
  }

  #prolong(lease: ServerLease): void {
    lease.expiresAtMs = this.#clock.nowMs + lease.ttlMs;
    const lateMs = this.#dice.between(0, 300) + this.#dice.between(0, this.lateExpiryMs);
    const { expiresAtMs } = lease;
    this.#clock.at(expiresAtMs + lateMs, null, () => {
      if (lease.expiresAtMs === expiresAtMs) this.revoke(lease);
    });
  }

  #changed(): void {
    for (const act of [...this.#watchers]) act();
  }
}

/** One process's client: as `EtcdCoordinator`, call by call. */
export class SimCoordinator implements Coordinator {
  readonly #etcd: SimEtcd;
  readonly #network: SimNetwork;
  readonly #clock: SimClock;
  readonly #host: string;

  constructor(etcd: SimEtcd, network: SimNetwork, clock: SimClock, host: string) {
    this.#etcd = etcd;
    this.#network = network;
    this.#clock = clock;
    this.#host = host;
  }

  async register(node: NodeRecord, leaseTtlMs: number): Promise<Registration> {
    const { lease, sent } = await this.#grant(leaseTtlMs);
    try {
      const record = await this.#putNode(node, lease);
      const isMine = () => {
        const { nodeId, incarnation } = record;
        return this.#etcd.isRegistered(nodeId, incarnation) ? null : 'the record is gone, or of a later start';
      };
      return Object.assign(this.#renewed(lease, sent, isMine), { node: record });
    } catch (error) {
      this.#call(() => this.#etcd.revoke(lease)).catch(() => undefined);
      throw error;
    }
  }

  async campaign(node: NodeRecord, { leaseTtlMs, deadlineMs, signal }: CampaignOptions): Promise<MasterLock | null> {
    const { lease, sent } = await this.#grant(leaseTtlMs);
    let rev: number | null = null;
    const renewed = this.#renewed(lease, sent, () =>
      rev === null || this.#etcd.isLock(rev) ? null : "the lock's key is gone",
    );
    try {
      rev = await this.#win(node, lease, deadlineMs, AbortSignal.any([signal, renewed.signal]));
      if (rev !== null) return Object.assign(renewed, await this.#lockWith(rev));
    } catch (error) {
      await renewed.release();
      throw error;
    }
    await renewed.release();
    return null;
  }

  readTerm(): Promise<number> {
    return this.#call(() => this.#etcd.term);
  }

  read(): Promise<CoordinatorView> {
    return this.#call(() => this.#etcd.view());
  }

  /** There are no sentinels in this world: what they do is in the models. */
  sit(): Promise<SentinelSeat> {
    return Promise.reject(new Error('no sentinels here'));
  }

  inhibit(): Promise<void> {
    return Promise.reject(new Error('no sentinels here'));
  }

  /** A watch is a hint: an event may be lost, and the list that follows it too. */
  watch(listener: (view: CoordinatorView | null) => void): Subscription {
    let isClosed = false;
    const list = (): void => {
      this.read().then(
        (view) => isClosed || listener(view),
        () => isClosed || listener(null),
      );
    };
    const timer = setInterval(list, LIST_EVERY_MS);
    const process = this.#process();
    const hint = () => {
      if (!this.#network.isCut(this.#host, 'etcd')) this.#clock.after(this.#network.delayMs(), process, list);
    };
    const unwatch = this.#etcd.onChange(hint);
    list();
    const close = (): void => {
      isClosed = true;
      unwatch();
      clearInterval(timer);
    };
    return { close, [Symbol.dispose]: close };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  /** An attempt that was given up may reach etcd late: it must not overwrite the one that followed it. */
  async #putNode(node: NodeRecord, lease: ServerLease): Promise<NodeRecord> {
    for (;;) {
      const seen = await this.#call(() => this.#etcd.registrations);
      const wallMs = Date.now();
      const record = await this.#call(() => this.#etcd.putNode(node, lease, wallMs, seen));
      if (record !== null) return record;
    }
  }

  #win(node: NodeRecord, lease: ServerLease, deadlineMs: number, signal: AbortSignal): Promise<number | null> {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    const process = this.#process();
    setTimeout(() => resolve(null), deadlineMs);
    signal.addEventListener('abort', () => resolve(null), { once: true });
    if (signal.aborted) resolve(null);
    const answer = (rev: number): void => {
      if (this.#network.isCut(this.#host, 'etcd')) return;
      this.#clock.after(this.#network.delayMs(), process, () => resolve(rev));
    };
    this.#call(() => this.#etcd.campaign(node, lease, answer), deadlineMs).catch(reject);
    return promise;
  }

  async #lockWith(rev: number): Promise<Omit<MasterLock, 'validUntilMs' | 'signal' | 'release'>> {
    const [seenTerm, seenRev] = await this.#call(() => [this.#etcd.term, this.#etcd.termRev] as const);
    const establish = async (term: number): Promise<boolean> => {
      if (term <= seenTerm) return false;
      try {
        return await this.#call(() => this.#etcd.establish(rev, seenRev, term));
      } catch (error) {
        if ((await this.#call(() => this.#etcd.termRev)) === rev) return true;
        throw error;
      }
    };
    return { seenTerm, establish, nomination: null, nominate: () => Promise.resolve(false) };
  }

  async #grant(ttlMs: number): Promise<{ lease: ServerLease; sent: Instant }> {
    const sent = instant();
    return { lease: await this.#call(() => this.#etcd.grant(ttlMs)), sent };
  }

  #renewed(lease: ServerLease, sent: Instant, isMine: () => string | null): RenewedLease {
    return new RenewedLease({
      ttlMs: lease.ttlMs,
      marginMs: MARGIN_MS,
      sent,
      renew: async (deadlineMs) => {
        const [alive, lost] = await Promise.all([
          this.#call(() => this.#etcd.renew(lease), deadlineMs),
          this.#call(isMine, deadlineMs),
        ]);
        return alive ? lost : 'etcd says that the lease is gone';
      },
      revoke: () => this.#call(() => this.#etcd.revoke(lease)),
    });
  }

  #call<T>(work: () => T, deadlineMs = CALL_MS): Promise<T> {
    return this.#network.call(this.#host, 'etcd', deadlineMs, work);
  }

  #process(): SimProcess {
    return inside.getStore() as SimProcess;
  }
}
