import { nowMs } from '../lib/clock.ts';
import { encodeSample, sampleDigest } from '../task/sample-codec.ts';
import type { Sample } from '../task/sample.ts';
import type { SampleRecord, StressToMaster } from './ports.ts';
import type { Found, Place, Spill } from './spill.ts';
import type { Frame } from './spill-frames.ts';
import type { SampleKey } from './stored-run.ts';

/** One message carries at most so much. */
const MAX_BATCH = 100;
const MAX_BATCH_BYTES = 512 * 1024;
/** Sent and not yet acknowledged: a master that is behind is not buried. */
const WINDOW_BYTES = 4 * 1024 * 1024;

interface Entry {
  seq: number;
  bytes: number;
  madeAtMs: number;
  /** null: on disk only. */
  record: SampleRecord | null;
  place: Place | null;
  isAcked: boolean;
}

interface End {
  finalSeq: number;
  why: string;
}

export interface ResultsOptions {
  /** null: everything stays in memory. */
  spill: Spill | null;
  /** What was on disk is in memory: `flush` has more to send. */
  onLoaded: () => void;
  onProblem: (error: unknown) => void;
}

/**
 * The results of one assignment by one process until a master says that they are stored: its samples, in memory or on
 * disk, and how it ended.
 */
export class Results {
  readonly key: SampleKey;
  readonly #options: ResultsOptions;
  /** What is on disk comes first: it is older. */
  #entries: Entry[] = [];
  #memoryBytes = 0;
  #lastSeq = 0;
  /** The first of the entries that is to be sent. */
  #next = 0;
  #sentBytes = 0;
  #end: End | null = null;
  #endedAtMs = -Infinity;
  #endPlace: Place | null = null;
  #isEndTold = false;
  #isReleased = false;
  /** Read back from disk, by number. */
  readonly #loaded = new Map<number, SampleRecord>();
  #isLoading = false;

  constructor(key: SampleKey, options: ResultsOptions) {
    this.key = key;
    this.#options = options;
  }

