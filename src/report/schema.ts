import * as z from 'zod';
import { DROP_CAUSES, ERROR_CLASSES } from '../task/sample.ts';
import { taskJsonSchema, type TaskInput } from '../task/schema.ts';
import { clusterSchema } from './schema-cluster.ts';
import { REASON_CODES, VERDICTS } from './verdict.ts';

/**
 * The shape of a report: the one source of the type `Report`, of report.schema.json, and of what `-o json` prints.
 * Within a schema version fields are only added; readers ignore what they do not know.
 */
export const SCHEMA_VERSION = 1;

/** Percentiles of every summary, by the nearest-rank rule on merged histograms (relative error at most 0.1 %). */
export const PERCENTILES = ['p50', 'p75', 'p90', 'p95', 'p99', 'p99.9', 'p99.99'] as const;
export type PercentileName = (typeof PERCENTILES)[number];

const count = z.int().min(0);
const ms = z.number().min(0);
const share = z.number().min(0).max(1);
const perSecond = z.number().min(0);

const counts = z
  .object({
    scheduled: count.describe('Hits whose instant came; closed model: that a user began.'),
    started: count,
    dropped: z.object(keyed(DROP_CAUSES, count)).describe('Never started, by cause.'),
    cancelled: count.describe('Queued, and never started because the run was stopped.'),
    unwritten: count.describe('Started, but no byte of the request was written: DNS, connect or TLS failed.'),
    written: count,
    ok: count.describe('Answered in full, all checks passed.'),
    failed: count.describe('Written and: answered but a check failed, or not answered in full.'),
    aborted: count.describe('Written and given up at the end of the run.'),
    unknown: count.describe('Written and then lost with their worker.'),
    answered: count.describe('Answered in full: ok, or failed by a check or the status.'),
    unmeasured: count
      .default(0)
      .describe('Of the answered: the latency was given up, since a worker had no room for more results.'),
    redirects: count.describe('Requests sent on top of `written` to follow redirects.'),
  })
  .meta({ id: 'counts' });

const latency = z
  .object({
    count: count.min(1),
    minMs: ms,
    meanMs: ms,
    stddevMs: ms,
    maxMs: ms,
    percentilesMs: z.object(keyed(PERCENTILES, ms)),
  })
  .meta({ id: 'latency', description: 'Summary of one merged histogram.' });

const boundedMs = z.union([ms, z.object({ atLeastMs: ms })]).meta({
  id: 'boundedMs',
  description:
    'Milliseconds, or, when it falls on a hit without an answer, the least that it can be said to be: the slowest answer, or the timeout that was waited for.',
});

const allScheduled = z
  .object({
    count: count.min(1).describe('answered + unanswered.'),
    answered: count,
    unanswered: count.describe('Dropped, cancelled, failed without an answer, timed out, aborted or unknown.'),
    minMs: ms.nullable().describe('null: none was answered.'),
    meanMs: ms.nullable().describe('null: some were not answered.'),
    stddevMs: ms.nullable().describe('null: some were not answered.'),
    maxMs: boundedMs,
    percentilesMs: z.object(keyed(PERCENTILES, boundedMs)),
  })
  .meta({ id: 'allScheduled' });

const row = z
  .object({
    second: count.describe('First second of the row, from the start of the run.'),
    durationMs: ms.describe('Time that the row covers.'),
    target: z.number().min(0).describe('Hits per second, or users; the mean of the row.'),
    scheduled: count,
    started: count,
    ok: count,
    notOk: count.describe('Started hits that ended otherwise than ok, without an answer too.'),
    dropped: count,
    responseP50Ms: ms
      .nullable()
      .describe('Of the answered hits of this row, ok and failed; null: none, or closed model.'),
    responseP99Ms: ms.nullable(),
    serviceP50Ms: ms.nullable(),
    serviceP99Ms: ms.nullable(),
    queued: count.describe('Gauges are those at the end of a second; of several seconds the highest.'),
    inFlight: count,
    connections: count,
    users: count,
    bytesIn: count,
    bytesOut: count,
    utilisation: share.describe('Busy part of the busiest engine thread; of several seconds the highest.'),
    nodeCpu: share.nullable().describe('Busy part of the whole node; null: not known.'),
  })
  .meta({ id: 'row' });

