import type { EngineEnd, EngineOptions, Reassignment } from '../../../src/load/engine.ts';
import type { AssignmentKey } from '../../../src/stress/ports.ts';
import type { CreateEngine, WorkEngine } from '../../../src/stress/work.ts';
import type { Assignment } from '../../../src/task/assignment.ts';
import { meanTarget, planEndMs, type Share } from '../../../src/task/plan.ts';
import type { Sample } from '../../../src/task/sample.ts';
import { sampleOf } from '../../support/samples.ts';
import type { SimProcess } from './clock.ts';

const TICK_MS = 50;
/** Until its threads are ready. */
const START_MS = [20, 400] as const;
const RETUNE_MS = 20;

/** Told of everything that an engine does. */
export interface EngineWatcher {
  /** Its run time 0 is this far from now, ms of its process's clock. */
  began(engine: SimEngine, inMs: number): void;
  /** Hits that were due in a second of the run, sent or dropped. */
  due(engine: SimEngine, hits: number): void;
  /** Hits are sent. */
  hit(engine: SimEngine, hits: number, second: number): void;
  sample(engine: SimEngine, sample: Sample): void;
}

/** Counts what an engine would send: asks for the permit before each hit, tells a sample a second. */
export class SimEngine implements WorkEngine {
  readonly process: SimProcess;
  readonly key: AssignmentKey;
  readonly started: Promise<void>;
  isOver = false;
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<EngineEnd>();
  readonly #permit: Float64Array;
  readonly #onSample: (sample: Sample) => void;
  readonly #watcher: EngineWatcher;
  readonly #hits: number;
  #part: Reassignment;
  #scheduled = 0;
  #isPaused = false;
  #zeroAtMs = 0;
  #fromMs = 0;
  #doneMs = 0;
  #owed = 0;
  #second = 0;
  #secondFromMs = 0;
  #seq = 0;
  #ok = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    process: SimProcess,
    assignment: Assignment & AssignmentKey,
    watcher: EngineWatcher,
    options: EngineOptions,
  ) {
    this.process = process;
    this.key = { runId: assignment.runId, assignment: assignment.assignment };
    this.#part = assignment;
    this.#hits = assignment.hits ?? Infinity;
    this.#watcher = watcher;
    this.#permit = new Float64Array(options.permit!);
    this.#onSample = options.onSample;
    this.started = this.#started.promise;
  }

  /** The part of the whole that is being loaded at this moment of true time, 0 to 1. */
  get fraction(): number {
    const { process } = this;
    if (this.isOver || process.isDead || process.isFrozen || this.#isPaused || !this.hasPermit) return 0;
    const atMs = process.monotonicMs() - this.#zeroAtMs;
    if (this.#timer === undefined || atMs < this.#fromMs || atMs >= planEndMs(this.#part.plan)) return 0;
    if (meanTarget(this.#part.plan, atMs, atMs) === 0) return 0;
    return this.#part.share.weight / this.#part.share.of;
  }

  get share(): Share {
    return this.#part.share;
  }

  get hasPermit(): boolean {
    return this.process.monotonicMs() < this.#permit[0]!;
  }

  /** Its permit would let it load, now or when it is thawed. */
  get mayLoad(): boolean {
    return !this.isOver && !this.process.isDead && this.hasPermit && this.#timer !== undefined;
  }

  async run(start?: { zeroAtMs: number; fromMs: number }): Promise<EngineEnd> {
    const { process } = this;
    this.#zeroAtMs = start!.zeroAtMs;
    this.#fromMs = this.#doneMs = this.#secondFromMs = start!.fromMs;
    this.#second = Math.floor(this.#fromMs / 1000);
    this.#watcher.began(this, this.#zeroAtMs - process.monotonicMs());
    const [least, most] = START_MS;
    process.after(least + process.random() * (most - least), () => {
      if (!this.isOver) this.#timer = setInterval(() => this.#tick(), TICK_MS);
      this.#started.resolve();
    });
    return this.#ended.promise;
  }

  async reassign(part: Reassignment): Promise<void> {
    await this.started;
    await this.#applied(() => (this.#part = part));
  }

  async pause(): Promise<void> {
    await this.#applied(() => (this.#isPaused = true));
  }

  async resume(): Promise<void> {
    await this.#applied(() => (this.#isPaused = false));
  }

  drain(reason: string): void {
    this.#end({ kind: 'drained', reason });
  }

  abort(reason: string): void {
    this.#end({ kind: 'aborted', reason });
  }

  #applied(change: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.process.after(RETUNE_MS, () => {
        this.#tick();
        change();
        resolve();
      });
    });
  }

  #tick(): void {
    if (this.isOver || this.#timer === undefined) return;
    const endMs = planEndMs(this.#part.plan);
    const atMs = Math.min(this.process.monotonicMs() - this.#zeroAtMs, endMs);
    // What became due long ago was not sent: the process stood still.
    const isStalled = atMs - this.#doneMs > 4 * TICK_MS;
    while (this.#doneMs < atMs) {
      const untilMs = Math.min(atMs, (this.#second + 1) * 1000);
      this.#load(this.#doneMs, untilMs, isStalled && untilMs < atMs);
      this.#doneMs = untilMs;
      if (untilMs === (this.#second + 1) * 1000) this.#tell();
    }
    if (atMs >= endMs || this.#scheduled >= this.#hits) this.#end({ kind: 'completed', reason: '' });
  }

  #load(fromMs: number, toMs: number, isStalled: boolean): void {
    const { plan, share } = this.#part;
    const target = this.#isPaused ? 0 : meanTarget(plan, fromMs, toMs);
    this.#owed += (target * share.weight * (toMs - fromMs)) / share.of / 1000;
    const due = Math.floor(this.#owed);
    this.#owed -= due;
    const hits = Math.min(due, this.#hits - this.#scheduled);
    if (hits === 0) return;
    this.#scheduled += hits;
    this.#watcher.due(this, hits);
    if (isStalled || !this.hasPermit) {
      this.#dropped += hits;
      return;
    }
    this.#ok += hits;
    this.#watcher.hit(this, hits, this.#second);
  }

  #tell(): void {
    const ok = this.#ok;
    const scheduled = ok + this.#dropped;
    const counts = { scheduled, started: ok, written: ok, ok, answered: ok, dropped: { 'no-permit': this.#dropped } };
    const durationMs = this.#doneMs - this.#secondFromMs;
    const sample = sampleOf({ second: this.#second, seq: ++this.#seq, durationMs, counts });
    this.#ok = this.#dropped = 0;
    this.#second += 1;
    this.#secondFromMs = this.#doneMs;
    this.#watcher.sample(this, sample);
    this.#onSample(sample);
  }

  #end(end: EngineEnd): void {
    const isOver = (): boolean => this.isOver;
    if (isOver()) return;
    // What was due until now may end it.
    if (this.#timer !== undefined && end.kind !== 'completed') this.#tick();
    if (isOver()) return;
    this.isOver = true;
    clearInterval(this.#timer);
    if (this.#doneMs > this.#secondFromMs) this.#tell();
    this.#started.resolve();
    this.#ended.resolve(end);
  }
}

export function engineFactory(process: SimProcess, watcher: EngineWatcher, engines: Set<SimEngine>): CreateEngine {
  return (assignment, options) => {
    const engine = new SimEngine(process, assignment as Assignment & AssignmentKey, watcher, options);
    engines.add(engine);
    return engine;
  };
}