  /** What an earlier process left on disk. */
  static of({ key, samples, end }: Found, options: ResultsOptions): Results {
    const results = new Results(key, options);
    results.#entries = samples.map(({ seq, place }) => {
      return { seq, bytes: place.length, madeAtMs: -Infinity, record: null, place, isAcked: false };
    });
    results.#end = end?.told ?? null;
    results.#endPlace = end?.place ?? null;
    results.#lastSeq = end?.told.finalSeq ?? samples.at(-1)!.seq;
    return results;
  }

  /** Number of the last sample made, 0: none yet. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** All up to this one are stored. */
  get ackedSeq(): number {
    return (this.#entries[0]?.seq ?? this.#lastSeq + 1) - 1;
  }

  /** Of what is in memory only. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** How it ended; null: it has not, or nobody knows. */
  get end(): End | null {
    return this.#end;
  }

  add(sample: Sample): void {
    const data = encodeSample(sample);
    const { seq, second } = sample;
    this.#lastSeq = seq;
    const record = { ...this.key, seq, second, digest: sampleDigest(data), data };
    this.#entries.push({ seq, bytes: data.length, madeAtMs: nowMs(), record, place: null, isAcked: false });
    this.#memoryBytes += data.length;
  }

  /** No sample comes after this. */
  ended(why: string): void {
    this.#end = { finalSeq: this.#lastSeq, why };
    this.#endedAtMs = nowMs();
  }

  // --- To a master -------------------------------------------------------------------------------------------------

  /**
   * Sends what is due: samples, and after the last of them how it ended.
   *
   * @param send returns false when the stream takes no more now
   * @returns false: the stream takes no more
   */
  flush(send: (message: StressToMaster) => boolean): boolean {
    const { runId, assignment, incarnation } = this.key;
    const key = { runId, assignment, incarnation };
    for (;;) {
      const samples = this.#batch();
      if (samples.length === 0) break;
      if (!send({ type: 'samples', ...key, samples })) return false;
      this.#sent(samples);
    }
    if (this.#next < this.#entries.length || this.#end === null || this.#isEndTold) return true;
    const { finalSeq, why } = this.#end;
    this.#isEndTold = send({ type: 'stopped', ...key, finalSeq, why });
    return this.#isEndTold;
  }

  /** What was not acknowledged is due again. */
  sendAgain(): void {
    this.#next = 0;
    this.#sentBytes = 0;
    this.#loaded.clear();
    this.#isEndTold = false;
  }

  acked(upTo: number): void {
    let count = this.#entries.findIndex(({ seq }) => seq > upTo);
    if (count === -1) count = this.#entries.length;
    this.#forget(count);
  }

  /** All of it is stored, and how it ended too, as far as it is known here. */
  isSettled(isFinal: boolean): boolean {
    return this.#entries.length === 0 && (this.#end === null || isFinal);
  }

  /** @returns how many are given up: those before them are lost, so that nothing can acknowledge these */
  giveUpAfterHole(upTo: number): number {
    const [first] = this.#entries;
    if (first === undefined || first.seq <= upTo + 1) return 0;
    const count = this.#entries.length;
    this.#forget(count);
    return count;
  }

  /** Nothing of it is needed any more. */
  release(): void {
    this.#isReleased = true;
    this.#forget(this.#entries.length);
    if (this.#endPlace !== null) this.#options.spill!.release(this.#endPlace);
  }

  #batch(): SampleRecord[] {
    const batch: SampleRecord[] = [];
    let bytes = 0;
    for (let i = this.#next; i < this.#entries.length && batch.length < MAX_BATCH; i++) {
      const entry = this.#entries[i]!;
      const isFirst = this.#sentBytes + bytes === 0;
      if (!isFirst && this.#sentBytes + bytes + entry.bytes > WINDOW_BYTES) break;
      if (batch.length > 0 && bytes + entry.bytes > MAX_BATCH_BYTES) break;
      const record = entry.record ?? this.#loaded.get(entry.seq);
      if (record === undefined) {
        void this.#load(i);
        break;
      }
      bytes += entry.bytes;
      batch.push(record);
    }
    return batch;
  }

  #sent(batch: readonly SampleRecord[]): void {
    for (const { seq } of batch) {
      this.#sentBytes += this.#entries[this.#next]!.bytes;
      this.#next += 1;
      this.#loaded.delete(seq);
    }
  }

  /** Reads the next ones from disk. What cannot be read is tried again with the next flush. */
  async #load(from: number): Promise<void> {
    if (this.#isLoading) return;
    this.#isLoading = true;
    let bytes = 0;
    const entries = this.#entries.slice(from, from + MAX_BATCH).filter(({ place, record, bytes: more }) => {
      bytes += more;
      return place !== null && record === null && bytes - more < MAX_BATCH_BYTES;
    });
    try {
      const records = await this.#options.spill!.read(entries.map(({ place }) => place!));
      for (const [i, entry] of entries.entries()) if (!entry.isAcked) this.#loaded.set(entry.seq, records[i]!);
    } catch (error) {
      if (entries.some(({ isAcked }) => !isAcked)) this.#options.onProblem(error);
      return;
    } finally {
      this.#isLoading = false;
    }
    this.#options.onLoaded();
  }

  #forget(count: number): void {
    const gone = this.#entries.splice(0, count);
    for (const [i, entry] of gone.entries()) {
      entry.isAcked = true;
      if (i < this.#next) this.#sentBytes -= entry.bytes;
      if (entry.place === null) this.#memoryBytes -= entry.bytes;
      else this.#options.spill?.release(entry.place);
      this.#loaded.delete(entry.seq);
    }
    this.#next = Math.max(0, this.#next - count);
  }

  // --- To the disk -------------------------------------------------------------------------------------------------

  /**
   * What is to be written to disk now: once the oldest of what is not acknowledged was made before an instant, all of it.
   *
   * @param maxBytes about; at least one frame
   */
  toSpill(beforeMs: number, maxBytes: number): Spilling[] {
    if (this.#isReleased || (this.#entries[0]?.madeAtMs ?? this.#endedAtMs) > beforeMs) return [];
    const due: Spilling[] = [];
    let bytes = 0;
    for (const entry of this.#entries) {
      if (entry.place !== null) continue;
      if (bytes >= maxBytes) return due;
      bytes += entry.bytes;
      due.push({ frame: { kind: 'sample', record: entry.record! }, written: (place) => this.#spilled(entry, place) });
    }
    if (this.#end !== null && this.#endPlace === null) {
      const { finalSeq, why } = this.#end;
      const frame: Frame = { kind: 'end', end: { ...this.key, finalSeq, why } };
      due.push({ frame, written: (place) => this.#endSpilled(place) });
    }
    return due;
  }

  #endSpilled(place: Place): void {
    if (this.#isReleased) return this.#options.spill!.release(place);
    this.#endPlace = place;
  }

  #spilled(entry: Entry, place: Place): void {
    // It was acknowledged while it was being written.
    if (entry.isAcked) return this.#options.spill!.release(place);
    entry.place = place;
    entry.record = null;
    this.#memoryBytes -= entry.bytes;
  }
}

/** A frame to be written, and what to do with its place. */
export interface Spilling {
  frame: Frame;
  written: (place: Place) => void;
}
