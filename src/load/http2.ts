import type { PreparedTask } from '../task/spec.ts';
import type { ClientConnection, ClientOptions, ClientTraffic, ExchangeListener, ProtocolClient } from './client.ts';
import { Connector } from './connector.ts';
import { Http2Connection, type Http2Context } from './http2-connection.ts';
import { Http2Sessions } from './http2-sessions.ts';
import { http2Head, prepareRequest } from './request.ts';
import { SocketTraffic } from './traffic.ts';

/**
 * HTTP/2 through node:http2: over TLS where the server agrees to it (ALPN), in clear text with prior knowledge. A slot is a
 * stream; slots share sessions, up to `connections.streams` on each and no more than the server allows. Follows no redirects
 * (`whyOnlyUndici`). Limits: response heads of at most 64 KiB.
 *
 * @throws CodedError INVALID_INPUT when the request or the certificates cannot be used
 */
export function createHttp2Client(task: PreparedTask, options: ClientOptions): ProtocolClient {
  return new Http2Client(task, options);
}

class Http2Client implements ProtocolClient {
  readonly name = 'http2';
  readonly #traffic = new SocketTraffic();
  readonly #activity = { events: 0 };
  readonly #sessions: Http2Sessions;
  readonly #context: Http2Context;

  constructor(task: PreparedTask, options: ClientOptions) {
    const prepared = prepareRequest(task);
    const { connections, timeouts } = task.spec;
    this.#sessions = new Http2Sessions({
      connector: new Connector(task, 'h2'),
      endpoint: prepared.endpoint,
      origin: prepared.origin,
      traffic: this.#traffic,
      activity: this.#activity,
      reuse: connections.reuse,
      streams: connections.reuse ? connections.streams : 1,
      settingsTimeoutMs: timeouts.connectMs,
    });
    this.#context = {
      sessions: this.#sessions,
      activity: this.#activity,
      head: http2Head(prepared),
      isHead: prepared.dispatch.method === 'HEAD',
      body: prepared.dispatch.body,
      maxBodyBytes: options.keepBody ? options.maxBodyBytes : null,
    };
  }

  get events(): number {
    return this.#activity.events;
  }

  connection(listener: ExchangeListener): ClientConnection {
    return new Http2Connection(this.#context, listener);
  }

  traffic(): ClientTraffic {
    return this.#traffic.total();
  }

  async close(): Promise<void> {
    this.#sessions.close();
    await this.#traffic.close();
  }
}
