import { readlinkSync, writeFileSync } from 'node:fs';
import { nowMs } from '../lib/clock.ts';

/** Nearer than this to the next hit a timer is too coarse: libuv's fire 1.0 to 1.2 ms after they were set to 1 ms. */
const TIMER_REACH_MS = 1.3;
/** Longest sleep on a timer: bounds how late a change of the next hit's instant is seen when nobody calls `wake`. */
const LONGEST_TIMER_MS = 50;
/**
 * A nap blocks the thread, so answers are not read meanwhile: while any are to come it is short. It overshoots by the kernel's timer
 * slack (about 50 µs, or none: `sharp`) and by what waking takes, so it ends this much before the hit.
 */
const NAPS = { blunt: { longestMs: 0.05, marginMs: 0.12 }, sharp: { longestMs: 0.09, marginMs: 0.05 } };
/** Too near for a nap it spins, so long at most until answers are read: a turn of the event loop for each look would be mostly garbage. */
const SPIN_MS = 0.015;

/**
 * Asks the kernel to wake this thread when it is due, and not up to 50 µs later (proc(5), `timerslack_ns`; Linux 4.6).
 *
 * @returns whether it does
 */
function wakeSharply(): boolean {
  try {
    const thread = readlinkSync('/proc/thread-self').split('/').at(-1)!;
    writeFileSync(`/proc/${thread}/timerslack_ns`, '1');
    return true;
  } catch {
    return false;
  }
}

/** Waking from a long nap takes longer: it ends this much before the hit, and a short one follows. */
const LONG_NAP_MARGIN_MS = 0.15;

const napCell = new Int32Array(new SharedArrayBuffer(4));

/**
 * The loop that meets instants more exactly than timers can: far from the next one it sleeps on a timer, near it it
 * takes naps in `Atomics.wait` and returns to the event loop by `setImmediate` between them, so that answers are
 * read. Made in the thread that runs it. For engine threads only: a nap blocks, and near an instant the loop spins.
 */
export class PollLoop {
  readonly #poll: () => number;
  readonly #progress: () => number;
  readonly #expects: () => boolean;
  readonly #nap: { longestMs: number; marginMs: number };
  readonly #again = (): void => this.#turn();
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #stopped = true;
  #polling = false;
  #polledMs = 0;
  #returnedMs = 0;
  #lastProgress = 0;

  /**
   * @param poll does what is due and returns the instant (`nowMs` clock) of the next thing to do, Infinity when none
   * @param progress a number that grows with each event handled outside of `poll`: a turn of the event loop in which it did
   *   not change counts as polling, not as work
   * @param expects whether answers are to come: else there is nothing to read between naps
   */
  constructor(poll: () => number, progress: () => number, expects: () => boolean) {
    this.#poll = poll;
    this.#progress = progress;
    this.#expects = expects;
    this.#nap = wakeSharply() ? NAPS.sharp : NAPS.blunt;
  }

  /** Time spent waiting in this loop and not in the event loop's own sleep, ms, since the start. */
  get polledMs(): number {
    return this.#polledMs;
  }

  start(): void {
    this.#stopped = false;
    this.#turn();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
  }

  /** Polls now: what is due may have changed. Within a poll it does nothing: that poll's answer counts. */
  wake(): void {
    if (this.#stopped || this.#polling) return;
    this.stop();
    this.start();
  }

  #turn(): void {
    this.#timer = null;
    if (this.#immediate !== null) this.#countTurn();
    this.#immediate = null;
    this.#polling = true;
    const next = this.#poll();
    this.#polling = false;
    if (this.#stopped) return;
    const before = nowMs();
    const distance = next - before;
    if (distance > TIMER_REACH_MS) {
      const sleepMs = Math.min(LONGEST_TIMER_MS, Math.max(1, Math.floor(distance - TIMER_REACH_MS)));
      this.#timer = setTimeout(this.#again, sleepMs);
      return;
    }
    this.#returnedMs = before;
    const { longestMs, marginMs } = this.#nap;
    if (distance > 0) {
      if (distance > marginMs) {
        const napMs = Math.min(longestMs, distance - marginMs);
        Atomics.wait(napCell, 0, 0, this.#expects() ? napMs : Math.max(napMs, distance - LONG_NAP_MARGIN_MS));
      } else spinUntil(Math.min(next, before + SPIN_MS));
      this.#returnedMs = nowMs();
      this.#polledMs += this.#returnedMs - before;
    }
    this.#lastProgress = this.#progress();
    this.#immediate = setImmediate(this.#again);
  }

  #countTurn(): void {
    if (this.#progress() === this.#lastProgress) this.#polledMs += nowMs() - this.#returnedMs;
  }
}

function spinUntil(ms: number): void {
  while (nowMs() < ms);
}
