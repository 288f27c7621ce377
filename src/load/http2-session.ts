import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  type Settings,
} from 'node:http2';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { LONGEST_TIMER_MS } from '../lib/clock.ts';
import type { Connector, Dial, DialListener, Endpoint } from './connector.ts';
import { classify, classifyStreamEnd, CLOSED, http2CodeName, type Failure } from './error-class.ts';
import type { Http2Sessions } from './http2-sessions.ts';
import type { SocketTraffic } from './traffic.ts';

export interface SessionContext {
  connector: Connector;
  endpoint: Endpoint;
  /** Scheme, host and port. */
  origin: string;
  traffic: SocketTraffic;
  /** `ProtocolClient.events`. */
  activity: { events: number };
  /** false: a session carries one exchange. */
  reuse: boolean;
  /** Most exchanges at a time on a session. */
  streams: number;
  /** How long an exchange waits for the peer's SETTINGS. */
  settingsTimeoutMs: number;
}

/** An exchange that joins a session hears one of `begin` and `sessionFailed`, unless it leaves before. */
export interface SessionUser {
  /** The session's connection was made for this exchange. Milliseconds. */
  sessionConnected(dnsMs: number, connectMs: number, tlsMs: number): void;
  /** Its stream is to be opened now, and `leave` to be called when that is closed. */
  begin(session: Http2Session): void;
  /** It waits on this session, and is to `leave` it when it gives up. */
  wait(session: Http2Session): void;
  /** There is no session; the exchange has left it. */
  sessionFailed(failure: Failure): void;
}

/** What is read is dealt with at once: as in h2load, flow control is not to slow the target down. */
const WINDOW_BYTES = 2 ** 30 - 1;
const MAX_HEAD_BYTES = 64 * 1024;
/** Streams of a session have odd numbers of 31 bits, each once (RFC 9113 section 5.1.1). */
const MAX_STREAMS_IN_ALL = 2 ** 30 - 1;

/** @types/node does not know the last of them yet. */
const OPTIONS: ClientSessionOptions & { strictSingleValueFields: boolean } = {
  settings: { enablePush: false, initialWindowSize: WINDOW_BYTES, maxHeaderListSize: MAX_HEAD_BYTES },
  // The bytes of a head are limited, not its fields.
  maxHeaderListPairs: MAX_HEAD_BYTES,
  // Megabytes. What counts is bounded otherwise: the streams, the request's body on each, the head of an answer.
  maxSessionMemory: 1_000_000,
  // A task may repeat any header.
  strictSingleValueFields: false,
};

/**
 * A connection with its HTTP/2 session, from the dial on. Until the peer has told how many streams it allows, which it does
 * before anything else, one is opened: more might be refused (RFC 9113 section 5.1.2).
 */
export class Http2Session implements DialListener {
  /** For `Http2Sessions`. */
  isListed = false;
  readonly #context: SessionContext;
  readonly #sessions: Http2Sessions;
  readonly #waiting = new Set<SessionUser>();
  #dial: Dial | null;
  #socket: Socket | null = null;
  #http2: ClientHttp2Session | null = null;
  #settingsTimer: NodeJS.Timeout | undefined;
  /** Streams that may be open at a time; null: the peer has not told yet. */
  #limit: number | null = null;
  #active = 0;
  #opened = 0;
  /** No new streams. */
  #retired = false;
  #goawayCode: number | null = null;

  constructor(context: SessionContext, sessions: Http2Sessions) {
    this.#context = context;
    this.#sessions = sessions;
    this.#dial = context.connector.dial(context.endpoint, this);
  }

