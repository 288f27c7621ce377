import type { MethodDefinition } from '@grpc/grpc-js';
import * as z from 'zod';
import { ROLES, type NodeRecord, type Role, type ToMaster, type ToWorker } from '../cluster/ports.ts';
import { invalid } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { STRESS, type StressHello, type StressToMaster, type StressToWorker } from '../stress/ports.ts';
import { describeIssue, formatPath, problemsOf } from '../task/problems.ts';
import { loadProto } from './loader.ts';
import { bytes, completeTask, count, followingBody, number, optional, type InlineBody } from './session-fields.ts';
import {
  STRESS_TO_MASTER,
  STRESS_TO_WORKER,
  stressHello,
  stressHelloToWire,
  stressToMasterToWire,
  stressToWorkerToWire,
} from './session-stress.ts';

/**
 * The messages of the worker stream, model ↔ bytes of session.proto. What comes is checked field by field; what goes is
 * checked by its type, and where the type says nothing (a driver's payload) here.
 */

interface SessionMethod {
  Session: MethodDefinition<object, object>;
}

const { Session: method } = loadProto('gostress/v1/session.proto')[
  'gostress.v1.internal.WorkerService'
] as SessionMethod & object;

/** `/package.Service/Method` */
export const SESSION_PATH = method.path;

// --- Fields --------------------------------------------------------------------------------------------------------

const ROLE_NAMES = { ROLE_WORKER: 'worker', ROLE_CANDIDATE: 'candidate', ROLE_SENTINEL: 'sentinel' } as const;
const role = z.enum(['ROLE_WORKER', 'ROLE_CANDIDATE', 'ROLE_SENTINEL']).transform((name): Role => ROLE_NAMES[name]);

const node: z.ZodType<NodeRecord> = z.object({
  nodeId: z.string().min(1),
  incarnation: count,
  address: z.string(),
  roles: z.array(role).max(ROLES.length),
  priority: number,
  labels: z.record(z.string(), z.string()),
  seq: count,
  version: z.string(),
});

function nodeToWire({ roles, ...record }: NodeRecord): object {
  return { ...record, roles: roles.map((name) => `ROLE_${name.toUpperCase()}`) };
}

const custom = z.object({
  driver: z.string().refine((name) => name !== '' && name !== STRESS, `expected another driver than ${STRESS}`),
  payload: bytes,
});

/** @throws TypeError when the payload is no Uint8Array */
function customToWire(driver: string, payload: unknown): object {
  if (payload instanceof Uint8Array) return { driver, payload };
  throw new TypeError(`driver ${show(driver)}: expected messages and state to be a Uint8Array, found ${show(payload)}`);
}

const ofDriver = custom.transform((message) => ({ type: 'driver' as const, ...message }));

// --- Worker to master ----------------------------------------------------------------------------------------------

/** The last message of a worker that closes its link; the link's own, not the kit's. */
export interface SessionEnd {
  type: 'end';
  why: string;
}

/** By the field of WorkerMessage. */
const TO_MASTER: Readonly<Record<string, z.ZodType<ToMaster | SessionEnd>>> = {
  hello: z
    .object({
      node,
      maxTerm: count,
      drivers: z.array(z.string()),
      stress: stressHello.nullable(),
      states: z.array(custom),
    })
    .transform(({ stress, states, ...fields }) => {
      const entries = states.map(({ driver, payload }): [string, unknown] => [driver, payload]);
      if (stress !== null) entries.push([STRESS, stress]);
      return { type: 'hello', ...fields, state: Object.fromEntries(entries) };
    }),
  ping: z.object({ clockMs: number }).transform((fields) => ({ type: 'ping', ...fields })),
  nodeInfo: z
    .object({
      cpu: number,
      cores: number,
      memory: number,
      memoryTotalBytes: number,
      memoryFreeBytes: number,
      loopLagP99Ms: number,
      capacity: optional(number),
      running: count,
    })
    .transform((info) => ({ type: 'nodeInfo', info })),
  leave: z.object({ why: z.string() }).transform((fields) => ({ type: 'leave', ...fields })),
  end: z.object({ why: z.string() }).transform((fields) => ({ type: 'end', ...fields })),
  custom: ofDriver,
  ...STRESS_TO_MASTER,
};

/** @throws TypeError, RangeError when a driver's payload cannot travel */
export function encodeToMaster(message: ToMaster | SessionEnd): Buffer {
  return method.requestSerialize(toMasterWire(message));
}

function toMasterWire(message: ToMaster | SessionEnd): object {
  switch (message.type) {
    case 'hello': {
      const { node: record, maxTerm, drivers, state } = message;
      const { [STRESS]: stress, ...others } = state;
      const states = Object.entries(others)
        .filter(([, payload]) => payload !== undefined)
        .map(([driver, payload]) => customToWire(driver, payload));
      const stressState = stress === undefined ? null : stressHelloToWire(stress as StressHello);
      return { hello: { node: nodeToWire(record), maxTerm, drivers, stress: stressState, states } };
    }
    case 'nodeInfo':
      return { nodeInfo: message.info };
    case 'driver':
      return message.driver === STRESS
        ? stressToMasterToWire(message.payload as StressToMaster)
        : { custom: customToWire(message.driver, message.payload) };
    case 'ping':
    case 'leave':
    case 'end':
      return { [message.type]: message };
  }
}

