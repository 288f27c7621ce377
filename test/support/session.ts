import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Accept, LinkClosed, LinkHandlers, ToMaster } from '../../src/cluster/ports.ts';
import { SILENT, type Log } from '../../src/lib/log.ts';
import { SESSION_KEEPALIVE, sessionServerOptions, type Keepalive } from '../../src/rpc/session-options.ts';
import { sessionService } from '../../src/rpc/session-server.ts';

export interface SessionServer extends AsyncDisposable {
  address: string;
  /** Breaks all connections. */
  drop(): void;
}

/** A real gRPC server with nothing but the worker service, on a free port. */
export async function startSessionServer(
  accept: Accept,
  keepalive: Keepalive = SESSION_KEEPALIVE,
  log: Log = SILENT,
): Promise<SessionServer> {
  const server = new Server(sessionServerOptions(keepalive));
  const { definition, implementation } = sessionService(accept, log);
  server.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const drop = () => server.forceShutdown();
  return {
    address: `127.0.0.1:${port}`,
    drop,
    [Symbol.asyncDispose]() {
      drop();
      return Promise.resolve();
    },
  };
}

export function helloOf(nodeId: string, maxTerm = 0): ToMaster & { type: 'hello' } {
  return {
    type: 'hello',
    node: {
      nodeId,
      incarnation: 1,
      address: '127.0.0.1:1',
      roles: ['worker'],
      priority: 100,
      labels: {},
      seq: 0,
      version: '0.0.0',
    },
    maxTerm,
    drivers: ['stress'],
    state: {},
  };
}

/** Handlers that write down what they are told. */
export class Heard<In> implements LinkHandlers<In> {
  readonly messages: In[] = [];
  readonly ends: LinkClosed[] = [];
  readonly #end = Promise.withResolvers<LinkClosed>();

  message(message: In): void {
    if (this.ends.length > 0) throw new Error('a message came after the end');
    this.messages.push(message);
  }

  closed(how: LinkClosed): void {
    this.ends.push(how);
    this.#end.resolve(how);
  }

  /** Resolves when the stream has ended. */
  get end(): Promise<LinkClosed> {
    return this.#end.promise;
  }
}
