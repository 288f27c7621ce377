import type { Sample } from '../task/sample.ts';
import type { PreparedTask, StageSpec } from '../task/spec.ts';
import type { RunState } from '../task/status.ts';
import type { Placement } from '../stress/ports.ts';
import type {
  ClusterMessage,
  EventMessage,
  NodeMessage,
  RunMessage,
  RunReportMessage,
  SecondMessage,
  ShareMessage,
  TaskMessage,
} from './messages.ts';

export interface ClientOptions {
  /** Of each call that is no stream. Default: 10 s. */
  deadlineMs?: number;
}

/** What CreateTask takes: a task, or a curl command with what it does not say. */
export interface NewTask {
  /** Its files are inlined; null: the curl command is all. */
  task: TaskMessage | null;
  curlCommand?: string;
  validateOnly?: boolean;
  /** Default: none. */
  requestId?: string;
}

export interface PageOptions {
  pageSize?: number;
  pageToken?: string;
  states?: readonly RunState[];
}

export type RetuneTarget = { ratePerSecond: number } | { users: number } | { stages: readonly StageSpec[] };

/** A message of `watchRun`. */
export interface WatchedSecond {
  /** Its `task` is null except in the first message and the last. */
  run: RunMessage;
  /** null: only the state is new. */
  second: SecondMessage | null;
  /** The same with its histograms; only when samples were asked for. */
  sample: Sample | null;
  shares: readonly ShareMessage[];
  /** Seconds left out before this one, because this reader was too slow. */
  skippedSeconds: number;
  final: boolean;
}

export interface WatchOptions {
  /** Default: 0. */
  fromSecond?: number;
  /** Default: false. */
  includeSamples?: boolean;
  /** Ends the watch, without an error. */
  signal?: AbortSignal;
  /** A lost connection is opened again for this long, each time. Default: 30 s. */
  reconnectMs?: number;
  /** The connection is lost, and is being opened again. */
  onReconnect?: (why: string) => void;
}

/** For CreateTask and UpdateTask: the task with its files' contents. */
export type TaskToMessage = (task: PreparedTask, placement?: Placement) => TaskMessage;

/**
 * The public API of a cluster at one address. Every method rejects with CodedError: UNAVAILABLE names the address when it does
 * not answer; INVALID_INPUT has a line per field.
 */
export declare class ClusterClient implements Disposable {
  readonly address: string;

  /** Does not wait for the connection. @param address `host:port` */
  static connect(address: string, options?: ClientOptions): ClusterClient;

  createTask(request: NewTask): Promise<TaskMessage>;
  getTask(name: string): Promise<TaskMessage>;
  listTasks(options?: PageOptions): Promise<{ tasks: readonly TaskMessage[]; nextPageToken: string }>;
  /** @param updateMask e.g. `['load', 'request.url']`; empty: the fields that are set */
  updateTask(task: TaskMessage, updateMask?: readonly string[]): Promise<TaskMessage>;
  deleteTask(name: string): Promise<void>;
  startTask(name: string, requestId?: string): Promise<RunMessage>;
  getRun(name: string): Promise<RunMessage>;
  /** @param parent `tasks/42`; empty: of all tasks */
  listRuns(parent: string, options?: PageOptions): Promise<{ runs: readonly RunMessage[]; nextPageToken: string }>;
  stopRun(name: string): Promise<RunMessage>;
  retuneRun(
    name: string,
    target: RetuneTarget,
    options?: { rampMs?: number; etag?: string },
  ): Promise<{ run: RunMessage; version: number; shares: readonly ShareMessage[] }>;
  pauseRun(name: string): Promise<RunMessage>;
  resumeRun(name: string): Promise<RunMessage>;
  /** Until the run ends or the signal aborts; survives a change of the master. */
  watchRun(name: string, options?: WatchOptions): AsyncIterable<WatchedSecond>;
  /** `document` is the whole report, the shape of `gostress/schema/report`. */
  getRunReport(name: string): Promise<RunReportMessage & { document: Readonly<Record<string, unknown>> }>;
  getCluster(): Promise<ClusterMessage>;
  listNodes(options?: Omit<PageOptions, 'states'>): Promise<{ nodes: readonly NodeMessage[]; nextPageToken: string }>;
  /** @param name `nodes/a` */
  drainNode(name: string): Promise<NodeMessage>;
  /** @param afterId stored events with greater ids, then new ones; null: only new ones */
  watchEvents(afterId: string | null, signal: AbortSignal): AsyncIterable<EventMessage>;
  close(): void;
  [Symbol.dispose](): void;
}
