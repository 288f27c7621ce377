import type { Histogram } from '../lib/histogram.ts';
import type { Sample } from '../task/sample.ts';
import { droppedOf } from './accounting.ts';
import type { SeriesRow } from './schema.ts';

/** Rows kept: two hours of seconds. */
export const MAX_ROWS = 7200;

/**
 * The run over time in a bounded number of rows: when there would be too many, a row covers twice as many seconds.
 * Counts of merged rows add up, the target is their mean, gauges, health and percentiles are the highest of theirs (the
 * percentiles of merged rows are not to be had without their histograms; the highest is at least true of one second).
 */
export class Series {
  readonly #maxRows: number;
  #rows: SeriesRow[] = [];
  #rowSeconds = 1;

  /** @param maxRows at least 2 */
  constructor(maxRows = MAX_ROWS) {
    this.#maxRows = maxRows;
  }

  /** Seconds that a row covers. */
  get rowSeconds(): number {
    return this.#rowSeconds;
  }

  get rows(): readonly SeriesRow[] {
    return this.#rows;
  }

  /** Rows in the order of their seconds. */
  add(row: SeriesRow): void {
    this.#append(row);
    while (this.#rows.length > this.#maxRows) {
      this.#rowSeconds *= 2;
      const rows = this.#rows;
      this.#rows = [];
      for (const each of rows) this.#append(each);
    }
  }

  #append(row: SeriesRow): void {
    const last = this.#rows.at(-1);
    const second = row.second - (row.second % this.#rowSeconds);
    if (last?.second === second) this.#rows[this.#rows.length - 1] = mergeRows(last, row);
    else this.#rows.push({ ...row, second });
  }
}

/**
 * @param response response times of the answers in this sample, ok and failed; empty when there is no schedule
 * @param service their service times
 */
export function rowOf(sample: Sample, nodeCpu: number | null, response: Histogram, service: Histogram): SeriesRow {
  const { counts, traffic } = sample;
  return {
    second: sample.second,
    durationMs: sample.durationMs,
    target: sample.target,
    scheduled: counts.scheduled,
    started: counts.started,
    ok: counts.ok,
    notOk: counts.failed + counts.unwritten + counts.aborted + counts.unknown,
    dropped: droppedOf(counts),
    responseP50Ms: percentileMs(response, 50),
    responseP99Ms: percentileMs(response, 99),
    serviceP50Ms: percentileMs(service, 50),
    serviceP99Ms: percentileMs(service, 99),
    queued: sample.queued,
    inFlight: sample.inFlight,
    connections: sample.connections,
    users: sample.users,
    bytesIn: traffic.bytesIn,
    bytesOut: traffic.bytesOut,
    utilisation: sample.health.utilisation,
    nodeCpu,
  };
}

function percentileMs(histogram: Histogram, percent: number): number | null {
  return histogram.count === 0 ? null : histogram.percentile(percent) / 1000;
}

function mergeRows(a: SeriesRow, b: SeriesRow): SeriesRow {
  const durationMs = a.durationMs + b.durationMs;
  return {
    second: a.second,
    durationMs,
    target: durationMs === 0 ? a.target : (a.target * a.durationMs + b.target * b.durationMs) / durationMs,
    scheduled: a.scheduled + b.scheduled,
    started: a.started + b.started,
    ok: a.ok + b.ok,
    notOk: a.notOk + b.notOk,
    dropped: a.dropped + b.dropped,
    responseP50Ms: highest(a.responseP50Ms, b.responseP50Ms),
    responseP99Ms: highest(a.responseP99Ms, b.responseP99Ms),
    serviceP50Ms: highest(a.serviceP50Ms, b.serviceP50Ms),
    serviceP99Ms: highest(a.serviceP99Ms, b.serviceP99Ms),
    queued: Math.max(a.queued, b.queued),
    inFlight: Math.max(a.inFlight, b.inFlight),
    connections: Math.max(a.connections, b.connections),
    users: Math.max(a.users, b.users),
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
    utilisation: Math.max(a.utilisation, b.utilisation),
    nodeCpu: highest(a.nodeCpu, b.nodeCpu),
  };
}

function highest(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.max(a, b);
}
