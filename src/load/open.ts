import { planEndMs } from '../task/plan.ts';
import type { DropCause } from '../task/sample.ts';
import type { AttackContext, AttackModel } from './attack.ts';
import type { Course } from './course.ts';
import { OpenPacer } from './pacer.ts';
import type { Slot } from './slot.ts';

/** A hit that is later than this when the engine gets to it is not sent any more: the generator is too slow. */
const MAX_LATENESS_MS = 100;
/** When the loop polls this much later than it wanted, it stood still; what became due meanwhile is dropped, never sent as a burst. */
const STALL_MS = 100;
/** After a stall, hits less overdue than this are still sent. */
const STALL_TOLERANCE_MS = 1;
/** Another plan may round the same instant another way: a hit is not done again, also when its course came late. */
const SAME_INSTANT_MS = 1e-6;
/** With all slots taken, a hit that is later than this was delayed by the generator, which may also have left answers unread. */
const LATE_MS = 10;
/** When the loop polls this much later than it wanted, it catches up: answers may lie unread, and what was due is sent at once. */
const CATCH_UP_AFTER_MS = 1;
/** So long, while it catches up, hits wait for a slot that would otherwise be dropped: the slots are taken by our own delay. */
const CATCH_UP_MS = 10;

/** The open model: hits start at their scheduled instants, whatever the target answers. */
export class OpenModel implements AttackModel {
  readonly #context: AttackContext;
  readonly #queue: InstantQueue;
  #course: Course;
  /** Courses that begin with the first hit that is due after them. */
  readonly #coming: Course[] = [];
  #pacer: OpenPacer;
  /** Of the next hit of the share. */
  #index: number;
  #scheduled = 0;
  /** Of the last hit. */
  #dueMs = -Infinity;
  /** When the last poll wanted the next one. */
  #wantedMs: number;
  #polledMs = -Infinity;
  #catchUpUntilMs = -Infinity;
  #draining = false;

  constructor(context: AttackContext, course: Course) {
    this.#context = context;
    this.#course = course;
    this.#pacer = new OpenPacer(course.plan, course.share);
    this.#index = this.#pacer.firstIndex(course.fromMs);
    this.#wantedMs = course.fromMs;
    this.#queue = new InstantQueue(course.maxQueue);
  }

  get queued(): number {
    return this.#queue.length;
  }

  get users(): number {
    return 0;
  }

  setCourse(course: Course): void {
    this.#coming.push(course);
    this.#queue.limit = course.maxQueue;
  }

  poll(elapsedMs: number): number {
    this.#polledMs = elapsedMs;
    this.#startQueued(elapsedMs);
    const overdueMs = elapsedMs - this.#wantedMs;
    const stalled = overdueMs > STALL_MS;
    if (!this.#mayWait(elapsedMs)) {
      this.#dropQueued(elapsedMs, overdueMs);
      if (overdueMs > CATCH_UP_AFTER_MS) this.#catchUpUntilMs = elapsedMs + CATCH_UP_MS;
    }
    for (;;) {
      const dueMs = this.#nextDueMs();
      if (dueMs > elapsedMs) return (this.#wantedMs = this.#nextPollMs(dueMs, elapsedMs));
      this.#index++;
      this.#scheduled++;
      this.#dueMs = dueMs;
      this.#meet(dueMs, elapsedMs, stalled);
    }
  }

  finished(elapsedMs: number): boolean {
    return this.#draining || this.#hitsUsedUp() || elapsedMs >= planEndMs(this.#course.plan);
  }

  drain(): void {
    this.#draining = true;
    this.#emptyQueue(this.#polledMs, (warm) => this.#context.tally.cancelled(warm));
  }

  slotFreed(slot: Slot, elapsedMs: number): void {
    this.#context.pool.giveBack(slot);
    this.#startQueued(elapsedMs);
  }

  /** As many as there are slots for. */
  #startQueued(elapsedMs: number): void {
    const { pool, tally, isPermitted } = this.#context;
    while (this.#queue.length > 0) {
      const slot = pool.take();
      if (slot === null) return;
      const dueMs = this.#queue.shift()!;
      this.#left(dueMs, elapsedMs);
      if (isPermitted()) {
        this.#start(slot, dueMs, elapsedMs);
        continue;
      }
      pool.giveBack(slot);
      tally.dropped('no-permit', this.#isWarm(dueMs));
    }
  }

  /** A hit for which there is no slot. */
  #mayWait(elapsedMs: number): boolean {
    return this.#context.queueing || elapsedMs < this.#catchUpUntilMs;
  }

