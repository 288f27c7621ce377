import type { NodeRef } from '../cluster/ports.ts';
import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import { Histogram } from '../lib/histogram.ts';
import type { Log } from '../lib/log.ts';
import { Backoff, isOver, pause } from '../lib/wait.ts';
import { decodeSample, sampleDigest } from '../task/sample-codec.ts';
import type { Sample } from '../task/sample.ts';
import type { AssignmentKey, SampleRecord, StressToMaster, StressToWorker, TaskStore } from './ports.ts';
import { keyOf, StoredRun, type SampleKey } from './stored-run.ts';
import { Wake } from './wake.ts';

type SamplesMessage = Extract<StressToMaster, { type: 'samples' }>;
type Ack = Extract<StressToWorker, { type: 'ack' }>;

/** What waits for the store: what comes on top is not taken, and is sent again by its worker. */
const MAX_QUEUED = 50_000;
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
/** What is stored at once. */
const MAX_BATCH = 1_000;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
/** Time between two writes, in which samples gather: of many workers each would be written by itself, for the price of a transaction. */
const GATHER_MS = 20;
/** Runs that no master looks after and that still get results: so many are kept in mind. */
const MAX_IDLE_RUNS = 200;
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 1_000;

export interface LedgerOptions {
  term: number;
  store: Pick<TaskStore, 'putSamples' | 'storedUpTo' | 'assignments'>;
  /** @returns false: the worker is not connected, or its outbox is full */
  send: (to: NodeRef, ack: Ack) => boolean;
  /** A sample that is new, perhaps before it is stored; each once. */
  onSample: (key: AssignmentKey, sample: Sample) => void;
  /** These were stored just now. */
  onStored: (samples: readonly SampleRecord[]) => void;
  /** A newer term stands. */
  onFenced: () => void;
  /** Samples that cannot be accepted: told once for each assignment. */
  onProblem: (key: SampleKey, text: string) => void;
  log: Log;
}

interface Entry {
  from: NodeRef;
  record: SampleRecord;
}

