import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Engine } from '../load/engine.ts';
import { defaultThreads } from '../load/threads.ts';
import type { Share } from '../task/plan.ts';
import type { AssignmentKey, RunningAssignment, StressToMaster, StressToWorker } from './ports.ts';
import { Results } from './results.ts';

export type Assign = Extract<StressToWorker, { type: 'assign' }>;
export type Retune = Extract<StressToWorker, { type: 'retune' }>;

export interface WorkOptions {
  incarnation: number;
  /** The node's right to load. */
  permit: SharedArrayBuffer;
  /** There is something new to send. */
  onResult: () => void;
  log: Log;
}

/** One assignment on this worker: its engine, and the results until they are acknowledged. */
export class Work {
  readonly key: AssignmentKey;
  readonly results: Results;
  /** Resolves when the engine is gone and `ended` is set; never rejects. */
  readonly done: Promise<void>;
  /** null: it still loads, or hits are in flight. */
  ended: { finalSeq: number; why: string } | null = null;
  readonly #engine: Engine;
  readonly #log: Log;
  #isEndTold = false;
  #failure: Error | null = null;
  readonly #zeroAtMs: number;
  /** As asked for, and as all threads have it. */
  #askedVersion: number;
  #version: number;
  #epoch: number;
  #share: Share;
  /** Changes are applied one after another. */
  #changes: Promise<void> = Promise.resolve();

  /** Starts it. @throws CodedError INVALID_INPUT when the task cannot be carried out here */
  constructor(message: Assign, { incarnation, permit, onResult, log }: WorkOptions) {
    const { runId, assignment, version, epoch, share, planOffsetMs, startAfterMs } = message;
    this.key = { runId, assignment };
    this.results = new Results(this.key, incarnation);
    this.#log = log;
    this.#version = this.#askedVersion = version;
    this.#epoch = epoch;
    this.#share = share;
    this.#zeroAtMs = nowMs() + startAfterMs - planOffsetMs;
    this.#engine = new Engine(message, {
      threads: defaultThreads(message),
      permit,
      onSample: (sample) => {
        this.results.add(sample);
        onResult();
      },
    });
    this.done = this.#run(planOffsetMs).finally(onResult);
  }

  get isLoading(): boolean {
    return this.ended === null;
  }

  /** Resolves when all engine threads have begun; rejects when they could not. */
  async started(): Promise<void> {
    await this.#engine.started;
    if (this.#failure !== null) throw this.#failure;
  }

  /** An older version is as good as applied. Resolves when all engine threads have it, or none is left. */
  retune(message: Retune | Assign): Promise<void> {
    const { version, epoch, share } = message;
    if (version > this.#askedVersion) {
      this.#askedVersion = version;
      this.#changes = this.#changes.then(async () => {
        if (this.isLoading) await this.#engine.reassign(message);
        this.#version = version;
        this.#epoch = epoch;
        this.#share = share;
      });
      // Whoever waits hears of it.
      this.#changes.catch(() => undefined);
    }
    return this.#changes;
  }

  /** No new hits; those in flight get this time, ms. */
  stop(why: string, graceMs: number): void {
    this.#engine.drain(why, graceMs);
  }

  /** Gives up the hits in flight, now. */
  abort(why: string): void {
    this.#engine.abort(why);
  }

  /** No hits while there is no room for their results. */
  hold(isFull: boolean): void {
    const change = isFull ? this.#engine.pause() : this.#engine.resume();
    change.catch((error: unknown) => this.#log.warn({ error: errorMessage(error) }, 'the engine did not pause'));
  }

  /** All of it is stored, and how it ended too. */
  isSettled(final: boolean): boolean {
    return final && this.ended !== null && this.results.ackedSeq >= this.ended.finalSeq;
  }

  /**
   * Sends what is due: samples, and after the last of them how it ended.
   *
   * @param send returns false when the stream takes no more now
   * @returns false: there is more to send
   */
  flush(send: (message: StressToMaster) => boolean): boolean {
    const { key, results, ended } = this;
    const { incarnation } = results;
    for (;;) {
      const samples = results.next();
      if (samples.length === 0) break;
      if (!send({ type: 'samples', ...key, incarnation, samples })) return false;
      results.sent(samples);
    }
    if (ended === null || this.#isEndTold) return true;
    this.#isEndTold = send({ type: 'stopped', ...key, incarnation, ...ended });
    return this.#isEndTold;
  }

  /** What was not acknowledged is due again. */
  sendAgain(): void {
    this.results.rewind();
    this.#isEndTold = false;
  }

  /** As Hello says it. */
  entry(): RunningAssignment {
    const { lastSeq, ackedSeq, incarnation } = this.results;
    return {
      ...this.key,
      version: this.#version,
      epoch: this.#epoch,
      incarnation,
      share: this.#share,
      elapsedMs: nowMs() - this.#zeroAtMs,
      lastSeq,
      ackedSeq,
      finalSeq: this.ended?.finalSeq ?? null,
    };
  }

  async #run(fromMs: number): Promise<void> {
    let why: string;
    try {
      ({ reason: why } = await this.#engine.run({ zeroAtMs: this.#zeroAtMs, fromMs }));
    } catch (error) {
      why = errorMessage(error);
      this.#failure = error as Error;
      this.#log.error({ err: error }, 'the engine failed');
    }
    this.ended = { finalSeq: this.results.lastSeq, why };
    this.#log.info({ finalSeq: this.results.lastSeq, why }, 'assignment ended');
  }
}
