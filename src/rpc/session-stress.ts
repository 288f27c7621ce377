import * as z from 'zod';
import { STRESS, type StressHello, type StressToMaster, type StressToWorker } from '../stress/ports.ts';
import {
  assignmentKey,
  bytes,
  count,
  number,
  optional,
  plan,
  planToWire,
  share,
  task,
  taskToWire,
} from './session-fields.ts';

/** The messages of the driver `stress`, field by field. */

const DIGEST_BYTES = 16;

export interface StressMessage<Payload> {
  type: 'driver';
  driver: typeof STRESS;
  payload: Payload;
}

function ofStress<Payload>(payload: Payload): StressMessage<Payload> {
  return { type: 'driver', driver: STRESS, payload };
}

const acknowledgement = { ...assignmentKey, version: count, epoch: count, error: optional(z.string()) };

const sample = z.object({
  seq: count,
  second: count,
  digest: bytes.refine((digest) => digest.length === DIGEST_BYTES, `expected ${DIGEST_BYTES} bytes`),
  data: bytes,
});

/** By the field of WorkerMessage. */
export const STRESS_TO_MASTER: Readonly<Record<StressToMaster['type'], z.ZodType<StressMessage<StressToMaster>>>> = {
  assignAck: z.object(acknowledgement).transform((fields) => ofStress({ type: 'assignAck', ...fields })),
  retuneAck: z.object(acknowledgement).transform((fields) => ofStress({ type: 'retuneAck', ...fields })),
  samples: z
    .object({ ...assignmentKey, incarnation: count, samples: z.array(sample) })
    .transform(({ samples, ...key }) =>
      ofStress({ type: 'samples', ...key, samples: samples.map((one) => ({ ...key, ...one })) }),
    ),
  stopped: z
    .object({ ...assignmentKey, incarnation: count, finalSeq: count, why: z.string() })
    .transform((fields) => ofStress({ type: 'stopped', ...fields })),
};

/** By the field of MasterMessage. */
export const STRESS_TO_WORKER: Readonly<Record<StressToWorker['type'], z.ZodType<StressMessage<StressToWorker>>>> = {
  assign: z
    .object({
      ...assignmentKey,
      version: count,
      epoch: count,
      run: z.string(),
      task,
      plan,
      share,
      hits: optional(count),
      maxInFlight: count,
      maxQueue: count,
      planOffsetMs: number,
      startAfterMs: number,
    })
    .transform((fields) => ofStress({ type: 'assign', ...fields })),
  retune: z
    .object({ ...assignmentKey, version: count, epoch: count, plan, share, maxInFlight: count, maxQueue: count })
    .transform((fields) => ofStress({ type: 'retune', ...fields })),
  stop: z
    .object({ ...assignmentKey, version: count, graceMs: number, why: z.string() })
    .transform((fields) => ofStress({ type: 'stop', ...fields })),
  ack: z
    .object({ ...assignmentKey, incarnation: count, upTo: count, final: z.boolean() })
    .transform((fields) => ofStress({ type: 'ack', ...fields })),
};

/** @throws RangeError when a sample has another key than its message */
export function stressToMasterToWire({ type, ...fields }: StressToMaster): object {
  const wire = { ...fields, runId: String(fields.runId) };
  if ('samples' in fields) {
    const { runId, assignment, incarnation, samples } = fields;
    const isOfKey = (one: (typeof samples)[number]) =>
      one.runId === runId && one.assignment === assignment && one.incarnation === incarnation;
    if (!samples.every(isOfKey)) {
      throw new RangeError(
        `samples: expected those of run ${runId}, assignment ${assignment}, incarnation ${incarnation}, found others too`,
      );
    }
  }
  return { [type]: wire };
}

export function stressToWorkerToWire({ type, ...fields }: StressToWorker): object {
  return {
    [type]: {
      ...fields,
      runId: String(fields.runId),
      ...('task' in fields && { task: taskToWire(fields.task) }),
      ...('plan' in fields && { plan: planToWire(fields.plan) }),
    },
  };
}

const running = z.object({
  ...assignmentKey,
  version: count,
  epoch: count,
  incarnation: count,
  share,
  elapsedMs: number,
  lastSeq: count,
  ackedSeq: count,
  finalSeq: optional(count),
});

export const stressHello: z.ZodType<StressHello> = z.object({
  running: z.array(running),
  spilled: z.array(z.object({ ...assignmentKey, incarnation: count, lastSeq: count })),
});

export function stressHelloToWire({ running, spilled }: StressHello): object {
  const withId = <T extends { runId: bigint }>(item: T) => ({ ...item, runId: String(item.runId) });
  return { running: running.map(withId), spilled: spilled.map(withId) };
}