/**
 * Takes the samples of all workers, each exactly once: while one batch is being written the next one gathers. A sample is
 * acknowledged after the commit; what became of a write that timed out is unknown, and it is written again.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #runs = new Map<bigint, StoredRun>();
  /** Those of them that are kept in mind until they are closed. */
  readonly #kept = new Set<bigint>();
  /** Runs that are being looked up. */
  readonly #opening = new Map<bigint, Promise<void>>();
  readonly #queue: Entry[] = [];
  /** Of what waits for the store, or for its run to be looked up. */
  #queuedBytes = 0;
  readonly #owed = new Map<string, { to: NodeRef; key: SampleKey }>();
  readonly #wake = new Wake();

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** Samples 1 to this are stored; 0 when none is, or the run was not opened. */
  storedUpTo(key: SampleKey): number {
    return this.#runs.get(key.runId)?.upTo(key) ?? 0;
  }

  /** Samples of a greater number are refused from now on. */
  setFinal(key: SampleKey, finalSeq: number): void {
    this.#runs.get(key.runId)?.setFinal(key, finalSeq);
  }

  /** A new assignment of a run that is open. */
  addAssignment({ runId, assignment }: AssignmentKey): void {
    this.#runs.get(runId)?.addAssignment(assignment);
  }

  /** Learns what is stored of a run; again and again is fine. @throws CodedError UNAVAILABLE */
  open(runId: bigint): Promise<void> {
    if (this.#runs.has(runId)) return Promise.resolve();
    const known = this.#opening.get(runId);
    if (known !== undefined) return known;
    const opening = this.#open(runId).finally(() => this.#opening.delete(runId));
    this.#opening.set(runId, opening);
    return opening;
  }

  /** The same of a run that is looked after: it is kept in mind until it is closed. @throws CodedError UNAVAILABLE */
  keep(runId: bigint): Promise<void> {
    this.#kept.add(runId);
    return this.open(runId);
  }

  /** The run is over: what is known of it is forgotten, and read again if more comes. */
  close(runId: bigint): void {
    this.#kept.delete(runId);
    this.#runs.delete(runId);
  }

  /** The process is no more: it is owed nothing. */
  forget({ nodeId, incarnation }: NodeRef): void {
    for (const [name, { to }] of this.#owed) {
      if (to.nodeId === nodeId && to.incarnation === incarnation) this.#owed.delete(name);
    }
  }

  accept(from: NodeRef, message: SamplesMessage): void {
    const run = this.#runs.get(message.runId);
    if (run !== undefined) this.#accept(from, message, run);
    else void this.#acceptLater(from, message);
  }

  /** Tells a worker again what of an assignment is stored. */
  ack(to: NodeRef, key: SampleKey): void {
    const upTo = this.storedUpTo(key);
    const final = this.#runs.get(key.runId)?.isFinal(key) ?? false;
    if (upTo === 0 && !final) return;
    const { runId, assignment, incarnation } = key;
    const owed = `${to.nodeId} ${keyOf(key)}`;
    if (this.#options.send(to, { type: 'ack', runId, assignment, incarnation, upTo, final })) this.#owed.delete(owed);
    else this.#owed.set(owed, { to, key });
  }

  /** What could not be sent before. */
  ackAgain(): void {
    const owed = [...this.#owed.values()];
    this.#owed.clear();
    for (const { to, key } of owed) this.ack(to, key);
  }

  /** Writes what was accepted, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(RETRY_MIN_MS, RETRY_MAX_MS);
    let putAtMs = -Infinity;
    while (!signal.aborted) {
      const seen = this.#wake.count;
      if (this.#queue.length === 0) {
        await this.#wake.after(seen, RETRY_MAX_MS, signal);
        continue;
      }
      await pause(Math.max(0, putAtMs + GATHER_MS - nowMs()), signal);
      if (isOver(signal)) return;
      putAtMs = nowMs();
      const batch = this.#take();
      if (await this.#put(batch)) {
        backoff.reset();
        continue;
      }
      this.#putBack(batch);
      await pause(backoff.takeMs(), signal);
    }
  }

  async #open(runId: bigint): Promise<void> {
    const { store } = this.#options;
    const [stored, assignments] = await Promise.all([store.storedUpTo(runId), store.assignments(runId)]);
    if (!this.#runs.has(runId)) this.#runs.set(runId, new StoredRun(runId, stored, assignments));
    const idle = [...this.#runs.keys()].filter((id) => !this.#kept.has(id));
    for (const id of idle.slice(0, Math.max(0, idle.length - MAX_IDLE_RUNS))) this.#runs.delete(id);
  }

  /** When its run has been looked up. What there is no room for is sent again by its worker. */
  async #acceptLater(from: NodeRef, message: SamplesMessage): Promise<void> {
    const bytes = message.samples.reduce((sum, { data }) => sum + data.length, 0);
    if (this.#queuedBytes + bytes > MAX_QUEUED_BYTES) return;
    this.#queuedBytes += bytes;
    await this.open(message.runId).catch(() => undefined);
    this.#queuedBytes -= bytes;
    const run = this.#runs.get(message.runId);
    if (run !== undefined) this.#accept(from, message, run);
  }

  #accept(from: NodeRef, message: SamplesMessage, run: StoredRun): void {
    const { runId, assignment, incarnation } = message;
    const key = { runId, assignment, incarnation };
    if (!run.knows(assignment)) {
      this.#refuse(run, key, 'of an assignment that does not exist (was its task deleted?)');
      run.forgive(key, Math.max(...message.samples.map(({ seq }) => seq)));
      this.ack(from, key);
      return;
    }
    let repeated = false;
    for (const record of message.samples) {
      if (this.#queue.length >= MAX_QUEUED || this.#queuedBytes >= MAX_QUEUED_BYTES) break;
      const verdict = run.judge({ ...key, seq: record.seq });
      repeated ||= verdict === 'stored';
      if (verdict === 'refused') this.#refuse(run, key, `expected no sample after the final one, found ${record.seq}`);
      if (verdict === 'new') this.#enqueue(from, { ...record, ...key }, run);
    }
    if (repeated) this.ack(from, key);
    this.#wake.tell();
  }

  #enqueue(from: NodeRef, record: SampleRecord, run: StoredRun): void {
    let sample: Sample;
    try {
      sample = readSample(record);
    } catch (error) {
      this.#refuse(run, record, `sample ${record.seq} cannot be read: ${errorMessage(error)}`);
      return;
    }
    run.queued(record);
    this.#queue.push({ from, record });
    this.#queuedBytes += record.data.length;
    this.#options.onSample(record, sample);
  }

  #refuse(run: StoredRun, key: SampleKey, text: string): void {
    if (run.isFirstProblem(key)) this.#options.onProblem(key, text);
  }

  #take(): Entry[] {
    let bytes = 0;
    let count = 0;
    for (const { record } of this.#queue) {
      if (count === MAX_BATCH || (count > 0 && bytes + record.data.length > MAX_BATCH_BYTES)) break;
      bytes += record.data.length;
      count += 1;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  #putBack(batch: readonly Entry[]): void {
    this.#queue.unshift(...batch);
    this.#queuedBytes += batch.reduce((sum, { record }) => sum + record.data.length, 0);
  }

  /** @returns false: it is not known to be stored */
  async #put(batch: readonly Entry[]): Promise<boolean> {
    const records = batch.map(({ record }) => record);
    try {
      const { written } = await this.#options.store.putSamples(this.#options.term, records);
      if (written === 'fenced') this.#options.onFenced();
      if (written !== 'written') return false;
    } catch (error) {
      this.#options.log.warn({ error: errorMessage(error), samples: batch.length }, 'samples not stored, trying again');
      return false;
    }
    const acks = new Map<string, { to: NodeRef; key: SampleKey }>();
    for (const { from, record } of batch) {
      this.#runs.get(record.runId)?.stored(record);
      acks.set(`${from.nodeId} ${keyOf(record)}`, { to: from, key: record });
    }
    this.#options.onStored(records);
    for (const { to, key } of acks.values()) this.ack(to, key);
    return true;
  }
}

/** @throws RangeError when it is not what it says it is, or could not be merged */
function readSample({ seq, second, digest, data }: SampleRecord): Sample {
  if (!Buffer.from(sampleDigest(data)).equals(digest)) throw new RangeError('its digest does not fit');
  const sample = decodeSample(data);
  if (sample.seq !== seq || sample.second !== second) throw new RangeError('its numbers do not fit');
  for (const histogram of Object.values(sample.histograms)) Histogram.check(histogram);
  return sample;
}