const runSchema = z.object({
  startedAt: z.iso
    .datetime()
    .describe('When it was made ready; `durationMs` counts from its first instant, up to a second or two later.'),
  endedAt: z.iso.datetime(),
  durationMs: ms.describe('From the start of the plan to the last answer.'),
  warmupMs: ms.describe('Part of it that was warm-up.'),
  stop: z.object({ kind: z.enum(['completed', 'drained', 'aborted', 'running']), reason: z.string() }),
  client: z.string().describe('Protocol client that sent the hits.'),
  threads: count.nullable().describe('Engine threads; null: of several workers, not known.'),
  workers: count.nullable().describe('Nodes of a cluster that had a share; null: not run on a cluster.'),
  nodeVersion: z.string(),
});

const headline = z
  .object({
    scheduled: count,
    answered: count,
    answeredShare: share,
    okShare: share.describe('Of the scheduled.'),
    askedPerSecond: perSecond
      .nullable()
      .describe('Mean target of the plan in the rate window; null in the closed model.'),
    startedPerSecond: perSecond.describe(
      'In the rate window: the whole seconds between warm-up and end of the plan in which hits were scheduled.',
    ),
    answeredPerSecond: perSecond.describe('Over `measuredMs`.'),
    okPerSecond: perSecond.describe('Over `measuredMs`.'),
    measuredMs: ms.describe(
      'From the end of the warm-up to the end of the plan; of a run that its hits or a stop ended, to the last answer.',
    ),
    usersMax: count.nullable().describe('Most users that the plan asked for at a time; null in the open model.'),
  })
  .describe('Of the hits after the warm-up.');

const health = z
  .object({
    cpuSeconds: z.number().min(0).describe('Of all engine threads together.'),
    startedPerCpuSecond: perSecond.nullable(),
    utilisationMax: share.describe(
      'Busy part of the busiest engine thread in its busiest second; polling not counted.',
    ),
    loopDelayP99MaxMs: ms.describe(
      'Worst second. Answers may have been read that much late: the uncertainty of the latencies.',
    ),
    loopDelayMaxMs: ms,
    gcMaxMs: ms,
    gcTotalMs: ms,
    nodeCpuMax: share.nullable().describe('Busiest second of the whole node.'),
  })
  .describe('How the generator itself fared, warm-up included.');

/** A body of more bytes than this is told by its length alone. */
export const MAX_BODY_BYTES = 4_096;

/** As a user writes it; a long body is left out. */
export type ReportTask = Omit<TaskInput, 'request'> & {
  request: Omit<TaskInput['request'], 'body'> & { body?: TaskInput['request']['body'] | { omittedBytes: number } };
};
const reportTask = z.custom<ReportTask>((task) => typeof task === 'object' && task !== null);

