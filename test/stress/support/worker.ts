import type { Member, NodeRecord, NodeRef } from '../../../src/cluster/ports.ts';
import { nowMs } from '../../../src/lib/clock.ts';
import type {
  RunningAssignment,
  SampleRecord,
  StressHello,
  StressToMaster,
  StressToWorker,
} from '../../../src/stress/ports.ts';
import { meanTarget, planEndMs, type Plan, type Share } from '../../../src/task/plan.ts';
import { encodeSample, sampleDigest } from '../../../src/task/sample-codec.ts';
import type { Sample } from '../../../src/task/sample.ts';
import { healthySecond } from '../../support/samples.ts';
import type { FakeCluster } from './cluster.ts';

const TICK_MS = 20;
const RESEND_MS = 1_000;

export interface FakeWork {
  runId: bigint;
  assignment: number;
  version: number;
  epoch: number;
  share: Share;
  plan: Plan;
  hits: number | null;
  /** Run time 0 on this clock. */
  zeroMs: number;
  nextSecond: number;
  sent: number;
  lastSeq: number;
  unacked: SampleRecord[];
  resendAtMs: number;
  finalSeq: number | null;
}

/** Speaks the protocol and counts instead of loading: a sample for each second, kept until it is acknowledged. */
export class FakeWorker {
  readonly node: NodeRecord;
  readonly part: Partial<Member> = {};
  readonly works = new Map<string, FakeWork>();
  /** Every sample it ever made. */
  readonly made: Sample[] = [];
  /** Every acknowledgement that came. */
  readonly acks: Extract<StressToWorker, { type: 'ack' }>[] = [];
  connected = false;
  /** As the master judges; `gone`: killed, or so it seems. */
  standing: Member['standing'] = 'suspect';
  /** It answers assignments with this. */
  refusal: string | null = null;
  /** It gets messages, and answers none. */
  mute = false;
  readonly #cluster: FakeCluster;
  readonly #timer: NodeJS.Timeout;

