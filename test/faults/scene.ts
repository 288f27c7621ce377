import { setTimeout as sleep } from 'node:timers/promises';
import { TestCluster } from '../e2e/cluster.ts';
import { portsOf } from '../e2e/target-log.ts';
import { eventually } from '../support/eventually.ts';
import { NginxTarget } from '../support/nginx-target.ts';
import type { NodeProcess } from '../support/node-process.ts';
import type { TcpProxy, Who } from '../support/tcp-proxy.ts';
import { TWO_LEADERS, type Fault, type Nodes } from './fault.ts';
import { Links } from './links.ts';
import { Recorder } from './recorder.ts';
import { BINLOG } from './writes.ts';

export const DEFAULT_RATE = 300;
/** The load is looked at for so long before something happens. */
const STEADY_MS = 2_000;
const END_MS = 120_000;

export type Cut = 'stall' | 'refuse' | 'drop';
/** The other end of a cut: etcd, MySQL, or whoever is master (of a worker). */
export type Peer = 'etcd' | 'mysql' | 'master';

/** A cluster with a running task, and everything that can be done to it. What is done is recorded. */
export class Scene implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly target: NginxTarget;
  readonly links: Links;
  readonly recorder: Recorder;
  readonly nodes: Nodes;
  readonly fault: Fault;
  /** `tasks/1/runs/1` */
  run = '';

  private constructor(cluster: TestCluster, target: NginxTarget, links: Links, fault: Fault) {
    this.cluster = cluster;
    this.target = target;
    this.links = links;
    this.fault = fault;
    this.nodes = fault.nodes ?? TWO_LEADERS;
    this.recorder = new Recorder(cluster);
  }

  static async start(fault: Fault): Promise<Scene> {
    const { nodes = TWO_LEADERS, etcdMembers = 1, etcdArgs = [], mariadbArgs = [] } = fault;
    const links = new Links();
    const target = await NginxTarget.start();
    const options = { etcdMembers, etcdArgs, mariadbArgs: [...BINLOG, ...mariadbArgs], connect: links.connect };
    try {
      return new Scene(await TestCluster.start(nodes, options), target, links, fault);
    } catch (error) {
      await Promise.all([target[Symbol.asyncDispose](), links[Symbol.asyncDispose]()]);
      throw error;
    }
  }

  /** Starts the task, and waits until its load is steady. */
  async load(): Promise<void> {
    const load = { rate_per_second: this.rate, duration: `${this.fault.seconds}s` };
    this.run = await this.cluster.start({ task: { request: { url: this.target.url }, load } });
    await this.cluster.reach(this.run, 'RUNNING');
    await sleep(STEADY_MS);
  }

  get rate(): number {
    return this.fault.rate ?? DEFAULT_RATE;
  }

  get workers(): string[] {
    return Object.keys(this.nodes).filter((id) => id.startsWith('w'));
  }

  node(nodeId: string): NodeProcess {
    return this.cluster.node(nodeId);
  }

  /** Its id and term, as a node knows it. Default: any one that is awake. */
  master(afterTerm = 0, asked?: string): Promise<{ nodeId: string; term: number }> {
    return this.cluster.master(afterTerm, 60_000, asked === undefined ? undefined : this.node(asked).address);
  }

  async kill(nodeId: string): Promise<void> {
    this.recorder.begin('kill', nodeId);
    await this.node(nodeId).kill();
  }

  async restart(nodeId: string): Promise<void> {
    await this.cluster.add(nodeId, this.nodes[nodeId]);
    this.recorder.end('kill', nodeId);
  }

  /** Waits until it is frozen indeed. */
  freeze(nodeId: string): void {
    this.node(nodeId).freeze();
    this.recorder.begin('freeze', nodeId);
  }

  thaw(nodeId: string): void {
    this.recorder.end('freeze', nodeId);
    this.node(nodeId).thaw();
  }

  async freezeFor(nodeId: string, ms: number): Promise<void> {
    this.freeze(nodeId);
    await sleep(ms);
    this.thaw(nodeId);
  }

  /** A server that all nodes use. */
  async without(what: 'etcd' | 'mysql', how: 'kill' | 'freeze', act: () => Promise<unknown>): Promise<void> {
    const server = what === 'etcd' ? this.cluster.etcd : this.cluster.mariadb;
    this.recorder.begin(how, what);
    if (how === 'kill') await server.kill();
    else server.freeze();
    try {
      await act();
    } finally {
      if (how === 'kill') await server.start();
      else server.thaw();
      this.recorder.end(how, what);
    }
  }

  cut(nodeId: string, peer: Peer, how: Cut): void {
    // What is only dropped can be dialled again at once.
    if (how !== 'drop') {
      this.recorder.begin('cut', `${nodeId}-${peer}`);
      this.cluster.cutOff.add(nodeId);
    }
    const who = peer === 'master' ? this.#who(nodeId) : undefined;
    for (const proxy of this.#proxies(nodeId, peer)) proxy[how](who);
  }

  /** What a node asks of one candidate; all else that it asks passes. */
  stallBetween(nodeId: string, candidate: string): void {
    this.recorder.begin('cut', `${nodeId}-${candidate}`);
    this.cluster.cutOff.add(nodeId);
    this.links.of.get(candidate)!.inbound!.stall(this.#who(nodeId));
  }

  delay(nodeId: string, peer: Peer, ms: number): void {
    for (const proxy of this.#proxies(nodeId, peer)) proxy.delay(ms);
  }

  /** All that was cut and delayed passes again. */
  async mend(): Promise<void> {
    await this.links.heal();
    this.recorder.endAll('cut');
    this.cluster.cutOff.clear();
  }

  /** Everything that can be healed is; the run comes to its end. */
  async rest(): Promise<void> {
    await this.mend();
    for (const node of this.cluster.nodes.values()) {
      if (node.isAlive && node.isFrozen) this.thaw(node.nodeId);
    }
    // Not before its plan is over, of which there may be much left.
    await eventually(() => this.cluster.finish(this.run, 1_000), this.fault.seconds * 1_000 + END_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.recorder[Symbol.asyncDispose]();
    for (const node of this.cluster.nodes.values()) if (node.isAlive) node.thaw();
    await this.cluster[Symbol.asyncDispose]();
    await Promise.all([this.links[Symbol.asyncDispose](), this.target[Symbol.asyncDispose]()]);
  }

  #proxies(nodeId: string, peer: Peer): TcpProxy[] {
    const own = this.links.of.get(nodeId)!;
    if (peer === 'etcd') return own.etcd;
    if (peer === 'mysql') return [own.mysql];
    return [...this.links.of.values()].flatMap(({ inbound }) => (inbound === null ? [] : [inbound]));
  }

  /** Connections of a node, also those that it opens later. */
  #who(nodeId: string): Who {
    const { pid } = this.node(nodeId);
    return (port) => portsOf(pid).has(port);
  }
}