export const reportSchema = z.object({
  schemaVersion: z.literal(SCHEMA_VERSION),
  createdBy: z.object({ name: z.literal('gostress'), version: z.string() }),
  task: reportTask,
  plan: z.object({
    model: z.enum(['open', 'closed']),
    text: z.string().describe('The load in words, as the task has it.'),
    retuned: z
      .string()
      .nullable()
      .describe('The load in words, as it was changed while the run went on; null: it was not.'),
  }),
  run: runSchema,
  headline,
  counts: counts.describe('All hits of the run, warm-up included.'),
  warmup: counts.describe('The part of `counts` that was scheduled in the warm-up.'),
  accounting: z.object({
    holds: z.boolean(),
    lines: z.array(z.string()).describe('The accounting identity with its numbers.'),
  }),
  cluster: clusterSchema.nullable().default(null).describe('What only a cluster has to tell; null: not run on one.'),
  latencies: z
    .object({
      hasSchedule: z.boolean().describe('false (closed model): no schedule, so response time is service time.'),
      allScheduled: allScheduled
        .nullable()
        .describe(
          'Response time over all scheduled hits (closed: all started), one without an answer counting as infinite.',
        ),
      responseOk: latency
        .nullable()
        .describe('From the scheduled instant to the last byte; null: none, or closed model.'),
      responseFailed: latency.nullable(),
      serviceOk: latency.nullable().describe('From the start of the hit to the last byte.'),
      serviceFailed: latency.nullable(),
    })
    .describe('Of the hits after the warm-up; failed: answered, but a check failed.'),
  lateness: latency.nullable().describe('Of the generator: scheduled instant to the start; null in the closed model.'),
  phases: z
    .object({
      dns: latency.nullable(),
      connect: latency.nullable(),
      tls: latency.nullable(),
      firstByte: latency.nullable(),
    })
    .describe('dns, connect, tls: of new connections. firstByte: from the request to the head of the answer.'),
  statusCodes: z.record(z.string(), count).describe('Answers by status code, warm-up included.'),
  errors: z
    .partialRecord(z.enum(ERROR_CLASSES), z.object({ count, examples: z.array(z.string()) }))
    .describe('Failed hits by class, warm-up included, with a few distinct messages.'),
  checks: z.record(z.string(), z.object({ passed: count, failed: count })).describe('Warm-up included.'),
  traffic: z.object({
    bytesIn: count.describe('On the wire, without TLS overhead, warm-up included.'),
    bytesOut: count,
    bytesInPerSecond: perSecond,
    bytesOutPerSecond: perSecond,
    connectionsOpened: count,
    connectionsMax: count.describe('Most connections open at the end of a second.'),
  }),
  drops: z
    .object({ count, share, hints: z.array(z.string()).describe('A sentence per cause: why, and what to try.') })
    .describe('Of the hits after the warm-up; the counts by cause are in `counts`.'),
  health,
  slos: z.array(
    z.object({
      text: z.string().describe('As the user wrote it.'),
      pass: z.boolean(),
      found: z.string().describe('In words.'),
      value: z
        .number()
        .nullable()
        .describe('ms, share or hits per second; null: infinite, or there was nothing to judge.'),
    }),
  ),
  verdict: z.object({
    verdict: z.enum(VERDICTS),
    reasons: z.array(
      z.object({ level: z.enum(['DEGRADED', 'INVALID']), code: z.enum(REASON_CODES), text: z.string() }),
    ),
  }),
  series: z
    .object({
      rowSeconds: count
        .min(1)
        .describe('Seconds of a row: 1, and twice as many each time when the rows would be too many.'),
      rows: z.array(row),
    })
    .describe('The run over time; percentiles of a row of several seconds are the highest of its seconds.'),
});

export type Report = z.infer<typeof reportSchema>;
export type LatencySummary = z.infer<typeof latency>;
export type AllScheduledSummary = z.infer<typeof allScheduled>;
export type BoundedMs = z.infer<typeof boundedMs>;
export type Headline = z.infer<typeof headline>;
export type SeriesRow = z.infer<typeof row>;
export type SloResult = Report['slos'][number];

/** JSON Schema (draft 2020-12) of a report; report.schema.json is this. */
export function reportJsonSchema(): object {
  return {
    title: 'GoStress report',
    ...z.toJSONSchema(reportSchema, {
      io: 'input',
      target: 'draft-2020-12',
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => {
        if (zodSchema === reportTask) Object.assign(jsonSchema, reportTaskJsonSchema());
      },
    }),
  };
}

function reportTaskJsonSchema(): object {
  const task = structuredClone(taskJsonSchema()) as TaskJsonSchema;
  delete task.$schema;
  task.description = 'The task that ran, as a task file has it, secrets masked; what is as by default is left out.';
  task.properties.request.properties.body.properties.omittedBytes = {
    description: `Instead of the body: its length, when it has more than ${MAX_BODY_BYTES} bytes`,
    type: 'integer',
  };
  return task;
}

/** The part of the task's schema that is changed. */
interface TaskJsonSchema {
  $schema?: string;
  description: string;
  properties: { request: { properties: { body: { properties: Record<string, object> } } } };
}

function keyed<const K extends string, T>(keys: readonly K[], type: T): Record<K, T> {
  return Object.fromEntries(keys.map((key) => [key, type])) as Record<K, T>;
}
