import { rankOf } from '../../lib/histogram.ts';

/** Most arrival instants a target keeps, 8 bytes each; then it stops recording and says so. */
export const MAX_ARRIVALS = 5_000_000;

const CHUNK = 65_536;
/** Most whole seconds that are told apart: a day. */
const MAX_SECONDS = 86_400;
/** A first arrival this far from the fitted line says that the rate was not held. */
const OFF_LINE_MS = 100;

/** Arrival instants (ms) in the order they were added: a list that grows by chunks, so that adding never copies. */
export class ArrivalLog {
  readonly limit: number;
  #chunks: Float64Array[] = [];
  #current = new Float64Array(0);
  #at = 0;
  #count = 0;
  #missed = 0;

  constructor(limit = MAX_ARRIVALS) {
    this.limit = limit;
  }

  /** Instants kept. */
  get count(): number {
    return this.#count;
  }
  /** Arrivals after the limit was reached, not kept. */
  get missed(): number {
    return this.#missed;
  }

  add(atMs: number): void {
    if (this.#count >= this.limit) {
      this.#missed += 1;
      return;
    }
    if (this.#at === this.#current.length) {
      this.#current = new Float64Array(Math.min(CHUNK, this.limit - this.#count));
      this.#chunks.push(this.#current);
      this.#at = 0;
    }
    this.#current[this.#at++] = atMs;
    this.#count += 1;
  }

  reset(): void {
    this.#chunks = [];
    this.#current = new Float64Array(0);
    this.#at = 0;
    this.#count = 0;
    this.#missed = 0;
  }

  /** A copy of all kept instants. */
  toArray(): Float64Array {
    const all = new Float64Array(this.#count);
    let at = 0;
    for (const chunk of this.#chunks) {
      const used = chunk === this.#current ? chunk.subarray(0, this.#at) : chunk;
      all.set(used, at);
      at += used.length;
    }
    return all;
  }
}

/** How evenly requests arrived; see `strayOf`. */
export interface Pacing {
  /** Requests per second of the ideal line: the given rate, or else the mean rate. */
  ratePerSecond: number;
  rateGiven: boolean;
  arrivals: number;
  /** (n − 1) / (last − first): what was achieved. */
  meanRatePerSecond: number;
  /** Distance of arrivals from the line, early or late alike. */
  strayMs: { p50: number; p90: number; p99: number; max: number };
  /** Arrivals in each whole second; what comes after the last whole second is left out. */
  perSecond: number[];
  /** The whole second whose count is furthest from the rate; null when there was none. */
  worstSecond: { second: number; count: number; deviationPercent: number } | null;
}

/**
 * How far arrivals stray from the ideal line. With arrivals a_0 ≤ a_1 ≤ … (sorted here; requests have no names: one that
 * overtakes another over its own connection takes that one's place in the line) and r per ms:
 *
 *     delay_i = a_i − i / r      d = median of delay_i      stray_i = |delay_i − d|
 *
 * Subtracting the median takes out what is constant: when the run began, and the way through the network. It supposes
 * that the generator held the rate and dropped nothing; where it did not, the stray grows, as it should.
 *
 * Whole seconds are counted from the line's start, half an interval before d, so that a jitter of less than half an
 * interval moves no request into another second. When the first arrival is more than 100 ms from d (the rate was not
 * held, and the line is nobody's start) they are counted from the first arrival instead.
 *
 * @param arrivalsMs instants in ms, any origin, in any order; left as they are
 * @param ratePerSecond the rate asked for; undefined: the mean rate
 * @returns null with fewer than two arrivals, or when all are at one instant and no rate is given
 */
export function strayOf(arrivalsMs: ArrayLike<number>, ratePerSecond?: number): Pacing | null {
  const sorted = Float64Array.from(arrivalsMs).sort();
  const count = sorted.length;
  if (count < 2) return null;
  const first = sorted[0]!;
  const last = sorted[count - 1]!;
  const meanRatePerSecond = ((count - 1) / (last - first)) * 1e3;
  const rate = ratePerSecond ?? meanRatePerSecond;
  if (!(rate > 0 && rate < Infinity)) return null;

  const intervalMs = 1e3 / rate;
  const delays = sorted.map((atMs, i) => atMs - i * intervalMs).sort();
  const lineStartMs = median(delays);
  const strays = delays.map((delay) => Math.abs(delay - lineStartMs)).sort();

  const held = Math.abs(first - lineStartMs) <= OFF_LINE_MS;
  const perSecond = countSeconds(sorted, (held ? lineStartMs : first) - intervalMs / 2, intervalMs);
  return {
    ratePerSecond: rate,
    rateGiven: ratePerSecond !== undefined,
    arrivals: count,
    meanRatePerSecond,
    strayMs: {
      p50: nearestRank(strays, 50),
      p90: nearestRank(strays, 90),
      p99: nearestRank(strays, 99),
      max: strays[count - 1]!,
    },
    perSecond,
    worstSecond: worstOf(perSecond, rate),
  };
}

/** Counts per whole second; a second is whole when the last arrival is within one interval of its end or after it. */
function countSeconds(sorted: Float64Array, startMs: number, intervalMs: number): number[] {
  const lastMs = sorted[sorted.length - 1]!;
  const whole = Math.floor((lastMs + intervalMs - startMs) / 1e3);
  const counts = new Array<number>(Math.min(Math.max(0, whole), MAX_SECONDS)).fill(0);
  for (const atMs of sorted) {
    const second = Math.max(0, Math.floor((atMs - startMs) / 1e3));
    if (second < counts.length) counts[second]! += 1;
  }
  return counts;
}

function worstOf(perSecond: readonly number[], rate: number): Pacing['worstSecond'] {
  let worst: Pacing['worstSecond'] = null;
  perSecond.forEach((count, second) => {
    const deviationPercent = ((count - rate) / rate) * 100;
    if (worst === null || Math.abs(deviationPercent) > Math.abs(worst.deviationPercent)) {
      worst = { second, count, deviationPercent };
    }
  });
  return worst;
}

function median(sorted: Float64Array): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function nearestRank(sorted: Float64Array, percent: number): number {
  return sorted[rankOf(percent, sorted.length) - 1]!;
}
