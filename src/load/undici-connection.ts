import type { ErrorClass } from '../task/sample.ts';
import { ReusedAnswer } from './answer.ts';
import type { ClientConnection, ExchangeListener } from './client.ts';
import type { Failure } from './error-class.ts';
import { Lane, type LaneContext, type LaneListener, type ResponseHeaders } from './lane.ts';
import { isRedirect, redirectedRequest, type PreparedRequest } from './request.ts';

export interface ConnectionContext extends LaneContext {
  request: PreparedRequest;
  /** Most redirects to follow; null: a redirect is the answer. */
  maxRedirects: number | null;
  /** Most bytes to keep of a body; null: none. */
  maxBodyBytes: number | null;
}

/** A slot keeps at most this many connections, one per origin, while it follows redirects. */
const MAX_LANES = 4;

/** One slot: an exchange at a time, on one lane, or on several one after the other when redirects lead elsewhere. */
export class UndiciConnection implements ClientConnection, LaneListener {
  readonly #context: ConnectionContext;
  readonly #listener: ExchangeListener;
  readonly #answer: ReusedAnswer;
  /** By origin. */
  readonly #lanes = new Map<string, Lane>();
  #request: PreparedRequest;
  #lane: Lane | null = null;
  #busy = false;
  #sending = false;
  #redirects = 0;
  /** Of the response at hand: where it redirects to, when that is to be followed. */
  #location: string | null = null;

  constructor(context: ConnectionContext, listener: ExchangeListener) {
    this.#context = context;
    this.#listener = listener;
    this.#request = context.request;
    this.#answer = new ReusedAnswer(context.maxBodyBytes);
  }

  send(): void {
    if (this.#busy) throw new Error('send: an exchange is in progress on this connection');
    this.#busy = true;
    this.#sending = true;
    this.#redirects = 0;
    this.#request = this.#context.request;
    this.#dispatch();
    this.#sending = false;
  }

  abort(errorClass: ErrorClass | 'aborted', message: string): void {
    if (!this.#busy) return;
    this.#lane?.retire();
    this.#dropLane();
    this.#fail(errorClass, message);
  }

  /** Closes all connections of the slot. No event follows. */
  close(): void {
    this.#busy = false;
    for (const lane of this.#lanes.values()) lane.retire();
    this.#lanes.clear();
    this.#lane = null;
  }

  laneConnected(dnsMs: number, connectMs: number, tlsMs: number): void {
    this.#listener.connected(dnsMs, connectMs, tlsMs);
  }

  laneWriting(): void {
    if (this.#redirects === 0) this.#listener.written();
    else this.#listener.redirected();
  }

  laneHead(status: number, headers: ResponseHeaders): void {
    const { maxRedirects } = this.#context;
    this.#location = maxRedirects !== null && isRedirect(status) ? first(headers.location) : null;
    this.#answer.start(status, joined(headers['content-encoding']));
    if (this.#location === null) this.#listener.headersReceived(status);
  }

  laneData(chunk: Uint8Array): void {
    this.#answer.append(chunk, 0, chunk.length);
  }

  laneDone(): void {
    if (this.#location === null) {
      this.#busy = false;
      this.#listener.answered(this.#answer);
    } else {
      this.#follow(this.#location);
    }
  }

  laneFailed(failure: Failure): void {
    this.#dropLane();
    if (!this.#sending) {
      this.#fail(failure.errorClass, failure.message);
      return;
    }
    queueMicrotask(() => {
      if (this.#busy && this.#lane === null) this.#fail(failure.errorClass, failure.message);
    });
  }

  /** Nothing was written, so to write it on a new connection is no repetition. */
  laneStale(): void {
    this.#dropLane();
    this.#dispatch();
  }

  #follow(location: string): void {
    const max = this.#context.maxRedirects ?? 0;
    if (this.#redirects >= max) {
      this.#fail('redirect', `more than ${max} redirects`);
      return;
    }
    const next = redirectedRequest(this.#request, this.#answer.status, location);
    if (next === null) {
      this.#fail('redirect', 'the Location of a redirect is not an http: or https: URL');
      return;
    }
    this.#redirects++;
    this.#request = next;
    this.#dispatch();
  }

  #dispatch(): void {
    const { origin, endpoint, dispatch } = this.#request;
    let lane = this.#lanes.get(origin);
    if (lane === undefined) {
      this.#makeRoom();
      lane = new Lane(origin, endpoint, this.#context, this);
      this.#lanes.set(origin, lane);
    }
    this.#lane = lane;
    lane.dispatch(dispatch);
  }

  /** Closes the oldest connection to a foreign origin, when there are too many. */
  #makeRoom(): void {
    if (this.#lanes.size < MAX_LANES) return;
    for (const [origin, lane] of this.#lanes) {
      if (lane === this.#lane || origin === this.#context.request.origin) continue;
      lane.retire();
      this.#lanes.delete(origin);
      return;
    }
  }

  #dropLane(): void {
    this.#lanes.delete(this.#request.origin);
    this.#lane = null;
  }

  #fail(errorClass: ErrorClass | 'aborted', message: string): void {
    this.#busy = false;
    this.#listener.failed(errorClass, message);
  }
}

function first(value: string | string[] | undefined): string | null {
  return (typeof value === 'object' ? value[0] : value) ?? null;
}

/** A list that came in several headers is one list (RFC 9110 section 5.3). */
function joined(value: string | string[] | undefined): string | null {
  return (typeof value === 'object' ? value.join(',') : value) ?? null;
}
