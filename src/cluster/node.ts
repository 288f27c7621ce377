import { CodedError, errorMessage } from '../lib/errors.ts';
import { Listeners } from '../lib/listeners.ts';
import type { Log } from '../lib/log.ts';
import { aborted } from '../lib/wait.ts';
import { Candidate } from './candidate.ts';
import type { Mastership } from './election.ts';
import type { MasterTerm } from './master-term.ts';
import { createSampler, type CreateSampler, type Sampler } from './node-info.ts';
import { probePort, type ProbePort } from './port-probe.ts';
import type {
  Accept,
  Coordinator,
  CoordinatorView,
  Dial,
  Fence,
  MasterRecord,
  Member,
  NodeRecord,
  NodeRef,
  Permit,
  Probe,
  ProbeAnswer,
  Subscription,
} from './ports.ts';
import { Registrar } from './registrar.ts';
import { drivers, type DriverRegistry } from './registry.ts';
import { Sentinel } from './sentinel.ts';
import type { Timings } from './timings.ts';
import { WorkerRole } from './worker-role.ts';

/** Addresses of earlier processes that are kept in mind. */
const MAX_ADDRESSES = 10_000;

export interface NodeOptions {
  /** What the node says of itself; `seq` and `incarnation` are given by the coordinator. */
  node: Omit<NodeRecord, 'seq' | 'incarnation'>;
  coordinator: Coordinator;
  /** null: of a node that is no candidate. */
  fence: Fence | null;
  dial: Dial;
  /** Asks other nodes how they are. */
  probe: Probe;
  /** Sentinels that must agree at least that a node is down; the majority of those that live must in any case. */
  quorum: number;
  /** Names of the drivers that run here: as master, as worker, or both, as the registry knows them. */
  drivers: readonly string[];
  /** Default: the process-wide one. */
  registry?: DriverRegistry;
  timings: Timings;
  /** Hits per second that the operator allows; null: no limit. */
  capacity: number | null;
  /** What the node sees of its machine and of others' ports. Default: what is there. */
  senses?: { probePort: ProbePort; createSampler: CreateSampler };
  log: Log;
}

/**
 * One process of the cluster in all its roles: registers itself, follows the master as a worker, tries to become master
 * as a candidate, and runs the drivers of the roles it has. Its port must be open before `run`, and stay open until it
 * has resolved: that the port refuses a connection is taken for the proof that the process is gone.
 */
export class Node {
  readonly #options: NodeOptions;
  readonly #registry: DriverRegistry;
  readonly #registrar: Registrar;
  readonly #worker: WorkerRole | null;
  readonly #info: Sampler;
  readonly #roleChange: Listeners<[number | null]>;
  readonly #addresses = new Map<string, string>();
  readonly #draining = new AbortController();
  /** Ends everything, now. */
  readonly #stop = new AbortController();
  /** Ends the candidacy, and the mastership if there is one. */
  readonly #stand = new AbortController();
  #term: MasterTerm | null = null;
  #mastership: Mastership | null = null;
  #view: CoordinatorView | null = null;
  #isBlind = false;
  #failure: Error | undefined;
  #running = false;