  get hasRoom(): boolean {
    if (this.#retired || this.#http2?.closed === true || this.#http2?.destroyed === true) return false;
    return this.#active + this.#waiting.size < (this.#limit ?? this.#context.streams);
  }

  /** Opens a stream for an exchange that was told to `begin`. */
  request(head: readonly string[], endStream: boolean): ClientHttp2Stream {
    return this.#http2!.request(head, { endStream });
  }

  /** Names what ended a stream before its answer was complete. @param error of the stream, if it had one */
  failureOf(stream: ClientHttp2Stream, error: Error | null): Failure {
    const ofStream = codeOf(error);
    const isRefused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
    if (this.#goawayCode !== null && (isRefused || ofStream === 'ERR_HTTP2_SESSION_ERROR')) {
      return {
        errorClass: 'closed',
        message: `the peer ended the session before the answer was complete: GOAWAY, ${http2CodeName(this.#goawayCode)}`,
      };
    }
    // Of what has broken the connection some streams are told, and others that they are cancelled.
    const { errored, readableEnded, destroyed } = this.#socket!;
    const cause = error !== null && !STREAM_ERRORS.has(ofStream) ? error : errored;
    if (cause !== null) return this.#failureBy(cause);
    return readableEnded || destroyed ? CLOSED : classifyStreamEnd(stream.rstCode);
  }

  /** Only when there is room. */
  join(user: SessionUser): void {
    if (this.#http2 !== null && this.#active < (this.#limit ?? 1)) return this.#begin(user);
    this.#waiting.add(user);
    user.wait(this);
  }

  /** The exchange is over: its stream is closed, or it has waited in vain. */
  leave(user: SessionUser): void {
    if (!this.#waiting.delete(user)) this.#active--;
    const isUnused = this.#active === 0 && this.#waiting.size === 0;
    if (isUnused && (this.#http2 === null || !this.#context.reuse)) this.drop();
    else if (isUnused && this.#retired) this.#http2?.close();
    this.#sessions.roomMade(this);
  }

  /** Closes the connection at once; nobody hears of it. */
  drop(): void {
    this.#end();
    this.#dial?.cancel();
    this.#http2?.destroy();
    this.#socket?.destroy();
  }

  dialled(socket: Socket, dnsMs: number, connectMs: number, tlsMs: number): void {
    const { activity, traffic, origin } = this.#context;
    activity.events++;
    this.#dial = null;
    this.#socket = socket;
    traffic.add(socket);
    if (socket instanceof TLSSocket && socket.alpnProtocol !== 'h2') {
      socket.destroy();
      const found = socket.alpnProtocol === false ? 'no protocol' : String(socket.alpnProtocol);
      const message = `expected the server to agree to HTTP/2 (ALPN h2), found ${found}`;
      return this.#failed({ errorClass: 'tls', message });
    }
    const http2 = connect(origin, { ...OPTIONS, createConnection: () => socket });
    http2.once('connect', () => this.#connected(http2, dnsMs, connectMs, tlsMs));
    http2.on('remoteSettings', (settings: Settings) => this.#heardSettings(settings.maxConcurrentStreams!));
    http2.on('goaway', (code: number) => this.#heardGoaway(code));
    let failure = CLOSED;
    http2.on('error', (error: Error) => (failure = this.#failureBy(error)));
    // Its streams have told of that already.
    http2.on('close', () => this.#failed(failure));
  }

  dialFailed(failure: Failure): void {
    this.#context.activity.events++;
    this.#dial = null;
    this.#failed(failure);
  }

  #connected(http2: ClientHttp2Session, dnsMs: number, connectMs: number, tlsMs: number): void {
    if (this.#retired) return;
    http2.setLocalWindowSize(WINDOW_BYTES);
    this.#http2 = http2;
    const timeoutMs = Math.min(this.#context.settingsTimeoutMs, LONGEST_TIMER_MS);
    this.#settingsTimer = setTimeout(() => this.#hadNoSettings(timeoutMs), timeoutMs);
    const [first] = this.#waiting;
    first?.sessionConnected(dnsMs, connectMs, tlsMs);
    // It may have given up when it heard that.
    if (first !== undefined && this.#waiting.delete(first)) this.#begin(first);
  }

  #begin(user: SessionUser): void {
    this.#active++;
    this.#opened++;
    if (!this.#context.reuse || this.#opened >= MAX_STREAMS_IN_ALL) this.#retired = true;
    user.begin(this);
  }

  #heardSettings(maxStreams: number): void {
    this.#context.activity.events++;
    clearTimeout(this.#settingsTimer);
    // A peer that allows none for the moment gets one, which nghttp2 holds back until it may be sent.
    this.#limit = Math.max(1, Math.min(this.#context.streams, maxStreams));
    for (const user of this.#waiting) {
      this.#waiting.delete(user);
      if (this.#active < this.#limit && !this.#retired) this.#begin(user);
      else this.#sessions.join(user);
    }
    this.#sessions.roomMade(this);
  }

  /** The exchange that has its stream goes on waiting for its answer. */
  #hadNoSettings(timeoutMs: number): void {
    this.#limit = 1;
    const message = `no SETTINGS of HTTP/2 within ${timeoutMs} ms of the connection`;
    this.#failWaiting({ errorClass: 'connect-timeout', message });
  }

  /** What the peer has not taken ends with REFUSED_STREAM, the rest goes on; node:http2 sees to both. */
  #heardGoaway(code: number): void {
    this.#context.activity.events++;
    this.#goawayCode = code;
    this.#retired = true;
    for (const user of this.#waiting) {
      this.#waiting.delete(user);
      this.#sessions.join(user);
    }
  }

  #failureBy(error: Error): Failure {
    const failure = classify(error, 'exchange');
    const isOther = failure.errorClass === 'protocol' && this.#limit === null;
    return isOther ? { errorClass: 'protocol', message: 'the peer does not answer in HTTP/2' } : failure;
  }

  #failed(failure: Failure): void {
    this.#end();
    this.#failWaiting(failure);
  }

  #failWaiting(failure: Failure): void {
    for (const user of this.#waiting) {
      this.#waiting.delete(user);
      user.sessionFailed(failure);
    }
  }

  #end(): void {
    this.#retired = true;
    clearTimeout(this.#settingsTimer);
    this.#sessions.forget(this);
  }
}

/** Of one stream: they do not say what became of the session. */
const STREAM_ERRORS: ReadonlySet<unknown> = new Set(['ERR_HTTP2_STREAM_ERROR', 'ERR_HTTP2_STREAM_CANCEL']);

function codeOf(error: Error | null): unknown {
  return error !== null && 'code' in error ? error.code : null;
}
