import type { PreparedTask } from '../task/spec.ts';
import type { ClientConnection, ClientOptions, ClientTraffic, ExchangeListener, ProtocolClient } from './client.ts';
import { Connector } from './connector.ts';
import { prepareRequest } from './request.ts';
import { SocketTraffic } from './traffic.ts';
import { UndiciConnection, type ConnectionContext } from './undici-connection.ts';

/**
 * HTTP/1.1 through undici. A kept body is decoded when it is looked at, so that the time of an answer is not that of
 * its decoding, and is valid until the next `send`. With redirects to other origins a slot has a connection for each.
 * Limits: a response head of at most 64 KiB; an unasked-for 100 Continue is a protocol error (undici refuses it).
 *
 * @throws CodedError INVALID_INPUT when the request or the certificates cannot be used
 */
export function createUndiciClient(task: PreparedTask, options: ClientOptions): ProtocolClient {
  return new UndiciClient(task, options);
}

class UndiciClient implements ProtocolClient {
  readonly name = 'undici';
  readonly #traffic = new SocketTraffic();
  readonly #activity = { events: 0 };
  readonly #context: ConnectionContext;
  readonly #connections: UndiciConnection[] = [];

  constructor(task: PreparedTask, options: ClientOptions) {
    const { redirects } = task.spec;
    this.#context = {
      request: prepareRequest(task),
      connector: new Connector(task),
      traffic: this.#traffic,
      activity: this.#activity,
      maxRedirects: redirects.follow ? redirects.max : null,
      maxBodyBytes: options.keepBody ? options.maxBodyBytes : null,
    };
  }

  get events(): number {
    return this.#activity.events;
  }

  connection(listener: ExchangeListener): ClientConnection {
    const connection = new UndiciConnection(this.#context, listener);
    this.#connections.push(connection);
    return connection;
  }

  traffic(): ClientTraffic {
    return this.#traffic.total();
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    await this.#traffic.close();
  }
}
