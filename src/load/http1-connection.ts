import type { OnReadOpts, Socket } from 'node:net';
import { nowMs } from '../lib/clock.ts';
import type { ErrorClass } from '../task/sample.ts';
import { ReusedAnswer } from './answer.ts';
import type { ClientConnection, ExchangeListener } from './client.ts';
import type { Connector, Dial, DialListener, Endpoint } from './connector.ts';
import { classify, CLOSED, type Failure } from './error-class.ts';
import { BODY, BROKEN, END, HEAD, MORE, ResponseParser } from './http1-parser.ts';
import { KEEP_ALIVE_MARGIN_MS } from './keep-alive.ts';
import type { SocketTraffic } from './traffic.ts';

export interface Http1Context {
  connector: Connector;
  endpoint: Endpoint;
  traffic: SocketTraffic;
  /** `ProtocolClient.events`. */
  activity: { events: number };
  /** The task's request as it goes over the wire. */
  request: Buffer;
  /** It is a HEAD request. */
  isHead: boolean;
  /** false: a new connection for each exchange. */
  reuse: boolean;
  /** Where sockets put what they have read. */
  readBuffer: OnReadOpts['buffer'];
  /** Most bytes to keep of a body; null: none. */
  maxBodyBytes: number | null;
}

/** A request of at most so many bytes is taken over by the kernel at once. */
const SHORT_REQUEST_BYTES = 16 * 1024;

/**
 * One slot, with one connection at a time to the task's origin. A connection that failed, or has said anything out of turn,
 * is dropped and never used again: no late byte of it can be taken for the answer to another request (RFC 9112 section 9).
 */
export class Http1Connection implements ClientConnection, DialListener {
  readonly #context: Http1Context;
  readonly #listener: ExchangeListener;
  readonly #answer: ReusedAnswer;
  readonly #parser: ResponseParser;
  readonly #onread: OnReadOpts;
  #dial: Dial | null = null;
  #socket: Socket | null = null;
  #busy = false;
  /** Of the exchange in progress: its request was written. */
  #written = false;
  /** From then on the server may close the idle connection; `nowMs` clock. */
  #idleUntilMs = Infinity;

  constructor(context: Http1Context, listener: ExchangeListener) {
    this.#context = context;
    this.#listener = listener;
    this.#answer = new ReusedAnswer(context.maxBodyBytes);
    this.#parser = new ResponseParser(context.isHead);
    this.#onread = {
      buffer: context.readBuffer,
      callback: (length, bytes) => {
        this.#read(bytes, length);
        return true;
      },
    };
  }

  send(): void {
    if (this.#busy) throw new Error('send: an exchange is in progress on this connection');
    this.#busy = true;
    this.#written = false;
    if (this.#idleUntilMs !== Infinity && nowMs() >= this.#idleUntilMs) this.#drop();
    const socket = this.#socket;
    if (socket === null) this.#connect();
    // The kept connection broke before the request was written, so to write it on a new one is no repetition.
    else if (!this.#write(socket)) this.#connect();
  }

  abort(errorClass: ErrorClass | 'aborted', message: string): void {
    if (!this.#busy) return;
    this.#drop();
    this.#fail(errorClass, message);
  }

  /** No event follows. */
  close(): void {
    this.#busy = false;
    this.#drop();
  }

  dialled(socket: Socket, dnsMs: number, connectMs: number, tlsMs: number): void {
    this.#context.activity.events++;
    this.#dial = null;
    this.#socket = socket;
    this.#context.traffic.add(socket);
    socket.on('end', () => this.#ended(socket));
    socket.on('close', () => this.#ended(socket));
    socket.on('error', (error) => this.#broken(socket, error));
    this.#listener.connected(dnsMs, connectMs, tlsMs);
    // When the listener has just aborted, there is nothing to write. When the write fails, the socket tells its error.
    if (this.#socket === socket) this.#write(socket);
  }

  dialFailed(failure: Failure): void {
    this.#context.activity.events++;
    this.#dial = null;
    this.#fail(failure.errorClass, failure.message);
  }

  #connect(): void {
    this.#drop();
    const { connector, endpoint } = this.#context;
    this.#dial = connector.dial(endpoint, this, this.#onread);
  }

  /** @returns false when nothing was written, because the socket is broken */
  #write(socket: Socket): boolean {
    this.#parser.start();
    socket.write(this.#context.request);
    if (!socket.writable) return false;
    this.#written = true;
    this.#context.activity.events++;
    this.#listener.written();
    return true;
  }

  #read(bytes: Uint8Array, length: number): void {
    if (!this.#written) return this.#drop();
    const socket = this.#socket;
    const parser = this.#parser;
    parser.feed(bytes, length);
    for (;;) {
      const event = parser.next();
      if (event === MORE) return;
      this.#context.activity.events++;
      switch (event) {
        case HEAD:
          this.#hearHead();
          // The listener may have aborted.
          if (this.#socket !== socket) return;
          break;
        case BODY:
          this.#answer.append(bytes, parser.bodyFrom, parser.bodyTo);
          break;
        case END:
          return this.#complete(parser.position < length);
        case BROKEN:
          this.#drop();
          return this.#fail('protocol', parser.problem);
      }
    }
  }

  #hearHead(): void {
    const { status, contentEncoding } = this.#parser.head;
    if (status < 200) return;
    this.#answer.start(status, contentEncoding);
    this.#listener.headersReceived(status);
  }

  /** @param hasMore bytes came after the response that no request had asked for */
  #complete(hasMore: boolean): void {
    const { reuse, request } = this.#context;
    const { keepsAlive, head } = this.#parser;
    // An answer before the whole request was sent: what is left of it would delay the next one.
    const isEarly = request.length > SHORT_REQUEST_BYTES && this.#socket!.writableLength > 0;
    if (!reuse || !keepsAlive || hasMore || isEarly) this.#drop();
    else if (head.idleSeconds >= 0) this.#idleUntilMs = nowMs() + head.idleSeconds * 1000 - KEEP_ALIVE_MARGIN_MS;
    this.#busy = this.#written = false;
    this.#listener.answered(this.#answer);
  }

  /** The peer has ended its side, and everything that it had sent was read. */
  #ended(socket: Socket): void {
    if (socket !== this.#socket) return;
    this.#drop();
    if (!this.#busy) return;
    this.#context.activity.events++;
    if (!this.#written || !this.#parser.end()) return this.#fail(CLOSED.errorClass, CLOSED.message);
    this.#busy = this.#written = false;
    this.#listener.answered(this.#answer);
  }

  #broken(socket: Socket, error: Error): void {
    if (socket !== this.#socket) return;
    this.#drop();
    if (!this.#busy) return;
    this.#context.activity.events++;
    const { errorClass, message } = classify(error, 'exchange');
    this.#fail(errorClass, message);
  }

  #drop(): void {
    this.#dial?.cancel();
    this.#dial = null;
    this.#socket?.destroy();
    this.#socket = null;
    this.#idleUntilMs = Infinity;
  }

  #fail(errorClass: ErrorClass | 'aborted', message: string): void {
    this.#busy = this.#written = false;
    this.#listener.failed(errorClass, message);
  }
}
