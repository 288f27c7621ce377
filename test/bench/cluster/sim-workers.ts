/**
 * Workers without an engine: they hold real streams to a master, take assignments, ping and tell of themselves, and send a
 * sample a second as a worker would. A process of its own, so that its CPU is not the master's:
 * `sim-workers.ts ADDRESS COUNT ETCD`. Prints `connected` when all are welcome; told to end by SIGTERM it prints a `SimEnd`.
 */
import { KEYS, prefixOf } from '../../../src/cluster/etcd-records.ts';
import type { Link, NodeInfo, NodeRecord, ToMaster, ToWorker } from '../../../src/cluster/ports.ts';
import { DEFAULT_TIMINGS } from '../../../src/cluster/timings.ts';
import { nowMs } from '../../../src/lib/clock.ts';
import { Histogram } from '../../../src/lib/histogram.ts';
import { SILENT } from '../../../src/lib/log.ts';
import { createDialer } from '../../../src/rpc/session-client.ts';
import {
  STRESS,
  type AssignmentKey,
  type SampleRecord,
  type StressToMaster,
  type StressToWorker,
} from '../../../src/stress/ports.ts';
import { sendAfterMs } from '../../../src/stress/shares.ts';
import { encodeSample, sampleDigest } from '../../../src/task/sample-codec.ts';
import { WINDOW, type SimEnd } from './sim-end.ts';
import { answeredCounts, histogramOf, sampleOf } from '../../support/samples.ts';

/** Hits that each sample tells of, with histograms of as many values. */
const HITS = 1_000;
const SECOND_MS = 1_000;
const INFO: NodeInfo = {
  ...{ cpu: 0.1, cores: 2, memory: 0.2, memoryTotalBytes: 4e9, memoryFreeBytes: 3e9 },
  ...{ loopLagP99Ms: 1, capacity: null, running: 1 },
};

interface Work {
  key: AssignmentKey & { incarnation: number };
  seq: number;
  sentAtMs: Map<number, number>;
  timer: NodeJS.Timeout;
}

/** Around 20 ms, with a long tail. */
const latency = histogramOf(
  ...Array.from({ length: HITS }, () => [Math.round(20_000 / Math.random() ** 0.5), 1] as const),
);
const lateness = histogramOf(...Array.from({ length: HITS }, () => [Math.round(500 * Math.random()), 1] as const));
/** By number: a worker's name is not in it, so that it is encoded once for all. */
const encoded = new Map<number, Pick<SampleRecord, 'seq' | 'second' | 'data' | 'digest'>>();

function sampleNumber(seq: number): Pick<SampleRecord, 'seq' | 'second' | 'data' | 'digest'> {
  const known = encoded.get(seq);
  if (known !== undefined) return known;
  const second = seq - 1;
  const data = encodeSample(
    sampleOf({
      seq,
      second,
      target: HITS,
      counts: answeredCounts(HITS),
      statusCodes: { '200': HITS },
      histograms: { responseOk: latency, serviceOk: latency, lateness },
    }),
  );
  const made = { seq, second, data, digest: sampleDigest(data) };
  encoded.set(seq, made);
  return made;
}

class SimWorker {
  readonly #node: NodeRecord;
  readonly #link: Link<ToMaster>;
  readonly #timers: NodeJS.Timeout[] = [];
  /** By run and assignment. */
  readonly #work = new Map<string, Work>();

  constructor(node: NodeRecord) {
    this.#node = node;
    this.#link = dial(address, { message: (message) => this.#hear(message), closed: () => this.#closed() });
    this.#link.send({ type: 'hello', node, maxTerm: 0, drivers: [STRESS], state: {} });
  }

  #hear(message: ToWorker): void {
    if (message.type === 'welcome') {
      const { pingMs, nodeInfoMs } = DEFAULT_TIMINGS;
      this.#timers.push(
        setInterval(() => this.#link.send({ type: 'ping', clockMs: nowMs() }), pingMs),
        setInterval(() => this.#link.send({ type: 'nodeInfo', info: INFO }), nodeInfoMs),
      );
      if (++end.welcome === nodes.length) process.stdout.write('connected\n');
    }
    if (message.type === 'driver') this.#obey(message.payload as StressToWorker);
  }

