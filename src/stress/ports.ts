/**
 * What the stress driver needs from outside (the store), gives to outside (the API), and says over the worker stream.
 * Ids of rows are bigint: they may pass 2^53. `wallMs` is milliseconds since 1970; run time is ms since the run's start.
 */
import type {
  Inhibit,
  Member,
  MemberEvent,
  NodeRecord,
  Nomination,
  SentinelRecord,
  TermReasons,
} from '../cluster/ports.ts';
import type { RunAccount } from '../task/account.ts';
import type { Plan, Share } from '../task/plan.ts';
import type { Problem } from '../task/problems.ts';
import type { Sample } from '../task/sample.ts';
import type { PreparedTask, StageSpec } from '../task/spec.ts';
import type { RunState } from '../task/status.ts';

// --- Records -----------------------------------------------------------------------------------------------------

/** How a task is spread over workers. */
export interface Placement {
  /** Name of a strategy, e.g. `least-loaded`. */
  strategy: string;
  /** Only nodes that have all of these. */
  labels: Readonly<Record<string, string>>;
  /** null: as many as there are. */
  maxNodes: number | null;
  /** When a share of a worker that is not heard of moves: surely stopped (`strict`), or at the first suspicion. */
  moving: 'strict' | 'fast';
}
export const DEFAULT_PLACEMENT: Placement = { strategy: 'least-loaded', labels: {}, maxNodes: null, moving: 'strict' };

export interface TaskRecord {
  id: bigint;
  /** Self-contained: `spec` names no files. Holds secrets. */
  task: PreparedTask;
  placement: Placement;
  /** Grows with each change by the API; the etag. */
  version: number;
  createdWallMs: number;
  updatedWallMs: number;
  /** The number of its latest run, 0: none yet. */
  lastRun: number;
  /** The number of its active run; null: none. */
  activeRun: number | null;
}

/** What the user wants of a run; written by the API or by hand. */
export interface Wanted {
  state: 'RUNNING' | 'PAUSED' | 'STOPPED';
  /** Constant target from the moment it is seen: hits per second or users; null: as the task's plan says. */
  target: number | null;
  /** Ramp to `target` over this time, ms; 0: at once. */
  rampMs: number;
  /** Instead of `target`: stages for the rest of the run. */
  stages: readonly StageSpec[] | null;
  /** Grows with each change by the API; SQL written by hand bumps nothing. */
  version: number;
}

export interface RunRecord {
  id: bigint;
  taskId: bigint;
  /** Counts from 1 within the task. */
  number: number;
  /** The task as it was at the start. */
  task: PreparedTask;
  placement: Placement;
  wanted: Wanted;
  state: RunState;
  /** Why it is FAILED, SHORT_OF_WORKERS, DONE_INCOMPLETE …; else empty. */
  reason: string;
  /** Grows with each fenced write of the master. */
  version: number;
  /** What of `wanted` the master has applied on all workers: compared by value, since SQL by hand bumps no version. */
  applied: Wanted | null;
  /** The whole plan as it was retuned, run time; null before the first assignment. */
  plan: Plan | null;
  createdWallMs: number;
  /** null: not yet. */
  startedWallMs: number | null;
  endedWallMs: number | null;
  /** Grows each time a sample arrives after the end. */
  revision: number;
}

/** A worker's share of a run, written before it is sent. Its key is (run id, number). */
export interface AssignmentRecord {
  runId: bigint;
  /** Counts from 1 within the run; a share given again, also to its old owner, is a new assignment. */
  number: number;
  nodeId: string;
  incarnation: number;
  /** Grows with each Retune of it. */
  version: number;
  /** The rebalancing that made or last changed it; within one epoch every lowering comes before any raise. */
  epoch: number;
  share: Share;
  /** Part of the total hits; null: no limit. */
  hits: number | null;
  maxInFlight: number;
  maxQueue: number;
  state: 'ASSIGNED' | 'RUNNING' | 'STOPPED' | 'LOST';
  /** Set after the last hit in flight was counted; null: not known. */
  finalSeq: number | null;
  /** Run time by which its process surely loads no more, ms; null: it is not LOST, or that is not known. */
  lostByMs: number | null;
}

/** A sample as it travels and is stored: the bytes are `encodeSample` of task/sample-codec.ts and never change. */
export interface SampleRecord {
  runId: bigint;
  assignment: number;
  incarnation: number;
  /** From 1 without a gap within (run, assignment, incarnation). */
  seq: number;
  /** Second of the run. */
  second: number;
  /** SHA-256 of `data`, its first 16 bytes. */
  digest: Uint8Array;
  data: Uint8Array;
}

