import { freePort } from '../support/ports.ts';
import type { NodeOptions } from '../support/node-process.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

/** The network of one node, each connection through a proxy. */
export interface NodeLinks {
  port: number;
  /** One for each member. */
  etcd: TcpProxy[];
  mysql: TcpProxy;
  /**
   * Of a candidate: what dials the address that it advertises, so the workers when it is master. Others advertise their own port: a
   * proxy would accept what a dead process refuses.
   */
  inbound: TcpProxy | null;
}

/** The network of a cluster: `connect` is for TestCluster. */
export class Links implements AsyncDisposable {
  readonly of = new Map<string, NodeLinks>();

  readonly connect = async (options: NodeOptions): Promise<NodeOptions> => {
    const links = this.of.get(options.nodeId) ?? (await open(options));
    this.of.set(options.nodeId, links);
    const url = new URL(options.mysqlUrl);
    url.host = links.mysql.address;
    const advertise = links.inbound === null ? {} : { GOSTRESS_ADVERTISE: links.inbound.address };
    return {
      ...options,
      port: links.port,
      etcdHosts: links.etcd.map(({ address }) => `http://${address}`),
      mysqlUrl: url.href,
      env: { ...advertise, ...options.env },
    };
  };

  get all(): TcpProxy[] {
    return [...this.of.values()].flatMap(({ etcd, mysql, inbound }) => [...etcd, mysql, ...(inbound ? [inbound] : [])]);
  }

  /** All faults end. */
  async heal(): Promise<void> {
    await Promise.all(this.all.map((proxy) => proxy.resume()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((proxy) => proxy[Symbol.asyncDispose]()));
  }
}

async function open({ etcdHosts, mysqlUrl, env }: NodeOptions): Promise<NodeLinks> {
  const port = await freePort();
  const isCandidate = env?.GOSTRESS_ROLES?.includes('candidate') === true;
  return {
    port,
    etcd: await Promise.all(etcdHosts.map((url) => TcpProxy.start(new URL(url).host))),
    mysql: await TcpProxy.start(new URL(mysqlUrl).host),
    inbound: isCandidate ? await TcpProxy.start(`127.0.0.1:${port}`) : null,
  };
}
