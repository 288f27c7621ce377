import { planEndMs, type Plan } from '../task/plan.ts';
import type { DropCause } from '../task/sample.ts';
import type { AttackContext, AttackModel } from './attack.ts';
import { OpenPacer } from './pacer.ts';
import type { Slot } from './slot.ts';

/** A hit that is later than this when the engine gets to it is not sent any more: the generator is too slow. */
const MAX_LATENESS_MS = 100;
/** When the loop polls this much later than it wanted, it stood still; what became due meanwhile is dropped, never sent as a burst. */
const STALL_MS = 100;
/** After a stall, hits less overdue than this are still sent. */
const STALL_TOLERANCE_MS = 1;
/** With all slots taken, a hit that is later than this was delayed by the generator, which may also have left answers unread. */
const LATE_MS = 10;

/** The open model: hits start at their scheduled instants, whatever the target answers. */
export class OpenModel implements AttackModel {
  readonly #context: AttackContext;
  readonly #queue: InstantQueue;
  #plan: Plan;
  #pacer: OpenPacer;
  /** Of the next hit of this share. */
  #index = 0;
  /** When the last poll wanted the next one. */
  #wantedMs = 0;
  #draining = false;

  constructor(context: AttackContext, plan: Plan) {
    this.#context = context;
    this.#plan = plan;
    this.#pacer = new OpenPacer(plan, context.assignment.share);
    this.#queue = new InstantQueue(context.assignment.maxQueue);
  }

  get queued(): number {
    return this.#queue.length;
  }

  get users(): number {
    return 0;
  }

  setPlan(plan: Plan): void {
    this.#plan = plan;
    this.#pacer = new OpenPacer(plan, this.#context.assignment.share);
  }

  poll(elapsedMs: number): number {
    const stalled = elapsedMs - this.#wantedMs > STALL_MS;
    for (;;) {
      const dueMs = this.#nextDueMs();
      if (dueMs > elapsedMs) {
        this.#wantedMs = this.finished(elapsedMs) ? Infinity : Math.min(dueMs, planEndMs(this.#plan));
        return this.#wantedMs;
      }
      this.#index++;
      this.#meet(dueMs, elapsedMs, stalled);
    }
  }

  finished(elapsedMs: number): boolean {
    return this.#draining || this.#hitsUsedUp() || elapsedMs >= planEndMs(this.#plan);
  }

  drain(): void {
    this.#draining = true;
    for (;;) {
      const dueMs = this.#queue.shift();
      if (dueMs === undefined) return;
      this.#context.tally.cancelled(this.#isWarm(dueMs));
    }
  }

  slotFreed(slot: Slot, elapsedMs: number): void {
    const dueMs = this.#queue.shift();
    if (dueMs === undefined) this.#context.pool.giveBack(slot);
    else this.#start(slot, dueMs, elapsedMs);
  }

  #hitsUsedUp(): boolean {
    const { hits } = this.#context.assignment;
    return hits !== null && this.#index >= hits;
  }

  #nextDueMs(): number {
    return this.#draining || this.#hitsUsedUp() ? Infinity : this.#pacer.dueMs(this.#index);
  }

  #isWarm(dueMs: number): boolean {
    return dueMs < this.#context.warmupMs;
  }

  /** A hit's instant has come. */
  #meet(dueMs: number, elapsedMs: number, stalled: boolean): void {
    const { tally, pool, queueing, startAtMs } = this.#context;
    const latenessMs = elapsedMs - dueMs;
    const warm = this.#isWarm(dueMs);
    // By the scheduled instant, not by now: a hit that is late over a second's end belongs to the second it was meant for.
    tally.roll(startAtMs + dueMs);
    tally.scheduled(latenessMs, warm);
    const cause = overdue(latenessMs, stalled);
    if (cause !== null) return tally.dropped(cause, warm);
    const slot = this.#queue.length === 0 ? pool.take() : null;
    if (slot !== null) return this.#start(slot, dueMs, elapsedMs);
    if (queueing && this.#queue.push(dueMs)) return;
    tally.dropped(latenessMs > LATE_MS ? 'generator-limited' : 'target-limited', warm);
  }

  #start(slot: Slot, dueMs: number, elapsedMs: number): void {
    const { startAtMs } = this.#context;
    slot.start(startAtMs + dueMs, startAtMs + elapsedMs, this.#isWarm(dueMs));
  }
}

function overdue(latenessMs: number, stalled: boolean): DropCause | null {
  if (stalled && latenessMs > STALL_TOLERANCE_MS) return 'stalled';
  return latenessMs > MAX_LATENESS_MS ? 'generator-limited' : null;
}

/** First in, first out, bounded; grows by doubling. */
class InstantQueue {
  readonly #limit: number;
  #ring = new Float64Array(64);
  #head = 0;
  length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** false: full. */
  push(instant: number): boolean {
    if (this.length >= this.#limit) return false;
    if (this.length === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.length++) % this.#ring.length] = instant;
    return true;
  }

  shift(): number | undefined {
    if (this.length === 0) return undefined;
    const instant = this.#ring[this.#head];
    this.#head = (this.#head + 1) % this.#ring.length;
    this.length--;
    return instant;
  }

  #grow(): void {
    const grown = new Float64Array(this.#ring.length * 2);
    grown.set(this.#ring.subarray(this.#head));
    grown.set(this.#ring.subarray(0, this.#head), this.#ring.length - this.#head);
    this.#ring = grown;
    this.#head = 0;
  }
}