export interface EventRecord {
  id: bigint;
  wallMs: number;
  term: number;
  nodeId: string;
  /** `run.state`, `node.joined`, `node.left`, `node.down`, `master.elected`, `share.moved` … */
  kind: string;
  /** `tasks/42/runs/3`, `nodes/a`, or empty. */
  subject: string;
  text: string;
}

// --- Store -------------------------------------------------------------------------------------------------------

export interface Page<T> {
  items: readonly T[];
  /** Pass it as `before` for the next page; null: this was the last. */
  next: bigint | null;
}

/** Outcome of a guarded write. */
export type Written =
  | 'written'
  /** The term is not the fence any more: step down. */
  | 'fenced'
  /** The row was not as expected: read it again. */
  | 'changed';

/** What a run must still be for a write that belongs to it. */
export interface RunGuard {
  id: bigint;
  /** null: it is over. */
  version: number | null;
}

/**
 * Tasks, runs, assignments, samples, events. Adapters: MySQL and SQLite, under one conformance suite. Every call has a
 * deadline and rejects with CodedError UNAVAILABLE that names the database when it passes. Calls with a `term` are
 * fenced: a single statement that changes nothing once a newer term stands.
 */
export interface TaskStore {
  // What users ask for; not fenced.
  /**
   * @param request id and digest of the request's content, remembered for 24 h; null: none
   * @returns the task; the earlier one when the id was used for the same content
   * @throws CodedError INVALID_INPUT when the id was used for another content
   */
  createTask(task: PreparedTask, placement: Placement, request: RequestId | null): Promise<TaskRecord>;
  /** @throws CodedError FAILED_PRECONDITION with the problems when its row was written by hand and is no task */
  getTask(id: bigint): Promise<TaskRecord | null>;
  /** Newest first; `states`: of the latest run, none: all. Rows written by hand that are no task are left out. */
  listTasks(options: { limit: number; before: bigint | null; states: readonly RunState[] }): Promise<Page<TaskRecord>>;
  /** @returns the changed task; null when `version` is not the current one */
  updateTask(id: bigint, version: number, task: PreparedTask, placement: Placement): Promise<TaskRecord | null>;
  /** With its history; also a row that was written by hand and is no task. @returns what it found; with an active run nothing is done */
  deleteTask(id: bigint): Promise<'deleted' | 'absent' | { activeRun: number }>;
  /** Adds a run PENDING. @returns it, or the active one that stands in the way; null: no such task */
  startRun(taskId: bigint, request: RequestId | null): Promise<{ run: RunRecord; created: boolean } | null>;
  /** @throws CodedError FAILED_PRECONDITION with the problems when its row was written by hand and is no run */
  getRun(taskId: bigint, number: number): Promise<RunRecord | null>;
  /** Newest first; of one task, or of all. Rows written by hand that are no run are left out. */
  listRuns(options: {
    taskId: bigint | null;
    limit: number;
    before: bigint | null;
    states: readonly RunState[];
  }): Promise<Page<RunRecord>>;
  /**
   * Sets what is wanted of an active run. STOPPED is never taken back.
   *
   * @param version of `wanted`; null: whatever it is
   * @returns the run; null: `version` is not the current one, or the run is not active, or it is to stop and something
   *   else is wanted now
   * @throws CodedError INVALID_INPUT when the target or the stages are none
   */
  setWanted(runId: bigint, wanted: Omit<Wanted, 'version'>, version: number | null): Promise<RunRecord | null>;

