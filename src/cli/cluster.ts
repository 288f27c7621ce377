import { DEFAULT_PORT } from '../app/config-keys.ts';
import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import type { ClusterClient } from '../rpc/client.ts';

/** Of every verb that speaks to a cluster. */
export const CLUSTER_FLAG = [
  '--cluster <host:port>',
  `a node of the cluster (default: GOSTRESS_CLUSTER, else 127.0.0.1:${DEFAULT_PORT})`,
] as const;

const DEFAULT_ADDRESS = `127.0.0.1:${DEFAULT_PORT}`;

/** `host:port`; a host alone gets the default port. */
export function readAddress(text: string, name: string, problems: string[]): string {
  const [, host, port] = /^(\[[^\]\s]+\]|[^:[\]/\s@]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined || Number(port ?? DEFAULT_PORT) < 1 || Number(port ?? DEFAULT_PORT) > 65_535) {
    problems.push(`${name}: expected HOST:PORT like "${DEFAULT_ADDRESS}", found ${show(text)}`);
    return DEFAULT_ADDRESS;
  }
  return port === undefined ? `${host}:${DEFAULT_PORT}` : text;
}

/** The address that a verb's flag, or GOSTRESS_CLUSTER, names. */
export function addressOf({ cluster }: { cluster?: string | undefined }, problems: string[]): string {
  const { GOSTRESS_CLUSTER: fromEnv = '' } = process.env;
  if (cluster !== undefined) return readAddress(cluster, '--cluster', problems);
  return fromEnv === '' ? DEFAULT_ADDRESS : readAddress(fromEnv, 'GOSTRESS_CLUSTER', problems);
}

/** The words after a verb that lead to the same cluster again. */
export function clusterWords(address: string): string {
  return address === DEFAULT_ADDRESS ? '' : ` --cluster ${address}`;
}

/**
 * Does not wait for the connection. gRPC is loaded here, and not with the command line: verbs that need none of it start
 * twice as fast.
 */
export async function connectTo(address: string): Promise<ClusterClient> {
  const { ClusterClient } = await import('../rpc/client.ts');
  return ClusterClient.connect(address);
}

/**
 * Calls a cluster and hangs up after it.
 *
 * @param problems with the command line, found so far
 * @throws CodedError USAGE when there are any
 */
export async function withCluster<T>(
  flags: { cluster?: string | undefined },
  problems: string[],
  act: (client: ClusterClient) => Promise<T>,
): Promise<T> {
  const address = addressOf(flags, problems);
  if (problems.length > 0) throw new CodedError('USAGE', problems);
  using client = await connectTo(address);
  return await act(client);
}

/** `tasks/42` of `42` or `tasks/42`. */
export function taskName(text: string, problems: string[]): string {
  const [, id] = /^(?:tasks\/)?(\d{1,20})$/.exec(text) ?? [];
  if (id === undefined) problems.push(`expected a task like "42" or "tasks/42", found ${show(text)}`);
  return `tasks/${id ?? 0}`;
}

/** `tasks/42/runs/3` of `42/3` or `tasks/42/runs/3`. */
export function runName(text: string, problems: string[]): string {
  const [, task, run] = /^(?:tasks\/)?(\d{1,20})\/(?:runs\/)?(\d{1,15})$/.exec(text) ?? [];
  if (run === undefined) problems.push(`expected a run like "42/3" or "tasks/42/runs/3", found ${show(text)}`);
  return `tasks/${task ?? 0}/runs/${run ?? 0}`;
}

/** `nodes/a` of `a` or `nodes/a`. */
export function nodeName(text: string, problems: string[]): string {
  const [, id] = /^(?:nodes\/)?([\w.-]+)$/.exec(text) ?? [];
  if (id === undefined) problems.push(`expected a node like "a" or "nodes/a", found ${show(text)}`);
  return `nodes/${id ?? ''}`;
}
