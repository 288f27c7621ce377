import { planEndMs } from '../task/plan.ts';
import type { AttackContext, AttackModel } from './attack.ts';
import { Courses, type Course } from './course.ts';
import { usersAt } from './pacer.ts';
import type { Slot } from './slot.ts';

/** The number of users is looked at this often: the most by which a ramp is behind. */
const REVIEW_MS = 10;
/** Think times are kept with timers alone, which is this exact: they need no pace. */
const THINK_GRAIN_MS = 1.5;

/** The closed model: each user sends its next hit when the last one has ended, after its think time. */
export class ClosedModel implements AttackModel {
  readonly #context: AttackContext;
  readonly #courses: Courses;
  /** Users that load now, each with a slot; and how many the plan wants. */
  #active = 0;
  #wanted = 0;
  #started = 0;
  #draining = false;
  /** Users that think, in the order in which they go on (the think time is the same for all). */
  readonly #thinking: { slot: Slot; untilMs: number }[] = [];
  #thinkHead = 0;

  constructor(context: AttackContext, course: Course) {
    this.#context = context;
    this.#courses = new Courses(course);
  }

  get queued(): number {
    return 0;
  }

  get users(): number {
    return this.#active;
  }

  setCourse(course: Course): void {
    this.#courses.add(course);
  }

  poll(elapsedMs: number): number {
    const { fromMs, plan, share } = this.#courses.at(elapsedMs);
    if (elapsedMs < fromMs) return fromMs;
    this.#courses.forget(elapsedMs);
    const isOn = !this.finished(elapsedMs) && this.#context.isPermitted();
    this.#wanted = isOn ? usersAt(plan, share, elapsedMs) : 0;
    this.#endThinking(elapsedMs);
    while (this.#active < this.#wanted && !this.#hitsUsedUp()) {
      const slot = this.#context.pool.take();
      if (slot === null) break;
      this.#active++;
      this.#start(slot, elapsedMs);
    }
    const thoughtMs = this.#thinking[0]?.untilMs ?? Infinity;
    return Math.min(elapsedMs + REVIEW_MS, Math.max(thoughtMs, elapsedMs + THINK_GRAIN_MS));
  }

  finished(elapsedMs: number): boolean {
    return this.#draining || this.#hitsUsedUp() || elapsedMs >= planEndMs(this.#courses.last.plan);
  }

  drain(): void {
    this.#draining = true;
    this.#wanted = 0;
  }

  slotFreed(slot: Slot, elapsedMs: number): void {
    if (this.#retire(slot, elapsedMs)) return;
    const { thinkTimeMs } = this.#context;
    if (thinkTimeMs === 0) return this.#start(slot, elapsedMs);
    this.#thinking.push({ slot, untilMs: elapsedMs + thinkTimeMs });
    if (this.#thinking.length === 1) this.#context.wake();
  }

  #hitsUsedUp(): boolean {
    const { hits } = this.#context;
    return hits !== null && this.#started >= hits;
  }

  /** Lets the slot's user go when the plan wants fewer users, or no more hits. */
  #retire(slot: Slot, elapsedMs: number): boolean {
    const isOn = !this.finished(elapsedMs) && this.#context.isPermitted();
    if (isOn && this.#active <= this.#wanted) return false;
    this.#active--;
    this.#context.pool.giveBack(slot);
    return true;
  }

  #endThinking(elapsedMs: number): void {
    const finished = this.finished(elapsedMs);
    for (;;) {
      const first = this.#thinking[this.#thinkHead];
      if (first === undefined || (first.untilMs > elapsedMs && !finished)) break;
      this.#thinkHead++;
      if (!this.#retire(first.slot, elapsedMs)) this.#start(first.slot, elapsedMs);
    }
    if (this.#thinkHead > 0) this.#thinking.splice(0, this.#thinkHead);
    this.#thinkHead = 0;
  }

  #start(slot: Slot, elapsedMs: number): void {
    const warm = elapsedMs < this.#context.warmupMs;
    const now = this.#context.zeroAtMs + elapsedMs;
    this.#context.tally.roll(now);
    this.#started++;
    this.#context.tally.scheduled(warm);
    slot.start(now, now, warm);
  }
}