  // What the master does; fenced.
  /**
   * The first thing of each pass. Makes PENDING runs of tasks whose `start_requested` was set by hand, and clears it; what
   * was written by hand and cannot be carried out is marked and told as an event (`task.invalid`, `run.invalid`).
   *
   * @returns how many runs
   */
  takeUpRequests(term: number): Promise<number>;
  /** Every run that is not final, by id. */
  activeRuns(): Promise<readonly RunRecord[]>;
  /**
   * One transition or change of what is; guarded by term, version and state.
   *
   * @throws RangeError when the new state may not follow
   */
  updateRun(term: number, run: RunRecord, change: RunChange): Promise<Written>;
  /** Raises the revision of a run that has ended, since samples of it came late. `changed`: it is active, or not there. */
  reviseRun(term: number, runId: bigint): Promise<Written>;
  assignments(runId: bigint): Promise<readonly AssignmentRecord[]>;
  /**
   * Inserts or replaces by (run id, number). `changed`: the run is not at that version, or not over.
   *
   * A statement whose caller has given it up may still come: whoever does not know what became of one raises the version before it
   * reads again, and from then on that one changes nothing.
   */
  putAssignments(term: number, run: RunGuard, assignments: readonly AssignmentRecord[]): Promise<Written>;
  /**
   * Stores each sample once: one statement a batch.
   *
   * @returns `fenced`; or the keys whose stored digest is another one (recorded as events, not added)
   */
  putSamples(term: number, samples: readonly SampleRecord[]): Promise<{ written: Written; conflicts: SampleRecord[] }>;
  /** The highest seq up to which all are stored, by (assignment, incarnation). */
  storedUpTo(runId: bigint): Promise<readonly { assignment: number; incarnation: number; upTo: number }[]>;
  /** The highest second of which there is a sample; null: there is none. */
  lastSecond(runId: bigint): Promise<number | null>;
  /**
   * Those from `fromSecond` on and before `toSecond`, in the order of second, assignment, incarnation, seq. A large
   * range is cut after a whole second: go on from the last one's second + 1 until nothing comes.
   */
  samples(runId: bigint, fromSecond: number, toSecond: number): Promise<readonly SampleRecord[]>;
  addEvent(event: Omit<EventRecord, 'id'>): Promise<void>;
  /** In their order, those after one; null: the latest ones. @param options.of only of this kind, in this term */
  events(options: {
    after: bigint | null;
    limit: number;
    of?: { kind: string; term: number };
  }): Promise<readonly EventRecord[]>;
  close(): Promise<void>;
}

export interface RequestId {
  id: string;
  /** Of the request's content. */
  digest: string;
}

export interface RunChange {
  state?: RunState;
  reason?: string;
  applied?: Wanted;
  plan?: Plan;
  startedWallMs?: number;
  endedWallMs?: number;
  revision?: number;
}

// --- Over the worker stream --------------------------------------------------------------------------------------

export const STRESS = 'stress';

/** Names one assignment of one run. */
export interface AssignmentKey {
  runId: bigint;
  assignment: number;
}

export type StressToWorker =
  | ({
      type: 'assign';
      version: number;
      epoch: number;
      task: PreparedTask;
      plan: Plan;
      share: Share;
      hits: number | null;
      maxInFlight: number;
      maxQueue: number;
      /** Run time at the moment the load shall begin; it begins `startAfterMs` after this message came. */
      planOffsetMs: number;
      startAfterMs: number;
      /** For the logs: `tasks/42/runs/3`. */
      run: string;
    } & AssignmentKey)
  /** `plan` is the whole plan in run time; what it says of the past is as it was. */
  | ({
      type: 'retune';
      version: number;
      epoch: number;
      plan: Plan;
      share: Share;
      maxInFlight: number;
      maxQueue: number;
    } & AssignmentKey)
  /** Drains: no new hits, those in flight get the grace period. */
  | ({ type: 'stop'; version: number; graceMs: number; why: string } & AssignmentKey)
  /** `final`: how the assignment ended is stored too, so that the worker may forget it once it has `upTo` its last sample. */
  | ({ type: 'ack'; incarnation: number; upTo: number; final: boolean } & AssignmentKey);

export type StressToMaster =
  | ({ type: 'assignAck' | 'retuneAck'; version: number; epoch: number; error: string | null } & AssignmentKey)
  | ({ type: 'samples'; incarnation: number; samples: readonly SampleRecord[] } & AssignmentKey)
  /** After the last hit was counted; `finalSeq` is the last sample's. */
  | ({ type: 'stopped'; incarnation: number; finalSeq: number; why: string } & AssignmentKey);

/** What a worker has running, or has ended with samples not yet acknowledged; in Hello. */
export interface RunningAssignment extends AssignmentKey {
  version: number;
  epoch: number;
  incarnation: number;
  share: Share;
  /** Run time now. */
  elapsedMs: number;
  /** The last sample made and the last one acknowledged. */
  lastSeq: number;
  ackedSeq: number;
  /** null: still loading. */
  finalSeq: number | null;
}

/** Samples of an earlier incarnation of the node that its spill file still holds; in Hello. */
export interface SpilledSamples extends AssignmentKey {
  incarnation: number;
  lastSeq: number;
}

/** The stress worker's state in Hello. */
export interface StressHello {
  running: readonly RunningAssignment[];
  spilled: readonly SpilledSamples[];
}

