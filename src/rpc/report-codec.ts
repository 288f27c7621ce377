import * as z from 'zod';
import { CodedError } from '../lib/errors.ts';
import type { RunReport } from '../stress/ports.ts';
import type { LatencyMessage, RunReportMessage } from './messages.ts';
import { runToMessage } from './run-codec.ts';
import { structToMessage } from './well-known.ts';

/** What of a report's document the API tells in fields of its own. */
const latency = z
  .object({
    count: z.number(),
    maxMs: z.number(),
    percentilesMs: z.object({ p50: z.number(), p90: z.number(), p99: z.number() }),
  })
  .nullable();
const headline = z.object({
  counts: z.object({
    scheduled: z.number(),
    started: z.number(),
    dropped: z.record(z.string(), z.number()),
    unwritten: z.number(),
    ok: z.number(),
    failed: z.number(),
    aborted: z.number(),
    unknown: z.number(),
    answered: z.number(),
  }),
  headline: z.object({ startedPerSecond: z.number(), okPerSecond: z.number() }),
  latencies: z.object({ responseOk: latency, serviceOk: latency }),
  slos: z.array(z.object({ text: z.string(), pass: z.boolean(), found: z.string() })),
  verdict: z.object({
    verdict: z.enum(['VALID', 'DEGRADED', 'INVALID']),
    reasons: z.array(z.object({ text: z.string() })),
  }),
});

/** @throws CodedError INTERNAL when the document is no report */
export function reportToMessage({ run, complete, report }: RunReport): RunReportMessage {
  const read = headline.safeParse(report);
  if (!read.success) throw new CodedError('INTERNAL', `report: ${z.prettifyError(read.error)}`);
  const { counts, headline: rates, latencies, slos, verdict } = read.data;
  return {
    run: runToMessage(run, true),
    complete,
    verdict: verdict.verdict,
    verdictReasons: verdict.reasons.map(({ text }) => text),
    scheduled: String(counts.scheduled),
    started: String(counts.started),
    answered: String(counts.answered),
    ok: String(counts.ok),
    failed: String(counts.unwritten + counts.failed + counts.aborted + counts.unknown),
    dropped: String(Object.values(counts.dropped).reduce((sum, count) => sum + count, 0)),
    unknown: String(counts.unknown),
    startedPerSecond: rates.startedPerSecond,
    okPerSecond: rates.okPerSecond,
    responseOk: latencyToMessage(latencies.responseOk),
    serviceOk: latencyToMessage(latencies.serviceOk),
    slos,
    report: structToMessage(report),
  };
}

function latencyToMessage(summary: z.infer<typeof latency>): LatencyMessage | null {
  if (summary === null) return null;
  const us = (ms: number): string => String(Math.round(ms * 1000));
  const { p50, p90, p99 } = summary.percentilesMs;
  return { count: String(summary.count), p50Us: us(p50), p90Us: us(p90), p99Us: us(p99), maxUs: us(summary.maxMs) };
}
