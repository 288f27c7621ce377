import type {
  AssignmentRecord,
  EventRecord,
  Page,
  Placement,
  RequestId,
  RunChange,
  RunGuard,
  RunRecord,
  SampleRecord,
  TaskRecord,
  TaskStore,
  Wanted,
  Written,
} from '../stress/ports.ts';
import type { PreparedTask } from '../task/spec.ts';
import { putAssignments, readAssignments } from './assignments.ts';
import type { Database } from './database.ts';
import { insertEvent, readEvents } from './events.ts';
import { readLastSecond, readSamples, readStoredUpTo } from './ledger.ts';
import { RunTasks } from './run-tasks.ts';
import { activeRuns, listRuns, readRun, reviseRun, setWanted, startRun, updateRun } from './runs.ts';
import { putSamples } from './samples.ts';
import { takeUpRequests } from './take-up.ts';
import { createTask, deleteTask, listTasks, readTask, updateTask } from './tasks.ts';

/** The port, on either database. */
export class SqlTaskStore implements TaskStore {
  readonly #database: Database;
  readonly #tasks = new RunTasks();
  readonly #close: () => Promise<void>;

  constructor(database: Database, close: () => Promise<void>) {
    this.#database = database;
    this.#close = close;
  }

  createTask(task: PreparedTask, placement: Placement, request: RequestId | null): Promise<TaskRecord> {
    return createTask(this.#database, task, placement, request);
  }

  getTask(id: bigint): Promise<TaskRecord | null> {
    return this.#database.read('read a task', (db) => readTask(db, id));
  }

  listTasks(options: Parameters<TaskStore['listTasks']>[0]): Promise<Page<TaskRecord>> {
    return this.#database.read('list tasks', (db) => listTasks(db, options));
  }

  updateTask(id: bigint, version: number, task: PreparedTask, placement: Placement): Promise<TaskRecord | null> {
    return updateTask(this.#database, id, version, task, placement);
  }

  deleteTask(id: bigint): ReturnType<TaskStore['deleteTask']> {
    return deleteTask(this.#database, id);
  }

  startRun(taskId: bigint, request: RequestId | null): ReturnType<TaskStore['startRun']> {
    return startRun(this.#database, this.#tasks, taskId, request);
  }

  getRun(taskId: bigint, number: number): Promise<RunRecord | null> {
    return this.#database.read('read a run', (db) => readRun(db, this.#tasks, taskId, number));
  }

  listRuns(options: Parameters<TaskStore['listRuns']>[0]): Promise<Page<RunRecord>> {
    return this.#database.read('list runs', (db) => listRuns(db, this.#tasks, options));
  }

  setWanted(runId: bigint, wanted: Omit<Wanted, 'version'>, version: number | null): Promise<RunRecord | null> {
    return setWanted(this.#database, this.#tasks, runId, wanted, version);
  }

  takeUpRequests(term: number): Promise<number> {
    return takeUpRequests(this.#database, this.#tasks, term);
  }

  activeRuns(): Promise<readonly RunRecord[]> {
    return this.#database.read('read the active runs', (db) => activeRuns(db, this.#tasks));
  }

  updateRun(term: number, run: RunRecord, change: RunChange): Promise<Written> {
    return updateRun(this.#database, term, run, change);
  }

  reviseRun(term: number, runId: bigint): Promise<Written> {
    return reviseRun(this.#database, term, runId);
  }

  assignments(runId: bigint): Promise<readonly AssignmentRecord[]> {
    return this.#database.read('read assignments', (db) => readAssignments(db, runId));
  }

  putAssignments(term: number, run: RunGuard, assignments: readonly AssignmentRecord[]): Promise<Written> {
    return putAssignments(this.#database, term, run, assignments);
  }

  putSamples(term: number, samples: readonly SampleRecord[]): ReturnType<TaskStore['putSamples']> {
    return putSamples(this.#database, term, samples);
  }

  storedUpTo(runId: bigint): ReturnType<TaskStore['storedUpTo']> {
    return this.#database.read('read what is stored of a run', (db) => readStoredUpTo(db, runId));
  }

  lastSecond(runId: bigint): Promise<number | null> {
    return this.#database.read('read what is stored of a run', (db) => readLastSecond(db, runId));
  }

  samples(runId: bigint, fromSecond: number, toSecond: number): Promise<readonly SampleRecord[]> {
    return this.#database.read('read samples', (db) => readSamples(db, runId, fromSecond, toSecond));
  }

  addEvent(event: Omit<EventRecord, 'id'>): Promise<void> {
    return this.#database.write('write an event', (db) => insertEvent(db, event));
  }

  events(options: Parameters<TaskStore['events']>[0]): Promise<readonly EventRecord[]> {
    return this.#database.read('read events', (db) => readEvents(db, options));
  }

  close(): Promise<void> {
    return this.#close();
  }
}