  /** Answers were read meanwhile and no slot came free, so it is the target that keeps them, unless we have been late again. */
  #dropQueued(elapsedMs: number, overdueMs: number): void {
    const cause = overdueMs > CATCH_UP_AFTER_MS ? 'generator-limited' : 'target-limited';
    this.#emptyQueue(elapsedMs, (warm) => this.#context.tally.dropped(cause, warm));
  }

  #emptyQueue(elapsedMs: number, account: (warm: boolean) => void): void {
    for (let dueMs = this.#queue.shift(); dueMs !== undefined; dueMs = this.#queue.shift()) {
      this.#left(dueMs, elapsedMs);
      account(this.#isWarm(dueMs));
    }
  }

  /** A hit has left the queue: where it is the task that queues, the engine had got to it before. */
  #left(dueMs: number, elapsedMs: number): void {
    const { queueing, tally } = this.#context;
    if (!queueing) tally.late(elapsedMs - dueMs, this.#isWarm(dueMs));
  }

  #nextPollMs(dueMs: number, elapsedMs: number): number {
    const nextMs = this.finished(elapsedMs) ? Infinity : Math.min(dueMs, planEndMs(this.#course.plan));
    return this.#queue.length === 0 || this.#context.queueing ? nextMs : Math.min(nextMs, this.#catchUpUntilMs);
  }

  #hitsUsedUp(): boolean {
    const { hits } = this.#context;
    return hits !== null && this.#scheduled >= hits;
  }

  #nextDueMs(): number {
    if (this.#draining || this.#hitsUsedUp()) return Infinity;
    for (;;) {
      const dueMs = this.#pacer.dueMs(this.#index);
      const next = this.#coming[0];
      if (next === undefined || dueMs < next.fromMs) return dueMs;
      this.#coming.shift();
      this.#course = next;
      this.#pacer = new OpenPacer(next.plan, next.share);
      this.#index = this.#pacer.firstIndex(Math.max(next.fromMs, this.#dueMs + SAME_INSTANT_MS));
    }
  }

  #isWarm(dueMs: number): boolean {
    return dueMs < this.#context.warmupMs;
  }

  /** A hit's instant has come. */
  #meet(dueMs: number, elapsedMs: number, stalled: boolean): void {
    const { tally, pool, queueing, zeroAtMs, isPermitted } = this.#context;
    const latenessMs = elapsedMs - dueMs;
    const warm = this.#isWarm(dueMs);
    // By the scheduled instant, not by now: a hit that is late over a second's end belongs to the second it was meant for.
    tally.roll(zeroAtMs + dueMs);
    tally.scheduled(warm);
    const cause = overdue(latenessMs, stalled) ?? (isPermitted() ? null : 'no-permit');
    const slot = cause === null && this.#queue.length === 0 ? pool.take() : null;
    const mayWait = cause === null && slot === null && this.#mayWait(elapsedMs) && (queueing || latenessMs <= LATE_MS);
    const waits = mayWait && this.#queue.push(dueMs);
    if (!waits || queueing) tally.late(latenessMs, warm);
    if (waits) return;
    if (slot !== null) return this.#start(slot, dueMs, elapsedMs);
    tally.dropped(cause ?? (latenessMs > LATE_MS ? 'generator-limited' : 'target-limited'), warm);
  }

  #start(slot: Slot, dueMs: number, elapsedMs: number): void {
    const { zeroAtMs } = this.#context;
    slot.start(zeroAtMs + dueMs, zeroAtMs + elapsedMs, this.#isWarm(dueMs));
  }
}

function overdue(latenessMs: number, stalled: boolean): DropCause | null {
  if (stalled && latenessMs > STALL_TOLERANCE_MS) return 'stalled';
  return latenessMs > MAX_LATENESS_MS ? 'generator-limited' : null;
}

/** First in, first out, bounded; grows by doubling. */
class InstantQueue {
  limit: number;
  #ring = new Float64Array(64);
  #head = 0;
  length = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** false: full. */
  push(instant: number): boolean {
    if (this.length >= this.limit) return false;
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
