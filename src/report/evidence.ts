import { Histogram } from '../lib/histogram.ts';
import { addCounts } from '../task/merge.ts';
import { emptyCounts } from '../task/sample.ts';
import type { RunAccount } from '../task/account.ts';
import type { Counts, Sample } from '../task/sample.ts';
import type { LoadModel } from '../task/spec.ts';
import { judge, SUSTAINED_SECONDS } from './verdict.ts';
import type { Evidence, Verdict } from './verdict.ts';

/** Shorter than this is not a whole second: the last sample of a run. */
const WHOLE_SECOND_MS = 999;

/** Gathers the verdict's evidence sample by sample, so that a saturated generator says so while it runs. */
export class RunningVerdict {
  readonly #model: LoadModel;
  readonly #warmupMs: number;
  readonly #all = emptyCounts();
  readonly #warmup = emptyCounts();
  readonly #lateness = new Histogram();
  readonly #utilisation = new SustainedLevel(SUSTAINED_SECONDS);
  readonly #loopDelayP99Ms = new SustainedLevel(SUSTAINED_SECONDS);
  readonly #nodeCpu = new SustainedLevel(SUSTAINED_SECONDS);
  #loopDelayMaxMs = 0;
  #gcMaxMs = 0;
  #portsExhausted = 0;
  #descriptorsExhausted = 0;
  #mayHaveStarted: number | null = 0;
  #bufferFullMs = 0;
  #unserved = 0;

  constructor(model: LoadModel, warmupMs: number) {
    this.#model = model;
    this.#warmupMs = warmupMs;
  }

  /** @param nodeCpu busy part of the whole node in this second, 0 to 1; null: not known */
  add(sample: Sample, nodeCpu: number | null): void {
    addCounts(this.#all, sample.counts);
    addCounts(this.#warmup, sample.warmup);
    this.#portsExhausted += sample.errors['ports-exhausted']?.count ?? 0;
    this.#descriptorsExhausted += sample.errors['descriptors-exhausted']?.count ?? 0;
    if (sample.histograms.lateness !== undefined) this.#lateness.mergeEncoded(sample.histograms.lateness);
    this.#addHealth(sample, nodeCpu);
  }

  /** What only the cluster knows, at the end. */
  close({ closing, mayHaveStarted, pausedMs }: RunAccount, unserved: number): void {
    addCounts(this.#all, closing.counts);
    addCounts(this.#warmup, closing.warmup);
    this.#mayHaveStarted = mayHaveStarted;
    this.#bufferFullMs = pausedMs['buffer-full'];
    this.#unserved = unserved;
  }

  /** The verdict on what there is so far. What only the end can tell is left out. */
  current(): Verdict {
    return judge(this.#evidence(SUSTAINED_SECONDS, null));
  }

  /** The verdict on the whole run. */
  final(identityHolds: boolean): Verdict {
    const seconds = Math.min(SUSTAINED_SECONDS, this.#utilisation.count);
    return judge(this.#evidence(seconds, identityHolds));
  }

  /** A pause or a busy thread spoils nothing while no measured hit is under way. */
  #addHealth(sample: Sample, nodeCpu: number | null): void {
    const underWay = sample.counts.started > 0 || sample.counts.answered > 0 || sample.inFlight > 0;
    if (sample.second * 1000 < this.#warmupMs || !underWay) {
      for (const level of [this.#utilisation, this.#loopDelayP99Ms, this.#nodeCpu]) level.interrupt();
      return;
    }
    this.#loopDelayMaxMs = Math.max(this.#loopDelayMaxMs, sample.health.loopDelayMaxMs);
    this.#gcMaxMs = Math.max(this.#gcMaxMs, sample.health.gcMaxMs);
    if (sample.durationMs < WHOLE_SECOND_MS) {
      this.#utilisation.addPart(sample.health.utilisation);
      this.#loopDelayP99Ms.addPart(sample.health.loopDelayP99Ms);
      return;
    }
    this.#utilisation.add(sample.health.utilisation);
    this.#loopDelayP99Ms.add(sample.health.loopDelayP99Ms);
    this.#nodeCpu.add(nodeCpu ?? 0);
  }

  #evidence(sustainedSeconds: number, identityHolds: boolean | null): Evidence {
    const measured = (count: (counts: Counts) => number): number => count(this.#all) - count(this.#warmup);
    return {
      model: this.#model,
      scheduled: measured((counts) => counts.scheduled),
      started: measured((counts) => counts.started),
      dropped: {
        'target-limited': measured((counts) => counts.dropped['target-limited']),
        'generator-limited': measured((counts) => counts.dropped['generator-limited']),
        stalled: measured((counts) => counts.dropped.stalled),
        'no-permit': measured((counts) => counts.dropped['no-permit']),
      },
      unknown: measured((counts) => counts.unknown),
      mayHaveStarted: this.#mayHaveStarted,
      answered: measured((counts) => counts.answered),
      unmeasured: measured((counts) => counts.unmeasured),
      unserved: this.#unserved,
      bufferFullMs: this.#bufferFullMs,
      latenessP99Ms: this.#lateness.percentile(99) / 1000,
      sustainedSeconds,
      sustainedUtilisation: this.#utilisation.level(sustainedSeconds),
      sustainedLoopDelayP99Ms: this.#loopDelayP99Ms.level(sustainedSeconds),
      sustainedNodeCpu: this.#nodeCpu.level(sustainedSeconds),
      loopDelayMaxMs: this.#loopDelayMaxMs,
      gcMaxMs: this.#gcMaxMs,
      portsExhausted: this.#portsExhausted,
      descriptorsExhausted: this.#descriptorsExhausted,
      startedInAll: this.#all.started,
      identityHolds,
    };
  }
}

/** The highest level that a series of values held for n values in a row, for each n up to a limit. */
class SustainedLevel {
  readonly #last: number[] = [];
  /** `#levels[n - 1]` is that of n values in a row. */
  readonly #levels: number[];
  #part = 0;
  count = 0;

  constructor(longest: number) {
    this.#levels = Array.from({ length: longest }, () => 0);
  }

  add(value: number): void {
    this.count++;
    this.#last.unshift(value);
    this.#last.length = Math.min(this.#last.length, this.#levels.length);
    let lowest = Infinity;
    for (const [i, earlier] of this.#last.entries()) {
      lowest = Math.min(lowest, earlier);
      this.#levels[i] = Math.max(this.#levels[i]!, lowest);
    }
  }

  /** What comes next is not in a row with what was. */
  interrupt(): void {
    this.#last.length = 0;
  }

  /** The value of a part of a second: counts where there is no whole one. */
  addPart(value: number): void {
    this.#part = Math.max(this.#part, value);
  }

  /** @param inARow 0: of the parts of seconds */
  level(inARow: number): number {
    return inARow === 0 ? this.#part : this.#levels[inARow - 1]!;
  }
}
