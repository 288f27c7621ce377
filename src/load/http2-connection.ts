import { constants, type ClientHttp2Stream, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import type { ErrorClass } from '../task/sample.ts';
import { ReusedAnswer } from './answer.ts';
import type { ClientConnection, ExchangeListener } from './client.ts';
import type { Failure } from './error-class.ts';
import type { Http2Session, SessionUser } from './http2-session.ts';
import type { Http2Sessions } from './http2-sessions.ts';

export interface Http2Context {
  sessions: Http2Sessions;
  /** `ProtocolClient.events`. */
  activity: { events: number };
  /** The task's request: names and values in turn. */
  head: readonly string[];
  /** It is a HEAD request. */
  isHead: boolean;
  body: Uint8Array | null;
  /** Most bytes to keep of a body; null: none. */
  maxBodyBytes: number | null;
}

const OWNER = Symbol('owner');
/** A stream that knows whose exchange it is. Without an owner nobody hears what it still has to say. */
interface OwnedStream extends ClientHttp2Stream {
  [OWNER]?: Http2Connection | null;
}

/** One slot: an exchange at a time, each on a stream of its own, of whatever session has room for it. */
export class Http2Connection implements ClientConnection, SessionUser {
  readonly #context: Http2Context;
  readonly #listener: ExchangeListener;
  readonly #answer: ReusedAnswer;
  #busy = false;
  #session: Http2Session | null = null;
  #stream: OwnedStream | null = null;
  #error: Error | null = null;
  /** What the answer says of its body's length; null: nothing, or it has none. */
  #length: string | null = null;

  constructor(context: Http2Context, listener: ExchangeListener) {
    this.#context = context;
    this.#listener = listener;
    this.#answer = new ReusedAnswer(context.maxBodyBytes);
  }

  send(): void {
    if (this.#busy) throw new Error('send: an exchange is in progress on this connection');
    this.#busy = true;
    this.#context.sessions.join(this);
  }

  abort(errorClass: ErrorClass | 'aborted', message: string): void {
    if (!this.#busy) return;
    this.#stream?.close(constants.NGHTTP2_CANCEL);
    this.#leave();
    this.#fail({ errorClass, message });
  }

  sessionConnected(dnsMs: number, connectMs: number, tlsMs: number): void {
    this.#listener.connected(dnsMs, connectMs, tlsMs);
  }

  wait(session: Http2Session): void {
    this.#session = session;
  }

  begin(session: Http2Session): void {
    const { head, body, activity } = this.#context;
    this.#session = session;
    this.#error = null;
    const stream: OwnedStream = session.request(head, body === null);
    this.#stream = stream;
    stream[OWNER] = this;
    stream.on('headers', heardInformation).on('response', heardHead).on('data', heardData).on('end', heardEnd);
    stream.on('error', heardError).on('close', heardClose);
    if (body !== null) stream.end(body);
    activity.events++;
    this.#listener.written();
  }

  sessionFailed(failure: Failure): void {
    this.#session = null;
    this.#fail(failure);
  }

  /** A 1xx head. */
  heardInformation(): void {
    this.#context.activity.events++;
  }

  heardHead(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): void {
    this.#context.activity.events++;
    const status = headers[':status']!;
    this.#length = this.#context.isHead || status === 304 ? null : (headers['content-length'] ?? null);
    this.#answer.start(status, headers['content-encoding'] ?? null);
    this.#listener.headersReceived(status);
  }

  heardData(chunk: Uint8Array): void {
    this.#context.activity.events++;
    this.#answer.append(chunk, 0, chunk.length);
  }

  /**
   * The end of what comes: the answer's own, unless the stream was reset. node:http2 does not tell a reset with NO_ERROR from an
   * end, but only an end has been held against the length.
   */
  heardEnd(stream: ClientHttp2Stream): void {
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    if (this.#length !== null && Number(this.#length) !== this.#answer.bodyBytes) return;
    this.#context.activity.events++;
    // An answer before the whole request was sent: what is left of it is not wanted (RFC 9113 section 8.1).
    if (this.#context.body !== null && !stream.writableFinished) stream.close(constants.NGHTTP2_CANCEL);
    this.#leave();
    this.#busy = false;
    this.#listener.answered(this.#answer);
  }

  heardError(error: Error): void {
    this.#error = error;
  }

  /** Without the end of an answer. */
  heardClose(stream: ClientHttp2Stream): void {
    this.#context.activity.events++;
    const failure = this.#session!.failureOf(stream, this.#error);
    this.#leave();
    this.#fail(failure);
  }

  #leave(): void {
    const session = this.#session;
    if (this.#stream !== null) this.#stream[OWNER] = null;
    this.#stream = this.#session = null;
    session?.leave(this);
  }

  #fail({ errorClass, message }: { errorClass: ErrorClass | 'aborted'; message: string }): void {
    this.#busy = false;
    this.#listener.failed(errorClass, message);
  }
}

// One function for all streams each: a hit costs no closures.

function heardInformation(this: OwnedStream): void {
  this[OWNER]?.heardInformation();
}

function heardHead(this: OwnedStream, headers: IncomingHttpHeaders & IncomingHttpStatusHeader): void {
  this[OWNER]?.heardHead(headers);
}

function heardData(this: OwnedStream, chunk: Uint8Array): void {
  this[OWNER]?.heardData(chunk);
}

function heardEnd(this: OwnedStream): void {
  this[OWNER]?.heardEnd(this);
}

function heardError(this: OwnedStream, error: Error): void {
  this[OWNER]?.heardError(error);
}

function heardClose(this: OwnedStream): void {
  this[OWNER]?.heardClose(this);
}
