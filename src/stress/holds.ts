import type { Sample } from '../task/sample.ts';

/** When the load of one assignment was held because there was no room for its results; instants in run time, ms. */
export class Holds {
  #past: { fromMs: number; toMs: number }[] = [];
  #sinceMs: number | null = null;

  set(isHeld: boolean, atMs: number): void {
    if (isHeld) {
      this.#sinceMs ??= atMs;
    } else if (this.#sinceMs !== null) {
      this.#past.push({ fromMs: this.#sinceMs, toMs: atMs });
      this.#sinceMs = null;
    }
  }

  /** The sample with the time in it that was held. Samples come in their order. */
  mark(sample: Sample): Sample {
    const fromMs = sample.second * 1000;
    const toMs = fromMs + sample.durationMs;
    const holds = this.#sinceMs === null ? this.#past : [...this.#past, { fromMs: this.#sinceMs, toMs: Infinity }];
    const heldMs = holds.reduce(
      (sum, hold) => sum + Math.max(0, Math.min(toMs, hold.toMs) - Math.max(fromMs, hold.fromMs)),
      0,
    );
    this.#past = this.#past.filter((hold) => hold.toMs > toMs);
    return heldMs === 0 ? sample : { ...sample, heldMs };
  }
}

/** What is left of a sample when its latencies are given up: all that is counted. */
export function withoutLatencies(sample: Sample): Sample {
  const { counts, warmup, errors } = sample;
  return {
    ...sample,
    counts: { ...counts, unmeasured: counts.answered },
    warmup: { ...warmup, unmeasured: warmup.answered },
    errors: Object.fromEntries(Object.entries(errors).map(([name, { count }]) => [name, { count, examples: [] }])),
    histograms: {},
  };
}
