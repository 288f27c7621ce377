import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { CoordinatorView, Member, MemberEvent, NodeInfo, NodeRecord, NodeRef } from './ports.ts';
import { judge, leaselessOverMs, type Evidence, type Standing } from './standing.ts';
import type { Timings } from './timings.ts';

/** Processes that are kept in mind, the long gone ones included; beyond it the oldest gone are forgotten. */
const MAX_PROCESSES = 10_000;
/** Ticks farther apart than this: this process stood still, and what came meanwhile is not read yet. */
const STALL_MS = 500;

interface Process extends Evidence {
  ref: NodeRef;
  /** null: known by name only, from an assignment of an earlier term. */
  node: NodeRecord | null;
  address: string | null;
  registered: boolean;
  leaving: boolean;
  info: NodeInfo | null;
  infoAtMs: number;
  standing: Standing;
  why: string;
  /** As it was told last; null: not told, or told to be deleted. */
  told: Member | null;
}

export interface MembersOptions {
  /** When this term began: its lock and fence stood, and no older master could echo a ping any more. */
  termBeganMs: number;
  timings: Timings;
  /** The address of a process that an earlier term knew, if this node happens to know it. */
  addressOf: (ref: NodeRef) => string | null;
  onEvent: (event: MemberEvent, why: string) => void;
}

/**
 * The workers of one term as their master sees them: facts go in, `tick` judges, events come out, one for each process
 * that changed. A node that was started again is two processes for a while.
 */
export class Members {
  readonly #options: MembersOptions;
  readonly #processes = new Map<string, Process>();
  readonly #draining = new Set<string>();
  #tickedAtMs = Infinity;

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  // --- Facts -----------------------------------------------------------------------------------------------------

  /**
   * What the coordinator says.
   *
   * @param askedAtMs when it was asked, for an answer of its own; null: news of a watch, which may be old
   */
  looked({ nodes }: Pick<CoordinatorView, 'nodes'>, atMs: number, askedAtMs: number | null): void {
    const workers = nodes.filter(({ roles }) => roles.includes('worker'));
    const registered = new Map(workers.map((node) => [node.nodeId, node]));
    for (const node of workers) this.#known(node, atMs);
    for (const process of this.#processes.values()) {
      const record = registered.get(process.ref.nodeId);
      process.registered = record?.incarnation === process.ref.incarnation;
      if (process.registered) process.absentAtMs = -Infinity;
      else if (askedAtMs !== null) process.absentAtMs = askedAtMs;
      if (record !== undefined && record.incarnation > process.ref.incarnation) process.replacedAtMs ??= atMs;
    }
    this.tick(atMs);
  }

  hello(node: NodeRecord, atMs: number): void {
    const process = this.#known(node, atMs);
    Object.assign(process, { connected: true, leaving: false, left: false, refused: false });
    Object.assign(process, { granted: true, heardAtMs: atMs });
    for (const other of this.#processes.values()) {
      const older = other.ref.nodeId === node.nodeId && other.ref.incarnation < node.incarnation;
      // A process that listens where its predecessor did proves that this one's port was closed.
      if (older && !other.connected && other.address === node.address && isAddressOfOneMachine(node.address)) {
        other.refused = true;
      }
    }
    this.#judge(process, atMs);
    this.#tell(process);
  }

  pinged(ref: NodeRef, atMs: number): void {
    const process = this.#processes.get(keyOf(ref));
    if (process !== undefined) process.heardAtMs = atMs;
  }

  /** @param pingAtMs when the ping that was echoed now had come */
  echoed(ref: NodeRef, pingAtMs: number): void {
    const process = this.#processes.get(keyOf(ref));
    if (process === undefined) return;
    process.inherited = false;
    process.echoedAtMs = Math.max(process.echoedAtMs, pingAtMs);
  }

  informed(ref: NodeRef, info: NodeInfo, atMs: number): void {
    const process = this.#processes.get(keyOf(ref));
    if (process !== undefined) Object.assign(process, { info, infoAtMs: atMs });
  }

  saidLeave(ref: NodeRef, atMs: number): void {
    this.#change(ref, { leaving: true }, atMs);
  }

  granted(ref: NodeRef, granted: boolean, atMs: number): void {
    this.#change(ref, { granted }, atMs);
  }

  /** @param byItself the process ended its stream in good order */
  closed(ref: NodeRef, byItself: boolean, atMs: number): void {
    const left = byItself && this.#processes.get(keyOf(ref))?.leaving === true;
    this.#change(ref, { connected: false, left }, atMs);
  }

