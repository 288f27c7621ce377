import { Histogram } from '../lib/histogram.ts';
import { rowOf } from '../report/series.ts';
import type { SeriesRow } from '../report/schema.ts';
import type { Verdict } from '../report/verdict.ts';
import type { ErrorClass, Sample } from '../task/sample.ts';

/** What the views show of one second. */
export interface Second {
  sample: Sample;
  row: SeriesRow;
  /** Response times (closed model: service times) of the answers of this second; only until the next second is read. */
  latency: Histogram;
  /** On the run so far. */
  verdict: Verdict;
}

/** Shows a run while it runs; everything on standard error. */
export interface View {
  second(second: Second): void;
  /** A sentence that stays. */
  note(text: string): void;
  /** The run has ended: nothing more is shown. */
  end(): void;
}

/** Makes seconds of samples, without a new histogram for each. */
export class SecondReader {
  readonly #response = new Histogram();
  readonly #service = new Histogram();

  read(sample: Sample, verdict: Verdict): Second {
    const { responseOk, responseFailed, serviceOk, serviceFailed } = sample.histograms;
    refill(this.#response, [responseOk, responseFailed]);
    refill(this.#service, [serviceOk, serviceFailed]);
    const latency = this.#response.count > 0 ? this.#response : this.#service;
    return { sample, row: rowOf(sample, null, this.#response, this.#service), latency, verdict };
  }
}

/** Hits a second of a count in this second. */
export function perSecond(count: number, { durationMs }: Pick<SeriesRow, 'durationMs'>): number {
  return durationMs > 0 ? (count * 1000) / durationMs : 0;
}

/** Time since the start of the run at the end of this second, which may be shorter: `3s`, `3.02s`. */
export function elapsed({ second, durationMs }: SeriesRow): string {
  return `${Number((second + durationMs / 1000).toFixed(2))}s`;
}

/** `reset 12, status 3`, the most first; empty when there are none. */
export function formatErrors(errors: Sample['errors']): string {
  return (Object.entries(errors) as [ErrorClass, { count: number }][])
    .sort(([, a], [, b]) => b.count - a.count)
    .map(([errorClass, { count }]) => `${errorClass} ${count}`)
    .join(', ');
}

function refill(histogram: Histogram, parts: readonly (Uint8Array | undefined)[]): void {
  histogram.reset();
  for (const part of parts) if (part !== undefined) histogram.mergeEncoded(part);
}
