import { nowMs } from '../lib/clock.ts';
import type { Lease, Permit } from './ports.ts';
import type { Timings } from './timings.ts';

export interface PermitGrounds {
  /** When the worker sent the last ping that its master echoed; -Infinity: none was. */
  sentMs: number;
  /** Of the worker's own record, if it was held without a break since `sentMs`; -Infinity: none is. */
  leaseUntilMs: number;
}

/**
 * The instant until which a worker may generate load. It counts from the send of the ping, not from the arrival of its
 * echo: a network may deliver a heartbeat long after it was meant.
 */
export function permitUntilMs({ sentMs, leaseUntilMs }: PermitGrounds, timings: Timings): number {
  return Math.max(sentMs + timings.permitMs, Math.min(leaseUntilMs, sentMs + timings.permitOnLeaseMs));
}

/** A worker's permit: gathers its grounds and keeps the deadline in memory that all threads share. */
export class PermitHolder implements Permit {
  readonly cell = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
  readonly giveUpAfterMs: number;
  readonly #deadline = new Float64Array(this.cell);
  readonly #timings: Timings;
  /** It is missing since then, unless it holds: the holder was made, or the permit was ended before its time. */
  #missingSinceMs = nowMs();
  #sentMs = -Infinity;
  #lease: { lease: Pick<Lease, 'validUntilMs'>; sinceMs: number } | null = null;

  constructor(timings: Timings) {
    this.#timings = timings;
    this.giveUpAfterMs = timings.abortAfterMs;
  }

  /** A heartbeat of the valid master echoed a ping sent at this instant. Of the future: ignored. */
  echoed(sentMs: number): void {
    if (!(sentMs <= nowMs())) return;
    this.#sentMs = Math.max(this.#sentMs, sentMs);
    this.refresh();
  }

  /** Ends it now, until the next echo. */
  revoke(): void {
    this.#missingSinceMs = Math.max(this.#missingSinceMs, Math.min(nowMs(), this.validUntilMs()));
    this.#sentMs = -Infinity;
    this.refresh();
  }

  /**
   * The lease of the node's record, or null when it was lost. A new lease does not revive an old permit: in the time
   * between the two the master may have seen no record and moved the work.
   */
  hold(lease: Pick<Lease, 'validUntilMs'> | null): void {
    this.#lease = lease && { lease, sinceMs: nowMs() };
    this.refresh();
  }

  /** To be called again and again: the lease is renewed silently. */
  refresh(): void {
    const covers = this.#lease !== null && this.#sentMs >= this.#lease.sinceMs;
    const leaseUntilMs = covers ? this.#lease!.lease.validUntilMs() : -Infinity;
    // Before the first echo: 0, which has passed on a clock that counts from the machine's start.
    this.#deadline[0] = Math.max(0, permitUntilMs({ sentMs: this.#sentMs, leaseUntilMs }, this.#timings));
  }

  validUntilMs(): number {
    return this.#deadline[0]!;
  }

  missingForMs(): number {
    return Math.max(0, nowMs() - Math.max(this.#missingSinceMs, this.validUntilMs()));
  }
}
