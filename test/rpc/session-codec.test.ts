import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ToWorker } from '../../src/cluster/ports.ts';
import { loadProto } from '../../src/rpc/loader.ts';
import { BodyReceiver } from '../../src/rpc/session-body.ts';
import {
  decodeToMaster,
  decodeToWorker,
  encodeBodyPart,
  encodeToMaster,
  encodeToWorker,
} from '../../src/rpc/session-codec.ts';
import { hello, laterToMaster, toWorker } from '../support/session-arbitrary.ts';

interface Wire {
  Session: { requestSerialize(wire: object): Buffer; responseSerialize(wire: object): Buffer };
}
const { Session: wire } = loadProto('gostress/v1/session.proto')[
  'gostress.v1.internal.WorkerService'
] as object as Wire;

/** There and back, a body in parts of some size included. */
function received(message: ToWorker, partBytes = 100_000): ToWorker | null {
  const { bytes, body } = encodeToWorker(message);
  const receiver = new BodyReceiver();
  let whole = receiver.take(decodeToWorker(bytes));
  for (let at = 0; body !== null && at < body.length; at += partBytes) {
    expect(whole).toBeNull();
    whole = receiver.take(decodeToWorker(encodeBodyPart(message.term, body.subarray(at, at + partBytes))));
  }
  return whole;
}

/** What the codec says of a message that is made field by field. */
function fromWorker(message: object): () => unknown {
  return () => decodeToMaster(wire.requestSerialize(message));
}
function fromMaster(message: object): () => unknown {
  return () => decodeToWorker(wire.responseSerialize(message));
}

