import { nowMs } from '../lib/clock.ts';
import type { Assignment } from '../task/assignment.ts';
import type { Sample, Traffic } from '../task/sample.ts';
import type { ClientTraffic, ProtocolClient } from './client.ts';
import { createClient } from './clients.ts';
import { ClosedModel } from './closed.ts';
import { Courses, type Course } from './course.ts';
import { HealthProbe } from './health.ts';
import { OpenModel } from './open.ts';
import { SlotPool } from './pool.ts';
import type { EngineStart } from './messages.ts';
import type { Gauges } from './recorder.ts';
import type { Slot } from './slot.ts';
import { Tally } from './tally.ts';
import { compileChecks } from './verify.ts';
import { PollLoop } from './wait.ts';

/** Decides when hits start: the open or the closed model. Instants are ms since the start of the run. */
export interface AttackModel {
  /** Starts what is due. Returns the instant at which it wants to be called again, Infinity: only when something changes. */
  poll(elapsedMs: number): number;
  /** The hit on the slot has ended: start another on it, or give the slot back. */
  slotFreed(slot: Slot, elapsedMs: number): void;
  /** No new hit will be scheduled. */
  finished(elapsedMs: number): boolean;
  /** Schedule nothing more and cancel what waits. */
  drain(): void;
  setCourse(course: Course): void;
  readonly queued: number;
  readonly users: number;
}

/** What a model works with. */
export interface AttackContext {
  /** Total hits; null: no limit. */
  hits: number | null;
  tally: Tally;
  pool: SlotPool;
  /** Run time 0, `nowMs` clock. */
  zeroAtMs: number;
  /** Asked before each hit. */
  isPermitted: () => boolean;
  warmupMs: number;
  thinkTimeMs: number;
  /** Makes the loop poll: what is due next has changed. */
  wake: () => void;
  queueing: boolean;
}

export interface AttackOptions extends EngineStart {
  assignment: Assignment;
  /** @see EngineOptions.permit */
  permit: SharedArrayBuffer | null;
  onSample: (sample: Sample) => void;
}

/** Runs one assignment in this thread, from the start to the last answer. */
export class Attack implements AsyncDisposable {
  readonly #options: AttackOptions;
  readonly #client: ProtocolClient;
  readonly #tally: Tally;
  readonly #pool: SlotPool;
  readonly #model: AttackModel;
  readonly #loop: PollLoop;
  readonly #health: HealthProbe;
  readonly #ended = Promise.withResolvers<void>();
  readonly #courses: Courses;
  #traffic: ClientTraffic = { bytesIn: 0, bytesOut: 0, connectionsOpened: 0, connections: 0 };
  #graceMs: number;
  #graceEndMs = Infinity;

