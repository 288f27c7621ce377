import { nowMs } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Dial, Link, LinkClosed, MasterRecord, NodeInfo, NodeRecord, ToMaster, ToWorker } from './ports.ts';
import type { PermitHolder } from './permit.ts';
import type { Timings } from './timings.ts';

/** A tick that comes later than this was held up by this process itself. */
const STALL_MS = 500;

export interface WorkerSessionOptions {
  dial: Dial;
  timings: Timings;
  node: () => NodeRecord;
  drivers: readonly string[];
  /** By driver: what it has running. */
  state: () => Readonly<Record<string, unknown>>;
  info: () => NodeInfo;
  permit: PermitHolder;
  /** The highest term this process ever met. */
  maxTerm: () => number;
  /** Why this node leaves; null: it stays. */
  leaving: () => string | null;
  onWelcome: (term: number) => void;
  onMessage: (driver: string, payload: unknown, term: number) => void;
  onDrained: () => void;
  log: Log;
}

/** A worker's end of one stream to a master, from the dial to the close. */
export class WorkerSession {
  /** The master's, once it has said Welcome. */
  term: number | null = null;
  /** Resolves, once the stream is closed, to the reason. */
  readonly ended: Promise<LinkClosed>;
  readonly #options: WorkerSessionOptions;
  readonly #link: Link<ToMaster>;
  readonly #ended = Promise.withResolvers<LinkClosed>();
  #ticking: NodeJS.Timeout | undefined;
  #closed = false;
  #full = false;
  #heardAtMs = nowMs();
  #tickedAtMs = nowMs();
  #infoAtMs = -Infinity;

  constructor(master: MasterRecord, options: WorkerSessionOptions) {
    this.#options = options;
    this.ended = this.#ended.promise;
    const { timings, node, drivers, state, maxTerm } = options;
    this.#link = options.dial(master.node.address, {
      message: (message) => this.#message(message),
      closed: (how) => this.#finish(how),
    });
    this.#send({ type: 'hello', node: node(), maxTerm: maxTerm(), drivers, state: state() });
    this.#ping();
    if (!this.#closed) this.#ticking = setInterval(() => this.#tick(), timings.pingMs);
  }

  /** @returns false: there was no Welcome yet, or the link is closed or full; the message was not taken */
  send(driver: string, payload: unknown): boolean {
    if (this.term === null || this.#full || this.#closed) return false;
    this.#send({ type: 'driver', driver, payload });
    return true;
  }

  sayLeave(why: string): void {
    if (this.term !== null) this.#send({ type: 'leave', why });
  }

  /**
   * Ends the stream in good order. Idempotent. Of a worker that said Leave a master takes this for the end of its work,
   * so that the permit ends with it, should there be work left.
   */
  close(why: string): void {
    if (this.#closed) return;
    if (this.#options.leaving() !== null) this.#options.permit.revoke();
    this.#hangUp(why);
  }

  #hangUp(why: string): void {
    this.#link.close(why);
    this.#finish({ kind: 'ended', why, newerTerm: null });
  }

  #tick(): void {
    const { timings, info } = this.#options;
    const now = nowMs();
    const sinceMs = now - this.#tickedAtMs;
    this.#tickedAtMs = now;
    // After a stall of our own, what came meanwhile is not read yet: the master was not silent.
    if (sinceMs > timings.pingMs + STALL_MS) this.#heardAtMs += sinceMs;
    const silentMs = now - this.#heardAtMs;
    if (this.term === null && silentMs > timings.welcomeMs) {
      this.close(`no Welcome within ${timings.welcomeMs} ms`);
      return;
    }
    if (silentMs > timings.silenceMs) {
      this.close(`the master was silent for ${Math.round(silentMs)} ms`);
      return;
    }
    this.#ping();
    if (this.term === null || this.#full || now - this.#infoAtMs < timings.nodeInfoMs) return;
    this.#infoAtMs = now;
    this.#send({ type: 'nodeInfo', info: info() });
  }

  #ping(): void {
    if (!this.#full) this.#send({ type: 'ping', clockMs: nowMs() });
  }

  #message(message: ToWorker): void {
    if (this.#closed) return;
    const { maxTerm, permit, onMessage, log } = this.#options;
    if (message.type === 'goAway') {
      // It has let go of the stream first, and takes its end for nothing: the load goes on until the next master moves it.
      this.#hangUp(`the master sent us away: ${message.why}`);
      return;
    }
    const expected = this.term ?? maxTerm();
    if (message.term < maxTerm() || (this.term !== null && message.term !== this.term)) {
      log.warn({ expected, found: message.term, type: message.type }, 'message of a stale term ignored');
      this.close(`stale term: expected ${expected}, found ${message.term}`);
      return;
    }
    this.#heardAtMs = nowMs();
    if (message.type === 'welcome') this.#welcome(message.term);
    else if (this.term === null) this.close(`expected Welcome first, found ${message.type}`);
    else if (message.type === 'driver') onMessage(message.driver, message.payload, message.term);
    else if (message.echoMs !== null) permit.echoed(message.echoMs);
  }

  #welcome(term: number): void {
    if (this.term !== null) return;
    this.term = term;
    const why = this.#options.leaving();
    this.#options.onWelcome(term);
    if (why !== null) this.sayLeave(why);
    this.#tick();
  }

  #send(message: ToMaster): void {
    if (this.#closed || this.#link.send(message)) return;
    this.#full = true;
    void this.#link.drained().then(() => {
      this.#full = false;
      if (!this.#closed) this.#options.onDrained();
    });
  }

  #finish(how: LinkClosed): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#ticking);
    this.#ended.resolve(how);
  }
}
