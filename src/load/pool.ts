import { nowMs } from '../lib/clock.ts';
import type { TimeoutsSpec } from '../task/spec.ts';
import type { ProtocolClient } from './client.ts';
import type { HealthProbe } from './health.ts';
import { Slot } from './slot.ts';
import type { Tally } from './tally.ts';

/** Timeouts are looked at this often: the most by which one is late. */
const SWEEP_MS = 10;

/** The slots of one engine thread: made when first needed, up to the limit; the one freed last is used next. */
export class SlotPool {
  /** Slots in use at a time. */
  limit: number;
  readonly #make: () => Slot;
  readonly #timeouts: TimeoutsSpec;
  readonly #health: HealthProbe;
  readonly #slots: Slot[] = [];
  readonly #idle: Slot[] = [];
  #sweep: NodeJS.Timeout | null = null;

  constructor(
    options: { limit: number; client: ProtocolClient; tally: Tally; timeouts: TimeoutsSpec; health: HealthProbe },
    onFree: (slot: Slot) => void,
  ) {
    this.limit = options.limit;
    this.#timeouts = options.timeouts;
    this.#health = options.health;
    this.#make = () => new Slot(options.client, options.tally, onFree);
  }

  /** Slots taken and not given back. */
  get taken(): number {
    return this.#slots.length - this.#idle.length;
  }

  /** Slots with a hit on them. */
  get inFlight(): number {
    let n = 0;
    for (const slot of this.#slots) if (slot.busy) n++;
    return n;
  }

  /** A free slot, or null when all are taken. */
  take(): Slot | null {
    if (this.taken >= this.limit) return null;
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const slot = this.#make();
    this.#slots.push(slot);
    return slot;
  }

  giveBack(slot: Slot): void {
    this.#idle.push(slot);
  }

  start(): void {
    const setAt = nowMs();
    this.#sweep = setTimeout(() => {
      const now = nowMs();
      this.#health.timerFired(SWEEP_MS, now - setAt);
      this.#abortOverdue(now);
      this.start();
    }, SWEEP_MS);
  }

  stop(): void {
    if (this.#sweep !== null) clearTimeout(this.#sweep);
  }

  abortAll(message: string): void {
    for (const slot of this.#slots) slot.abort('aborted', message);
  }

  #abortOverdue(now: number): void {
    const { totalMs, responseMs } = this.#timeouts;
    for (const slot of this.#slots) {
      if (!slot.busy) continue;
      if (now - slot.startMs >= totalMs) {
        slot.abort('total-timeout', `no complete answer within ${totalMs} ms of the start`);
      } else if (slot.writtenMs > 0 && slot.headMs === 0 && now - slot.writtenMs >= responseMs) {
        slot.abort('response-timeout', `no response head within ${responseMs} ms of the request`);
      }
    }
  }
}
