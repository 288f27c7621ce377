import { nowMs } from '../lib/clock.ts';
import type { ErrorClass } from '../task/sample.ts';
import type { Answer, ClientConnection, ExchangeListener, ProtocolClient } from './client.ts';
import type { Tally } from './tally.ts';

/** A connection and the hit that is on it. Keeps the hit's times and tells the tally what became of it. */
export class Slot implements ExchangeListener {
  readonly #tally: Tally;
  readonly #connection: ClientConnection;
  readonly #onFree: (slot: Slot) => void;
  busy = false;
  /** The hit's scheduled instant, its start, and when its request was written (0: not yet); `nowMs` clock. */
  dueMs = 0;
  startMs = 0;
  writtenMs = 0;
  headMs = 0;
  /** The hit was scheduled in the warm-up. */
  warm = false;

  /** @param onFree called when the hit has ended, whatever way; it may start the next one at once */
  constructor(client: ProtocolClient, tally: Tally, onFree: (slot: Slot) => void) {
    this.#connection = client.connection(this);
    this.#tally = tally;
    this.#onFree = onFree;
  }

  start(dueMs: number, now: number, warm: boolean): void {
    this.busy = true;
    this.dueMs = dueMs;
    this.startMs = now;
    this.writtenMs = this.headMs = 0;
    this.warm = warm;
    this.#tally.started(warm);
    this.#connection.send();
  }

  /** Ends the hit on this slot, if there is one. */
  abort(errorClass: ErrorClass | 'aborted', message: string): void {
    if (this.busy) this.#connection.abort(errorClass, message);
  }

  connected(dnsMs: number, connectMs: number, tlsMs: number): void {
    if (!this.warm) this.#tally.phases(dnsMs, connectMs, tlsMs);
  }

  written(): void {
    this.writtenMs = nowMs();
    this.#tally.written(this.writtenMs, this.warm);
  }

  redirected(): void {
    this.#tally.redirected(this.warm);
  }

  headersReceived(): void {
    this.headMs = nowMs();
  }

  answered(answer: Answer): void {
    this.#tally.answered(this, answer, nowMs());
    this.#free();
  }

  failed(errorClass: ErrorClass | 'aborted', message: string): void {
    this.#tally.failed(this, errorClass, message);
    this.#free();
  }

  #free(): void {
    this.busy = false;
    this.#onFree(this);
  }
}
