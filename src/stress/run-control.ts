import { isDeepStrictEqual } from 'node:util';
import type { Member, NodeRef } from '../cluster/ports.ts';
import { nowMs } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { pausePlan, planEndMs, type Plan } from '../task/plan.ts';
import type { Sample } from '../task/sample.ts';
import { FINAL_STATES } from '../task/status.ts';
import type { Ledger } from './ledger.ts';
import { LiveRun } from './live.ts';
import { ofShare } from './moved.ts';
import { OwnerState } from './owner-state.ts';
import type {
  AssignmentRecord,
  RunningAssignment,
  RunChange,
  RunNow,
  RunRecord,
  StressToMaster,
  StressToWorker,
  TaskStore,
  Written,
} from './ports.ts';
import { END_TOLERANCE_MS, reconcile } from './reconcile.ts';
import { guessOf, RunClock, START_AFTER_MS, wallElapsedMs } from './run-clock.ts';
import { scheduledOf } from './seconds.ts';
import { fractionOf } from './shares.ts';
import { isActive, runName, type Decision, type RunView, type Said, type Send } from './view.ts';
import { sameWanted, unitTarget } from './wanted.ts';

/** As START_AFTER_MS, for one that joins a run. */
const JOIN_AFTER_MS = 1_000;
const STOP_AGAIN_MS = 3_000;
/** In `fast` mode a worker that was not heard of for this long counts as gone. */
const FAST_AFTER_MS = 300;
/** Decisions in one pass; what is left waits for the next pass. */
const MAX_ROUNDS = 20;

/** What a run's control needs of the master that it belongs to. */
export interface RunHouse {
  readonly term: number;
  readonly store: TaskStore;
  readonly ledger: Ledger;
  readonly log: Log;
  send(to: NodeRef, message: StressToWorker): boolean;
  standingOf(ref: NodeRef): Member['standing'];
  /** By the operator's or its own wish it gets no new work. */
  isLeaving(ref: NodeRef): boolean;
  /** @param refused node ids of those that have refused the run */
  workersFor(run: RunRecord, refused: ReadonlySet<string>): Pick<RunView, 'candidates' | 'draining'>;
  /** Workers that may connect soon. */
  awaited(): number;
  /** This master withholds its permit until it has stopped what it should not run. */
  isWithheld(ref: NodeRef): boolean;
  /** An assignment was taken from a worker that may still load. */
  mayStray(ref: NodeRef, record: AssignmentRecord): void;
  event(kind: string, subject: string, text: string): void;
}

/** A newer term stands. */
export class Fenced extends Error {}
/** What is stored is not what was expected: it has to be read again. */
export class Changed extends Error {}

/** One run under this master: gathers what is known, asks `reconcile`, and does what it says. */
export class RunControl {
  run: RunRecord;
  readonly live = new LiveRun();
  readonly #house: RunHouse;
  readonly #log: Log;
  readonly #owners = new Map<number, OwnerState>();
  /** Assignments that are being written off, of which it is not known yet whether that is stored. */
  readonly #writtenOff = new Set<number>();
  readonly #clock: RunClock;
  #asked: Plan | null = null;
  #stoppingSinceMs: number | null = null;

  private constructor(house: RunHouse, run: RunRecord, clock: RunClock) {
    this.#house = house;
    this.run = run;
    this.#clock = clock;
    this.#log = house.log.child({ task: `tasks/${run.taskId}`, run: runName(run) });
  }

