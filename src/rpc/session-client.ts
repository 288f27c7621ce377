import { Client, credentials, Metadata, status, type ClientDuplexStream, type StatusObject } from '@grpc/grpc-js';
import type { Dial, Link, LinkClosed, LinkHandlers, ToMaster, ToWorker } from '../cluster/ports.ts';
import { plainReason } from '../lib/grpc-words.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { BodyReceiver } from './session-body.ts';
import { decodeToWorker, encodeToMaster, SESSION_PATH } from './session-codec.ts';
import {
  MAX_SESSION_MESSAGE_BYTES,
  MAX_WHY_LENGTH,
  NEWER_TERM,
  SESSION_KEEPALIVE,
  sessionChannelOptions,
  type Keepalive,
} from './session-options.ts';
import { Outbox } from './session-outbox.ts';

export interface DialerOptions {
  log: Log;
  keepalive?: Keepalive;
  /** A master that says nothing for this long after the dial is given up. */
  openDeadlineMs?: number;
}

const OPEN_DEADLINE_MS = 5_000;
/** After `close`, what was sent has this long to leave. */
const CLOSE_DEADLINE_MS = 2_000;

/** Each dial has a connection of its own. */
export function createDialer(options: DialerOptions): Dial {
  return (address, handlers) => new ClientLink(address, handlers, options);
}

const asIs = (bytes: Buffer): Buffer => bytes;

class ClientLink implements Link<ToMaster> {
  readonly #address: string;
  readonly #handlers: LinkHandlers<ToWorker>;
  readonly #log: Log;
  readonly #outbox: Outbox;
  readonly #body = new BodyReceiver();
  #client: Client | undefined;
  #call: ClientDuplexStream<Buffer, Buffer> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The master has said something. */
  #isOpen = false;
  #isClosed = false;
  /** Why this end closed it. */
  #closing: string | null = null;
  #status: StatusObject | null = null;
  #hasEnded = false;

  constructor(address: string, handlers: LinkHandlers<ToWorker>, options: DialerOptions) {
    const { log, keepalive = SESSION_KEEPALIVE, openDeadlineMs = OPEN_DEADLINE_MS } = options;
    this.#address = address;
    this.#handlers = handlers;
    this.#log = log;
    this.#outbox = new Outbox({
      maxMessageBytes: MAX_SESSION_MESSAGE_BYTES,
      write: (bytes, written) => void this.#call?.write(bytes, written),
      overflow: (why) => this.#abandon({ kind: 'broken', why, newerTerm: null }),
    });
    try {
      this.#call = this.#open(keepalive);
    } catch (error) {
      setImmediate(() => this.#finish({ kind: 'refused', why: errorMessage(error), newerTerm: null }));
      return;
    }
    this.#timer = setTimeout(() => {
      const why = `${address} did not answer within ${openDeadlineMs} ms`;
      this.#abandon({ kind: 'refused', why, newerTerm: null });
    }, openDeadlineMs);
  }

  send(message: ToMaster): boolean {
    return this.#outbox.send({ bytes: encodeToMaster(message) });
  }

  drained(): Promise<void> {
    return this.#outbox.drained();
  }

  close(why: string): void {
    if (this.#isClosed || this.#closing !== null) return;
    this.#closing = why;
    this.#outbox.send({ bytes: encodeToMaster({ type: 'end', why: why.slice(0, MAX_WHY_LENGTH) }) });
    this.#outbox.close(() => this.#call?.end());
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#abandon({ kind: 'ended', why, newerTerm: null }), CLOSE_DEADLINE_MS);
  }

  #open(keepalive: Keepalive): ClientDuplexStream<Buffer, Buffer> {
    const client = new Client(this.#address, credentials.createInsecure(), sessionChannelOptions(keepalive));
    this.#client = client;
    const call = client.makeBidiStreamRequest(SESSION_PATH, asIs, asIs, new Metadata());
    // What fails is in the status.
    call.on('error', () => undefined);
    call.on('data', (bytes: Buffer) => this.#receive(bytes));
    // The status may overtake messages that came before it.
    call.on('end', () => {
      this.#hasEnded = true;
      this.#finishByStatus();
    });
    call.on('status', (status) => {
      this.#status = status;
      this.#finishByStatus();
    });
    return call;
  }

  #receive(bytes: Buffer): void {
    if (this.#isClosed) return;
    if (!this.#isOpen) {
      this.#isOpen = true;
      if (this.#closing === null) clearTimeout(this.#timer);
    }
    let message: ToWorker | null;
    try {
      message = this.#body.take(decodeToWorker(bytes));
    } catch (error) {
      const why = `the master at ${this.#address} sent a malformed message: ${errorMessage(error)}`;
      this.#abandon({ kind: 'broken', why, newerTerm: null });
      return;
    }
    if (message === null) return;
    try {
      this.#handlers.message(message);
    } catch (error) {
      this.#log.error({ err: error, message: message.type }, 'a message of the master could not be handled');
      this.#abandon({ kind: 'broken', why: `own error: ${errorMessage(error)}`, newerTerm: null });
    }
  }

  /** Does not wait for the other end. */
  #abandon(how: LinkClosed): void {
    this.#finish(how);
    this.#call?.cancel();
  }

  #finishByStatus(): void {
    if (this.#status === null || !this.#hasEnded) return;
    const how = closedBy(this.#status, this.#isOpen, this.#address);
    this.#finish(this.#closing === null ? how : { kind: 'ended', why: this.#closing, newerTerm: null });
  }

  #finish(how: LinkClosed): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#outbox.discard();
    this.#client?.close();
    try {
      this.#handlers.closed(how);
    } catch (error) {
      this.#log.error({ err: error }, 'the end of a session could not be handled');
    }
  }
}

/** Codes with which the other end says no, whatever came before. */
const REFUSALS: ReadonlySet<status> = new Set([
  status.FAILED_PRECONDITION,
  status.INVALID_ARGUMENT,
  status.UNIMPLEMENTED,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
]);

/** What a stream's status means to the worker. */
function closedBy({ code, details, metadata }: StatusObject, isOpen: boolean, address: string): LinkClosed {
  const term = Number(metadata.get(NEWER_TERM)[0] ?? NaN);
  const newerTerm = Number.isSafeInteger(term) ? term : null;
  if (code === status.OK) return { kind: 'ended', why: details, newerTerm };
  if (code === status.UNIMPLEMENTED) return { kind: 'refused', why: `${address} accepts no workers`, newerTerm };
  if (REFUSALS.has(code)) return { kind: 'refused', why: details, newerTerm };
  if (!isOpen) return { kind: 'refused', why: `cannot reach ${address}: ${plainReason(details)}`, newerTerm };
  return { kind: 'broken', why: `lost the connection to ${address}: ${details}`, newerTerm };
}
