import type {
  Accept,
  Dial,
  Link,
  LinkClosed,
  LinkHandlers,
  ProbeAnswer,
  ToMaster,
  ToWorker,
} from '../../../src/cluster/ports.ts';
import { CodedError } from '../../../src/lib/errors.ts';
import type { Dice, SimClock, SimProcess } from './clock.ts';
import { inside } from './globals.ts';

/** gRPC keepalive: a peer that answers nothing for so long is given up. */
const KEEPALIVE_MS = 1_500;
/** One way, on a quiet network. */
const DELAY_MS = [0.2, 3] as const;
/** Messages under way in one direction; beyond it `send` says that the buffer is full. */
const BUFFER = 200;

/** Where something runs: a node's host, `etcd`, or `sql`. */
export type Place = string;

export interface Trouble {
  /** Pairs `a b` between which nothing gets through. */
  cut: Set<string>;
  /** A request or an answer of a call is lost with this probability. */
  loss: number;
  /** Messages take up to so much longer, ms … */
  lagMs: number;
  /** … or those from and to a place. */
  lagMsOf: Map<Place, number>;
}

/** What a process does at its port. */
interface Listener {
  process: SimProcess;
  accept: Accept;
  /** To a probe; null: it is still starting. */
  answer: () => ProbeAnswer | null;
}

/** An answer to a probe, or why there is none. */
type Probed = ProbeAnswer | 'nothing came' | 'connection refused' | 'it is still starting';

/** The network between places: calls to servers, streams between nodes, and the ports of processes. */
export class SimNetwork {
  /** What came of each probe: for the judge. */
  onProbed: (from: Place, address: string, answer: ProbeAnswer | null) => void = () => undefined;
  readonly trouble: Trouble = { cut: new Set(), loss: 0, lagMs: 0, lagMsOf: new Map() };
  readonly #clock: SimClock;
  readonly #dice: Dice;
  readonly #listeners = new Map<string, Listener>();
  readonly #streams = new Set<Stream>();

  constructor(clock: SimClock, dice: Dice) {
    this.#clock = clock;
    this.#dice = dice;
  }

  isCut(a: Place, b: Place): boolean {
    return this.trouble.cut.has(`${a} ${b}`) || this.trouble.cut.has(`${b} ${a}`);
  }

  delayMs(a: Place, b: Place): number {
    const { lagMs, lagMsOf } = this.trouble;
    const mostMs = Math.max(lagMs, lagMsOf.get(a) ?? 0, lagMsOf.get(b) ?? 0);
    return this.#dice.between(...DELAY_MS) + (mostMs > 0 ? this.#dice.between(0, mostMs) : 0);
  }

  // --- Calls -----------------------------------------------------------------------------------------------------

