/**
 * What the kit needs from outside, and what it gives to drivers. The adapters live elsewhere: `etcd*.ts` and `memory.ts`
 * (Coordinator), `store` (Fence), `rpc` (the worker stream). Instants are `nowMs` of lib/clock unless a name says `wall`.
 */

import type { Log } from '../lib/log.ts';

/** What a node may do; a node has one or more. */
export const ROLES = ['worker', 'candidate', 'sentinel'] as const;
export type Role = (typeof ROLES)[number];

/** A node as it writes itself into the coordinator, once, under its lease. */
export interface NodeRecord {
  nodeId: string;
  /** Grows with each start of the node; of two nodes with one id the higher incarnation is the real one. */
  incarnation: number;
  /** `host:port` that other nodes and clients dial. */
  address: string;
  roles: readonly Role[];
  /** The higher, the sooner master; 0: never. */
  priority: number;
  labels: Readonly<Record<string, string>>;
  /** Number in the order of joining, given by the coordinator; 0: not yet given. */
  seq: number;
  /** Of GoStress. */
  version: string;
}

/** One process: a node id and its incarnation. */
export interface NodeRef {
  nodeId: string;
  incarnation: number;
}

/** The master of a term that was established (its key and `master/term` agree). */
export interface MasterRecord {
  node: NodeRecord;
  term: number;
}

/** Who shall be master next: a sentinel's word after a failure, or the operator's wish. */
export interface Nomination {
  /** The term that it ends. */
  forTerm: number;
  nodeId: string;
  reason: string;
  /** Who says so: the node id of a sentinel, or `operator`. */
  by: string;
  /** The sentinels that held the master for down; of an operator's: none. */
  votes: readonly string[];
  /** All that were looked at. */
  candidates: readonly JudgedCandidate[];
}

/** What filter and score said of a candidate. */
export interface JudgedCandidate {
  nodeId: string;
  /** Why the filter refused it; empty: it passed. */
  refused: string;
  /** In words, in the order in which it is compared. */
  score: string;
}

/** Why a node became master of a term. */
export interface TermReasons {
  term: number;
  nodeId: string;
  /** The lock was free, and it was the nominee; or the first by rank that took part. */
  how: 'nominated' | 'by rank';
  /** As it stood when the lock was won; of `by rank`: the nominee did not win in time. null: there was none. */
  nomination: Nomination | null;
  /** Ids of the candidates by rank, when the lock became free; at most 32. */
  ranked: readonly string[];
}

/** A live sentinel, and whom it holds for down. */
export interface SentinelRecord extends NodeRef {
  /** The term of the master that it holds for down; null: none. */
  vote: { term: number; why: string } | null;
  /** Processes that do not answer it. */
  doubts: readonly Doubt[];
}

export interface Doubt extends NodeRef {
  why: string;
}

/** An operator wants no automatic failover. */
export interface Inhibit {
  reason: string;
  /** Milliseconds since 1970, by the clock of the node that was told. */
  sinceWallMs: number;
}

export interface CoordinatorView {
  /** null: there is none now. */
  master: MasterRecord | null;
  /** Registered nodes, by node id. */
  nodes: readonly NodeRecord[];
  nomination: Nomination | null;
  /** By node id. */
  sentinels: readonly SentinelRecord[];
  /** null: automatic failover is on. */
  inhibit: Inhibit | null;
}

export interface Subscription extends Disposable {
  /** The same as disposing; idempotent. */
  close(): void;
}

/**
 * Leases, membership and the master lock. Two adapters: etcd, and one within a process. Every call has a deadline of
 * its own and rejects with CodedError UNAVAILABLE naming the dependency (`etcd does not answer: …`) when it passes.
 */
