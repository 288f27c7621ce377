import { rankOf, type Histogram } from '../lib/histogram.ts';
import { PERCENTILES } from './schema.ts';
import type { AllScheduledSummary, BoundedMs, LatencySummary, PercentileName } from './schema.ts';

/** Summary of a histogram; null when it is empty. */
export function summarize(histogram: Histogram): LatencySummary | null {
  if (histogram.count === 0) return null;
  return {
    count: histogram.count,
    minMs: histogram.minUs / 1000,
    meanMs: histogram.meanUs / 1000,
    stddevMs: histogram.stddevUs / 1000,
    maxMs: histogram.maxUs / 1000,
    percentilesMs: percentiles((percent) => histogram.percentile(percent) / 1000),
  };
}

/** Response times over all hits: those that were answered, and those that were not and count as infinite. */
export interface AllScheduled {
  answered: Histogram;
  unanswered: number;
  /** Of the unanswered, those that ran into a timeout, ms, and how many: such a hit took at least that long. */
  timeouts: readonly { ms: number; count: number }[];
}

export function summarizeAll(all: AllScheduled): AllScheduledSummary | null {
  const { answered, unanswered } = all;
  const count = answered.count + unanswered;
  if (count === 0) return null;
  const complete = unanswered === 0;
  return {
    count,
    answered: answered.count,
    unanswered,
    minMs: answered.count === 0 ? null : answered.minUs / 1000,
    meanMs: complete ? answered.meanUs / 1000 : null,
    stddevMs: complete ? answered.stddevUs / 1000 : null,
    maxMs: complete ? answered.maxUs / 1000 : { atLeastMs: leastOfUnansweredMs(all, count) },
    percentilesMs: percentiles((percent) => percentileOfAll(all, percent)),
  };
}

/** Nearest-rank percentile over answered and unanswered hits; there must be one. */
export function percentileOfAll(all: AllScheduled, percent: number): BoundedMs {
  const rank = rankOf(percent, all.answered.count + all.unanswered);
  if (rank > all.answered.count) return { atLeastMs: leastOfUnansweredMs(all, rank) };
  return all.answered.valueAtRank(rank) / 1000;
}

/**
 * What can be said of the hit at a rank beyond the answered ones. Those that waited for a timeout have the highest ranks, the
 * longest timeout last; of the others it is only known that they count as slower than the slowest answer.
 */
export function leastOfUnansweredMs({ answered, unanswered, timeouts }: AllScheduled, rank: number): number {
  let firstRank = answered.count + unanswered + 1;
  for (const { ms, count } of timeouts.toSorted((a, b) => b.ms - a.ms)) {
    firstRank -= count;
    if (rank >= firstRank) return Math.max(answered.maxUs / 1000, ms);
  }
  return answered.maxUs / 1000;
}

function percentiles<T>(valueAt: (percent: number) => T): Record<PercentileName, T> {
  const entries = PERCENTILES.map((name) => [name, valueAt(Number(name.slice(1)))] as const);
  return Object.fromEntries(entries) as Record<PercentileName, T>;
}
