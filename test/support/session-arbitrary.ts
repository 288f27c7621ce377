import fc from 'fast-check';
import { ROLES, type NodeRecord, type ToMaster, type ToWorker } from '../../src/cluster/ports.ts';
import { STRESS, type StressHello, type StressToMaster, type StressToWorker } from '../../src/stress/ports.ts';
import type { Plan, Share } from '../../src/task/plan.ts';
import type { PreparedTask } from '../../src/task/spec.ts';
import { taskArbitrary } from './task-arbitrary.ts';

/** Every message of the worker stream, far corners included. */

const rowId = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const count = fc.oneof(fc.nat(1000), fc.maxSafeNat());
const double = fc.double({ noNaN: true, noDefaultInfinity: true });
const words = fc.string({ unit: 'binary', maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 300 });
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/).filter((text) => text !== STRESS && text !== 'constructor');

const node: fc.Arbitrary<NodeRecord> = fc.record({
  nodeId: name,
  incarnation: count,
  address: words,
  roles: fc.subarray([...ROLES]),
  priority: double,
  labels: fc.dictionary(name, words, { noNullPrototype: true }),
  seq: count,
  version: words,
});

const share: fc.Arbitrary<Share> = fc.record({ weight: double, of: double, phase: double });

const plan: fc.Arbitrary<Plan> = fc.record({
  model: fc.constantFrom('open' as const, 'closed' as const),
  segments: fc.array(
    fc.record({
      startMs: double,
      endMs: fc.oneof(fc.double({ min: 0, noNaN: true }), fc.constant(Infinity)),
      from: double,
      to: double,
    }),
    { minLength: 1, maxLength: 4 },
  ),
});

const task: fc.Arbitrary<PreparedTask> = fc
  .record({
    spec: taskArbitrary,
    other: orNull(bytes),
    isInline: fc.boolean(),
    tls: fc.record({ ca: orNull(words), cert: orNull(words), key: orNull(words) }),
  })
  .map(({ spec, other, isInline, tls }) => {
    const inline = spec.request.body;
    if (!isInline || inline === null) return { spec, body: other, tls };
    if (inline.kind === 'text') return { spec, body: new Uint8Array(Buffer.from(inline.text)), tls };
    if (inline.kind === 'base64') return { spec, body: new Uint8Array(Buffer.from(inline.base64, 'base64')), tls };
    return { spec, body: other, tls };
  });

const key = { runId: rowId, assignment: count };
const version = { version: count, epoch: count };

const acknowledgement = fc.record({
  type: fc.constantFrom('assignAck' as const, 'retuneAck' as const),
  ...key,
  ...version,
  error: orNull(words),
});

const samples = fc.record({ runId: rowId, assignment: count, incarnation: count }).chain((of) =>
  fc
    .array(
      fc.record({
        seq: count,
        second: count,
        digest: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        data: bytes,
      }),
      { maxLength: 4 },
    )
    .map((list) => ({ type: 'samples' as const, ...of, samples: list.map((one) => ({ ...of, ...one })) })),
);

export const stressToMaster: fc.Arbitrary<StressToMaster> = fc.oneof(
  acknowledgement,
  samples,
  fc.record({ type: fc.constant('stopped' as const), ...key, incarnation: count, finalSeq: count, why: words }),
);

export const stressToWorker: fc.Arbitrary<StressToWorker> = fc.oneof(
  fc.record({
    type: fc.constant('assign' as const),
    ...key,
    ...version,
    task,
    plan,
    share,
    hits: orNull(count),
    maxInFlight: count,
    maxQueue: count,
    planOffsetMs: double,
    startAfterMs: double,
    run: words,
  }),
  fc.record({
    type: fc.constant('retune' as const),
    ...key,
    ...version,
    plan,
    share,
    maxInFlight: count,
    maxQueue: count,
  }),
  fc.record({ type: fc.constant('stop' as const), ...key, version: count, graceMs: double, why: words }),
  fc.record({ type: fc.constant('ack' as const), ...key, incarnation: count, upTo: count, final: fc.boolean() }),
);

const stressHello: fc.Arbitrary<StressHello> = fc.record({
  running: fc.array(
    fc.record({
      ...key,
      ...version,
      incarnation: count,
      share,
      elapsedMs: double,
      lastSeq: count,
      ackedSeq: count,
      finalSeq: orNull(count),
    }),
    { maxLength: 3 },
  ),
  spilled: fc.array(fc.record({ ...key, incarnation: count, lastSeq: count }), { maxLength: 3 }),
});

const ofOther = fc.record({ type: fc.constant('driver' as const), driver: name, payload: bytes });

export const hello: fc.Arbitrary<ToMaster & { type: 'hello' }> = fc
  .record({
    node,
    maxTerm: count,
    drivers: fc.array(words, { maxLength: 3 }),
    others: fc.dictionary(name, bytes, { noNullPrototype: true, maxKeys: 3 }),
    stress: orNull(stressHello),
  })
  .map(({ others, stress, ...rest }) => ({
    type: 'hello',
    ...rest,
    state: { ...others, ...(stress !== null && { [STRESS]: stress }) },
  }));

/** Any but Hello. */
export const laterToMaster: fc.Arbitrary<ToMaster> = fc.oneof(
  fc.record({ type: fc.constant('ping' as const), clockMs: double }),
  fc
    .record({
      cpu: double,
      cores: double,
      memory: double,
      memoryTotalBytes: double,
      memoryFreeBytes: double,
      loopLagP99Ms: double,
      capacity: orNull(double),
      running: count,
    })
    .map((info) => ({ type: 'nodeInfo' as const, info })),
  fc.record({ type: fc.constant('leave' as const), why: words }),
  ofOther,
  stressToMaster.map((payload) => ({ type: 'driver' as const, driver: STRESS, payload })),
);

export const toWorker: fc.Arbitrary<ToWorker> = fc
  .tuple(
    fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    fc.oneof(
      fc.record({ type: fc.constant('welcome' as const), heartbeatMs: double }),
      fc.record({ type: fc.constant('heartbeat' as const), echoMs: orNull(double) }),
      fc.record({
        type: fc.constant('goAway' as const),
        why: words,
        nextAddress: orNull(words),
        nextTerm: orNull(count),
      }),
      ofOther,
      stressToWorker.map((payload) => ({ type: 'driver' as const, driver: STRESS, payload })),
    ),
  )
  .map(([term, message]) => ({ term, ...message }));