  #obey(order: StressToWorker): void {
    const { runId, assignment } = order;
    const { incarnation } = this.#node;
    const key = { runId, assignment, incarnation };
    const work = this.#work.get(`${runId} ${assignment}`);
    switch (order.type) {
      case 'assign':
        if (work === undefined) this.#start(key, order.startAfterMs + sendAfterMs(order.share));
        return this.#say({ type: 'assignAck', ...key, version: order.version, epoch: order.epoch, error: null });
      case 'retune':
        return this.#say({ type: 'retuneAck', ...key, version: order.version, epoch: order.epoch, error: null });
      case 'stop':
        if (work === undefined) return;
        clearInterval(work.timer);
        return this.#say({ type: 'stopped', ...key, finalSeq: work.seq, why: order.why });
      case 'ack':
        for (const [seq, atMs] of work?.sentAtMs ?? []) {
          if (seq > order.upTo) continue;
          work!.sentAtMs.delete(seq);
          end.samples.acked++;
          const ackMs = nowMs() - atMs;
          end.longestAckMs = Math.max(end.longestAckMs, ackMs);
          if (atMs >= windowFromMs && atMs < windowToMs) ackLatency.record(ackMs * 1000);
        }
    }
  }

  #start(key: Work['key'], startAfterMs: number): void {
    const begin = (): void => {
      work.timer = setInterval(() => this.#sample(work), SECOND_MS);
    };
    const work: Work = { key, seq: 0, sentAtMs: new Map(), timer: setTimeout(begin, startAfterMs) };
    this.#work.set(`${key.runId} ${key.assignment}`, work);
  }

  #sample(work: Work): void {
    const sample = sampleNumber(++work.seq);
    work.sentAtMs.set(work.seq, nowMs());
    end.samples.sent++;
    end.samples.bytes += sample.data.length;
    this.#say({ type: 'samples', ...work.key, samples: [{ ...work.key, ...sample }] });
  }

  #say(payload: StressToMaster): void {
    this.#link.send({ type: 'driver', driver: STRESS, payload });
  }

  #closed(): void {
    end.lost++;
    for (const timer of this.#timers) clearInterval(timer);
    for (const { timer } of this.#work.values()) clearInterval(timer);
  }
}

const [address = '', count = '', etcd = ''] = process.argv.slice(2);
const dial = createDialer({ log: SILENT, openDeadlineMs: 60_000 });
const ackLatency = new Histogram();
const end = { welcome: 0, lost: 0, samples: { sent: 0, acked: 0, bytes: 0 }, longestAckMs: 0 };
let windowFromMs = Infinity;
let windowToMs = Infinity;
const nodes = Array.from({ length: Number(count) }, (_, index): NodeRecord => {
  const who = { nodeId: `sim-${index}`, incarnation: Date.now(), address: `127.0.0.1:${1 + (index % 1_000)}` };
  return { ...who, roles: ['worker'], priority: 0, labels: {}, seq: index + 2, version: 'sim' };
});

/** Their records, without leases: whoever renews these burdens etcd, not the master. */
for (const node of nodes) {
  const body = { key: btoa(`${prefixOf('gostress')}${KEYS.nodes}${node.nodeId}`), value: btoa(JSON.stringify(node)) };
  const answer = await fetch(`http://${etcd}/v3/kv/put`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`etcd: ${await answer.text()}`);
}
for (const node of nodes) new SimWorker(node);
process.on(WINDOW, () => {
  if (windowFromMs === Infinity) windowFromMs = nowMs();
  else windowToMs = nowMs();
});
process.once('SIGTERM', () => {
  const ms = (percent: number): number => ackLatency.percentile(percent) / 1000;
  const ackMs = { p50: ms(50), p90: ms(90), p99: ms(99), max: ackLatency.maxUs / 1000 };
  const told: SimEnd = { ...end, ackMs: ackLatency.count === 0 ? null : ackMs };
  process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit(0));
});
