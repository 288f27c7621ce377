import type { OnReadOpts } from 'node:net';
import type { PreparedTask } from '../task/spec.ts';
import type { ClientConnection, ClientOptions, ClientTraffic, ExchangeListener, ProtocolClient } from './client.ts';
import { Connector } from './connector.ts';
import { Http1Connection, type Http1Context } from './http1-connection.ts';
import { prepareRequest, requestBytes } from './request.ts';
import { SocketTraffic } from './traffic.ts';

const READ_BUFFER_BYTES = 64 * 1024;

/**
 * HTTP/1.1 on sockets of our own: the request is made once and written as it is, answers are read where they lie. Follows no
 * redirects (`whyOnlyUndici`). Limits: response heads of at most 64 KiB an exchange, trailers and chunk lines of as much each.
 *
 * @throws CodedError INVALID_INPUT when the request or the certificates cannot be used
 */
export function createHttp1Client(task: PreparedTask, options: ClientOptions): ProtocolClient {
  return new Http1Client(task, options);
}

class Http1Client implements ProtocolClient {
  readonly name = 'http1';
  readonly #traffic = new SocketTraffic();
  readonly #activity = { events: 0 };
  readonly #context: Http1Context;
  readonly #connections: Http1Connection[] = [];

  constructor(task: PreparedTask, options: ClientOptions) {
    const prepared = prepareRequest(task);
    this.#context = {
      connector: new Connector(task),
      endpoint: prepared.endpoint,
      traffic: this.#traffic,
      activity: this.#activity,
      request: requestBytes(prepared),
      isHead: prepared.dispatch.method === 'HEAD',
      reuse: task.spec.connections.reuse,
      readBuffer: makeReadBuffer(),
      maxBodyBytes: options.keepBody ? options.maxBodyBytes : null,
    };
  }

  get events(): number {
    return this.#activity.events;
  }

  connection(listener: ExchangeListener): ClientConnection {
    const connection = new Http1Connection(this.#context, listener);
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

/**
 * One buffer for all connections of a thread: libuv takes it when there are bytes to read, and what was read is parsed before
 * it reads again. Only Windows lends buffers to reads that are still waiting, so there each connection has its own.
 */
function makeReadBuffer(): OnReadOpts['buffer'] {
  const make = (): Buffer => Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  return process.platform === 'win32' ? make : make();
}