/** @throws CodedError INVALID_INPUT naming the field */
export function decodeToMaster(encoded: Buffer): ToMaster | SessionEnd {
  return decodeOne(
    read(() => method.requestDeserialize(encoded)),
    TO_MASTER,
  );
}

// --- Master to worker ----------------------------------------------------------------------------------------------

/** By the field of MasterMessage, without the term. */
const TO_WORKER: Readonly<Record<string, z.ZodType<WithoutTerm<ToWorker>>>> = {
  welcome: z.object({ heartbeatMs: number }).transform((fields) => ({ type: 'welcome', ...fields })),
  heartbeat: z.object({ echoMs: optional(number) }).transform((fields) => ({ type: 'heartbeat', ...fields })),
  goAway: z
    .object({ why: z.string(), nextAddress: optional(z.string()), nextTerm: optional(count) })
    .transform((fields) => ({ type: 'goAway', ...fields })),
  custom: ofDriver,
  ...STRESS_TO_WORKER,
};

type WithoutTerm<Message> = Message extends unknown ? Omit<Message, 'term'> : never;

const masterTerm = z.object({ term: count.refine((term) => term > 0, 'expected a term from 1 on, found 0') });

/** A message for a worker; `body` is to follow in parts, see `encodeBodyPart`. */
export interface EncodedToWorker {
  bytes: Buffer;
  body: Uint8Array | null;
}

/** @throws TypeError when a driver's payload cannot travel */
export function encodeToWorker(message: ToWorker): EncodedToWorker {
  const bytes = method.responseSerialize({ term: message.term, ...toWorkerWire(message) });
  return { bytes, body: isAssign(message) ? followingBody(message.payload.task) : null };
}

export function encodeBodyPart(term: number, data: Uint8Array): Buffer {
  return method.responseSerialize({ term, bodyPart: { data } });
}

function toWorkerWire(message: ToWorker): object {
  if (message.type !== 'driver') return { [message.type]: message };
  return message.driver === STRESS
    ? stressToWorkerToWire(message.payload as StressToWorker)
    : { custom: customToWire(message.driver, message.payload) };
}

interface AssignMessage {
  term: number;
  type: 'driver';
  driver: string;
  payload: StressToWorker & { type: 'assign' };
}

function isAssign(message: ToWorker): message is AssignMessage {
  const isOfStress = message.type === 'driver' && message.driver === STRESS;
  return isOfStress && (message.payload as StressToWorker).type === 'assign';
}

/** What the master sends: a message, one whose body follows, or a part of that body. */
export type FromMaster =
  | { type: 'message'; message: ToWorker }
  | { type: 'head'; bodyBytes: number; complete: (body: Uint8Array) => ToWorker }
  | { type: 'part'; data: Uint8Array };

const bodyPart = z.object({ data: bytes.refine((data) => data.length > 0, 'expected at least 1 byte, found none') });
const followed = z.object({ followingBodyBytes: count, inlineBody: z.custom<InlineBody>() });

/** @throws CodedError INVALID_INPUT naming the field */
export function decodeToWorker(encoded: Buffer): FromMaster {
  const wire: Wire = read(() => method.responseDeserialize(encoded));
  const { term } = check(masterTerm, wire, []);
  if (wire.message === 'bodyPart') {
    return { type: 'part', data: check(bodyPart, wire.bodyPart, ['bodyPart']).data };
  }
  const message: ToWorker = { term, ...decodeOne(wire, TO_WORKER) };
  if (!isAssign(message)) return { type: 'message', message };
  const { payload } = message;
  const { followingBodyBytes, inlineBody } = check(followed, (wire.assign as Wire).task, ['assign', 'task']);
  if (followingBodyBytes === 0) return { type: 'message', message };
  return {
    type: 'head',
    bodyBytes: followingBodyBytes,
    complete: (body) => ({ ...message, payload: { ...payload, task: completeTask(payload.task, inlineBody, body) } }),
  };
}

// --- Both ----------------------------------------------------------------------------------------------------------

type Wire = Readonly<Record<string, unknown>>;

function read(deserialize: () => object): Wire {
  try {
    return deserialize() as Wire;
  } catch (error) {
    throw invalid('expected a message of session.proto, found bytes that are none', error);
  }
}

/** Reads the one field that is set. */
function decodeOne<Message>(wire: Wire, readers: Readonly<Record<string, z.ZodType<Message>>>): Message {
  const name = typeof wire.message === 'string' ? wire.message : null;
  const reader = name === null ? undefined : readers[name];
  if (name === null || reader === undefined) {
    throw invalid(`message: expected one of ${Object.keys(readers).map(snakeCase).join(', ')}, found none of them`);
  }
  return check(reader, wire[name], [name]);
}

function check<Output>(schema: z.ZodType<Output>, value: unknown, at: readonly string[]): Output {
  const result = schema.safeParse(value, { error: describeIssue });
  if (result.success) return result.data;
  const { path, message } = problemsOf(result.error.issues, at)[0]!;
  throw invalid(`${snakeCase(formatPath(path))}: ${message}`);
}

/** Names as session.proto has them. */
function snakeCase(path: string): string {
  return path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