export interface Coordinator extends AsyncDisposable {
  /**
   * Writes the node's record under a lease that is renewed until it is released or lost. A process comes with incarnation
   * 0 and seq 0 the first time; when it has lost its lease and comes again, with those that it was given: it keeps them.
   * A record that a newer process of the node has overwritten is lost for the older one at its next renewal.
   *
   * @throws CodedError FAILED_PRECONDITION when a record of a higher incarnation stands: this process was replaced
   */
  register(node: NodeRecord, leaseTtlMs: number): Promise<Registration>;
  /**
   * Takes part in the election once, with a lease of its own.
   *
   * @returns the lock; null when another had it for `deadlineMs`, the signal aborted, or its turn does not come
   */
  campaign(node: NodeRecord, options: CampaignOptions): Promise<MasterLock | null>;
  /** Begins to be a sentinel: writes its record under a lease, as `register` does, and all it says afterwards too. */
  sit(node: NodeRef, leaseTtlMs: number): Promise<SentinelSeat>;
  /** Pauses automatic failover until it is resumed (null); outlives every node. */
  inhibit(inhibit: Inhibit | null): Promise<void>;
  /** The highest term that was established, 0 when none was. */
  readTerm(): Promise<number>;
  /** The state now: read from the coordinator, not from a cache. */
  read(): Promise<CoordinatorView>;
  /**
   * Calls the listener soon with the whole state, and again after each change (also of the connection: `null` when the
   * coordinator cannot be reached). A watch is a hint: the adapter lists again after every connect and every 2 to 10 s.
   */
  watch(listener: (view: CoordinatorView | null) => void): Subscription;
}

export interface CampaignOptions {
  leaseTtlMs: number;
  deadlineMs: number;
  signal: AbortSignal;
  /** Whether its turn has come: meanwhile all is made ready that can be. Default: it has. */
  turn?: Promise<boolean>;
}

/** A lease that is being renewed; its validity counts from the send of the last good renewal. */
export interface Lease {
  /** Until this instant the lease surely holds, margin taken off. Past it, its owner acts no more. */
  validUntilMs(): number;
  /** Aborts when the lease is lost or its validity ran out; the reason is an Error that says why. */
  readonly signal: AbortSignal;
  /** Gives the lease back now. Idempotent; never rejects. */
  release(): Promise<void>;
}

export interface Registration extends Lease {
  /** With its `seq` and `incarnation`; given anew, the incarnation is higher than any before of this id. */
  readonly node: NodeRecord;
}

/** A sentinel's place. What it says stands under its lease: it ends with the sentinel. */
export interface SentinelSeat extends Lease {
  /** Holds the master of the term for down, or (null) nobody. */
  vote(vote: { term: number; why: string } | null): Promise<void>;
  /** A process does not answer, or (`why` null) answers again. */
  doubt(node: NodeRef, why: string | null): Promise<void>;
  /**
   * Ends the term, in one transaction: if the votes of all the sentinels that the nomination names stand, no operator has paused
   * failover, and the lock is still the one that established the term, then the lock's key is deleted and the nomination put.
   * Of several sentinels that try, one does it.
   *
   * @returns false: something of it is not so; nothing was changed
   */
  nominate(nomination: Nomination): Promise<boolean>;
}

/** The election is won; nothing may be done with it before `establish` has said true. */
export interface MasterLock extends Lease {
  /** The established term as it was when the lock was won. */
  readonly seenTerm: number;
  /** The nomination as it was then, for this node or another; null: there was none. */
  readonly nomination: Nomination | null;
  /**
   * The one transaction: if the lock's key is still the one that was won and no term was established since, writes the
   * new term and deletes the nomination.
   *
   * @param term greater than `seenTerm`
   * @returns false: somebody else was faster, or the key is gone; give the lock back
   */
  establish(term: number): Promise<boolean>;
  /** Says who shall follow, if the lock is still held. The holder stops acting and then gives the lock back. @returns whether it stands */
  nominate(nomination: Nomination): Promise<boolean>;
}

/**
 * The fence of the store: a number in the database that only grows. A write of an older term changes no row. What is
 * unknown after a timeout is read again by the caller.
 */
export interface Fence {
  /** The highest term ever raised, 0 at first. @throws CodedError UNAVAILABLE */
  read(): Promise<{ term: number; holder: NodeRef | null }>;
  /** Sets the fence to `term` if it is lower. @returns whether this term is now the fence. @throws CodedError UNAVAILABLE */
  raise(term: number, holder: NodeRef): Promise<boolean>;
}

/** A node's answer to a probe. */
export interface ProbeAnswer extends NodeRef {
  /** The highest term it knows, 0: none. */
  term: number;
  /** It is master of that term and may act. */
  isMaster: boolean;
  info: NodeInfo;
}

/** Asks a node how it is. @param address `host:port` @throws CodedError UNAVAILABLE when there is no answer in time */
export type Probe = (address: string, deadlineMs: number) => Promise<ProbeAnswer>;

