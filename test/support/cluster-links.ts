/** Worker streams within one process: what the kit asks of a `Link`, with faults at will. */
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  Accept,
  Dial,
  Link,
  LinkClosed,
  LinkHandlers,
  Probe,
  ProbeAnswer,
  ToMaster,
  ToWorker,
} from '../../src/cluster/ports.ts';

/** Messages under way in one direction; beyond it `send` says that the buffer is full. */
const BUFFER = 100;

class End<Out, In> implements Link<Out> {
  handlers: LinkHandlers<In> | null = null;
  other!: End<In, Out>;
  closed = false;
  /** Out of it nothing arrives, but nothing is lost. */
  stalled = false;
  readonly #queue: Out[] = [];
  readonly #events = new EventEmitter();
  #pumping = false;

  send(message: Out): boolean {
    if (this.closed) return true;
    this.#queue.push(structuredClone(message));
    this.pump();
    return this.#queue.length < BUFFER;
  }

  async drained(): Promise<void> {
    while (!this.closed && this.#queue.length >= BUFFER) await once(this.#events, 'room');
  }

  close(why: string): void {
    if (this.closed) return;
    // What was sent arrives first, if anything does.
    const rest = this.stalled ? [] : this.#queue.splice(0);
    this.shut();
    setImmediate(() => {
      for (const message of rest) this.other.deliver(message);
      this.other.end({ kind: 'ended', why, newerTerm: null });
      this.handlers?.closed({ kind: 'ended', why, newerTerm: null });
    });
  }

  end(how: LinkClosed): void {
    if (this.closed) return;
    this.shut();
    this.handlers?.closed(how);
  }

  shut(): void {
    this.closed = true;
    this.#queue.length = 0;
    this.#events.emit('room');
  }

  deliver(message: In): void {
    if (!this.closed) this.handlers?.message(message);
  }

  pump(): void {
    if (this.#pumping || this.stalled) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      if (this.stalled) return;
      for (const message of this.#queue.splice(0)) this.other.deliver(message);
      this.#events.emit('room');
    });
  }
}

/** One stream as a test sees it. */
export interface Stream {
  /** Who dialled, if it said so. */
  from: string;
  address: string;
  worker: End<ToMaster, ToWorker>;
  master: End<ToWorker, ToMaster>;
}

export class LinkNetwork {
  readonly streams: Stream[] = [];
  readonly #listeners = new Map<string, Accept>();
  readonly #answers = new Map<string, () => ProbeAnswer | null>();
  /** Probes of these addresses are not answered. */
  readonly mute = new Set<string>();
  /** Dials to these addresses are refused. */
  readonly cutOff = new Set<string>();
  /** Dials of these are refused. */
  readonly #dead = new Set<string>();

  /** @param answer to probes; null: none */
  listen(address: string, accept: Accept, answer: () => ProbeAnswer | null = () => null): void {
    this.#listeners.set(address, accept);
    this.#answers.set(address, answer);
  }

  readonly probe: Probe = async (address, deadlineMs) => {
    const answer = this.#answers.get(address)?.() ?? null;
    if (this.mute.has(address)) await sleep(deadlineMs);
    if (answer === null || this.mute.has(address)) throw new Error('no answer');
    return answer;
  };

  /** What a process leaves behind when it is killed: its port is closed, its streams are broken. */
  kill(address: string, name: string): void {
    this.#listeners.delete(address);
    this.#answers.delete(address);
    this.#dead.add(name);
    this.breakAll(address);
    this.breakFrom(name);
  }

  /** Breaks all streams to an address. */
  breakAll(address: string): void {
    for (const stream of this.streams) if (stream.address === address) breakStream(stream);
  }

  /** Breaks all streams that somebody has opened. */
  breakFrom(from: string): void {
    for (const stream of this.streams) if (stream.from === from) breakStream(stream);
  }

  /** The master's end of the latest stream that somebody has opened. */
  of(from: string): { link: Link<ToWorker> } {
    return { link: this.streams.findLast((stream) => stream.from === from)!.master };
  }

  readonly dial: Dial = (address, handlers) => this.dialAs('', address, handlers);

  dialAs(from: string, address: string, handlers: LinkHandlers<ToWorker>): Link<ToMaster> {
    const worker = new End<ToMaster, ToWorker>();
    const master = new End<ToWorker, ToMaster>();
    worker.other = master;
    master.other = worker;
    worker.handlers = handlers;
    worker.stalled = true;
    setImmediate(() => {
      const accept = this.#listeners.get(address);
      if (accept === undefined || this.cutOff.has(address) || this.#dead.has(from)) {
        worker.end({ kind: 'refused', why: 'connection refused', newerTerm: null });
        return;
      }
      this.streams.push({ from, address, worker, master });
      master.handlers = accept(master, 'in-memory');
      worker.stalled = false;
      worker.pump();
    });
    return worker;
  }
}

function breakStream({ worker, master }: Stream): void {
  worker.end({ kind: 'broken', why: 'connection reset', newerTerm: null });
  master.end({ kind: 'broken', why: 'connection reset', newerTerm: null });
}

/** The two ends of one stream, without anything behind them. */
export function linkPair(): Stream {
  const worker = new End<ToMaster, ToWorker>();
  const master = new End<ToWorker, ToMaster>();
  worker.other = master;
  master.other = worker;
  return { from: '', address: '', worker, master };
}