  portRefused(ref: NodeRef, atMs: number): void {
    if (this.#processes.get(keyOf(ref))?.connected === false) this.#change(ref, { refused: true }, atMs);
  }

  /** The operator's wish, for every process of this node in this term. */
  drain(nodeId: string, atMs: number): void {
    this.#draining.add(nodeId);
    this.tick(atMs);
  }

  // --- Questions -------------------------------------------------------------------------------------------------

  /** One per node, its highest incarnation; by node id. */
  list(): Member[] {
    const newest = new Map<string, Process>();
    for (const process of this.#processes.values()) {
      const { nodeId, incarnation } = process.ref;
      if (!isMember(process) || (newest.get(nodeId)?.ref.incarnation ?? -1) > incarnation) continue;
      newest.set(nodeId, process);
    }
    const members = [...newest.values()].map((process) => this.#member(process));
    return members.sort((a, b) => (a.node.nodeId < b.node.nodeId ? -1 : 1));
  }

  /** The newest incarnation that is known of a node, 0: none. */
  newestIncarnation(nodeId: string): number {
    let newest = 0;
    for (const { ref } of this.#processes.values()) {
      if (ref.nodeId === nodeId) newest = Math.max(newest, ref.incarnation);
    }
    return newest;
  }

  standingOf(ref: NodeRef, address: string | null, atMs: number): Standing {
    const process = this.#process(ref, atMs);
    process.address ??= address;
    // Of a connected one the next tick judges, which knows whether it was us who stood still.
    if (!process.connected) this.#judge(process, atMs);
    return process.standing;
  }

  /** Whose ports are worth a try now. */
  suspects(): { ref: NodeRef; address: string }[] {
    return [...this.#processes.values()]
      .filter(({ standing, connected, address }) => standing === 'suspect' && !connected && address !== null)
      .map(({ ref, address }) => ({ ref, address: address! }));
  }

  /** Whether a look at the coordinator may show that somebody has stopped. */
  needsLook(atMs: number): boolean {
    return [...this.#processes.values()].some(
      (process) => process.standing === 'suspect' && atMs >= leaselessOverMs(process, this.#options.timings),
    );
  }

  /** Judges everybody and tells what has changed; to be called several times within the time of a permit. */
  tick(atMs: number): void {
    const sinceMs = atMs - this.#tickedAtMs;
    this.#tickedAtMs = atMs;
    for (const process of this.#processes.values()) {
      if (sinceMs > STALL_MS) process.heardAtMs = Math.min(atMs, process.heardAtMs + sinceMs);
      this.#judge(process, atMs);
      this.#tell(process);
    }
  }

  // --- Within ----------------------------------------------------------------------------------------------------

  #process(of: NodeRef | NodeRecord, atMs: number): Process {
    const key = keyOf(of);
    const known = this.#processes.get(key);
    if (known !== undefined) return known;
    this.#forgetSome();
    const node = 'address' in of ? of : null;
    const ref = { nodeId: of.nodeId, incarnation: of.incarnation };
    const process: Process = {
      ref,
      node,
      address: node?.address ?? this.#options.addressOf(ref),
      registered: false,
      connected: false,
      granted: true,
      leaving: false,
      left: false,
      refused: false,
      heardAtMs: atMs,
      echoedAtMs: this.#options.termBeganMs,
      inherited: true,
      absentAtMs: -Infinity,
      replacedAtMs: null,
      info: null,
      infoAtMs: -Infinity,
      standing: 'suspect',
      why: 'not connected',
      told: null,
    };
    this.#processes.set(key, process);
    return process;
  }

  #known(node: NodeRecord, atMs: number): Process {
    const process = this.#process(node, atMs);
    if (!isDeepStrictEqual(process.node, node)) Object.assign(process, { node, address: node.address });
    return process;
  }

  #forgetSome(): void {
    if (this.#processes.size < MAX_PROCESSES) return;
    for (const [key, process] of this.#processes) {
      if (process.standing === 'gone' && process.told === null) this.#processes.delete(key);
      if (this.#processes.size < MAX_PROCESSES) return;
    }
  }

  #change(ref: NodeRef, change: Partial<Process>, atMs: number): void {
    const process = this.#processes.get(keyOf(ref));
    if (process === undefined) return;
    Object.assign(process, change);
    this.#judge(process, atMs);
    this.#tell(process);
  }

  #judge(process: Process, atMs: number): void {
    Object.assign(process, judge(process, atMs, this.#options.timings));
  }

  #tell(process: Process): void {
    const { told, why } = process;
    if (!isMember(process)) {
      process.told = null;
      if (told !== null) this.#options.onEvent({ kind: 'deleted', member: { ...told, standing: 'gone' } }, why);
      return;
    }
    const member = this.#member(process);
    if (told !== null && sameMember(told, member)) return;
    process.told = member;
    this.#options.onEvent({ kind: told === null ? 'added' : 'modified', member }, why);
  }

  #member(process: Process): Member {
    const { registered, connected, leaving, standing, info, infoAtMs } = process;
    const draining = this.#draining.has(process.ref.nodeId);
    return { node: process.node!, registered, connected, leaving, draining, standing, info, infoAtMs };
  }
}

function keyOf({ nodeId, incarnation }: NodeRef): string {
  return `${incarnation} ${nodeId}`;
}

function isMember({ node, registered, connected, standing }: Process): boolean {
  return node !== null && (registered || connected || standing !== 'gone');
}

/** But for the information, which changes all the time. */
function sameMember(a: Member, b: Member): boolean {
  return (
    a.node === b.node &&
    a.registered === b.registered &&
    a.connected === b.connected &&
    a.leaving === b.leaving &&
    a.draining === b.draining &&
    a.standing === b.standing
  );
}

/** A host name may mean another machine tomorrow, or on another node. */
function isAddressOfOneMachine(address: string): boolean {
  return isIP(address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')) !== 0;
}