/** How a node fares; sent every 2 s and with answers to probes. */
export interface NodeInfo {
  /** Busy part of all cores, 0 to 1. */
  cpu: number;
  cores: number;
  /** Used part of the memory, 0 to 1. */
  memory: number;
  memoryTotalBytes: number;
  memoryFreeBytes: number;
  /** 99th percentile of the main loop's delay since the last info, ms. */
  loopLagP99Ms: number;
  /** Hits per second that the operator allows on the node; null: no limit. */
  capacity: number | null;
  /** Pieces of work running, over all drivers (stress: assignments). */
  running: number;
}

// --- The worker stream -------------------------------------------------------------------------------------------

/** What a driver sends; the kit does not look into it. Of drivers other than `stress` it is a Uint8Array on the wire. */
export interface DriverMessage {
  driver: string;
  payload: unknown;
}

/** From a worker to its master. Hello comes first and once. */
export type ToMaster =
  | {
      type: 'hello';
      node: NodeRecord;
      /** The highest term this process ever met, 0: none. A master of a lower term is refused. */
      maxTerm: number;
      drivers: readonly string[];
      /** By driver: what it has running, for the master's driver to reconcile. */
      state: Readonly<Record<string, unknown>>;
    }
  /** `clockMs` is the worker's own clock at the send; a Heartbeat echoes it. */
  | { type: 'ping'; clockMs: number }
  | { type: 'nodeInfo'; info: NodeInfo }
  | { type: 'leave'; why: string }
  | ({ type: 'driver' } & DriverMessage);

/** From the master to a worker; each carries the master's term. */
export type ToWorker = { term: number } & (
  | { type: 'welcome'; heartbeatMs: number }
  /**
   * Also the permit: it counts from `echoMs`, the worker's clock in its last ping; null: there was no ping yet, or the
   * permit is withheld, that is, not prolonged.
   */
  | { type: 'heartbeat'; echoMs: number | null }
  | { type: 'goAway'; why: string; nextAddress: string | null; nextTerm: number | null }
  | ({ type: 'driver' } & DriverMessage)
);

/** One end of a stream. */
export interface Link<Out> {
  /** @returns false: the buffer is full (the message is taken); send no more until `drained` resolves */
  send(message: Out): boolean;
  /** Resolves when the buffer has room again or the link is closed. */
  drained(): Promise<void>;
  /**
   * Ends the stream after what was sent; `handlers.closed` follows, here as `ended`. Idempotent.
   *
   * @param newerTerm of a master that refuses a worker because a newer term is known: that term
   */
  close(why: string, newerTerm?: number): void;
}

/** Why a stream ended. */
export interface LinkClosed {
  /** `ended`: the other end closed it; `refused`: it could not be opened, or the other end said no; `broken`: reset, keepalive. */
  kind: 'ended' | 'refused' | 'broken';
  why: string;
  /** Of `refused` because of a stale term: the highest term that the other end knows. */
  newerTerm: number | null;
}

export interface LinkHandlers<In> {
  message(message: In): void;
  /** Called once, whatever the reason; no message follows. */
  closed(how: LinkClosed): void;
}

/** The worker's side: opens a stream to a master. Never throws: what fails is told by `closed`. */
export type Dial = (address: string, handlers: LinkHandlers<ToWorker>) => Link<ToMaster>;

/** The master's side: called for each stream that a worker opens. Not the master: `close`s the link with the reason. */
export type Accept = (link: Link<ToWorker>, peer: string) => LinkHandlers<ToMaster>;

// --- What drivers get --------------------------------------------------------------------------------------------

/** A worker as its master sees it. */
export interface Member {
  node: NodeRecord;
  /** Its record stands in the coordinator. */
  registered: boolean;
  /** It has an open stream to this master. */
  connected: boolean;
  /** It said Leave: give it nothing new, take its work over. */
  leaving: boolean;
  /** An operator drains it. */
  draining: boolean;
  /**
   * `live`: connected and permitted. `suspect`: not heard of as it should be; it may go on by its permit. `gone`: it surely
   * has stopped, by the rules of permits.ts.
   */
  standing: 'live' | 'suspect' | 'gone';
  /** Its latest information and when it came (this node's clock). */
  info: NodeInfo | null;
  infoAtMs: number;
}

/** `modified`: anything but `info`, which changes all the time. */
export interface MemberEvent {
  kind: 'added' | 'modified' | 'deleted';
  member: Member;
}

