import {
  Metadata,
  status,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type MethodDefinition,
  type ServerWritableStream,
  type ServiceDefinition,
  type StatusObject,
} from '@grpc/grpc-js';
import { CodedError, errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { StressApi } from '../stress/ports.ts';
import { HOP } from './channel.ts';
import { isServiceError, toStatus } from './errors.ts';
import { loadProto } from './loader.ts';
import { Forwarder, until, unavailable, within, type Route } from './route.ts';
import { checkKnown, messageType } from './schema.ts';

/** Calls of the public services: bytes in, bytes out; here on the master, or forwarded to it. */

/** Of each call that is no stream, when its client has not set a shorter one. */
export const DEFAULT_DEADLINE_MS = 10_000;
/** Part of the client's own deadline that a call may use, so that the client hears why. */
const DEADLINE_PART = 0.9;

export interface CallContext {
  route: Route;
  forwarder: Forwarder;
  log: Log;
  /** Aborts when the server closes; its reason is a CodedError. */
  closing: AbortSignal;
}

/** A message as proto-loader gives it. */
type Wire = object;

/** A method that answers once, on the master. */
export type Unary = (request: never, api: StressApi) => Promise<Wire>;

/** What a streaming method gets. */
export interface StreamCall {
  /** The request as it came. */
  bytes: Buffer;
  /** Aborts when the client goes, or the server closes. */
  signal: AbortSignal;
  /** The node that forwarded it; null: it came from a client. */
  cameBy: string | null;
  method: MethodDefinition<Wire, Wire>;
}
export type Streaming = (request: never, call: StreamCall) => AsyncIterable<Buffer>;

export interface Service {
  definition: Record<string, ServiceDefinition[string]>;
  implementation: Record<string, handleUnaryCall<Buffer, Buffer> | handleServerStreamingCall<Buffer, Buffer>>;
}

const asIs = (bytes: Buffer): Buffer => bytes;

/**
 * @param file e.g. `gostress/v1/task_service.proto`
 * @param name e.g. `TaskService`
 * @param unary by the method's name
 * @param noMaster a unary method's answer while there is no master, given why that is
 */
export function publicService(
  file: string,
  name: string,
  handlers: {
    unary: Record<string, Unary>;
    streaming: Record<string, Streaming>;
    noMaster?: Record<string, (why: string) => Wire | null>;
  },
  context: CallContext,
): Service {
  const loaded = loadProto(file)[`gostress.v1.${name}`] as Record<string, MethodDefinition<Wire, Wire>>;
  const service: Service = { definition: {}, implementation: {} };
  for (const [method, definition] of Object.entries(loaded)) {
    const raw = {
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    service.definition[method] = { ...definition, ...raw };
    const stream = handlers.streaming[method];
    const unary = handlers.unary[method];
    if (stream !== undefined) service.implementation[method] = streamHandler(definition, stream, context);
    else if (unary !== undefined) {
      service.implementation[method] = unaryHandler(definition, unary, handlers.noMaster?.[method] ?? null, context);
    } else throw new RangeError(`${name}: expected a handler for ${method}, found none`);
  }
  return service;
}

function unaryHandler(
  method: MethodDefinition<Wire, Wire>,
  handle: Unary,
  noMaster: ((why: string) => Wire | null) | null,
  context: CallContext,
): handleUnaryCall<Buffer, Buffer> {
  const { route, forwarder, log } = context;
  const run = async (bytes: Buffer, deadlineMs: number, cameBy: string | null): Promise<Buffer> => {
    const api = route.api();
    if (api !== null) {
      const request = decodeRequest(method, bytes);
      return method.responseSerialize(await within(handle(request as never, api), deadlineMs, nameOf(method)));
    }
    try {
      return await forwarder.unary(method.path, bytes, deadlineMs, cameBy);
    } catch (error) {
      const answer = cameBy === null && isUnavailable(error) ? (noMaster?.(whyOf(error)) ?? null) : null;
      if (answer === null) throw error;
      return method.responseSerialize(answer);
    }
  };
  return (call, callback) => {
    const deadlineMs = Math.min(DEFAULT_DEADLINE_MS, DEADLINE_PART * leftMs(call.getDeadline()));
    run(call.request, deadlineMs, hopOf(call.metadata)).then(
      (response) => callback(null, response),
      (error: unknown) => callback(statusOf(error, method, log)),
    );
  };
}

function streamHandler(
  method: MethodDefinition<Wire, Wire>,
  handle: Streaming,
  { log, closing }: CallContext,
): handleServerStreamingCall<Buffer, Buffer> {
  return (call) => {
    const gone = new AbortController();
    const cancel = (): void => gone.abort(unavailable('the caller has gone'));
    call.on('cancelled', cancel);
    call.on('close', cancel);
    const signal = AbortSignal.any([gone.signal, closing]);
    const run = async (): Promise<void> => {
      const request = decodeRequest(method, call.request);
      const source = handle(request as never, { bytes: call.request, signal, cameBy: hopOf(call.metadata), method });
      for await (const bytes of until(source, signal)) await write(call, bytes, signal);
    };
    run().then(
      () => call.end(),
      (error: unknown) => {
        if (!gone.signal.aborted) call.emit('error', statusOf(error, method, log));
      },
    );
  };
}

/** Resolves when there is room for more. */
async function write(call: ServerWritableStream<Buffer, Buffer>, bytes: Buffer, signal: AbortSignal): Promise<void> {
  if (call.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.on('drain', done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}

/** @throws CodedError INVALID_INPUT */
function decodeRequest(method: MethodDefinition<Wire, Wire>, bytes: Buffer): Wire {
  checkKnown(messageType(`${nameOf(method)}Request`), bytes);
  return method.requestDeserialize(bytes);
}

/** `CreateTask` */
function nameOf({ path }: MethodDefinition<Wire, Wire>): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function leftMs(deadline: Date | number): number {
  return Math.max(0, Number(deadline) - Date.now());
}

function hopOf(metadata: Metadata): string | null {
  const [hop] = metadata.get(HOP);
  return hop === undefined ? null : String(hop);
}

/** Here, or as the node says that was taken for the master. */
function isUnavailable(error: unknown): boolean {
  return isServiceError(error)
    ? error.code === status.UNAVAILABLE
    : error instanceof CodedError && error.code === 'UNAVAILABLE';
}

function whyOf(error: unknown): string {
  return isServiceError(error) ? error.details : errorMessage(error);
}

/** What the master said is said again; anything else is ours. */
function statusOf(error: unknown, method: MethodDefinition<Wire, Wire>, log: Log): StatusObject {
  if (isServiceError(error)) {
    const metadata = new Metadata();
    for (const value of error.metadata.get('grpc-status-details-bin')) metadata.add('grpc-status-details-bin', value);
    return { code: error.code, details: error.details, metadata };
  }
  const isOwn = !(error instanceof CodedError) || error.code === 'INTERNAL';
  if (isOwn) log.error({ err: error, method: method.path }, 'a call failed for a reason of our own');
  return toStatus(error);
}
