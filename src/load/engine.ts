import { nowMs } from '../lib/clock.ts';
import { CodedError } from '../lib/errors.ts';
import { split } from '../lib/split.ts';
import type { Assignment } from '../task/assignment.ts';
import { compilePlan, pausePlan, resumePlan, retunePlan, WHOLE, type Plan, type Share } from '../task/plan.ts';
import { mergeSamples } from '../task/merge.ts';
import type { Sample } from '../task/sample.ts';
import type { PreparedTask, StageSpec } from '../task/spec.ts';
import { createClient } from './clients.ts';
import type { Course } from './course.ts';
import { EngineThread } from './engine-thread.ts';
import type { EngineStart, ToThread } from './messages.ts';
import { mostUsers } from './pacer.ts';
import { compileChecks } from './verify.ts';

export interface EngineOptions {
  /** Engine threads, at least 1; fewer are used when there are fewer users or slots than that. */
  threads: number;
  /**
   * The right to load, as one Float64 that others may change: until this instant (`nowMs` clock) hits are started, after it
   * they are dropped as `no-permit`, and users send none. Default: there is no such limit.
   */
  permit?: SharedArrayBuffer;
  /** Once a second: the merged sample of all threads, `seq` from 1 without a gap. */
  onSample: (sample: Sample) => void;
}

/** What of an assignment can be changed while it runs. */
export type Reassignment = Pick<Assignment, 'plan' | 'share' | 'maxInFlight' | 'maxQueue'>;

export interface EngineEnd {
  kind: 'completed' | 'drained' | 'aborted';
  /** Why, as given to `drain` or `abort`; of a completed run: empty. */
  reason: string;
}

/** A thread that has not ended this long after it was told to abort is ended by force. */
const ABORT_DEADLINE_MS = 5_000;
/** All threads get this long to be ready for their common start. */
const START_BARRIER_MS = 20;
/** A changed plan takes effect this much later, at the same instant in all threads. */
const RETUNE_LEAD_MS = 20;

/** The whole of a task as one assignment. */
export function wholeAssignment(task: PreparedTask): Assignment {
  const { load, connections } = task.spec;
  return {
    task,
    plan: compilePlan(load.model, load.stages),
    share: WHOLE,
    hits: load.hits,
    maxInFlight: Math.min(load.maxInFlight, connections.max ?? Infinity),
    maxQueue: load.maxQueue,
  };
}

/**
 * Divides an assignment over threads: hits and users are dealt out in turn, limits split exactly. Together the parts
 * do what the whole does, at the same instants.
 */
export function splitAssignment(whole: Assignment, parts: number): Assignment[] {
  const weights = Array.from({ length: parts }, () => 1);
  const hits = whole.hits === null ? null : split(whole.hits, weights);
  const maxInFlight = split(whole.maxInFlight, weights);
  const maxQueue = split(whole.maxQueue, weights);
  return weights.map((_, k) => ({
    ...whole,
    share: dealtShare(whole.share, k, parts),
    hits: hits === null ? null : hits[k]!,
    maxInFlight: maxInFlight[k]!,
    maxQueue: maxQueue[k]!,
  }));
}

function courseOf({ plan, share, maxInFlight, maxQueue }: Assignment, fromMs: number): Course {
  return { fromMs, plan, share, maxInFlight, maxQueue };
}

/** Every `parts`-th hit of the share, from its `k`-th on: g(i·parts + k) with g of `OpenPacer`. */
function dealtShare(share: Share, k: number, parts: number): Share {
  return { weight: share.weight, of: share.of * parts, phase: share.phase + k * share.of };
}

/** Runs one assignment in worker threads. Control only: no hit is sent from the thread that this object lives in. */
export class Engine {
  /** Names the protocol client that the threads use. */
  readonly clientName: string;
  readonly threads: number;
  #assignment: Assignment;
  readonly #permit: SharedArrayBuffer | null;
  readonly #onSample: (sample: Sample) => void;
  #threads: EngineThread[] = [];
  /** As asked for, and as it runs: they differ while paused. */
  #plan: Plan;
  #effective: Plan;
  #paused = false;
  readonly #started = Promise.withResolvers<void>();
  /** Rejects when an abort did not end the threads. */
  readonly #hung = Promise.withResolvers<never>();
  #abortTimer: NodeJS.Timeout | undefined;
  #start: EngineStart = { zeroAtMs: 0, fromMs: 0 };
  #seq = 0;
  #nextSecond = 0;
  #graceMs: number | null = null;
  #stop: EngineEnd = { kind: 'completed', reason: '' };

  /** @throws CodedError INVALID_INPUT when the task's request, checks or certificates cannot be used */
  constructor(assignment: Assignment, options: EngineOptions) {
    this.#hung.promise.catch(() => undefined);
    compileChecks(assignment.task.spec);
    this.clientName = createClient(assignment.task, { keepBody: false, maxBodyBytes: 0 }).name;
    this.#assignment = assignment;
    this.#permit = options.permit ?? null;
    this.#onSample = options.onSample;
    this.#plan = this.#effective = assignment.plan;
    const useful =
      assignment.plan.model === 'closed' ? mostUsers(assignment.plan, assignment.share) : assignment.maxInFlight;
    this.threads = Math.max(1, Math.min(options.threads, useful, assignment.maxInFlight));
  }