/** The right to load: engine threads read the deadline from shared memory before each hit. */
export interface Permit {
  /** One Float64: until this instant (`nowMs`) load may be generated. */
  readonly cell: SharedArrayBuffer;
  validUntilMs(): number;
  /** How long there has been none; 0 while it holds. */
  missingForMs(): number;
  /** Work without a permit for so long may be given up. */
  readonly giveUpAfterMs: number;
}

/** The cluster beyond the workers, for a master's driver that speaks for it to its operators. */
export interface ClusterControl {
  /** Sentinels that must agree at least that a node is down. */
  readonly quorum: number;
  /** Why this node became master of the term. */
  readonly reasons: TermReasons;
  /** The last that the coordinator told; null: nothing yet. */
  view(): CoordinatorView | null;
  /**
   * Hands the mastership over: the term ends, and the successor is the first to follow.
   *
   * @param to its node id; null: the best one
   * @throws CodedError NOT_FOUND, FAILED_PRECONDITION (it, or nobody, is fit), UNAVAILABLE; this node is then still master
   */
  handOver(to: string | null, reason: string): Promise<Nomination>;
  /** Pauses automatic failover, for every later term too, or (null) resumes it. @throws CodedError UNAVAILABLE */
  inhibit(reason: string | null): Promise<void>;
}

/**
 * What a driver gets while its node is master. Everything ends when `signal` aborts; its reason says why. Listeners are to
 * be added before the first `await` of `run`: nothing is kept for those that come later. One that throws counts as a
 * failure of the driver.
 */
export interface MasterContext {
  readonly node: NodeRecord;
  readonly term: number;
  /** Its lines carry node, role, term and driver. */
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Leadership is a value with an expiry: false past the lock's deadline. Asked before each outward act. */
  mayAct(): boolean;
  /** Step down: a fenced write met a newer term, or a worker did. */
  stepDown(why: string): void;
  /** Workers of this term, by node id. */
  members(): readonly Member[];
  /**
   * Also of a process that this term never saw, named by an assignment of an earlier one: `suspect` until it surely has
   * stopped. A higher incarnation of the same node does not make it `gone` by itself.
   *
   * @param address of its port, when the caller knows it
   */
  standingOf(ref: NodeRef, address?: string): Member['standing'];
  onMember(listener: (event: MemberEvent) => void): Subscription;
  /** A worker has (re)connected; `state` is what its driver of this name put into Hello. */
  onHello(listener: (from: NodeRef, state: unknown) => void): Subscription;
  onMessage(listener: (from: NodeRef, payload: unknown) => void): Subscription;
  /** @returns false: not connected, or its outbox is full and the message was not taken */
  send(to: NodeRef, payload: unknown): boolean;
  /** Keeps (true) or stops (false) echoing a worker's pings, which is its permit. */
  permit(to: NodeRef, granted: boolean): void;
  /** Operator's wish that a node takes no new work; kept for this term. */
  drain(nodeId: string): void;
  readonly cluster: ClusterControl;
}

/** What a driver gets while its node is a worker; survives changes of the master. Of listeners: as for the master's. */
export interface WorkerContext {
  readonly node: NodeRecord;
  /** Its lines carry node, role and driver. */
  readonly log: Log;
  /** Aborts when the node must stop now. */
  readonly signal: AbortSignal;
  /** Aborts when the node drains: hand over what runs, flush, and let `run` resolve. */
  readonly draining: AbortSignal;
  readonly permit: Permit;
  /** The master's driver said something, in this term. */
  onMessage(listener: (payload: unknown, term: number) => void): Subscription;
  /** A stream to a master is open (its term) or has closed (null). */
  onSession(listener: (term: number | null) => void): Subscription;
  /** @returns false: no open stream, or its buffer is full (`onDrained` tells); the message was not taken */
  send(payload: unknown): boolean;
  onDrained(listener: () => void): Subscription;
}

/** Runs while this node is master. A new master's first pass is the ordinary pass. */
export interface MasterDriver {
  /** Resolves soon after the signal aborts; rejecting before makes the node step down. */
  run(context: MasterContext): Promise<void>;
}

/** Runs while the node is a worker. One that fails ends the node: what it had running is not known any more. */
export interface WorkerDriver {
  /** Resolves when it has handed over (`draining`), or soon after `signal` aborts. */
  run(context: WorkerContext): Promise<void>;
  /** Goes into Hello, for the master's driver of the same name. */
  hello?(): unknown;
  /** Pieces of work running. */
  running?(): number;
}
