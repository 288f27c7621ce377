import { Histogram } from '../lib/histogram.ts';
import {
  emptyCounts,
  HISTOGRAMS,
  MAX_ERROR_EXAMPLES,
  type CheckCount,
  type Counts,
  type EngineHealth,
  type ErrorClass,
  type ErrorCount,
  type HistogramName,
  type Sample,
  type Traffic,
} from '../task/sample.ts';

/** What the recorder cannot know of the second that it closes. */
export interface Gauges {
  target: number;
  queued: number;
  inFlight: number;
  connections: number;
  users: number;
  traffic: Traffic;
  health: EngineHealth;
}

/** An error message longer than this is cut. */
const MAX_MESSAGE_LENGTH = 200;
const STATUS_LIMIT = 1000;

/** Counts and times of the current second of one engine thread. `cut` closes the second and starts the next one. */
export class Recorder {
  /** Of all hits. The attack loop counts in here directly. */
  counts: Counts = emptyCounts();
  /** Of the hits that were scheduled in the warm-up. */
  warmup: Counts = emptyCounts();
  readonly histograms: Record<HistogramName, Histogram>;
  readonly #statusCodes = new Uint32Array(STATUS_LIMIT);
  readonly #labels: readonly string[];
  readonly #passed: Float64Array;
  readonly #failed: Float64Array;
  #errors: Partial<Record<ErrorClass, ErrorCount>> = {};
  #seq = 0;

  /** @param checkLabels one per check, in the order of the flags given to `countChecks` */
  constructor(checkLabels: readonly string[]) {
    this.#labels = checkLabels;
    this.#passed = new Float64Array(checkLabels.length);
    this.#failed = new Float64Array(checkLabels.length);
    this.histograms = Object.fromEntries(HISTOGRAMS.map((name) => [name, new Histogram()])) as Record<
      HistogramName,
      Histogram
    >;
  }

  countStatus(status: number): void {
    if (status < STATUS_LIMIT) this.#statusCodes[status]!++;
  }

  countChecks(failed: readonly boolean[]): void {
    for (let i = 0; i < this.#labels.length; i++) {
      if (failed[i] === true) this.#failed[i]!++;
      else this.#passed[i]!++;
    }
  }

  countError(errorClass: ErrorClass, message: string): void {
    const entry = (this.#errors[errorClass] ??= { count: 0, examples: [] });
    entry.count++;
    if (entry.examples.length >= MAX_ERROR_EXAMPLES) return;
    const short = message.slice(0, MAX_MESSAGE_LENGTH);
    if (!entry.examples.includes(short)) entry.examples.push(short);
  }

  cut(second: number, durationMs: number, gauges: Gauges): Sample {
    const sample: Sample = {
      seq: ++this.#seq,
      second,
      durationMs,
      ...gauges,
      counts: this.counts,
      warmup: this.warmup,
      statusCodes: this.#cutStatusCodes(),
      errors: this.#errors,
      checks: this.#cutChecks(),
      histograms: this.#cutHistograms(),
    };
    this.counts = emptyCounts();
    this.warmup = emptyCounts();
    this.#errors = {};
    return sample;
  }

  #cutStatusCodes(): Record<string, number> {
    const codes: Record<string, number> = {};
    for (let status = 0; status < STATUS_LIMIT; status++) {
      const n = this.#statusCodes[status]!;
      if (n > 0) codes[status] = n;
    }
    this.#statusCodes.fill(0);
    return codes;
  }

  #cutChecks(): Record<string, CheckCount> {
    const checks = Object.fromEntries(
      this.#labels.map((label, i) => [label, { passed: this.#passed[i]!, failed: this.#failed[i]! }]),
    );
    this.#passed.fill(0);
    this.#failed.fill(0);
    return checks;
  }

  #cutHistograms(): Partial<Record<HistogramName, Uint8Array>> {
    const encoded: Partial<Record<HistogramName, Uint8Array>> = {};
    for (const name of HISTOGRAMS) {
      const histogram = this.histograms[name];
      if (histogram.count === 0) continue;
      encoded[name] = histogram.encode();
      histogram.reset();
    }
    return encoded;
  }
}