  /**
   * Runs from the start to the last answer; to be called once. Resolves when every hit is accounted for and the
   * threads are gone.
   *
   * @param start default: at once, at the plan's beginning. What became due before the threads were ready is dropped
   * @throws CodedError INTERNAL when a thread failed
   */
  async run(start?: EngineStart): Promise<EngineEnd> {
    const parts = splitAssignment(this.#assignment, this.threads);
    this.#threads = parts.map(() => new EngineThread(() => this.#mergeWhatIsThere()));
    try {
      await Promise.all(this.#threads.map((thread, k) => thread.prepare(parts[k]!, this.#permit)));
      this.#start = start ?? { zeroAtMs: nowMs() + START_BARRIER_MS, fromMs: 0 };
      this.#nextSecond = Math.floor(this.#start.fromMs / 1000);
      this.#tellAll({ type: 'start', ...this.#start });
      this.#started.resolve();
      if (this.#stop.kind === 'drained') this.#tellAll({ type: 'drain', graceMs: this.#graceMs });
      if (this.#stop.kind === 'aborted') this.#tellAll({ type: 'abort' });
      await Promise.race([Promise.all(this.#threads.map((thread) => thread.ended)), this.#hung.promise]);
    } finally {
      clearTimeout(this.#abortTimer);
      this.#started.resolve();
      await Promise.all(this.#threads.map((thread) => thread.leave()));
    }
    return this.#stop;
  }

  /** Resolves when all threads are ready and know when to start, or the run is over. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Replaces the rest of the plan; the end time stays. Resolves when all threads have applied it. */
  async retune(stages: readonly StageSpec[]): Promise<void> {
    const atMs = await this.#changeAtMs();
    this.#plan = retunePlan(this.#plan, atMs, stages);
    const plan = this.#paused ? pausePlan(this.#effective, atMs) : resumePlan(this.#effective, atMs, this.#plan);
    await this.#apply(plan, atMs);
  }

  /**
   * Replaces plan, share and limits, at the same instant in all threads; what the plan says of the past does not matter.
   * Resolves when all threads have applied it.
   */
  async reassign(part: Reassignment): Promise<void> {
    const atMs = await this.#changeAtMs();
    this.#assignment = { ...this.#assignment, ...part };
    this.#plan = part.plan;
    await this.#apply(this.#paused ? pausePlan(part.plan, atMs) : part.plan, atMs);
  }

  /** Rate 0 with everything kept; the plan's time goes on. */
  async pause(): Promise<void> {
    if (this.#paused) return;
    this.#paused = true;
    const atMs = await this.#changeAtMs();
    await this.#apply(pausePlan(this.#effective, atMs), atMs);
  }

  /** Goes on with what the plan says for now. */
  async resume(): Promise<void> {
    if (!this.#paused) return;
    this.#paused = false;
    const atMs = await this.#changeAtMs();
    await this.#apply(resumePlan(this.#effective, atMs, this.#plan), atMs);
  }

  /** No new hits; those in flight get the task's grace period, or `graceMs`. */
  drain(reason: string, graceMs: number | null = null): void {
    if (this.#stop.kind !== 'completed') return;
    this.#stop = { kind: 'drained', reason };
    this.#graceMs = graceMs;
    this.#tellAll({ type: 'drain', graceMs });
  }

  /** Gives up the hits in flight, now. */
  abort(reason: string): void {
    if (this.#stop.kind === 'aborted') return;
    this.#stop = { kind: 'aborted', reason };
    this.#tellAll({ type: 'abort' });
    this.#abortTimer = setTimeout(() => {
      const problem = `an engine thread did not end within ${ABORT_DEADLINE_MS} ms of the abort and was stopped`;
      this.#hung.reject(new CodedError('INTERNAL', problem));
    }, ABORT_DEADLINE_MS).unref();
  }

  /** The instant at which a change that is asked for now takes effect; waits for the run's start. */
  async #changeAtMs(): Promise<number> {
    await this.#started.promise;
    return Math.max(this.#start.fromMs, nowMs() - this.#start.zeroAtMs + RETUNE_LEAD_MS);
  }

  async #apply(plan: Plan, fromMs: number): Promise<void> {
    this.#effective = plan;
    const parts = splitAssignment({ ...this.#assignment, plan }, this.#threads.length);
    await Promise.all(this.#threads.map((thread, k) => thread.applyCourse(courseOf(parts[k]!, fromMs))));
  }

  #tellAll(message: ToThread): void {
    for (const thread of this.#threads) thread.tell(message);
  }

  /** Passes on each second that all threads have told of, or ended before. */
  #mergeWhatIsThere(): void {
    for (;;) {
      const second = this.#nextSecond;
      if (!this.#threads.every((thread) => thread.hasEnded || thread.samples.has(second))) return;
      const parts = this.#threads.map((thread) => thread.samples.get(second)).filter((part) => part !== undefined);
      if (parts.length === 0) return;
      for (const thread of this.#threads) thread.samples.delete(second);
      this.#nextSecond++;
      this.#onSample(mergeSamples(parts, ++this.#seq));
    }
  }
}
