import { Histogram } from '../lib/histogram.ts';
import {
  addChecks,
  addCounts,
  addErrors,
  addHealth,
  addStatusCodes,
  addTraffic,
  emptyHealth,
  emptyTraffic,
} from '../task/merge.ts';
import type { RunAccount } from '../task/account.ts';
import { DROP_CAUSES, emptyCounts, HISTOGRAMS } from '../task/sample.ts';
import type { CheckCount, Counts, HistogramName, Sample } from '../task/sample.ts';

/** The sum of a run's samples: of constant size, however long the run is. */
export class Totals {
  readonly counts = emptyCounts();
  readonly warmup = emptyCounts();
  readonly traffic = emptyTraffic();
  readonly statusCodes: Record<string, number> = {};
  readonly errors: Sample['errors'] = {};
  readonly checks: Record<string, CheckCount> = {};
  readonly health = emptyHealth();
  readonly histograms = Object.fromEntries(HISTOGRAMS.map((name) => [name, new Histogram()])) as Record<
    HistogramName,
    Histogram
  >;
  /** Time that the samples cover, ms. */
  durationMs = 0;
  connectionsMax = 0;
  nodeCpuMax: number | null = null;
  /** Highest target of a second in which hits were dropped because every slot was taken. */
  askedWhenSaturated = 0;

  add(sample: Sample, nodeCpu: number | null): void {
    addCounts(this.counts, sample.counts);
    addCounts(this.warmup, sample.warmup);
    addTraffic(this.traffic, sample.traffic);
    addStatusCodes(this.statusCodes, sample.statusCodes);
    addErrors(this.errors, sample.errors);
    addChecks(this.checks, sample.checks);
    addHealth(this.health, sample.health);
    for (const name of HISTOGRAMS) {
      const encoded = sample.histograms[name];
      if (encoded !== undefined) this.histograms[name].mergeEncoded(encoded);
    }
    this.durationMs += sample.durationMs;
    this.connectionsMax = Math.max(this.connectionsMax, sample.connections);
    if (nodeCpu !== null) this.nodeCpuMax = Math.max(this.nodeCpuMax ?? 0, nodeCpu);
    if (sample.counts.dropped['target-limited'] > 0) {
      this.askedWhenSaturated = Math.max(this.askedWhenSaturated, sample.target);
    }
  }

  /** What became of hits that no sample tells of. */
  close({ counts, warmup }: RunAccount['closing']): void {
    addCounts(this.counts, counts);
    addCounts(this.warmup, warmup);
  }

  /** Counts of the hits after the warm-up. */
  measured(): Counts {
    const measured = emptyCounts();
    for (const key of Object.keys(measured) as (keyof Counts)[]) {
      if (key !== 'dropped') measured[key] = this.counts[key] - this.warmup[key];
    }
    for (const cause of DROP_CAUSES) measured.dropped[cause] = this.counts.dropped[cause] - this.warmup.dropped[cause];
    return measured;
  }
}

/** All values of both. */
export function union(a: Histogram, b: Histogram): Histogram {
  const both = new Histogram();
  both.merge(a);
  both.merge(b);
  return both;
}
