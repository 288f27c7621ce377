import type { Socket } from 'node:net';
import { Client, type buildConnector, type Dispatcher } from 'undici';
import { LONGEST_TIMER_MS } from '../lib/clock.ts';
import type { Connector, Dial, DialListener, Endpoint } from './connector.ts';
import { classify, type Failure } from './error-class.ts';
import { KEEP_ALIVE_MARGIN_MS } from './keep-alive.ts';
import type { RequestOptions } from './request.ts';
import type { SocketTraffic } from './traffic.ts';

/** Hears the events of the one exchange that a lane carries at a time. */
export interface LaneListener {
  laneConnected(dnsMs: number, connectMs: number, tlsMs: number): void;
  /** undici writes the request now. */
  laneWriting(): void;
  /** The head of a final response: 1xx heads are left out. */
  laneHead(status: number, headers: ResponseHeaders): void;
  laneData(chunk: Uint8Array): void;
  /** The response is complete; the lane can take the next request. */
  laneDone(): void;
  /** Nothing more comes of this exchange, and the lane is retired. */
  laneFailed(failure: Failure): void;
  /** The kept connection broke before the request was written, and the lane is retired. */
  laneStale(): void;
}

/** Names in lower case, one character per byte; a header that came more than once has several values. */
export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

export interface LaneContext {
  connector: Connector;
  traffic: SocketTraffic;
  /** `ProtocolClient.events`: counted here, also those of lanes that were retired. */
  activity: { events: number };
}

/** Names and values of a response head together. */
const MAX_HEAD_BYTES = 64 * 1024;

/**
 * A connection to one origin: an undici client with pipelining 1, and the handler of all its exchanges.
 *
 * A lane that failed or was given up is retired and never used again. What its client still has to say is then heard by
 * nobody, so no late event can reach the next exchange. No request is sent twice: undici puts a request that it has
 * written back into its queue only when its connection ends with an `InformationalError` (client-h1.js,
 * onHttpSocketClose), which with pipelining 1 happens to idle connections and to those whose exchange is complete; and
 * a request that is aborted by retiring the lane dies with the client.
 */
export class Lane implements Dispatcher.DispatchHandler, DialListener {
  readonly #endpoint: Endpoint;
  readonly #context: LaneContext;
  readonly #client: Client;
  /** null: retired. */
  #listener: LaneListener | null;
  #dial: Dial | null = null;
  #dialCallback: buildConnector.Callback | null = null;
  #socket: Socket | null = null;
  /** Of the exchange in progress: a connection was made for it; its request was written. */
  #connected = false;
  #written = false;

  constructor(origin: string, endpoint: Endpoint, context: LaneContext, listener: LaneListener) {
    this.#endpoint = endpoint;
    this.#context = context;
    this.#listener = listener;
    this.#client = new Client(origin, {
      connect: (_options: buildConnector.Options, callback: buildConnector.Callback) => this.#connect(callback),
      pipelining: 1,
      allowH2: false,
      // The parser that undici documents, whatever the environment says.
      useMilo: false,
      // The attack loop has the timeouts.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: LONGEST_TIMER_MS,
      keepAliveMaxTimeout: LONGEST_TIMER_MS,
      keepAliveTimeoutThreshold: KEEP_ALIVE_MARGIN_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
    });
  }

  /** Sends a request; the one before it must be done. */
  dispatch(options: RequestOptions): void {
    this.#connected = false;
    this.#written = false;
    this.#client.dispatch(options, this);
  }

  /** Closes the connection at once. The listener hears nothing more. */
  retire(): void {
    if (this.#listener === null) return;
    this.#listener = null;
    this.#dial?.cancel();
    this.#dial = null;
    this.#client.destroy(null, ignore);
  }

  #connect(callback: buildConnector.Callback): void {
    this.#dialCallback = callback;
    this.#dial = this.#context.connector.dial(this.#endpoint, this);
  }

  dialled(socket: Socket, dnsMs: number, connectMs: number, tlsMs: number): void {
    this.#context.activity.events++;
    this.#dial = null;
    this.#connected = true;
    this.#socket = socket;
    this.#context.traffic.add(socket);
    this.#listener?.laneConnected(dnsMs, connectMs, tlsMs);
    // When the listener has just retired the lane, undici destroys the socket.
    this.#dialCallback?.(null, socket);
  }

  dialFailed(failure: Failure): void {
    this.#context.activity.events++;
    this.#dial = null;
    const listener = this.#listener;
    this.retire();
    listener?.laneFailed(failure);
  }

  onRequestStart(): void {
    this.#context.activity.events++;
    this.#written = true;
    try {
      this.#listener?.laneWriting();
    } catch (error) {
      crash(error);
    }
  }

  onResponseStart(_controller: unknown, status: number, headers: ResponseHeaders): void {
    this.#context.activity.events++;
    if (status < 200) return;
    try {
      this.#listener?.laneHead(status, headers);
    } catch (error) {
      crash(error);
    }
  }

  onResponseData(_controller: unknown, chunk: Uint8Array): void {
    this.#context.activity.events++;
    this.#listener?.laneData(chunk);
  }

  onResponseEnd(): void {
    this.#context.activity.events++;
    // undici takes a reset for the end of a body that only the connection's end delimits.
    const error = this.#socket?.errored ?? null;
    try {
      if (error === null) this.#listener?.laneDone();
      else this.#fail(error);
    } catch (thrown) {
      crash(thrown);
    }
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#context.activity.events++;
    try {
      this.#fail(error);
    } catch (thrown) {
      crash(thrown);
    }
  }

  #fail(error: Error): void {
    const listener = this.#listener;
    if (listener === null) return;
    this.retire();
    const socket = this.#socket;
    if (socket !== null && !this.#connected && !this.#written) listener.laneStale();
    // The socket knows of a reset that undici has taken for an end.
    else listener.laneFailed(classify(socket?.errored ?? error, 'exchange', socket?.readableEnded ?? false));
  }
}

function ignore(): void {
  // A callback keeps undici from making a promise.
}

/** undici would make a failure of the target out of an exception in a handler: a defect of ours must show as one. */
function crash(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}
