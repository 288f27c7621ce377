import { connect } from 'node:net';

/** `refused`: the host answered that nobody listens there. `unknown`: no answer in time, or another failure. */
export type PortState = 'open' | 'refused' | 'unknown';

export type ProbePort = typeof probePort;

/**
 * Tries to connect to a node's own port. A process keeps its port open until it has stopped all work, so that a refusal
 * proves it gone; silence proves nothing.
 *
 * @param address `host:port`, `[v6]:port`
 */
export function probePort(address: string, deadlineMs: number): Promise<PortState> {
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address);
  const port = Number(parts?.[3]);
  if (parts === null || !(port > 0 && port < 65_536)) return Promise.resolve('unknown');
  const { promise, resolve } = Promise.withResolvers<PortState>();
  const socket = connect({ host: parts[1] ?? parts[2]!, port });
  const timer = setTimeout(() => resolve('unknown'), deadlineMs);
  socket.on('connect', () => resolve('open'));
  socket.on('error', (error) => resolve(isRefusal(error) ? 'refused' : 'unknown'));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** A name with several addresses fails with one error for each: all of them must have refused. */
function isRefusal(error: Error): boolean {
  if (error instanceof AggregateError) {
    return error.errors.length > 0 && error.errors.every((each) => each instanceof Error && isRefusal(each));
  }
  return 'code' in error && error.code === 'ECONNREFUSED';
}
