import { nowMs } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Members } from './members.ts';
import type { Accept, Link, LinkClosed, LinkHandlers, NodeRecord, NodeRef, ToMaster, ToWorker } from './ports.ts';
import type { Timings } from './timings.ts';

/** Streams at once, those that have not said Hello included. */
const MAX_SESSIONS = 10_000;

export interface SessionsOptions {
  term: number;
  timings: Timings;
  members: Members;
  /** Whether the mastership still holds; nothing is sent and nobody is welcomed when not. */
  mayAct: () => boolean;
  /** A worker has met a newer term than ours. */
  onNewerTerm: (term: number, from: NodeRef) => void;
  /** After Welcome; `state` by driver. */
  onHello: (from: NodeRef, state: Readonly<Record<string, unknown>>) => void;
  onMessage: (driver: string, from: NodeRef, payload: unknown) => void;
  log: Log;
}

interface Session {
  link: Link<ToWorker>;
  peer: string;
  /** null: no Hello yet. */
  ref: NodeRef | null;
  /** The worker's clock in its last ping, and when that came. */
  ping: { clockMs: number; atMs: number } | null;
  granted: boolean;
  /** The link's buffer is full: nothing is sent until it has drained. */
  full: boolean;
  closed: boolean;
  helloTimer: NodeJS.Timeout;
}