  /**
   * A request of the running process to a server, where `work` is done at one instant. When the request or its answer is
   * lost the deadline passes, and the caller does not know whether it was done.
   *
   * @throws CodedError UNAVAILABLE
   */
  call<T>(from: Place, server: Place, deadlineMs: number, work: () => T): Promise<T> {
    const process = inside.getStore() as SimProcess;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const late = () => reject(new CodedError('UNAVAILABLE', `${server} does not answer`));
    const deadline = process.after(deadlineMs, late);
    const isLost = (): boolean => this.isCut(from, server) || this.#dice.chance(this.trouble.loss);
    if (isLost()) return promise;
    this.#clock.after(this.delayMs(from, server), null, () => {
      const outcome = attempt(work);
      if (isLost()) return;
      this.#clock.after(this.delayMs(from, server), process, () => {
        deadline.cancel();
        if ('error' in outcome) reject(outcome.error);
        else resolve(outcome.value);
      });
    });
    return promise;
  }

  // --- Streams ---------------------------------------------------------------------------------------------------

  listen(address: string, listener: Listener): void {
    this.#listeners.set(address, listener);
  }

  dialler(from: Place, process: SimProcess): Dial {
    return (address, handlers) => {
      const stream = new Stream(this, this.#clock, from, process, handlers);
      this.#clock.after(this.delayMs(from, from), null, () => this.#open(stream, address));
      return stream.worker;
    };
  }

  #open(stream: Stream, address: string): void {
    const listener = this.#listeners.get(address);
    if (listener === undefined || listener.process.isDead) return stream.refuse('connection refused');
    if (this.isCut(stream.from, listener.process.name)) {
      this.#clock.after(KEEPALIVE_MS, null, () => stream.refuse('no answer'));
      return;
    }
    stream.opened(listener.process, listener.accept);
    this.#streams.add(stream);
    // A stream to a frozen process, or within a cut that heals, is looked at when its keepalive is due.
    this.watch(stream);
  }

  /** To be called after each change of what is cut, frozen or dead. */
  changed(): void {
    for (const stream of this.#streams) this.watch(stream);
  }

  watch(stream: Stream): void {
    if (stream.isClosed) {
      this.#streams.delete(stream);
      return;
    }
    const [a, b] = stream.ends;
    const isCut = this.isCut(a.name, b.name);
    if (!isCut) stream.flow();
    // The kernel of a dead process's host says so at once, if it can be reached.
    if (a.isDead || b.isDead) {
      this.#clock.after(isCut ? KEEPALIVE_MS : this.delayMs(a.name, b.name) + 5, null, () =>
        stream.break('connection reset'),
      );
    } else if (isCut || a.isFrozen || b.isFrozen) stream.suspect(KEEPALIVE_MS);
  }

  // --- Probes -----------------------------------------------------------------------------------------------------

  /** Asks the process at an address how it is. @throws CodedError UNAVAILABLE */
  async ask(from: Place, address: string, deadlineMs: number): Promise<ProbeAnswer> {
    const answer = await this.#askedBy(inside.getStore() as SimProcess, from, address, deadlineMs);
    this.onProbed(from, address, typeof answer === 'string' ? null : answer);
    if (typeof answer !== 'string') return answer;
    throw new CodedError('UNAVAILABLE', `${address} does not answer a probe: ${answer}`);
  }

  #askedBy(process: SimProcess, from: Place, address: string, deadlineMs: number): Promise<Probed> {
    const { promise, resolve } = Promise.withResolvers<Probed>();
    const isLost = (to: Place): boolean => this.isCut(from, to) || this.#dice.chance(this.trouble.loss);
    process.after(deadlineMs, () => resolve('nothing came'));
    this.#clock.after(this.delayMs(from, from), null, () => {
      const listener = this.#listeners.get(address);
      const to = listener?.process.name ?? from;
      const answer = (found: Probed) => this.#clock.after(this.delayMs(from, to), process, () => resolve(found));
      if (isLost(to)) return;
      if (listener === undefined || listener.process.isDead) return void answer('connection refused');
      this.#clock.after(0, listener.process, () => {
        const found = listener.answer() ?? 'it is still starting';
        if (!isLost(to)) answer(found);
      });
    });
    return promise;
  }

  // --- Ports -----------------------------------------------------------------------------------------------------

  /** As `probePort`: a frozen process's port still takes connections. */
  probe(from: Place, address: string, deadlineMs: number): Promise<'open' | 'refused' | 'unknown'> {
    const process = inside.getStore() as SimProcess;
    const { promise, resolve } = Promise.withResolvers<'open' | 'refused' | 'unknown'>();
    process.after(deadlineMs, () => resolve('unknown'));
    this.#clock.after(this.delayMs(from, from), null, () => {
      const listener = this.#listeners.get(address);
      if (listener !== undefined && this.isCut(from, listener.process.name)) return;
      const state = listener === undefined || listener.process.isDead ? 'refused' : 'open';
      this.#clock.after(this.delayMs(from, from), process, () => resolve(state));
    });
    return promise;
  }
}

function attempt<T>(work: () => T): { value: T } | { error: unknown } {
  try {
    return { value: work() };
  } catch (error) {
    return { error };
  }
}

/** One stream: messages of one direction arrive in their order, those of different streams in any. */
export class Stream {
  isClosed = false;
  readonly from: Place;
  readonly worker: End<ToMaster, ToWorker>;
  readonly master: End<ToWorker, ToMaster>;
  readonly #network: SimNetwork;
  readonly #clock: SimClock;

  constructor(
    network: SimNetwork,
    clock: SimClock,
    from: Place,
    process: SimProcess,
    handlers: LinkHandlers<ToWorker>,
  ) {
    this.from = from;
    this.#network = network;
    this.#clock = clock;
    this.worker = new End(this, process, network, clock);
    this.master = new End(this, null, network, clock);
    this.worker.other = this.master;
    this.master.other = this.worker;
    this.worker.handlers = handlers;
  }

