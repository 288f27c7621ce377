import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Engine } from '../load/engine.ts';
import { defaultThreads } from '../load/threads.ts';
import type { Share } from '../task/plan.ts';
import { Holds, withoutLatencies } from './holds.ts';
import type { AssignmentKey, RunningAssignment, StressToWorker } from './ports.ts';
import { Results, type ResultsOptions } from './results.ts';
import { sendAfterMs } from './shares.ts';

export type Assign = Extract<StressToWorker, { type: 'assign' }>;
export type Retune = Extract<StressToWorker, { type: 'retune' }>;

/** What a work needs of an engine. */
export type WorkEngine = Pick<Engine, 'started' | 'run' | 'reassign' | 'pause' | 'resume' | 'drain' | 'abort'>;

/** @throws CodedError INVALID_INPUT when the task cannot be carried out here */
export type CreateEngine = (...parameters: ConstructorParameters<typeof Engine>) => WorkEngine;

export const createEngine: CreateEngine = (assignment, options) => new Engine(assignment, options);

export interface WorkOptions {
  createEngine: CreateEngine;
  incarnation: number;
  /** The node's right to load. */
  permit: SharedArrayBuffer;
  results: ResultsOptions;
  /** There is something new to send. */
  onResult: () => void;
  /** There is no room for latencies: what is counted is kept, and they are given up. */
  mustDrop: () => boolean;
  log: Log;
}

/** One assignment on this worker: its engine, and the results until they are acknowledged. */
export class Work {
  readonly key: AssignmentKey;
  readonly results: Results;
  /** Resolves when the engine is gone and its end is among the results; never rejects. */
  readonly done: Promise<void>;
  readonly #engine: WorkEngine;
  readonly #log: Log;
  readonly #holds = new Holds();
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
  constructor(message: Assign, options: WorkOptions) {
    const { createEngine, incarnation, permit, onResult, mustDrop, log } = options;
    const { runId, assignment, version, epoch, share, planOffsetMs, startAfterMs } = message;
    this.key = { runId, assignment };
    this.results = new Results({ ...this.key, incarnation }, options.results);
    this.#log = log;
    this.#version = this.#askedVersion = version;
    this.#epoch = epoch;
    this.#share = share;
    this.#zeroAtMs = nowMs() + startAfterMs - planOffsetMs;
    this.#engine = createEngine(message, {
      threads: defaultThreads(message),
      permit,
      onSample: (sample) => {
        const held = this.#holds.mark(sample);
        this.results.add(mustDrop() ? withoutLatencies(held) : held);
        const afterMs = sendAfterMs(this.#share);
        if (afterMs === 0) onResult();
        else setTimeout(onResult, afterMs);
      },
    });
    this.done = this.#run(planOffsetMs).finally(onResult);
  }

  get isLoading(): boolean {
    return this.results.end === null;
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
    this.#holds.set(isFull, nowMs() - this.#zeroAtMs);
    const change = isFull ? this.#engine.pause() : this.#engine.resume();
    change.catch((error: unknown) => this.#log.warn({ error: errorMessage(error) }, 'the engine did not pause'));
  }

  /** All of it is stored, and how it ended too. */
  isSettled(isFinal: boolean): boolean {
    return !this.isLoading && this.results.isSettled(isFinal);
  }

  /** As Hello says it. */
  entry(): RunningAssignment {
    const { lastSeq, ackedSeq, key, end } = this.results;
    return {
      ...this.key,
      version: this.#version,
      epoch: this.#epoch,
      incarnation: key.incarnation,
      share: this.#share,
      elapsedMs: nowMs() - this.#zeroAtMs,
      lastSeq,
      ackedSeq,
      finalSeq: end?.finalSeq ?? null,
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
    this.results.ended(why);
    this.#log.info({ finalSeq: this.results.lastSeq, why }, 'assignment ended');
  }
}