describe('every message', () => {
  test('of a worker arrives as it was sent', () => {
    fc.assert(
      fc.property(fc.oneof(hello, laterToMaster), (message) => {
        expect(decodeToMaster(encodeToMaster(message))).toEqual(message);
      }),
      { numRuns: 1000 },
    );
  });

  test('of the master arrives as it was sent', () => {
    fc.assert(
      fc.property(toWorker, (message) => {
        expect(received(message)).toEqual(message);
      }),
      { numRuns: 1000 },
    );
  });

  test('of random bytes is refused as bad input or read, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        for (const decode of [decodeToMaster, decodeToWorker]) {
          try {
            decode(Buffer.from(bytes));
          } catch (error) {
            expect(error).toMatchObject({ code: 'INVALID_INPUT' });
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

const request = { method: 'POST', url: 'http://localhost/', headers: [] };
/** As far as the codec looks. */
const spec = {
  name: 'a',
  request,
  load: { stages: [] },
  connections: {},
  timeouts: {},
  redirects: {},
  tls: {},
  checks: [],
  slos: [],
};

describe('a body that the spec holds', () => {
  const assign = (body: object, bytes: Uint8Array) =>
    ({
      term: 1,
      type: 'driver',
      driver: 'stress',
      payload: {
        type: 'assign',
        runId: 1n,
        assignment: 1,
        version: 1,
        epoch: 1,
        task: {
          spec: { ...spec, request: { ...request, body } },
          body: bytes,
          tls: { ca: null, cert: null, key: null },
        },
        plan: { model: 'open', segments: [{ startMs: 0, endMs: 1, from: 1, to: 1 }] },
        share: { weight: 1, of: 1, phase: 0 },
        hits: null,
        maxInFlight: 1,
        maxQueue: 1,
        planOffsetMs: 0,
        startAfterMs: 0,
        run: '',
      },
    }) as ToWorker;
  const size = 1_000_000;
  const content = Buffer.alloc(size, '"');

  test.each([
    ['as text', { kind: 'text', text: content.toString() }],
    ['as base64', { kind: 'base64', base64: content.toString('base64') }],
  ])('%s travels once', (_, body) => {
    const message = assign(body, new Uint8Array(content));
    const { bytes, body: following } = encodeToWorker(message);
    expect(bytes.length).toBeLessThan(2000);
    expect(following?.length).toBe(size);
    expect(received(message)).toEqual(message);
  });

  test('comes in parts, between which only heartbeats may come', () => {
    const message = assign({ kind: 'text', text: content.toString() }, new Uint8Array(content));
    const { bytes, body } = encodeToWorker(message);
    const part = (from: number, to?: number) => decodeToWorker(encodeBodyPart(1, body!.subarray(from, to)));
    const heartbeat: ToWorker = { term: 1, type: 'heartbeat', echoMs: 1 };
    const welcome: ToWorker = { term: 1, type: 'welcome', heartbeatMs: 1 };
    const started = () => {
      const receiver = new BodyReceiver();
      receiver.take(decodeToWorker(bytes));
      receiver.take(part(0, 400_000));
      return receiver;
    };
    const good = started();
    expect(good.take({ type: 'message', message: heartbeat })).toEqual(heartbeat);
    expect(good.take(part(400_000))).toEqual(message);
    expect(good.take({ type: 'message', message: welcome })).toEqual(welcome);
    expect(() => started().take({ type: 'message', message: welcome })).toThrow(
      'body_part: expected 600000 bytes more, found welcome',
    );
    expect(() => started().take(decodeToWorker(bytes))).toThrow('body_part: expected 600000 bytes more, found assign');
    expect(() => started().take(part(0, 600_001))).toThrow(
      'body_part: expected at most 600000 bytes more, found 600001',
    );
    expect(() => new BodyReceiver().take(part(0, 1))).toThrow('body_part: expected at most 0 bytes more, found 1');
  });

  test('in another way than the bytes say travels as it is', () => {
    const message = assign({ kind: 'base64', base64: 'eA' }, new Uint8Array(Buffer.from('x')));
    expect(received(message)).toEqual(message);
  });
});

describe('a malformed message is refused with the name of the field', () => {
  const node = { nodeId: 'a', incarnation: '1', address: 'a:1' };
  const samples = { runId: '1', assignment: '1', incarnation: '1' };
  const goodTask = { specJson: '{}', inlineBody: 'INLINE_BODY_UNSPECIFIED' };
  const goodPlan = { model: 'MODEL_OPEN', segments: [{ startMs: 0, endMs: 1 }] };
  const share = { weight: 1, of: 1, phase: 0 };

  test.each<[string, object, string]>([
    ['no message at all', {}, 'message: expected one of hello, ping, node_info'],
    ['no node', { hello: {} }, 'hello.node: expected a map, found nothing'],
    ['no node id', { hello: { node: { ...node, nodeId: '' } } }, 'hello.node.node_id: expected at least 1'],
    [
      'an unknown role',
      { hello: { node: { ...node, roles: [9] } } },
      'hello.node.roles[0]: expected "ROLE_WORKER" or "ROLE_CANDIDATE" or "ROLE_SENTINEL", found 9',
    ],
    [
      'a count past 2^53',
      { hello: { node, maxTerm: '9007199254740992' } },
      'hello.max_term: expected a whole number below 2^53, found 9007199254740992',
    ],
    ['a clock that is no number', { ping: { clockMs: NaN } }, 'ping.clock_ms: expected a number, found NaN'],
    [
      'a short digest',
      { samples: { ...samples, samples: [{ seq: '1', digest: Buffer.alloc(3) }] } },
      'samples.samples[0].digest: expected 16 bytes',
    ],
    [
      'stress messages as another driver’s',
      { custom: { driver: 'stress' } },
      'custom.driver: expected another driver than stress',
    ],
  ])('of a worker: %s', (_, message, problem) => {
    expect(fromWorker(message)).toThrow(problem);
  });

  test.each<[string, object, string]>([
    ['no term', { heartbeat: {} }, 'term: expected a term from 1 on, found 0'],
    ['no task', { term: 1, assign: { plan: goodPlan, share } }, 'assign.task: expected a map, found nothing'],
    [
      'a spec that is no JSON',
      { term: 1, assign: { task: { ...goodTask, specJson: '{' }, plan: goodPlan, share } },
      'assign.task.spec_json: expected JSON, found "{"',
    ],
    [
      'a spec that is none',
      { term: 1, assign: { task: goodTask, plan: goodPlan, share } },
      'assign.task.spec_json.name: expected text, found nothing',
    ],
    [
      'a plan without segments',
      { term: 1, retune: { plan: { model: 'MODEL_OPEN' }, share } },
      'retune.plan.segments: expected at least 1 items',
    ],
    ['a plan without model', { term: 1, retune: { plan: { segments: [{}] }, share } }, 'retune.plan.model: expected'],
    [
      'a segment that ends before all time',
      { term: 1, retune: { plan: { ...goodPlan, segments: [{ endMs: -1 }] }, share } },
      'retune.plan.segments[0].end_ms: expected milliseconds from 0 on',
    ],
    [
      'a body that is too large',
      {
        term: 1,
        assign: {
          task: { ...goodTask, specJson: JSON.stringify(spec), followingBodyBytes: '67108865' },
          plan: goodPlan,
          share,
        },
      },
      'assign.task.following_body_bytes: expected at most 67108864 bytes',
    ],
    ['an empty part of a body', { term: 1, bodyPart: {} }, 'body_part.data: expected at least 1 byte, found none'],
    ['no share', { term: 1, retune: { plan: goodPlan } }, 'retune.share: expected a map, found nothing'],
  ])('of the master: %s', (_, message, problem) => {
    expect(fromMaster(message)).toThrow(problem);
  });

  test('bytes that are no message', () => {
    expect(() => decodeToMaster(Buffer.from('ffffff', 'hex'))).toThrow('expected a message of session.proto');
  });
});

describe('what cannot travel is refused at the sender', () => {
  test('a payload of a driver that is no Uint8Array', () => {
    const message = { term: 1, type: 'driver', driver: 'mine', payload: { a: 1 } } as const;
    expect(() => encodeToWorker(message)).toThrow(
      'driver "mine": expected messages and state to be a Uint8Array, found a map',
    );
  });

  test('a sample of another assignment than its message’s', () => {
    const sample = { seq: 1, second: 0, digest: new Uint8Array(16), data: new Uint8Array(1) };
    const key = { runId: 1n, assignment: 1, incarnation: 1 };
    const payload = { type: 'samples', ...key, samples: [{ ...key, ...sample, incarnation: 2 }] };
    expect(() => encodeToMaster({ type: 'driver', driver: 'stress', payload })).toThrow(
      'samples: expected those of run 1, assignment 1, incarnation 1, found others too',
    );
  });
});
