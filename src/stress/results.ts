import { encodeSample, sampleDigest } from '../task/sample-codec.ts';
import type { Sample } from '../task/sample.ts';
import type { AssignmentKey, SampleRecord } from './ports.ts';

/** One message carries at most so much. */
const MAX_BATCH = 100;
const MAX_BATCH_BYTES = 512 * 1024;

/** The samples of one assignment that are not yet acknowledged, and which of them are to be sent. */
export class Results {
  readonly incarnation: number;
  readonly #key: AssignmentKey;
  /** In the order of `seq`, without a gap. */
  #unacked: SampleRecord[] = [];
  #bytes = 0;
  #lastSeq = 0;
  #sentSeq = 0;

  constructor(key: AssignmentKey, incarnation: number) {
    this.#key = key;
    this.incarnation = incarnation;
  }

  /** Number of the last sample made, 0: none yet. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** All up to this one are stored. */
  get ackedSeq(): number {
    return this.#lastSeq - this.#unacked.length;
  }

  /** Of what is kept until it is acknowledged. */
  get bytes(): number {
    return this.#bytes;
  }

  add(sample: Sample): void {
    const data = encodeSample(sample);
    const { runId, assignment } = this.#key;
    const { seq, second } = sample;
    this.#lastSeq = seq;
    this.#unacked.push({
      runId,
      assignment,
      incarnation: this.incarnation,
      seq,
      second,
      digest: sampleDigest(data),
      data,
    });
    this.#bytes += data.length;
  }

  acked(upTo: number): void {
    const gone = this.#unacked.splice(0, upTo - this.ackedSeq);
    for (const { data } of gone) this.#bytes -= data.length;
    this.#sentSeq = Math.max(this.#sentSeq, this.ackedSeq);
  }

  /** What was sent and not acknowledged is to be sent again. */
  rewind(): void {
    this.#sentSeq = this.ackedSeq;
  }

  /** Those that are due next; empty: none. */
  next(): readonly SampleRecord[] {
    const batch: SampleRecord[] = [];
    let bytes = 0;
    for (let i = this.#sentSeq - this.ackedSeq; i < this.#unacked.length && batch.length < MAX_BATCH; i++) {
      const record = this.#unacked[i]!;
      bytes += record.data.length;
      if (batch.length > 0 && bytes > MAX_BATCH_BYTES) break;
      batch.push(record);
    }
    return batch;
  }

  sent(batch: readonly SampleRecord[]): void {
    this.#sentSeq = batch.at(-1)!.seq;
  }
}