  constructor(options: AttackOptions) {
    const { assignment, fromMs } = options;
    const { spec } = assignment.task;
    this.#options = options;
    this.#graceMs = spec.load.graceMs;
    this.#courses = new Courses({ fromMs, ...assignment });
    const verifier = compileChecks(spec);
    this.#client = createClient(assignment.task, {
      keepBody: verifier.needsBody,
      maxBodyBytes: verifier.maxBodyBytes,
    });
    this.#tally = new Tally({
      verifier,
      scheduled: assignment.plan.model === 'open',
      gauges: (fromMs, toMs) => this.#gauges(fromMs, toMs),
      onSample: options.onSample,
    });
    this.#loop = new PollLoop(
      () => this.#poll(),
      () => this.#client.events,
      () => this.#pool.taken > 0,
    );
    this.#health = new HealthProbe(() => this.#loop.polledMs);
    const pool = { limit: limitOf(assignment), client: this.#client, tally: this.#tally, health: this.#health };
    this.#pool = new SlotPool({ ...pool, timeouts: spec.timeouts }, (slot) => this.#slotFreed(slot));
    this.#model = this.#createModel();
  }

  /** Resolves when every hit is accounted for and the last sample was given. */
  async run(): Promise<void> {
    this.#tally.start(this.#options.zeroAtMs, this.#options.fromMs);
    this.#pool.start();
    this.#loop.start();
    await this.#ended.promise;
  }

  setCourse(course: Course): void {
    this.#courses.add(course);
    this.#pool.limit = limitOf(course);
    this.#model.setCourse(course);
    this.#loop.wake();
  }

  /** Starts no new hits, waits for those in flight up to the grace period, or for this time (ms). */
  drain(graceMs: number | null): void {
    this.#graceMs = graceMs ?? this.#graceMs;
    this.#tally.roll(nowMs());
    this.#model.drain();
    this.#loop.wake();
  }

  /** Gives up the hits in flight, now. */
  abort(): void {
    this.drain(null);
    this.#pool.abortAll('the run was aborted');
    this.#loop.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#loop.stop();
    this.#pool.stop();
    this.#health[Symbol.dispose]();
    await this.#client.close();
  }

  #createModel(): AttackModel {
    const { assignment, zeroAtMs, permit } = this.#options;
    const { load } = assignment.task.spec;
    const deadline = permit && new Float64Array(permit);
    const context: AttackContext = {
      hits: assignment.hits,
      tally: this.#tally,
      pool: this.#pool,
      zeroAtMs,
      // By a clock that is read for each hit: the process may have stood still since the poll began.
      isPermitted: deadline === null ? () => true : () => nowMs() < deadline[0]!,
      warmupMs: load.warmupMs,
      thinkTimeMs: load.thinkTimeMs,
      wake: () => this.#loop.wake(),
      queueing: load.onSaturated === 'queue',
    };
    const course = this.#courses.last;
    return course.plan.model === 'open' ? new OpenModel(context, course) : new ClosedModel(context, course);
  }

  #poll(): number {
    const now = nowMs();
    const { zeroAtMs } = this.#options;
    const elapsedMs = now - zeroAtMs;
    const nextMs = this.#model.poll(elapsedMs);
    this.#tally.roll(now);
    if (!this.#model.finished(elapsedMs)) return zeroAtMs + nextMs;
    return this.#finish(now, zeroAtMs + nextMs);
  }

  /** Scheduling is over: waits for what is queued and in flight, then ends. */
  #finish(now: number, nextAtMs: number): number {
    if (this.#pool.taken === 0 && this.#model.queued === 0) {
      this.#loop.stop();
      this.#tally.finish(now);
      this.#ended.resolve();
      return Infinity;
    }
    if (this.#graceEndMs === Infinity) this.#graceEndMs = now + this.#graceMs;
    if (now >= this.#graceEndMs) {
      this.#model.drain();
      this.#pool.abortAll('no answer within the grace period at the end of the run');
    }
    return Math.max(Math.min(this.#graceEndMs, nextAtMs), now + 2);
  }

  #slotFreed(slot: Slot): void {
    const now = nowMs();
    this.#model.slotFreed(slot, now - this.#options.zeroAtMs);
    if (this.#graceEndMs !== Infinity && this.#pool.taken === 0) this.#loop.wake();
  }

  #gauges(fromMs: number, toMs: number): Gauges {
    const { zeroAtMs } = this.#options;
    const target = this.#courses.target(fromMs - zeroAtMs, toMs - zeroAtMs);
    this.#courses.forget(toMs - zeroAtMs);
    const last = this.#traffic;
    this.#traffic = this.#client.traffic();
    const traffic: Traffic = {
      bytesIn: this.#traffic.bytesIn - last.bytesIn,
      bytesOut: this.#traffic.bytesOut - last.bytesOut,
      connectionsOpened: this.#traffic.connectionsOpened - last.connectionsOpened,
    };
    return {
      target,
      queued: this.#model.queued,
      inFlight: this.#pool.inFlight,
      connections: this.#traffic.connections,
      users: this.#model.users,
      traffic,
      health: this.#health.take(),
    };
  }
}

/** In the closed model the users are the limit, also when a retune wants more of them than the plan had at first. */
function limitOf({ plan, maxInFlight }: Pick<Course, 'plan' | 'maxInFlight'>): number {
  return plan.model === 'closed' ? Infinity : maxInFlight;
}