  /** Takes up a run as it is stored. @throws CodedError UNAVAILABLE */
  static async load(house: RunHouse, run: RunRecord): Promise<RunControl> {
    const { store, ledger } = house;
    const [assignments] = await Promise.all([store.assignments(run.id), ledger.keep(run.id)]);
    const control = new RunControl(house, run, new RunClock(await guessOf(store, run)));
    for (const record of assignments) control.#owners.set(record.number, new OwnerState(record, false));
    const scheduled = await scheduledOf(store, run);
    for (const [number, owner] of control.#owners) owner.scheduled = scheduled.get(number) ?? 0;
    if (run.state === 'STOPPING') control.#stoppingSinceMs = nowMs();
    if (run.state !== 'PENDING') control.#log.info({ state: run.state }, 'run taken up');
    return control;
  }

  get name(): string {
    return runName(this.run);
  }

  get isFinal(): boolean {
    return FINAL_STATES.has(this.run.state);
  }

  /** null: not begun, or not known yet. */
  get elapsedMs(): number | null {
    return this.#clock.elapsedMs;
  }

  /** What is being loaded. */
  get shares(): readonly AssignmentRecord[] {
    return [...this.#owners.values()].filter(isActive).map(({ record }) => record);
  }

  get now(): RunNow {
    return { run: this.run, shares: this.shares, elapsedMs: this.#clock.likelyMs };
  }

  /** All that is wanted is done, by every worker that has a share. */
  get isSettled(): boolean {
    const { run } = this;
    if (this.isFinal || (run.state === 'SHORT_OF_WORKERS' && run.plan === null)) return true;
    if (run.state === 'RETUNING' || run.state === 'ASSIGNING') return false;
    const isApplied = run.applied !== null && sameWanted(run.wanted, run.applied);
    return isApplied && [...this.#owners.values()].filter(isActive).every((o) => o.confirmed >= o.record.version);
  }

  /** Hits per second that each node has of this run, by node id. */
  get loads(): ReadonlyMap<string, number> {
    const loads = new Map<string, number>();
    if (this.run.plan === null || this.run.task.spec.load.model !== 'open') return loads;
    const unit = unitTarget(this.run, this.#asked ?? this.run.plan, Math.max(0, this.elapsedMs ?? 0));
    for (const { nodeId, share } of this.shares) {
      loads.set(nodeId, (loads.get(nodeId) ?? 0) + fractionOf(share) * unit);
    }
    return loads;
  }

  // --- What comes in ---------------------------------------------------------------------------------------------

  /** As it is stored now. @param reload what was written last may have come to the store or not */
  async refresh(run: RunRecord, reload: boolean): Promise<void> {
    this.run = run;
    if (run.state === 'STOPPING') this.#stoppingSinceMs ??= nowMs();
    if (!reload) return;
    this.#asked = null;
    // A statement that was given up may still come: from now on it changes nothing.
    await this.#change({});
    for (const record of await this.#house.store.assignments(run.id)) {
      const known = this.#owners.get(record.number);
      if (known === undefined || !isDeepStrictEqual(known.record, record)) this.#wrote(record);
    }
    this.#writtenOff.clear();
    if (run.plan !== null) this.#begun(wallElapsedMs(run));
  }

  /**
   * A worker opened a stream.
   *
   * @returns those of what it has running that it should not
   */
  hello(from: NodeRef, running: readonly RunningAssignment[]): RunningAssignment[] {
    const entries = running.filter(({ runId }) => runId === this.run.id);
    for (const owner of this.#owners.values()) {
      if (owner.belongsTo(from)) owner.hello(entries.find((e) => e.assignment === owner.record.number) ?? null);
    }
    const ownerOf = (entry: RunningAssignment) => {
      const owner = this.#owners.get(entry.assignment);
      return owner?.belongsTo(from) === true ? owner : undefined;
    };
    const told = entries.filter((entry) => ownerOf(entry) !== undefined).map(({ elapsedMs }) => elapsedMs);
    if (told.length > 0 && this.#clock.heard(Math.max(...told))) this.#beginLive();
    // Of one that is back while its share is being written off: others have that as soon as it is stored.
    const isIts = (entry: RunningAssignment, owner = ownerOf(entry)): boolean =>
      owner !== undefined && isActive(owner) && !this.#writtenOff.has(entry.assignment);
    return entries.filter((entry) => entry.finalSeq === null && !isIts(entry));
  }

  message(from: NodeRef, message: Exclude<StressToMaster, { type: 'samples' }>): void {
    const owner = this.#owners.get(message.assignment);
    if (owner === undefined) return;
    // An end may have waited on disk: a later process of the node tells it.
    const incarnation = message.type === 'stopped' ? message.incarnation : from.incarnation;
    if (!owner.belongsTo({ nodeId: from.nodeId, incarnation })) return;
    if (message.type === 'stopped') {
      const { run, elapsedMs } = this;
      const endMs = run.plan === null ? 0 : planEndMs(run.plan);
      const isOver = run.task.spec.load.hits !== null || (elapsedMs ?? 0) >= endMs - END_TOLERANCE_MS;
      const isEarly = isActive(owner) && owner.stopSentMs === null && run.state !== 'STOPPING' && !isOver;
      if (isEarly) this.#say({ kind: 'run.refused', text: `nodes/${from.nodeId} ended early: ${message.why}` });
      owner.stopped(message.finalSeq, message.why, isEarly);
      owner.endTeller = from;
      if (owner.record.finalSeq !== null) this.#house.ledger.ack(from, { ...message, runId: run.id });
    } else if (message.error === null) owner.acknowledged(message.version);
    else if (message.type === 'assignAck' && owner.confirmed === 0) owner.refused = message.error;
    else this.#log.warn({ worker: from.nodeId, error: message.error }, 'not applied by a worker');
  }

  sample(assignment: number, made: Sample): void {
    const owner = this.#owners.get(assignment);
    const sample = ofShare(made, owner?.record);
    if (owner !== undefined) owner.scheduled += sample.counts.scheduled;
    this.live.add(assignment, sample);
  }

  /** Who is gone: looked at also while the store does not answer, since it says how long they loaded at most. */
  observe(): void {
    for (const owner of this.#owners.values()) {
      const isGone = this.#house.standingOf(owner.ref) === 'gone';
      owner.goneAtMs = isGone ? (owner.goneAtMs ?? this.elapsedMs) : null;
    }
  }

  /** Tells who watches of the seconds that are whole. */
  publish(): void {
    const loading = [...this.#owners.values()].filter((o) => isActive(o) && o.ended === null && o.confirmed > 0);
    this.live.publish(
      loading.map(({ record }) => record.number),
      this.elapsedMs ?? 0,
    );
  }

  // --- What goes out ---------------------------------------------------------------------------------------------

  /** @throws Fenced, Changed, CodedError UNAVAILABLE */
  async pass(): Promise<void> {
    this.#guessClock();
    for (let round = 0; round < MAX_ROUNDS && !this.isFinal; round++) {
      const decision = reconcile(this.#view());
      if (decision.records.length === 0 && decision.change === null) {
        for (const send of decision.sends) this.#command(send);
        return;
      }
      await this.#write(decision);
    }
    if (this.isFinal) this.live.end();
  }

  /** Its end is settled elsewhere: nobody shall go on. */
  abandon(why: string): void {
    for (const owner of this.#owners.values()) if (isActive(owner)) this.#stop(owner, why);
    this.live.end();
  }

  /** This master has begun the run. */
  #begun(elapsedMs: number): void {
    if (this.#clock.begun(elapsedMs)) this.live.begin(0);
  }

  #guessClock(): void {
    if (this.run.plan === null || this.elapsedMs !== null) return;
    const mayTell = (owner: OwnerState) =>
      isActive(owner) && !owner.missing && this.#house.standingOf(owner.ref) !== 'gone';
    if ([...this.#owners.values()].some(mayTell)) return;
    if (this.#clock.guess()) this.#beginLive();
  }

  /** A new master misses what workers sent to the former one: it tells only of seconds that are wholly its own. */
  #beginLive(): void {
    this.live.begin(Math.max(0, Math.floor(this.elapsedMs! / 1000) + 2));
  }

  #view(): RunView {
    const { run } = this;
    const atMs = nowMs();
    const owners = [...this.#owners.values()].sort((a, b) => a.record.number - b.record.number);
    const refused = new Set(owners.filter((o) => o.refused !== null).map(({ record }) => record.nodeId));
    return {
      run,
      nowMs: atMs,
      wallMs: Date.now(),
      elapsedMs: this.elapsedMs,
      asked: this.#asked,
      owners: owners.map((owner) => {
        const { number: assignment, incarnation } = owner.record;
        const storedUpTo = this.#house.ledger.storedUpTo({ runId: run.id, assignment, incarnation });
        return owner.view(this.#standing(owner, atMs), this.#house.isLeaving(owner.ref), storedUpTo);
      }),
      ...this.#house.workersFor(run, refused),
      awaited: this.#house.awaited(),
      stoppingForMs: this.#stoppingSinceMs === null ? 0 : atMs - this.#stoppingSinceMs,
    };
  }

  #standing(owner: OwnerState, atMs: number): Member['standing'] {
    const standing = this.#house.standingOf(owner.ref);
    if (standing !== 'suspect' || this.#house.isWithheld(owner.ref)) owner.suspectSinceMs = null;
    else owner.suspectSinceMs ??= atMs;
    const isFast = this.run.placement.moving === 'fast' && owner.suspectSinceMs !== null;
    return isFast && atMs - owner.suspectSinceMs! >= FAST_AFTER_MS && this.#house.awaited() === 0 ? 'gone' : standing;
  }

  async #write({ records, change, said, asked }: Decision): Promise<void> {
    const { store, term } = this.#house;
    if (records.length > 0) {
      for (const { number, state } of records) if (state === 'LOST') this.#writtenOff.add(number);
      check(await store.putAssignments(term, this.run, records));
      for (const record of records) this.#wrote(record);
    }
    if (change !== null) {
      await this.#change(change);
      if (change.state === 'STOPPING') this.#stoppingSinceMs = nowMs();
      if (asked !== undefined) this.#asked = asked;
      if (this.run.plan !== null) this.#begun(-START_AFTER_MS);
    }
    for (const sentence of said) this.#say(sentence);
    this.live.wake.tell();
  }

  /** @throws Fenced, Changed, CodedError UNAVAILABLE */
  async #change(change: RunChange): Promise<void> {
    const { store, term } = this.#house;
    check(await store.updateRun(term, this.run, change));
    this.run = { ...this.run, ...change, version: this.run.version + 1 };
  }

  #wrote(record: AssignmentRecord): void {
    this.#writtenOff.delete(record.number);
    const key = { runId: record.runId, assignment: record.number, incarnation: record.incarnation };
    const owner = this.#owners.get(record.number);
    if (owner === undefined) {
      this.#owners.set(record.number, new OwnerState(record, true));
      this.#house.ledger.addAssignment(key);
      return;
    }
    const wasActive = isActive(owner);
    owner.record = record;
    if (record.finalSeq !== null) {
      this.#house.ledger.setFinal(key, record.finalSeq);
      this.#house.ledger.ack(owner.endTeller ?? owner.ref, key);
    }
    if (wasActive && record.state === 'LOST') this.#house.mayStray(owner.ref, record);
  }

  #command({ kind, record, why }: Send): void {
    const owner = this.#owners.get(record.number)!;
    if (kind === 'stop') return this.#stop(owner, why);
    const { run } = this;
    const key = { runId: run.id, assignment: record.number, version: record.version, epoch: record.epoch };
    const elapsedMs = this.elapsedMs ?? 0;
    // A share of 0 is said by a plan of 0: a schedule cannot be divided by it.
    const share = record.share.weight > 0 ? record.share : { weight: 1, of: record.share.of, phase: 0 };
    const plan = record.share.weight > 0 ? run.plan! : pausePlan(run.plan!, Math.max(0, elapsedMs));
    const startAfterMs = Math.max(record.share.weight > 0 ? JOIN_AFTER_MS : 0, -elapsedMs);
    const { task } = run;
    const { hits, maxInFlight, maxQueue } = record;
    const start = { planOffsetMs: Math.max(0, elapsedMs + startAfterMs), startAfterMs, run: this.name };
    const message: StressToWorker =
      kind === 'retune'
        ? { type: 'retune', ...key, plan, share, maxInFlight, maxQueue }
        : { type: 'assign', ...key, task, plan, share, hits, maxInFlight, maxQueue, ...start };
    if (this.#house.send(owner.ref, message)) owner.commanded(record, nowMs());
  }

  #stop(owner: OwnerState, why: string): void {
    const { record } = owner;
    const key = { runId: record.runId, assignment: record.number, version: record.version };
    const { graceMs } = this.run.task.spec.load;
    const isSent = this.#house.send(owner.ref, { type: 'stop', ...key, graceMs, why });
    if (isSent) owner.toldToStop(nowMs(), STOP_AGAIN_MS);
  }

  #say({ kind, text }: Said): void {
    this.#log.info({ state: this.run.state }, text);
    this.#house.event(kind, this.name, text);
  }
}

function check(written: Written): void {
  if (written === 'fenced') throw new Fenced('a newer term stands');
  if (written === 'changed') throw new Changed('the row is not as expected');
}
