import { nowMs } from '../lib/clock.ts';
import type { Assignment } from '../task/assignment.ts';
import { meanTarget, type Plan } from '../task/plan.ts';
import type { Sample, Traffic } from '../task/sample.ts';
import type { ClientTraffic, ProtocolClient } from './client.ts';
import { ClosedModel } from './closed.ts';
import { HealthProbe } from './health.ts';
import { OpenModel } from './open.ts';
import { SlotPool } from './pool.ts';
import type { Gauges } from './recorder.ts';
import type { Slot } from './slot.ts';
import { Tally } from './tally.ts';
import { createUndiciClient } from './undici.ts';
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
  setPlan(plan: Plan): void;
  readonly queued: number;
  readonly users: number;
}

/** What a model works with. */
export interface AttackContext {
  assignment: Assignment;
  tally: Tally;
  pool: SlotPool;
  /** Of the run, `nowMs` clock. */
  startAtMs: number;
  warmupMs: number;
  thinkTimeMs: number;
  /** Makes the loop poll: what is due next has changed. */
  wake: () => void;
  queueing: boolean;
}

/** Runs one assignment in this thread, from the start to the last answer. */
export class Attack implements AsyncDisposable {
  readonly #assignment: Assignment;
  readonly #startAtMs: number;
  readonly #client: ProtocolClient;
  readonly #tally: Tally;
  readonly #pool: SlotPool;
  readonly #model: AttackModel;
  readonly #loop: PollLoop;
  readonly #health: HealthProbe;
  readonly #ended = Promise.withResolvers<void>();
  #plan: Plan;
  #traffic: ClientTraffic = { bytesIn: 0, bytesOut: 0, connectionsOpened: 0, connections: 0 };
  #graceEndMs = Infinity;

  constructor(assignment: Assignment, startAtMs: number, onSample: (sample: Sample) => void) {
    const { spec } = assignment.task;
    this.#assignment = assignment;
    this.#startAtMs = startAtMs;
    this.#plan = assignment.plan;
    const verifier = compileChecks(spec);
    this.#client = createUndiciClient(assignment.task, {
      keepBody: verifier.needsBody,
      maxBodyBytes: verifier.maxBodyBytes,
    });
    this.#tally = new Tally({
      verifier,
      scheduled: assignment.plan.model === 'open',
      gauges: (second, durationMs) => this.#gauges(second, durationMs),
      onSample,
    });
    this.#loop = new PollLoop(
      () => this.#poll(),
      () => this.#client.events,
    );
    this.#health = new HealthProbe(() => this.#loop.polledMs);
    // In the closed model the users are the limit, also when a retune wants more of them than the plan had at first.
    const limit = assignment.plan.model === 'closed' ? Infinity : assignment.maxInFlight;
    const pool = { limit, client: this.#client, tally: this.#tally, health: this.#health };
    this.#pool = new SlotPool({ ...pool, timeouts: spec.timeouts }, (slot) => this.#slotFreed(slot));
    this.#model = this.#createModel();
  }

  /** Resolves when every hit is accounted for and the last sample was given. */
  async run(): Promise<void> {
    this.#tally.start(this.#startAtMs);
    this.#pool.start();
    this.#loop.start();
    await this.#ended.promise;
  }

  /** From now on the plan is this one; what it says of the past must be what the former one said. */
  setPlan(plan: Plan): void {
    this.#plan = plan;
    this.#model.setPlan(plan);
    this.#loop.wake();
  }

  /** Starts no new hits, waits for those in flight up to the grace period. */
  drain(): void {
    this.#tally.roll(nowMs());
    this.#model.drain();
    this.#loop.wake();
  }

  /** Gives up the hits in flight, now. */
  abort(): void {
    this.drain();
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
    const { load } = this.#assignment.task.spec;
    const context: AttackContext = {
      assignment: this.#assignment,
      tally: this.#tally,
      pool: this.#pool,
      startAtMs: this.#startAtMs,
      warmupMs: load.warmupMs,
      thinkTimeMs: load.thinkTimeMs,
      wake: () => this.#loop.wake(),
      queueing: load.onSaturated === 'queue',
    };
    return this.#plan.model === 'open' ? new OpenModel(context, this.#plan) : new ClosedModel(context, this.#plan);
  }

  #poll(): number {
    const now = nowMs();
    const elapsedMs = now - this.#startAtMs;
    const nextMs = this.#model.poll(elapsedMs);
    this.#tally.roll(now);
    if (!this.#model.finished(elapsedMs)) return this.#startAtMs + nextMs;
    return this.#finish(now);
  }

  /** Scheduling is over: waits for what is queued and in flight, then ends. */
  #finish(now: number): number {
    if (this.#pool.taken === 0 && this.#model.queued === 0) {
      this.#loop.stop();
      this.#tally.finish(now);
      this.#ended.resolve();
      return Infinity;
    }
    if (this.#graceEndMs === Infinity) this.#graceEndMs = now + this.#assignment.task.spec.load.graceMs;
    if (now >= this.#graceEndMs) {
      this.#model.drain();
      this.#pool.abortAll('no answer within the grace period at the end of the run');
    }
    return Math.max(this.#graceEndMs, now + 2);
  }

  #slotFreed(slot: Slot): void {
    const now = nowMs();
    this.#model.slotFreed(slot, now - this.#startAtMs);
    if (this.#graceEndMs !== Infinity && this.#pool.taken === 0) this.#loop.wake();
  }

  #gauges(second: number, durationMs: number): Gauges {
    const { share } = this.#assignment;
    const last = this.#traffic;
    this.#traffic = this.#client.traffic();
    const traffic: Traffic = {
      bytesIn: this.#traffic.bytesIn - last.bytesIn,
      bytesOut: this.#traffic.bytesOut - last.bytesOut,
      connectionsOpened: this.#traffic.connectionsOpened - last.connectionsOpened,
    };
    return {
      target: (meanTarget(this.#plan, second * 1000, second * 1000 + durationMs) * share.weight) / share.of,
      queued: this.#model.queued,
      inFlight: this.#pool.inFlight,
      connections: this.#traffic.connections,
      users: this.#model.users,
      traffic,
      health: this.#health.take(),
    };
  }
}
