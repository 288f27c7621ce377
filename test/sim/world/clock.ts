import { inside, settled, type Machine } from './globals.ts';

/** Numbers that a seed decides: mulberry32. */
export class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
    // Neighbouring seeds shall not begin alike.
    for (let i = 0; i < 5; i++) this.next();
  }

  /** 0 to 1. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };

  between(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)]!;
  }
}

interface Event {
  atMs: number;
  order: number;
  /** null: of the world, not of a process. */
  process: SimProcess | null;
  act: () => void;
  cancelled: boolean;
}

/** True time, and all that is still to happen, in an order that only the seed decides. */
export class SimClock {
  nowMs = 0;
  events = 0;
  readonly #heap: Event[] = [];
  #order = 0;

  /** @param process in whose name it happens: not if that is dead by then, and later if it is frozen */
  at(atMs: number, process: SimProcess | null, act: () => void): { cancel(): void } {
    const event: Event = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, process, act, cancelled: false };
    this.#push(event);
    return { cancel: () => void (event.cancelled = true) };
  }

  after(ms: number, process: SimProcess | null, act: () => void): { cancel(): void } {
    return this.at(this.nowMs + ms, process, act);
  }

  /** Lets everything happen until an instant of true time, or until `isOver`; `check` looks after each thing. */
  async run(untilMs: number, check: () => void, isOver: () => boolean = () => false): Promise<void> {
    for (;;) {
      const event = this.#heap[0];
      if (event === undefined || event.atMs > untilMs || isOver()) break;
      this.#pop();
      this.nowMs = event.atMs;
      if (event.cancelled || event.process?.isDead === true) continue;
      if (event.process?.isFrozen === true) {
        event.process.deferred.push(() => this.#happen(event));
        continue;
      }
      this.#happen(event);
      await settled();
      check();
    }
    if (!isOver()) this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #happen({ process, act, cancelled }: Event): void {
    if (cancelled || process?.isDead === true) return;
    this.events += 1;
    if (process === null) act();
    else inside.run(process, act);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let i = heap.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (isBefore(heap[parent]!, event)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (isBefore(last, heap[child]!)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** A timer fires up to so much late on an idle machine. */
const TIMER_LATE_MS = 2;

/** One operating system process: its clocks run at their own speed, and it may be frozen or killed. */
export class SimProcess implements Machine {
  readonly name: string;
  isDead = false;
  isFrozen = false;
  /** What has happened to it while it was frozen. */
  readonly deferred: (() => void)[] = [];
  /** Added to its wall clock by an operator. */
  wallJumpMs = 0;
  readonly #clock: SimClock;
  readonly #dice: Dice;
  readonly #rate: number;
  readonly #bootMs: number;

  constructor(name: string, clock: SimClock, dice: Dice, rate: number) {
    this.name = name;
    this.#clock = clock;
    this.#dice = new Dice(Math.floor(dice.next() * 2 ** 32));
    this.#rate = rate;
    this.#bootMs = Math.floor(dice.between(1e6, 1e8));
  }

  monotonicMs(): number {
    return this.#bootMs + this.#clock.nowMs * this.#rate;
  }

  wallMs(): number {
    return Math.floor(1.7e12 + this.#clock.nowMs * this.#rate + this.wallJumpMs);
  }

  random(): number {
    return this.#dice.next();
  }

  after(ms: number, act: () => void): { cancel(): void } {
    // A timer counts whole milliseconds from its own loop's time: it never fires early.
    const lateMs = this.#dice.next() * TIMER_LATE_MS + 1e-3;
    return this.#clock.after(ms / this.#rate + lateMs, this, act);
  }

  freeze(): void {
    this.isFrozen = true;
  }

  /** SIGCONT: what has waited happens at once, each after what it causes. */
  thaw(): void {
    if (!this.isFrozen) return;
    this.isFrozen = false;
    for (const act of this.deferred.splice(0)) this.#clock.after(0, this, act);
  }

  kill(): void {
    this.isDead = true;
    this.deferred.length = 0;
  }
}