  get ends(): [SimProcess, SimProcess] {
    return [this.worker.process!, this.master.process!];
  }

  get isCut(): boolean {
    return this.master.process === null || this.#network.isCut(this.from, this.master.process.name);
  }

  opened(process: SimProcess, accept: Accept): void {
    this.master.process = process;
    this.#clock.after(0, process, () => {
      if (this.worker.isShut && this.worker.isEmpty) return;
      this.master.handlers = accept(this.master, this.from);
      this.flow();
    });
  }

  /** What was held up goes on its way. */
  flow(): void {
    this.worker.pump();
    this.master.pump();
  }

  refuse(why: string): void {
    this.isClosed = true;
    this.worker.end({ kind: 'refused', why, newerTerm: null });
  }

  break(why: string): void {
    this.isClosed = true;
    this.worker.end({ kind: 'broken', why, newerTerm: null });
    this.master.end({ kind: 'broken', why, newerTerm: null });
  }

  /** Each end gives the other up if that has answered nothing by then. */
  suspect(ms: number): void {
    const [a, b] = this.ends;
    this.#clock.after(ms, null, () => {
      if (this.isClosed) return;
      const isCut = this.isCut;
      const how: LinkClosed = { kind: 'broken', why: 'keepalive', newerTerm: null };
      if (isCut || b.isFrozen) this.worker.end(how);
      if (isCut || a.isFrozen) this.master.end(how);
      if (isCut || a.isFrozen || b.isFrozen) this.isClosed = this.worker.isShut && this.master.isShut;
    });
  }
}

class End<Out, In> implements Link<Out> {
  process: SimProcess | null;
  handlers: LinkHandlers<In> | null = null;
  other!: End<In, Out>;
  isShut = false;
  readonly #stream: Stream;
  readonly #network: SimNetwork;
  readonly #clock: SimClock;
  readonly #queue: (Out | { end: string })[] = [];
  #underWay = 0;
  #arrivesMs = 0;
  #room = Promise.withResolvers<void>();

  constructor(stream: Stream, process: SimProcess | null, network: SimNetwork, clock: SimClock) {
    this.#stream = stream;
    this.process = process;
    this.#network = network;
    this.#clock = clock;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  send(message: Out): boolean {
    if (this.isShut) return true;
    this.#queue.push(message);
    this.pump();
    return this.#queue.length + this.#underWay < BUFFER;
  }

  async drained(): Promise<void> {
    if (!this.isShut && this.#queue.length + this.#underWay >= BUFFER) await this.#room.promise;
  }

  close(why: string): void {
    if (this.isShut) return;
    this.isShut = true;
    this.#queue.push({ end: why });
    this.pump();
    this.#clock.after(0, this.process, () => this.handlers?.closed({ kind: 'ended', why, newerTerm: null }));
    this.#freed();
  }

  /** By the other side, or by nobody. */
  end(how: LinkClosed): void {
    if (this.isShut) return;
    this.isShut = true;
    this.#queue.length = 0;
    this.#freed();
    const { process } = this;
    if (process !== null) this.#clock.after(0, process, () => this.handlers?.closed(how));
  }

  /** Sends what waits, if it can get through. */
  pump(): void {
    const { other } = this;
    if (other.handlers === null || other.process === null || this.#stream.isCut) return;
    for (const message of this.#queue.splice(0)) {
      this.#underWay += 1;
      this.#arrivesMs = Math.max(
        this.#arrivesMs,
        this.#clock.nowMs + this.#network.delayMs(this.process!.name, other.process.name),
      );
      this.#clock.at(this.#arrivesMs, other.process, () => {
        this.#underWay -= 1;
        this.#freed();
        if (isEnd(message)) other.end({ kind: 'ended', why: message.end, newerTerm: null });
        else if (!other.isShut) other.handlers!.message(message);
      });
    }
  }

  #freed(): void {
    if (!this.isShut && this.#queue.length + this.#underWay >= BUFFER) return;
    this.#room.resolve();
    this.#room = Promise.withResolvers<void>();
  }
}

function isEnd(message: unknown): message is { end: string } {
  return typeof message === 'object' && message !== null && 'end' in message;
}
