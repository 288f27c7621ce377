import { Histogram } from '../lib/histogram.ts';
import { DROP_CAUSES, ERROR_CLASSES, type HistogramName, type Sample } from '../task/sample.ts';
import type { LatencyMessage, SecondMessage } from './messages.ts';

/** One second of a run in figures for people. */
export function secondToMessage(sample: Sample): SecondMessage {
  const { counts, traffic, errors } = sample;
  const dropped = DROP_CAUSES.map((cause) => [cause, counts.dropped[cause]] as const).filter(([, count]) => count > 0);
  const failures = ERROR_CLASSES.flatMap((name) => {
    const count = errors[name]?.count ?? 0;
    return count === 0 ? [] : [[name, String(count)] as const];
  });
  return {
    second: String(sample.second),
    durationUs: String(Math.round(sample.durationMs * 1000)),
    target: sample.target,
    scheduled: String(counts.scheduled),
    started: String(counts.started),
    ok: String(counts.ok),
    failed: String(counts.unwritten + counts.failed + counts.aborted + counts.unknown),
    dropped: String(dropped.reduce((sum, [, count]) => sum + count, 0)),
    droppedByCause: Object.fromEntries(dropped.map(([cause, count]) => [cause, String(count)])),
    errors: Object.fromEntries(failures),
    statusCodes: Object.fromEntries(Object.entries(sample.statusCodes).map(([code, count]) => [code, String(count)])),
    response: latencyOf(sample, 'responseOk', 'responseFailed'),
    service: latencyOf(sample, 'serviceOk', 'serviceFailed'),
    inFlight: String(sample.inFlight),
    queued: String(sample.queued),
    connections: String(sample.connections),
    users: String(sample.users),
    bytesIn: String(traffic.bytesIn),
    bytesOut: String(traffic.bytesOut),
  };
}

function latencyOf({ histograms }: Sample, ...names: HistogramName[]): LatencyMessage | null {
  const histogram = new Histogram();
  for (const name of names) {
    const encoded = histograms[name];
    if (encoded !== undefined) histogram.mergeEncoded(encoded);
  }
  if (histogram.count === 0) return null;
  const us = (percent: number): string => String(Math.round(histogram.percentile(percent)));
  return {
    count: String(histogram.count),
    p50Us: us(50),
    p90Us: us(90),
    p99Us: us(99),
    maxUs: String(Math.round(histogram.maxUs)),
  };
}