// --- The API -----------------------------------------------------------------------------------------------------

/** A run as its master has it now. */
export interface RunNow {
  run: RunRecord;
  /** What is being loaded. */
  shares: readonly AssignmentRecord[];
  /** Run time, ms; below 0: about to begin; null: it has not begun, or this master does not look after it. */
  elapsedMs: number | null;
}

/** A second of a run over all its workers, for who watches. */
export interface RunUpdate extends RunNow {
  /** Merged over all workers; null: nothing new but the state. Its `second` counts from the run's start. */
  sample: Sample | null;
  /** The last update: the run is final. */
  final: boolean;
}

export interface RunReport {
  run: RunRecord;
  /** false while the run is active, or part of it is unknown. */
  complete: boolean;
  /** The document of schema `gostress/schema/report`. */
  report: Readonly<Record<string, unknown>>;
}

/** What is stored of a run. */
export interface RunResults {
  /** Nodes that had a share. */
  workers: number;
  /** Merged over all workers. */
  seconds: AsyncIterable<Sample>;
  /** When all seconds were read. */
  account: () => RunAccount;
}

/** Sums a run up; made by `report`, handed in by `app`. */
export type ReportMaker = (run: RunRecord, results: RunResults) => Promise<Readonly<Record<string, unknown>>>;

export interface ClusterStatus {
  master: NodeRecord | null;
  term: number;
  /** Workers as the master sees them; of all other nodes only the record counts. */
  members: readonly Member[];
  /** Those that live, and whom they hold for down. */
  sentinels: readonly SentinelRecord[];
  /** Sentinels that must agree at least that a node is down. */
  quorum: number;
  /** null: automatic failover is on. */
  inhibit: Inhibit | null;
  runs: readonly RunNow[];
}

/** What is behind the public services; lives on the master. @throws CodedError from every method */
export interface StressApi {
  /** What is wrong with a placement; the paths are those of a task's record. */
  placementProblems(placement: Placement): Problem[];
  createTask(task: PreparedTask, placement: Placement, request: RequestId | null): Promise<TaskRecord>;
  getTask(id: bigint): Promise<TaskRecord>;
  listTasks(options: { limit: number; before: bigint | null; states: readonly RunState[] }): Promise<Page<TaskRecord>>;
  /** `version` null: whatever the current one is. ABORTED when it is not the current one. */
  updateTask(
    id: bigint,
    version: number | null,
    change: (current: TaskRecord) => { task: PreparedTask; placement: Placement },
  ): Promise<TaskRecord>;
  deleteTask(id: bigint): Promise<void>;
  startTask(id: bigint, request: RequestId | null): Promise<RunRecord>;
  getRun(taskId: bigint, number: number): Promise<RunRecord>;
  listRuns(options: {
    taskId: bigint | null;
    limit: number;
    before: bigint | null;
    states: readonly RunState[];
  }): Promise<Page<RunRecord>>;
  /** Of a finished run: returns it. */
  stopRun(taskId: bigint, number: number): Promise<RunRecord>;
  /** Resolves when all workers have applied it, or after a deadline with what is applied by then. */
  retuneRun(
    taskId: bigint,
    number: number,
    target: { target: number; rampMs: number } | { stages: readonly StageSpec[] },
    version: number | null,
  ): Promise<RunNow>;
  pauseRun(taskId: bigint, number: number): Promise<RunRecord>;
  resumeRun(taskId: bigint, number: number): Promise<RunRecord>;
  /** Updates from a second on: stored ones first, then live, once a second, until the final one or the signal. */
  watchRun(taskId: bigint, number: number, fromSecond: number, signal: AbortSignal): AsyncIterable<RunUpdate>;
  getRunReport(taskId: bigint, number: number): Promise<RunReport>;
  status(): Promise<ClusterStatus>;
  drainNode(nodeId: string): Promise<Member>;
  /** Why the master of a term became it; null: of this term. NOT_FOUND when nothing is kept of it. */
  explainTerm(term: number | null): Promise<{ reasons: TermReasons; wallMs: number }>;
  /** Ends this mastership in favour of a node; null: of the best one. */
  failover(to: string | null, reason: string): Promise<Nomination>;
  /** Pauses automatic failover with a reason, or (null) resumes it. */
  inhibitFailover(reason: string | null): Promise<void>;
  watchEvents(after: bigint | null, signal: AbortSignal): AsyncIterable<EventRecord | MemberEvent>;
}
