import type { Sample } from '../task/sample.ts';

/**
 * Rates asked for and started, over the whole seconds in which the plan was scheduling. What is cut is the part of a
 * second at the end of the warm-up, the second in which the last hits of a `hits` limit or an early stop fell, and the
 * time after the plan in which only answers were awaited: it would make the rate look lower than it was.
 */
export class RateWindow {
  readonly #fromMs: number;
  readonly #toMs: number;
  readonly #sum: Sums = { ms: 0, targetMs: 0, started: 0 };
  /** Seconds after the last one that had hits: they count once another one has. */
  #pending: Sums = { ms: 0, targetMs: 0, started: 0 };
  #last: Sums | null = null;
  #first: Sums | null = null;

  /** @param fromMs end of the warm-up; @param toMs end of the plan, Infinity when only its hits end it */
  constructor(fromMs: number, toMs: number) {
    this.#fromMs = fromMs;
    this.#toMs = toMs;
  }

  add(sample: Sample): void {
    const startMs = sample.second * 1000;
    const endMs = startMs + sample.durationMs;
    const ms = Math.max(0, Math.min(endMs, this.#toMs) - Math.max(startMs, this.#fromMs));
    const second: Sums = {
      ms,
      targetMs: sample.target * ms,
      started: sample.counts.started - sample.warmup.started,
    };
    const hasHits = sample.counts.scheduled > sample.warmup.scheduled;
    if (hasHits) this.#first ??= second;
    if (ms === 0 || ms < sample.durationMs) return;
    if (!hasHits) return addSums(this.#pending, second);
    if (this.#last !== null) addSums(this.#sum, this.#last);
    addSums(this.#sum, this.#pending);
    this.#pending = { ms: 0, targetMs: 0, started: 0 };
    this.#last = second;
  }

  /**
   * @param ranToEnd the plan's end was reached, so the last second with hits is whole
   * @returns hits per second; of a run without a whole second those of its first second with hits
   */
  rates(ranToEnd: boolean): { askedPerSecond: number; startedPerSecond: number } {
    const sum = { ...this.#sum };
    if (this.#last !== null && (ranToEnd || sum.ms === 0)) addSums(sum, this.#last);
    if (ranToEnd) addSums(sum, this.#pending);
    const over = sum.ms > 0 ? sum : this.#first;
    if (over === null || over.ms === 0) return { askedPerSecond: 0, startedPerSecond: 0 };
    return { askedPerSecond: over.targetMs / over.ms, startedPerSecond: (over.started / over.ms) * 1000 };
  }
}

interface Sums {
  ms: number;
  targetMs: number;
  started: number;
}

function addSums(into: Sums, add: Sums): void {
  into.ms += add.ms;
  into.targetMs += add.targetMs;
  into.started += add.started;
}
