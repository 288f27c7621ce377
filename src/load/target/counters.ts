import type { Socket } from 'node:net';
import { Histogram } from '../../lib/histogram.ts';
import { ArrivalLog, strayOf, type Pacing } from './arrivals.ts';
import type { Failure } from './settings.ts';

/** What a target counted since its start or its last reset. Requests for /stats, and their connections, are left out. */
export interface TargetStats {
  /** Since the start or the last reset. */
  seconds: number;
  /** Requests whose head was complete. */
  received: number;
  /** Requests whose answer was handed to the connection whole, good or bad status alike. */
  answered: number;
  /** Requests by path without the query; paths beyond the first MAX_PATHS are together under `(other paths)`. */
  byPath: Record<string, number>;
  /** Answers by status. */
  byStatus: Record<string, number>;
  /** Answers spoilt on purpose, by kind; they are not in `answered`. */
  spoilt: Partial<Record<Failure, number>>;
  /** On the wire, of every connection not used for /stats. */
  bytesIn: number;
  bytesOut: number;
  connectionsOpened: number;
  /** Open now. */
  connections: number;
  /** Requests in each second, counted from the first one; the last second may not be over. At most a day. */
  perSecond: number[];
  /** `missed` came after `limit` arrivals were kept: `pacing` does not know them. */
  arrivals: { kept: number; missed: number; limit: number };
  /** Null with fewer than two arrivals. */
  pacing: Pacing | null;
  /** From the arrival of a request to the instant at which all of its answer was handed to the connection; null: none was. */
  latencyMs: Readonly<Record<'mean' | 'p50' | 'p90' | 'p99' | 'p99.9' | 'max', number>> | null;
}

const MAX_PATHS = 100;
const OTHER_PATHS = '(other paths)';
const MAX_SECONDS = 86_400;

/** What a connection had carried when counting began. */
interface ConnectionBase {
  bytesIn: number;
  bytesOut: number;
  /** Opened since counting began. */
  opened: boolean;
}

/** The books of a target. Instants are of `performance.now()`, ms. */
export class Counters {
  readonly #arrivals: ArrivalLog;
  readonly #open = new Map<Socket, ConnectionBase>();
  readonly #byPath = new Map<string, number>();
  readonly #byStatus = new Map<number, number>();
  readonly #spoilt = new Map<Failure, number>();
  readonly #latency = new Histogram();
  #perSecond: number[] = [];
  #sinceMs = performance.now();
  #firstMs = 0;
  #received = 0;
  #answered = 0;
  #opened = 0;
  #closedBytesIn = 0;
  #closedBytesOut = 0;

  constructor(maxArrivals?: number) {
    this.#arrivals = new ArrivalLog(maxArrivals);
  }

  received(path: string, atMs: number): void {
    if (this.#received === 0) this.#firstMs = atMs;
    this.#received += 1;
    this.#arrivals.add(atMs);
    const known = this.#byPath.get(path);
    if (known !== undefined || this.#byPath.size < MAX_PATHS) this.#byPath.set(path, (known ?? 0) + 1);
    else this.#byPath.set(OTHER_PATHS, (this.#byPath.get(OTHER_PATHS) ?? 0) + 1);
    const second = Math.min(Math.floor((atMs - this.#firstMs) / 1e3), MAX_SECONDS - 1);
    while (this.#perSecond.length <= second) this.#perSecond.push(0);
    this.#perSecond[second]! += 1;
  }

  answered(status: number, afterMs: number): void {
    this.#answered += 1;
    this.#latency.record(afterMs * 1e3);
    this.#byStatus.set(status, (this.#byStatus.get(status) ?? 0) + 1);
  }

  spoilt(failure: Failure): void {
    this.#spoilt.set(failure, (this.#spoilt.get(failure) ?? 0) + 1);
  }

  /** Books a connection until it closes. */
  connected(socket: Socket): void {
    this.#open.set(socket, { bytesIn: 0, bytesOut: 0, opened: true });
    this.#opened += 1;
    socket.once('close', () => {
      const base = this.#open.get(socket);
      if (base === undefined) return;
      this.#open.delete(socket);
      this.#closedBytesIn += socket.bytesRead - base.bytesIn;
      this.#closedBytesOut += socket.bytesWritten - base.bytesOut;
    });
  }

  /** Strikes a connection off: it is one of those that ask for /stats. */
  observer(socket: Socket): void {
    if (this.#open.get(socket)?.opened === true) this.#opened -= 1;
    this.#open.delete(socket);
  }

  reset(): void {
    this.#arrivals.reset();
    this.#latency.reset();
    for (const counts of [this.#byPath, this.#byStatus, this.#spoilt]) counts.clear();
    this.#perSecond = [];
    this.#sinceMs = performance.now();
    this.#received = this.#answered = this.#opened = 0;
    this.#closedBytesIn = this.#closedBytesOut = 0;
    for (const socket of this.#open.keys()) {
      this.#open.set(socket, { bytesIn: socket.bytesRead, bytesOut: socket.bytesWritten, opened: false });
    }
  }

  /** @param ratePerSecond what the pacing is judged against; undefined: the mean rate */
  stats(ratePerSecond?: number): TargetStats {
    let bytesIn = this.#closedBytesIn;
    let bytesOut = this.#closedBytesOut;
    for (const [socket, base] of this.#open) {
      bytesIn += socket.bytesRead - base.bytesIn;
      bytesOut += socket.bytesWritten - base.bytesOut;
    }
    return {
      seconds: (performance.now() - this.#sinceMs) / 1e3,
      received: this.#received,
      answered: this.#answered,
      byPath: Object.fromEntries(this.#byPath),
      byStatus: Object.fromEntries(this.#byStatus),
      spoilt: Object.fromEntries(this.#spoilt),
      bytesIn,
      bytesOut,
      connectionsOpened: this.#opened,
      connections: this.#open.size,
      perSecond: [...this.#perSecond],
      arrivals: { kept: this.#arrivals.count, missed: this.#arrivals.missed, limit: this.#arrivals.limit },
      pacing: strayOf(this.#arrivals.toArray(), ratePerSecond),
      latencyMs: this.#latencyMs(),
    };
  }

  #latencyMs(): TargetStats['latencyMs'] {
    const of = this.#latency;
    if (of.count === 0) return null;
    const at = (percent: number): number => of.percentile(percent) / 1e3;
    return { mean: of.meanUs / 1e3, p50: at(50), p90: at(90), p99: at(99), 'p99.9': at(99.9), max: of.maxUs / 1e3 };
  }
}
