import { setTimeout as sleep } from 'node:timers/promises';
import { portsOf } from '../e2e/target-log.ts';
import type { TestCluster } from '../e2e/cluster.ts';
import { ClusterClient } from '../../src/rpc/client.ts';
import type { ClusterMessage } from '../../src/rpc/messages.ts';

/** What was done to a part of the cluster; `toMs` is Infinity while it lasts. Instants are milliseconds since 1970. */
export interface Span {
  /** `kill` lasts until the node is started again; `wipe` kills etcd and takes its data. */
  what: 'kill' | 'freeze' | 'cut' | 'block' | 'hog' | 'wipe';
  /** `m1`, `etcd`, `mysql`; of a cut both ends: `w1-etcd`, `w1-master`. */
  subject: string;
  fromMs: number;
  toMs: number;
}

export interface Poll {
  atMs: number;
  /** Which node answered. */
  asked: string;
  answer: ClusterMessage;
}

const POLL_MS = 250;
const TICK_MS = 20;

/** Keeps what can be seen of a cluster from outside while it runs. */
export class Recorder implements AsyncDisposable {
  readonly spans: Span[] = [];
  readonly polls: Poll[] = [];
  /** How often it was asked, also without an answer. */
  asked = 0;
  /** Local ports that a worker ever had open, so that hits tell whose they are. */
  readonly ports = new Map<string, Set<number>>();
  /** Instants at which this process was run late, and by how much: how noisy the machine was. */
  readonly late: { atMs: number; byMs: number }[] = [];
  readonly #cluster: TestCluster;
  readonly #stop = new AbortController();
  readonly #loops: Promise<unknown>;

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
    this.#loops = Promise.all([this.#poll(), this.#tick()]);
  }

  begin(what: Span['what'], subject: string): void {
    this.spans.push({ what, subject, fromMs: Date.now(), toMs: Infinity });
  }

  end(what: Span['what'], subject: string): void {
    for (const span of this.spans) {
      if (span.what === what && span.subject === subject && span.toMs === Infinity) span.toMs = Date.now();
    }
  }

  endAll(what: Span['what']): void {
    for (const { subject } of this.spans) this.end(what, subject);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loops;
  }

  /** One node after the other is asked for the cluster as it sees it. */
  async #poll(): Promise<void> {
    const clients = new Map<string, ClusterClient>();
    while (!this.#stop.signal.aborted) {
      this.#notePorts();
      const alive = [...this.#cluster.nodes.values()].filter((node) => node.isAlive && !node.isFrozen);
      const node = alive[this.asked++ % Math.max(1, alive.length)];
      if (node !== undefined) {
        const client = clients.get(node.address) ?? ClusterClient.connect(node.address, { deadlineMs: 1_000 });
        clients.set(node.address, client);
        try {
          const answer = await client.getCluster();
          this.polls.push({ atMs: Date.now(), asked: node.nodeId, answer });
        } catch {
          // That there is no answer now and then is what faults are for; what must be answered is asked by the cases.
        }
      }
      await sleep(POLL_MS);
    }
    for (const client of clients.values()) client.close();
  }

  async #tick(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const dueMs = Date.now() + TICK_MS;
      await sleep(TICK_MS);
      const byMs = Date.now() - dueMs;
      if (byMs > TICK_MS) this.late.push({ atMs: Date.now(), byMs });
    }
  }

  #notePorts(): void {
    for (const { nodeId, pid, isAlive } of this.#cluster.nodes.values()) {
      if (!isAlive || !nodeId.startsWith('w')) continue;
      const ports = this.ports.get(nodeId) ?? new Set<number>();
      this.ports.set(nodeId, ports);
      try {
        for (const port of portsOf(pid)) ports.add(port);
      } catch {
        // It died meanwhile.
      }
    }
  }
}
