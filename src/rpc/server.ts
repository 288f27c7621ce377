import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { CodedError } from '../lib/errors.ts';
import { plainReason } from '../lib/grpc-words.ts';
import type { Log } from '../lib/log.ts';
import { settledWithin } from '../lib/wait.ts';
import type { ClusterStatus, StressApi } from '../stress/ports.ts';
import type { CallContext } from './calls.ts';
import { clusterService } from './cluster-service.ts';
import { logGrpc } from './grpc-log.ts';
import { healthService } from './health.ts';
import { reflectionServices } from './reflection.ts';
import { Forwarder, unavailable, type MasterAddress, type Route } from './route.ts';
import { sessionServerOptions } from './session-options.ts';
import { taskService } from './task-service.ts';

export type { MasterAddress } from './route.ts';

export interface RpcServerOptions {
  /** `host:port`; port 0: any free one. */
  listen: string;
  /** Of this node; calls that it forwards carry it. */
  nodeId: string;
  /** null: this node is not the master now. */
  api: () => StressApi | null;
  /** The master as this node knows it; null: none. */
  master: () => MasterAddress | null;
  /** Why a later master would not be known, e.g. `etcd does not answer`; null: it would be. Default: never. */
  problem?: () => string | null;
  /** The cluster as this node knows it, for GetCluster while there is no master. Default: nothing. */
  known?: () => ClusterStatus | null;
  /** Services beside the public ones: the worker session's. */
  services?: readonly { definition: ServiceDefinition; implementation: object }[];
  /** Health of the node as a whole. Default: always. */
  ready?: () => boolean;
  log: Log;
}

export interface RpcServer {
  /** `host:port` with the port that is listened on. */
  address: string;
  port: number;
  /** Takes no more calls; streams end, and those that run get the time. Idempotent; never rejects. */
  close(graceMs: number): Promise<void>;
}

const TASK_SERVICE = 'gostress.v1.TaskService';
const CLUSTER_SERVICE = 'gostress.v1.ClusterService';

/** Serves the public API on this node. @throws CodedError INVALID_INPUT when the address cannot be listened on */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { listen, nodeId, api, master, services = [], log } = options;
  const { problem = () => null, known = () => null, ready = () => true } = options;
  logGrpc(log);
  const route: Route = { api, master, problem, nodeId };
  const forwarder = new Forwarder(route);
  const closing = new AbortController();
  const context: CallContext = { route, forwarder, log, closing: closing.signal };
  const isRouted = (): boolean => api() !== null || (master() !== null && problem() === null);
  const serving: Readonly<Record<string, () => boolean>> = {
    '': ready,
    [TASK_SERVICE]: isRouted,
    [CLUSTER_SERVICE]: isRouted,
  };
  const server = new Server(sessionServerOptions());
  const all = [
    taskService(context),
    clusterService(context, known),
    healthService((name) => serving[name]?.(), closing.signal),
    ...reflectionServices(),
    ...services,
  ];
  for (const { definition, implementation } of all) {
    server.addService(definition, implementation as UntypedServiceImplementation);
  }
  const port = await bind(server, listen);
  let closed: Promise<void> | null = null;
  return {
    address: `${listen.slice(0, listen.lastIndexOf(':'))}:${port}`,
    port,
    close: (graceMs) =>
      (closed ??= (async () => {
        closing.abort(unavailable(`node ${nodeId} is stopping`));
        await shutDown(server, graceMs);
        forwarder.close();
      })()),
  };
}

function bind(server: Server, listen: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(listen, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else
        reject(
          new CodedError('INVALID_INPUT', `cannot listen on ${listen}: ${plainReason(error.message)}`, {
            cause: error,
          }),
        );
    });
  });
}

async function shutDown(server: Server, graceMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.tryShutdown(() => resolve());
  if (!(await settledWithin(promise, graceMs))) server.forceShutdown();
}
