import type { ErrorClass } from '../task/sample.ts';

/**
 * What explains this folder: a protocol client makes connections, a connection carries one exchange at a time and
 * tells its listener what happened. The attack loop knows nothing more of HTTP than this.
 */
export interface ProtocolClient {
  /** Names the client in the report. */
  readonly name: string;
  /**
   * Grows with each event of a connection: a socket connected or failed to, a request written, a head, a piece of a
   * body, an end. Tells a turn of the event loop that did work from one that did not.
   */
  readonly events: number;
  /** A slot for one connection; nothing is dialled before the first `send`. */
  connection(listener: ExchangeListener): ClientConnection;
  /** Cumulative bytes on the wire (TLS overhead not counted) and connections, over the client's life. */
  traffic(): ClientTraffic;
  /** Closes every connection at once; exchanges in progress must have been aborted before. */
  close(): Promise<void>;
}

export interface ClientOptions {
  keepBody: boolean;
  /** Most bytes to keep of a body, before and after decoding. */
  maxBodyBytes: number;
}

export interface ClientTraffic {
  bytesIn: number;
  bytesOut: number;
  connectionsOpened: number;
  /** Open now. */
  connections: number;
}

export interface ClientConnection {
  /**
   * Sends the task's request. Not to be called while an exchange is in progress. The listener hears exactly one of
   * `answered` and `failed`, never before `send` has returned.
   */
  send(): void;
  /** Ends the exchange in progress as `failed` with this class, before this call returns. No-op when there is none. */
  abort(errorClass: ErrorClass | 'aborted', message: string): void;
}

/**
 * Hears the events of one exchange, in this order: connected? written? (connected? redirected)* headersReceived?
 * (answered | failed).
 */
export interface ExchangeListener {
  /** A new connection was made for this exchange. Milliseconds; 0 for a phase that did not take place. */
  connected(dnsMs: number, connectMs: number, tlsMs: number): void;
  /** The request is being written: from now on the target may have counted it. Once per exchange. */
  written(): void;
  /** A redirect is being followed: one more request is being written. */
  redirected(): void;
  /** The head of the (final) response is there; 1xx heads are not told. */
  headersReceived(status: number): void;
  /** The answer is complete. `body` only when the client was made to keep it: decoded, and cut at its limit. */
  answered(answer: Answer): void;
  failed(errorClass: ErrorClass | 'aborted', message: string): void;
}

export interface Answer {
  status: number;
  /** Length of the body as transferred, without chunk framing, before content decoding. */
  bodyBytes: number;
  /**
   * null: not kept, or not decodable (a broken coding, or a coded body that is longer than the limit, coded or decoded).
   * Valid until the connection's next `send`.
   */
  body: Uint8Array | null;
}