  constructor(cluster: FakeCluster, node: NodeRecord) {
    this.#cluster = cluster;
    this.node = node;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  get ref(): NodeRef {
    return { nodeId: this.node.nodeId, incarnation: this.node.incarnation };
  }

  get loading(): FakeWork[] {
    return [...this.works.values()].filter(({ finalSeq }) => finalSeq === null);
  }

  connect(): void {
    this.connected = true;
    this.standing = 'live';
    const state: StressHello = { running: [...this.works.values()].map(entryOf), spilled: [] };
    for (const listener of this.#cluster.master!.hello) listener(this.ref, state);
    for (const work of this.works.values()) work.resendAtMs = 0;
  }

  /** The process is no more. */
  kill(standing: Member['standing'] = 'suspect'): void {
    clearInterval(this.#timer);
    this.works.clear();
    this.#lose(standing);
  }

  /** It goes on, and its master does not hear of it. */
  isolate(): void {
    this.#lose('suspect');
  }

  stand(standing: Member['standing']): void {
    this.standing = standing;
    this.#cluster.tell('modified', this);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  receive(term: number, payload: unknown): boolean {
    if (!this.connected || term !== this.#cluster.master!.term) return false;
    queueMicrotask(() => this.#handle(payload as StressToWorker));
    return true;
  }

  #lose(standing: Member['standing']): void {
    this.connected = false;
    this.stand(standing);
  }

  #handle(message: StressToWorker): void {
    const key = `${message.runId} ${message.assignment}`;
    const work = this.works.get(key);
    if (message.type === 'ack') {
      this.acks.push(message);
      if (work === undefined) return;
      work.unacked = work.unacked.filter(({ seq }) => seq > message.upTo);
      if (message.final && work.unacked.length === 0) this.works.delete(key);
      return;
    }
    const share = 'share' in message ? ` ${message.share.weight}/${message.share.of}` : '';
    this.#cluster.history.push(`${message.type} ${this.node.nodeId}${share}`);
    if (this.mute) return;
    const { runId, assignment, version } = message;
    if (work === undefined && message.type !== 'assign') {
      const { incarnation } = this.node;
      this.#send({ type: 'stopped', runId, assignment, incarnation, finalSeq: 0, why: 'not known here' });
      return;
    }
    if (message.type === 'stop') {
      this.#end(work!, message.why);
      return;
    }
    const { epoch } = message;
    const ack = { runId, assignment, version, epoch, error: this.refusal };
    if (message.type === 'assign') {
      if (this.refusal === null && work === undefined) this.works.set(key, workOf(message));
      this.#send({ type: 'assignAck', ...ack });
    } else if (work !== undefined) {
      Object.assign(work, { version, epoch, share: message.share, plan: message.plan });
      this.#send({ type: 'retuneAck', ...ack });
    }
  }

  #tick(): void {
    for (const work of this.works.values()) {
      const elapsedMs = nowMs() - work.zeroMs;
      const endMs = planEndMs(work.plan);
      while (work.finalSeq === null && Math.min(elapsedMs, endMs) >= (work.nextSecond + 1) * 1000)
        this.#second(work, 1000);
      if (work.finalSeq === null && (elapsedMs >= endMs || work.sent === work.hits)) this.#end(work, '');
      if (nowMs() >= work.resendAtMs) this.#flush(work);
    }
  }

  #second(work: FakeWork, durationMs: number): void {
    const startMs = work.nextSecond * 1000;
    const { weight, of } = work.share;
    const due = Math.round((meanTarget(work.plan, startMs, startMs + durationMs) * weight * durationMs) / of / 1000);
    const hits = Math.min(due, (work.hits ?? Infinity) - work.sent);
    work.sent += hits;
    const latencyUs = 1_000 * this.node.nodeId.charCodeAt(0) + work.nextSecond;
    const sample = healthySecond(work.nextSecond, hits, latencyUs, { seq: ++work.lastSeq, durationMs });
    work.nextSecond += 1;
    this.made.push(sample);
    const data = encodeSample(sample);
    const { runId, assignment } = work;
    const { seq, second } = sample;
    const { incarnation } = this.node;
    work.unacked.push({ runId, assignment, incarnation, seq, second, digest: sampleDigest(data), data });
    work.resendAtMs = 0;
  }

  #end(work: FakeWork, why: string): void {
    if (work.finalSeq === null) {
      const restMs = Math.min(nowMs() - work.zeroMs, planEndMs(work.plan)) - work.nextSecond * 1000;
      if (restMs > 1) this.#second(work, Math.min(1000, restMs));
      work.finalSeq = work.lastSeq;
    }
    this.#flush(work, why);
  }

  /** All that is not acknowledged, and how it ended. */
  #flush(work: FakeWork, why = ''): void {
    const { runId, assignment, unacked, finalSeq } = work;
    const { incarnation } = this.node;
    if (unacked.length > 0) this.#send({ type: 'samples', runId, assignment, incarnation, samples: [...unacked] });
    if (finalSeq !== null) this.#send({ type: 'stopped', runId, assignment, incarnation, finalSeq, why });
    work.resendAtMs = nowMs() + RESEND_MS;
  }

  #send(message: StressToMaster): void {
    if (!this.connected || this.mute) return;
    for (const listener of this.#cluster.master!.message) listener(this.ref, message);
  }
}

function workOf(message: Extract<StressToWorker, { type: 'assign' }>): FakeWork {
  const { runId, assignment, version, epoch, share, plan, hits, planOffsetMs, startAfterMs } = message;
  const rest = { sent: 0, lastSeq: 0, unacked: [], resendAtMs: Infinity, finalSeq: null };
  const zeroMs = nowMs() + startAfterMs - planOffsetMs;
  return {
    runId,
    assignment,
    version,
    epoch,
    share,
    plan,
    hits,
    zeroMs,
    nextSecond: Math.floor(planOffsetMs / 1000),
    ...rest,
  };
}

function entryOf(work: FakeWork): RunningAssignment {
  const { runId, assignment, version, epoch, share, lastSeq, finalSeq, zeroMs, unacked } = work;
  const elapsedMs = nowMs() - zeroMs;
  const ackedSeq = (unacked[0]?.seq ?? lastSeq + 1) - 1;
  return { runId, assignment, version, epoch, incarnation: 1, share, elapsedMs, lastSeq, ackedSeq, finalSeq };
}
