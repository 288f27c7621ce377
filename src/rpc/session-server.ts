import {
  Metadata,
  status,
  type handleBidiStreamingCall,
  type ServerDuplexStream,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import type { Accept, Link, LinkClosed, LinkHandlers, ToMaster, ToWorker } from '../cluster/ports.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { decodeToMaster, encodeBodyPart, encodeToWorker, SESSION_PATH, type SessionEnd } from './session-codec.ts';
import { MAX_SESSION_MESSAGE_BYTES, MAX_WHY_LENGTH, NEWER_TERM } from './session-options.ts';
import { Outbox } from './session-outbox.ts';

/** A stream on which no Hello comes for this long is ended. */
const HELLO_DEADLINE_MS = 5_000;
/** After `close`, what was sent has this long to leave. */
const CLOSE_DEADLINE_MS = 2_000;

export interface SessionService {
  definition: ServiceDefinition;
  implementation: { session: handleBidiStreamingCall<Buffer, Buffer> };
}

const asIs = (bytes: Buffer): Buffer => bytes;

/** The worker service, to be added to a `grpc.Server` that has `sessionServerOptions`. */
export function sessionService(accept: Accept, log: Log): SessionService {
  return {
    definition: {
      session: {
        path: SESSION_PATH,
        requestStream: true,
        responseStream: true,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    implementation: { session: (call) => new ServerLink(call, accept, log).begin() },
  };
}

/** Small enough that a heartbeat need not wait long for one to leave. */
const BODY_PART_BYTES = 256 * 1024;

function* bodyParts(term: number, body: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < body.length; at += BODY_PART_BYTES) {
    yield encodeBodyPart(term, body.subarray(at, at + BODY_PART_BYTES));
  }
}

class ServerLink implements Link<ToWorker> {
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #accept: Accept;
  readonly #log: Log;
  readonly #outbox: Outbox;
  #handlers: LinkHandlers<ToMaster> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hasSaidHello = false;
  #hasSent = false;
  #isClosed = false;
  /** How this end has closed it. */
  #closing: LinkClosed | null = null;

  constructor(call: ServerDuplexStream<Buffer, Buffer>, accept: Accept, log: Log) {
    this.#call = call;
    this.#accept = accept;
    this.#log = log;
    this.#outbox = new Outbox({
      maxMessageBytes: MAX_SESSION_MESSAGE_BYTES,
      write: (bytes, written) => void call.write(bytes, written),
      overflow: (why) => {
        this.#end(status.RESOURCE_EXHAUSTED, why, 'broken');
        this.#finish();
      },
    });
  }

  begin(): void {
    const peer = this.#call.getPeer();
    this.#call.on('data', (bytes: Buffer) => this.#receive(bytes));
    // A connection that is lost ends the stream too, as if the worker had half-closed it; then no message said so.
    const lost = (): void => {
      this.#end(status.CANCELLED, `lost the connection to the worker at ${peer}`, 'broken');
      this.#finish();
    };
    this.#call.on('end', lost);
    // Also follows the status of an end of ours, once it has left.
    this.#call.on('cancelled', lost);
    this.#timer = setTimeout(() => {
      this.#end(status.INVALID_ARGUMENT, `hello: expected within ${HELLO_DEADLINE_MS} ms, found nothing`, 'broken');
    }, HELLO_DEADLINE_MS);
    try {
      this.#handlers = this.#accept(this, peer);
    } catch (error) {
      this.#fail(error, 'a worker could not be accepted');
    }
  }

  send(message: ToWorker): boolean {
    const { bytes, body } = encodeToWorker(message);
    this.#hasSent = true;
    const parts = body === null ? {} : { parts: bodyParts(message.term, body) };
    return this.#outbox.send({ bytes, ...parts, isUrgent: message.type === 'heartbeat' });
  }

  drained(): Promise<void> {
    return this.#outbox.drained();
  }

  close(why: string, newerTerm?: number): void {
    const isRefusal = newerTerm !== undefined || !this.#hasSent;
    this.#end(isRefusal ? status.FAILED_PRECONDITION : status.OK, why, 'ended', newerTerm);
  }

  #receive(bytes: Buffer): void {
    if (this.#isClosed || this.#closing !== null) return;
    let message: ToMaster | SessionEnd;
    try {
      message = decodeToMaster(bytes);
    } catch (error) {
      this.#end(status.INVALID_ARGUMENT, errorMessage(error), 'broken');
      return;
    }
    if (message.type === 'end') {
      this.#end(status.OK, message.why, 'ended');
      return;
    }
    if ((message.type === 'hello') === this.#hasSaidHello) {
      this.#end(status.INVALID_ARGUMENT, `hello: expected first and once, found ${message.type}`, 'broken');
      return;
    }
    if (!this.#hasSaidHello) clearTimeout(this.#timer);
    this.#hasSaidHello = true;
    try {
      this.#handlers?.message(message);
    } catch (error) {
      this.#fail(error, `a message of a worker could not be handled: ${message.type}`);
    }
  }

  #fail(error: unknown, text: string): void {
    this.#log.error({ err: error }, text);
    this.#end(status.INTERNAL, `own error: ${errorMessage(error)}`, 'broken');
  }

  /** Ends the stream with a status, after what was sent. */
  #end(code: status, why: string, kind: LinkClosed['kind'], newerTerm?: number): void {
    if (this.#isClosed || this.#closing !== null) return;
    this.#closing = { kind, why, newerTerm: null };
    clearTimeout(this.#timer);
    const metadata = new Metadata();
    if (newerTerm !== undefined) metadata.set(NEWER_TERM, String(newerTerm));
    const details = why.slice(0, MAX_WHY_LENGTH).toWellFormed();
    // The way of grpc-js to give a stream its status; OK included.
    const endCall = () => this.#call.emit('error', { code, details, metadata });
    this.#timer = setTimeout(() => {
      this.#outbox.discard();
      endCall();
      this.#finish();
    }, CLOSE_DEADLINE_MS);
    this.#outbox.close(endCall);
  }

  #finish(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#outbox.discard();
    const how = this.#closing ?? { kind: 'broken', why: 'lost', newerTerm: null };
    try {
      this.#handlers?.closed(how);
    } catch (error) {
      this.#log.error({ err: error }, 'the end of a session could not be handled');
    }
  }
}
