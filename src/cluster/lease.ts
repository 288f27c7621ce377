import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import { pause, settledWithin } from '../lib/wait.ts';
import type { Lease } from './ports.ts';

/** The part of a granted TTL that counts: clocks may differ in speed by up to 1 %. */
const CLOCK_RATE = 0.99;
const RETRY_MS = 120;
const RELEASE_DEADLINE_MS = 1_000;

/** Both clocks of this machine: the monotonic one may stand still while it sleeps, the wall clock may be set. */
export interface Instant {
  monotonicMs: number;
  wallMs: number;
}

export function instant(): Instant {
  return { monotonicMs: nowMs(), wallMs: Date.now() };
}

export interface LeaseOptions {
  /** As it was granted. */
  ttlMs: number;
  marginMs: number;
  /** Taken before the request for the lease was sent. */
  sent: Instant;
  /**
   * Renews it once. @returns null: renewed; or why the lease is surely lost. Rejects, within the deadline, when it is not
   * known whether it was renewed.
   */
  renew: (deadlineMs: number) => Promise<string | null>;
  revoke: () => Promise<void>;
}

/**
 * A lease that is renewed every quarter of its TTL, each attempt with a deadline of an eighth. It is valid until 0.99 · TTL −
 * margin after the SEND of the last good renewal, by whichever clock went further: so it ends here before it ends there.
 */
export class RenewedLease implements Lease {
  readonly #options: LeaseOptions;
  readonly #validForMs: number;
  readonly #over = new AbortController();
  #sent: Instant;
  #expiry: NodeJS.Timeout | undefined;
  #problem = 'it was not renewed in time';
  #released: Promise<void> | null = null;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#validForMs = options.ttlMs * CLOCK_RATE - options.marginMs;
    this.#sent = options.sent;
    this.#awaitExpiry();
    void this.#keep();
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  validUntilMs(): number {
    if (this.#over.signal.aborted) return 0;
    const now = instant();
    const elapsedMs = now.monotonicMs - this.#sent.monotonicMs;
    const jumpMs = Math.max(0, now.wallMs - this.#sent.wallMs - elapsedMs);
    return this.#sent.monotonicMs + this.#validForMs - jumpMs;
  }

  /** The lease is lost; idempotent. */
  lose(why: string): void {
    if (this.#over.signal.aborted) return;
    clearTimeout(this.#expiry);
    this.#over.abort(new Error(why));
  }

  release(): Promise<void> {
    this.lose('it was given back');
    this.#released ??= settledWithin(this.#options.revoke(), RELEASE_DEADLINE_MS).then(() => undefined);
    return this.#released;
  }

  async #keep(): Promise<void> {
    const { ttlMs } = this.#options;
    let nextAtMs = this.#sent.monotonicMs + ttlMs / 4;
    while (!this.#over.signal.aborted) {
      await pause(Math.max(0, nextAtMs - nowMs()), this.#over.signal);
      if (this.#isOver()) return;
      const sent = instant();
      nextAtMs = (await this.#renew(sent)) ? sent.monotonicMs + ttlMs / 4 : nowMs() + RETRY_MS;
    }
  }

  /** @returns whether it was renewed */
  async #renew(sent: Instant): Promise<boolean> {
    try {
      const lost = await this.#options.renew(this.#options.ttlMs / 8);
      if (lost !== null) {
        this.lose(lost);
        return false;
      }
    } catch (error) {
      this.#problem = `it could not be renewed in time: ${errorMessage(error)}`;
      return false;
    }
    // An answer that took longer than the lease was valid renews nothing: whoever asked meanwhile was told it is over.
    if (nowMs() >= this.validUntilMs()) return false;
    this.#sent = sent;
    this.#awaitExpiry();
    return true;
  }

  #isOver(): boolean {
    return this.#over.signal.aborted;
  }

  #awaitExpiry(): void {
    clearTimeout(this.#expiry);
    const leftMs = this.validUntilMs() - nowMs();
    this.#expiry = setTimeout(() => this.#expire(), Math.max(0, leftMs));
  }

  #expire(): void {
    if (nowMs() >= this.validUntilMs()) this.lose(this.#problem);
    else this.#awaitExpiry();
  }
}
