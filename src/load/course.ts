import { meanTarget, targetAt, type Plan, type Share } from '../task/plan.ts';

/** What an engine thread is to do from an instant on. Instants are ms since the start of the run. */
export interface Course {
  /** Hits that are due earlier belong to the course before. */
  fromMs: number;
  plan: Plan;
  share: Share;
  maxInFlight: number;
  maxQueue: number;
}

/** The courses of one thread, one after another; those that are over are forgotten by and by. */
export class Courses {
  readonly #courses: Course[];

  constructor(first: Course) {
    this.#courses = [first];
  }

  get last(): Course {
    return this.#courses.at(-1)!;
  }

  add(course: Course): void {
    this.#courses.push(course);
  }

  /** The course of an instant. */
  at(atMs: number): Course {
    return this.#courses.findLast(({ fromMs }) => fromMs <= atMs) ?? this.#courses[0]!;
  }

  /** The mean target of the shares from one instant to a later one; nothing is wanted before the first course. */
  target(fromMs: number, toMs: number): number {
    if (toMs <= fromMs) return ownPart(this.at(fromMs), targetAt(this.at(fromMs).plan, fromMs));
    let sum = 0;
    for (const [i, course] of this.#courses.entries()) {
      const start = Math.max(fromMs, course.fromMs);
      const end = Math.min(toMs, this.#courses[i + 1]?.fromMs ?? Infinity);
      if (end > start) sum += ownPart(course, meanTarget(course.plan, start, end)) * (end - start);
    }
    return sum / (toMs - fromMs);
  }

  /** Only the time from this instant on is asked for again. */
  forget(beforeMs: number): void {
    while ((this.#courses[1]?.fromMs ?? Infinity) <= beforeMs) this.#courses.shift();
  }
}

function ownPart({ share }: Course, target: number): number {
  return (target * share.weight) / share.of;
}
