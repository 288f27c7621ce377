/**
 * Workers without an engine: they hold real streams to a master, take assignments, and send a sample a second as a worker
 * would. A process of its own, so that its CPU is not the master's: `sim-workers.ts ADDRESS COUNT`, told to stop by
 * SIGTERM; prints `connected` when all are welcome, and at the end a line of JSON.
 */
import { createDialer } from '../../../src/rpc/session-client.ts';
import { SILENT } from '../../../src/lib/log.ts';
import { nowMs } from '../../../src/lib/clock.ts';
import { Histogram } from '../../../src/lib/histogram.ts';
import type { Link, NodeRecord, ToMaster, ToWorker } from '../../../src/cluster/ports.ts';
import {
  STRESS,
  type AssignmentKey,
  type SampleRecord,
  type StressToMaster,
  type StressToWorker,
} from '../../../src/stress/ports.ts';
import { encodeSample, sampleDigest } from '../../../src/task/sample-codec.ts';
import { answeredCounts, histogramOf, sampleOf } from '../../support/samples.ts';

const PING_MS = 500;
/** Hits that each sample tells of, with two histograms of as many latencies around 20 ms. */
const HITS = 100;

const [address = '', count = ''] = process.argv.slice(2);
const dial = createDialer({ log: SILENT, openDeadlineMs: 60_000 });
/** From the send of a sample to its acknowledgement, µs. */
const ackLatency = new Histogram();
let welcome = 0;
let sent = 0;
let acked = 0;
let closed = 0;

class SimWorker {
  readonly #node: NodeRecord;
  readonly #link: Link<ToMaster>;
  readonly #timers: NodeJS.Timeout[] = [];
  /** By assignment number. */
  readonly #work = new Map<
    number,
    { key: AssignmentKey; seq: number; sentAtMs: Map<number, number>; timer: NodeJS.Timeout }
  >();

  constructor(index: number) {
    this.#node = {
      nodeId: `sim-${index}`,
      incarnation: Date.now(),
      address: `127.0.0.1:${1 + (index % 1_000)}`,
      roles: ['worker'],
      priority: 0,
      labels: {},
      seq: index + 1,
      version: 'sim',
    };
    this.#link = dial(address, { message: (message) => this.#hear(message), closed: () => this.#closed() });
    this.#link.send({ type: 'hello', node: this.#node, maxTerm: 0, drivers: [STRESS], state: {} });
  }

  #hear(message: ToWorker): void {
    if (message.type === 'welcome') {
      if (++welcome === Number(count)) process.stdout.write('connected\n');
      this.#timers.push(setInterval(() => this.#link.send({ type: 'ping', clockMs: nowMs() }), PING_MS));
    }
    if (message.type === 'driver') this.#obey(message.payload as StressToWorker);
  }

  #obey(order: StressToWorker): void {
    const key = { runId: order.runId, assignment: order.assignment };
    const work = this.#work.get(order.assignment);
    switch (order.type) {
      case 'assign':
        if (work === undefined) this.#start(key, order.startAfterMs);
        return this.#say({ type: 'assignAck', ...key, version: order.version, epoch: order.epoch, error: null });
      case 'retune':
        return this.#say({ type: 'retuneAck', ...key, version: order.version, epoch: order.epoch, error: null });
      case 'stop':
        if (work === undefined) return;
        clearInterval(work.timer);
        return this.#say({
          type: 'stopped',
          ...key,
          incarnation: this.#node.incarnation,
          finalSeq: work.seq,
          why: order.why,
        });
      case 'ack':
        for (const [seq, atMs] of work?.sentAtMs ?? []) {
          if (seq > order.upTo) continue;
          work!.sentAtMs.delete(seq);
          acked++;
          ackLatency.record(Math.round((nowMs() - atMs) * 1000), 1);
        }
    }
  }

  #start(key: AssignmentKey, startAfterMs: number): void {
    const work = { key, seq: 0, sentAtMs: new Map<number, number>(), timer: undefined as unknown as NodeJS.Timeout };
    this.#work.set(key.assignment, work);
    work.timer = setTimeout(() => {
      work.timer = setInterval(() => this.#sample(work), 1000);
    }, startAfterMs);
  }

  #sample(work: { key: AssignmentKey; seq: number; sentAtMs: Map<number, number> }): void {
    const latencies = Array.from({ length: HITS }, () => [Math.round(20_000 * (0.5 + Math.random())), 1] as const);
    const histogram = histogramOf(...latencies);
    const data = encodeSample(
      sampleOf({
        seq: ++work.seq,
        second: work.seq - 1,
        target: HITS,
        counts: answeredCounts(HITS),
        statusCodes: { '200': HITS },
        histograms: { responseOk: histogram, serviceOk: histogram },
      }),
    );
    const { incarnation } = this.#node;
    const record: SampleRecord = {
      ...work.key,
      incarnation,
      seq: work.seq,
      second: work.seq - 1,
      digest: sampleDigest(data),
      data,
    };
    work.sentAtMs.set(work.seq, nowMs());
    sent++;
    this.#say({ type: 'samples', ...work.key, incarnation, samples: [record] });
  }

  #say(payload: StressToMaster): void {
    this.#link.send({ type: 'driver', driver: STRESS, payload });
  }

  #closed(): void {
    closed++;
    for (const timer of this.#timers) clearInterval(timer);
    for (const { timer } of this.#work.values()) clearInterval(timer);
  }
}

for (let index = 0; index < Number(count); index++) new SimWorker(index);
process.on('SIGTERM', () => {
  const ms = (percent: number): number => Math.round(ackLatency.percentile(percent)) / 1000;
  const ackMs = ackLatency.count === 0 ? null : { p50: ms(50), p90: ms(90), p99: ms(99), max: ackLatency.maxUs / 1000 };
  process.stdout.write(`${JSON.stringify({ welcome, sent, acked, closed, ackMs })}\n`, () => process.exit(0));
});