/** The master's ends of the worker streams, for one term. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #all = new Set<Session>();
  readonly #byNode = new Map<string, Session>();
  #over: string | null = null;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  readonly accept: Accept = (link, peer): LinkHandlers<ToMaster> => {
    const helloTimer = setTimeout(() => {
      this.#refuse(session, `expected Hello within ${this.#options.timings.welcomeMs} ms`);
    }, this.#options.timings.welcomeMs);
    const rest = { ref: null, ping: null, granted: true, full: false, closed: false };
    const session: Session = { link, peer, helloTimer, ...rest };
    this.#all.add(session);
    if (this.#over !== null) this.#refuse(session, this.#over);
    else if (this.#all.size > MAX_SESSIONS) this.#refuse(session, `no more than ${MAX_SESSIONS} streams are taken`);
    return {
      message: (message) => this.#message(session, message),
      closed: (how) => this.#closed(session, how),
    };
  };

  /** @returns false: no such process is connected, or its link is full, or the term is over; nothing was sent */
  send(to: NodeRef, driver: string, payload: unknown): boolean {
    const session = this.#find(to);
    if (session === undefined || session.full || !this.#options.mayAct()) return false;
    this.#send(session, { type: 'driver', term: this.#options.term, driver, payload });
    return true;
  }

  permit(to: NodeRef, granted: boolean): void {
    const session = this.#find(to);
    if (session === undefined) return;
    session.granted = granted;
    this.#options.members.granted(to, granted, nowMs());
  }

  /** One heartbeat to each worker: the echo of its last ping is its permit. */
  beat(): void {
    const { term, members, mayAct } = this.#options;
    for (const session of this.#byNode.values()) {
      if (session.full || !mayAct()) continue;
      const ping = session.granted ? session.ping : null;
      this.#send(session, { type: 'heartbeat', term, echoMs: ping?.clockMs ?? null });
      if (ping !== null) members.echoed(session.ref!, ping.atMs);
    }
  }

  /** Ends the stream of a process, which has to say Hello before it gets anything more. */
  dismiss(ref: NodeRef, why: string): void {
    const session = this.#find(ref);
    if (session !== undefined) this.#goAway(session, why, null);
  }

  /** Ends every stream, and refuses what comes later. Idempotent. */
  close(why: string, next: { address: string; term: number } | null): void {
    this.#over ??= why;
    for (const session of [...this.#all]) this.#goAway(session, why, next);
  }

  #message(session: Session, message: ToMaster): void {
    if (session.closed) return;
    if (message.type === 'hello') {
      this.#hello(session, message);
      return;
    }
    const { ref } = session;
    if (ref === null) {
      this.#refuse(session, `expected Hello first, found ${message.type}`);
      return;
    }
    const atMs = nowMs();
    const { members } = this.#options;
    if (message.type === 'ping') {
      session.ping = { clockMs: message.clockMs, atMs };
      members.pinged(ref, atMs);
    } else if (message.type === 'nodeInfo') members.informed(ref, message.info, atMs);
    else if (message.type === 'leave') members.saidLeave(ref, atMs);
    else this.#options.onMessage(message.driver, ref, message.payload);
  }

  #hello(session: Session, { node, maxTerm, state }: Extract<ToMaster, { type: 'hello' }>): void {
    clearTimeout(session.helloTimer);
    const { term, timings, members, mayAct, log } = this.#options;
    const ref: NodeRef = { nodeId: node.nodeId, incarnation: node.incarnation };
    if (maxTerm > term) {
      this.#goAway(session, `stale term: ${node.nodeId} has met term ${maxTerm}`, { address: null, term: maxTerm });
      this.#options.onNewerTerm(maxTerm, ref);
      return;
    }
    const problem = session.ref !== null ? 'expected one Hello, found a second' : this.#problemOf(node);
    if (problem !== null || !mayAct()) {
      this.#refuse(session, problem ?? `the mastership of term ${term} is over`);
      return;
    }
    const earlier = this.#byNode.get(node.nodeId);
    session.ref = ref;
    this.#byNode.set(node.nodeId, session);
    if (earlier !== undefined) {
      const replaced = earlier.ref!.incarnation < ref.incarnation;
      this.#goAway(earlier, replaced ? 'a newer process of this node is connected' : 'a newer stream is open', null);
    }
    log.info({ worker: node.nodeId, incarnation: node.incarnation, peer: session.peer }, 'worker connected');
    members.hello(node, nowMs());
    this.#send(session, { type: 'welcome', term, heartbeatMs: timings.heartbeatMs });
    this.#options.onHello(ref, state);
  }

  #problemOf({ nodeId, incarnation, roles }: NodeRecord): string | null {
    if (nodeId === '') return 'expected a node id, found an empty one';
    if (!roles.includes('worker')) return `expected a worker, found a node with the roles ${roles.join(', ')}`;
    const newest = this.#options.members.newestIncarnation(nodeId);
    if (newest <= incarnation) return null;
    return `duplicate node id: ${nodeId} was started again (incarnation ${newest}; this is ${incarnation})`;
  }

  #closed(session: Session, how: LinkClosed): void {
    const wasOpen = !session.closed;
    this.#forget(session);
    if (!wasOpen || session.ref === null) return;
    const byItself = how.kind === 'ended';
    this.#options.log.info({ worker: session.ref.nodeId, why: how.why }, 'worker disconnected');
    this.#options.members.closed(session.ref, byItself, nowMs());
  }

  #refuse(session: Session, why: string): void {
    this.#options.log.warn({ peer: session.peer, worker: session.ref?.nodeId, why }, 'worker stream refused');
    this.#goAway(session, why, null);
  }

  #goAway(session: Session, why: string, next: { address: string | null; term: number } | null): void {
    if (session.closed) return;
    const { ref, link } = session;
    const { term, members } = this.#options;
    link.send({ type: 'goAway', term, why, nextAddress: next?.address ?? null, nextTerm: next?.term ?? null });
    const current = ref !== null && this.#byNode.get(ref.nodeId) === session;
    this.#forget(session);
    link.close(why);
    // Of the same process a newer stream may be open.
    if (ref !== null && (current || this.#find(ref) === undefined)) members.closed(ref, false, nowMs());
  }

  #forget(session: Session): void {
    session.closed = true;
    clearTimeout(session.helloTimer);
    this.#all.delete(session);
    if (session.ref !== null && this.#byNode.get(session.ref.nodeId) === session) {
      this.#byNode.delete(session.ref.nodeId);
    }
  }

  #find({ nodeId, incarnation }: NodeRef): Session | undefined {
    const session = this.#byNode.get(nodeId);
    return session?.ref?.incarnation === incarnation ? session : undefined;
  }

  #send(session: Session, message: ToWorker): void {
    if (session.closed || session.link.send(message)) return;
    session.full = true;
    void session.link.drained().then(() => {
      session.full = false;
    });
  }
}