  /** @throws CodedError INVALID_INPUT when a driver is not known, or a candidate has no fence */
  constructor(options: NodeOptions) {
    const { node, coordinator, timings, log } = options;
    this.#options = options;
    this.#registry = options.registry ?? drivers;
    checkOptions(options, this.#registry);
    this.#roleChange = new Listeners((error) => this.#fail(error));
    this.#info = (options.senses?.createSampler ?? createSampler)({
      capacity: options.capacity,
      running: () => this.#worker?.running() ?? 0,
    });
    this.#worker = node.roles.includes('worker') ? this.#createWorker() : null;
    this.#registrar = new Registrar({
      coordinator,
      node,
      timings,
      probe: options.probe,
      onRegistration: (registration) => this.#worker?.hold(registration),
      log,
    });
  }

  /** The worker streams of this node while it is master; a stream that comes otherwise is refused. */
  readonly accept: Accept = (link, peer) => {
    if (this.#term !== null) return this.#term.accept(link, peer);
    link.close('this node is not the master');
    return { message: () => undefined, closed: () => undefined };
  };

  /** With its `seq` and `incarnation` once it is registered. */
  get record(): NodeRecord {
    return this.#registrar.node;
  }

  /** Who is master, as far as this node knows; null: nobody, or an earlier term of this node was the last that it heard of. */
  master(): MasterRecord | null {
    if (this.#mastership !== null) return { node: this.record, term: this.#mastership.term };
    const seen = this.#view?.master ?? null;
    return seen?.node.nodeId === this.record.nodeId ? null : seen;
  }

  /** The coordinator does not answer: what it told last may not be true any more. */
  get isBlind(): boolean {
    return this.#isBlind;
  }

  /** While this node is master. */
  mastership(): Mastership | null {
    return this.#mastership;
  }

  /** The workers, while this node is master; else none. */
  members(): readonly Member[] {
    return this.#term?.members() ?? [];
  }

  /** The last that the coordinator told; null: nothing yet. */
  view(): CoordinatorView | null {
    return this.#view;
  }

  /** To a probe; null: it is not registered yet. */
  answer(): ProbeAnswer | null {
    const { nodeId, incarnation } = this.record;
    if (incarnation === 0) return null;
    const isMaster = this.#mastership?.mayAct() === true;
    const term = isMaster ? this.#mastership!.term : (this.#view?.master?.term ?? 0);
    return { nodeId, incarnation, term, isMaster, info: this.#info.latest() };
  }

  /** Of its worker; null: the node is none. */
  permit(): Permit | null {
    return this.#worker?.permit ?? null;
  }

  /** This node has become master of the term, or (null) is it no more. */
  onRoleChange(listener: (term: number | null) => void): Subscription {
    return this.#roleChange.add(listener);
  }

  /**
   * Hands over and leaves: `run` resolves when all work has stopped, or after `drainMs`. A master lets another candidate
   * take over first, if there is one. Idempotent.
   */
  drain(why: string): void {
    if (this.#draining.signal.aborted) return;
    this.#options.log.info({ why }, 'draining');
    this.#draining.abort(new CodedError('ABORTED', why));
    if (this.#mastership === null || this.#hasOtherCandidate()) this.#stand.abort(this.#draining.signal.reason);
  }

  /**
   * The node's life; to be called once. Resolves when it has drained, or soon after the signal (leave now) has aborted.
   *
   * @throws CodedError of what failed: a worker driver, or the kit itself; FAILED_PRECONDITION when a later process has the id
   */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#running) throw new CodedError('INTERNAL', 'a node can be run only once');
    this.#running = true;
    const stop = () => this.#stop.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const unregister = new AbortController();
    const registering = this.#guard(this.#registrar.run(unregister.signal));
    const watch = this.#options.coordinator.watch((view) => this.#looked(view));
    try {
      const over = AbortSignal.any([this.#stop.signal, this.#draining.signal]);
      await Promise.race([this.#registrar.first, aborted(over)]);
      if (!over.aborted) await this.#live();
    } finally {
      watch.close();
      unregister.abort();
      await registering;
      signal.removeEventListener('abort', stop);
      this.#info[Symbol.dispose]();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #live(): Promise<void> {
    const stopStanding = () => this.#stand.abort(this.#stop.signal.reason);
    this.#stop.signal.addEventListener('abort', stopStanding, { once: true });
    const candidate = this.#createCandidate();
    const leading = candidate === null ? Promise.resolve() : this.#guard(candidate.run(this.#stand.signal));
    const over = AbortSignal.any([this.#stop.signal, this.#draining.signal]);
    const watching = this.#guard(this.#createSentinel()?.run(over) ?? Promise.resolve());
    if (this.#worker === null) await aborted(over);
    else await this.#guard(this.#worker.run(this.#stop.signal, this.#draining.signal));
    // The own worker has handed over; now somebody else may lead, or nobody.
    this.#stand.abort(over.reason);
    await Promise.all([leading, watching]);
  }

  /** The first that fails ends all. */
  async #guard(part: Promise<void>): Promise<void> {
    try {
      await part;
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#options.log.error({ why: errorMessage(error) }, 'the node failed');
    this.#failure ??= error instanceof Error ? error : new CodedError('INTERNAL', errorMessage(error));
    this.#stop.abort(this.#failure);
  }

  #looked(view: CoordinatorView | null): void {
    this.#isBlind = view === null;
    if (view === null) {
      this.#options.log.warn({}, 'the coordinator cannot be reached');
      return;
    }
    this.#view = view;
    const newer = view.master?.term ?? 0;
    // A sentinel may have ended the term while this node lives: it need not wait for its next renewal to learn of it.
    if (this.#mastership !== null && newer > this.#mastership.term) {
      this.#mastership.stepDown(`term ${newer} has begun: ${view.master!.node.nodeId} is master`);
    }
    for (const node of view.nodes) {
      this.#addresses.delete(keyOf(node));
      this.#addresses.set(keyOf(node), node.address);
    }
    for (const key of this.#addresses.keys()) {
      if (this.#addresses.size <= MAX_ADDRESSES) break;
      this.#addresses.delete(key);
    }
    this.#worker?.follow(view.master);
    this.#term?.looked(view);
  }

  #hasOtherCandidate(): boolean {
    const { nodeId } = this.record;
    const others = this.#view?.nodes.filter((node) => node.nodeId !== nodeId) ?? [];
    return others.some(({ roles, priority }) => roles.includes('candidate') && priority > 0);
  }

  #createWorker(): WorkerRole {
    const names = this.#options.drivers.filter((name) => this.#registry.hasWorker(name));
    return new WorkerRole({
      ...this.#options,
      node: () => this.record,
      info: () => this.#info.latest(),
      drivers: new Map(names.map((name) => [name, this.#registry.createWorker(name)])),
      log: this.#options.log.child({ role: 'worker' }),
    });
  }

  #createSentinel(): Sentinel | null {
    if (!this.#options.node.roles.includes('sentinel')) return null;
    const log = this.#options.log.child({ role: 'sentinel' });
    return new Sentinel({ ...this.#options, node: () => this.record, log });
  }

  #createCandidate(): Candidate | null {
    const { fence, node } = this.#options;
    if (fence === null || !node.roles.includes('candidate') || node.priority === 0) return null;
    const names = this.#options.drivers.filter((name) => this.#registry.hasMaster(name));
    return new Candidate({
      ...this.#options,
      probePort: this.#options.senses?.probePort ?? probePort,
      fence,
      node: () => this.record,
      createDrivers: () => new Map(names.map((name) => [name, this.#registry.createMaster(name)])),
      addressOf: (ref) => this.#addresses.get(keyOf(ref)) ?? null,
      maxTerm: () => this.#worker?.maxTerm ?? 0,
      successor: () => this.#successor(),
      onTerm: (term, mastership) => {
        this.#term = term;
        this.#mastership = mastership;
        if (term !== null && this.#view !== null) term.looked(this.#view);
        this.#roleChange.tell(mastership?.term ?? null);
      },
    });
  }

  #successor(): MasterRecord | null {
    const seen = this.#view?.master ?? null;
    return seen !== null && seen.term > (this.#mastership?.term ?? 0) ? seen : null;
  }
}

function checkOptions({ node, fence, drivers: names }: NodeOptions, registry: DriverRegistry): void {
  const problems: string[] = [];
  for (const name of names) {
    if (registry.hasMaster(name) || registry.hasWorker(name)) continue;
    const known = registry.names().map((each) => JSON.stringify(each));
    const expected = known.length === 0 ? 'none is registered' : `expected one of ${known.join(', ')}`;
    problems.push(`drivers: ${expected}, found ${JSON.stringify(name)}`);
  }
  if (node.nodeId === '') problems.push('node id: expected a name, found an empty one');
  if (node.roles.length === 0) problems.push(`node ${node.nodeId}: expected at least one role, found none`);
  if (node.roles.includes('candidate') && fence === null) {
    problems.push(`node ${node.nodeId}: expected a fence for the role candidate, found none`);
  }
  if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
}

function keyOf({ nodeId, incarnation }: NodeRef): string {
  return `${incarnation} ${nodeId}`;
}
