import type { MethodDefinition } from '@grpc/grpc-js';
import { decodeSample } from '../task/sample-codec.ts';
import type { Sample } from '../task/sample.ts';
import type { StageSpec } from '../task/spec.ts';
import type { RunState } from '../task/status.ts';
import { DEFAULT_DEADLINE_MS } from './calls.ts';
import { Channel } from './channel.ts';
import { fromStatus } from './errors.ts';
import { loadProto } from './loader.ts';
import type {
  ClusterMessage,
  EventMessage,
  NodeMessage,
  NominationMessage,
  RunMessage,
  RunReportMessage,
  SecondMessage,
  ShareMessage,
  TaskMessage,
  TermReasonsMessage,
  WatchRunMessage,
} from './messages.ts';
import { resumeWatch } from './resume.ts';
import { planToMessage } from './task-output.ts';
import { durationToMessage, structToJson } from './well-known.ts';

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

const NEVER = new AbortController().signal;
const DEFAULT_RECONNECT_MS = 30_000;

type Method = MethodDefinition<object, object>;
type Methods = Record<string, Method>;
const methods = {
  ...(loadProto('gostress/v1/task_service.proto')['gostress.v1.TaskService'] as Methods),
  ...(loadProto('gostress/v1/cluster.proto')['gostress.v1.ClusterService'] as Methods),
};

/**
 * The public API of a cluster at one address. Every method rejects with CodedError: UNAVAILABLE names the address when it does
 * not answer; INVALID_INPUT has a line per field.
 */
export class ClusterClient implements Disposable {
  readonly #channel: Channel;
  readonly #deadlineMs: number;

  private constructor(address: string, { deadlineMs = DEFAULT_DEADLINE_MS }: ClientOptions) {
    this.#channel = new Channel(address);
    this.#deadlineMs = deadlineMs;
  }

  /** Does not wait for the connection. @param address `host:port` */
  static connect(address: string, options: ClientOptions = {}): ClusterClient {
    return new ClusterClient(address, options);
  }

  get address(): string {
    return this.#channel.address;
  }

  createTask(request: NewTask): Promise<TaskMessage> {
    return this.#call('CreateTask', request);
  }

  getTask(name: string): Promise<TaskMessage> {
    return this.#call('GetTask', { name });
  }

  listTasks(options: PageOptions = {}): Promise<{ tasks: readonly TaskMessage[]; nextPageToken: string }> {
    return this.#call('ListTasks', options);
  }

  /** @param updateMask e.g. `['load', 'request.url']`; empty: the fields that are set */
  updateTask(task: TaskMessage, updateMask: readonly string[] = []): Promise<TaskMessage> {
    return this.#call('UpdateTask', { task, updateMask: { paths: updateMask } });
  }

  async deleteTask(name: string): Promise<void> {
    await this.#call('DeleteTask', { name });
  }

  startTask(name: string, requestId = ''): Promise<RunMessage> {
    return this.#call('StartTask', { name, requestId });
  }

  getRun(name: string): Promise<RunMessage> {
    return this.#call('GetRun', { name });
  }

  /** @param parent `tasks/42`; empty: of all tasks */
  listRuns(parent: string, options: PageOptions = {}): Promise<{ runs: readonly RunMessage[]; nextPageToken: string }> {
    return this.#call('ListRuns', { parent, ...options });
  }

  stopRun(name: string): Promise<RunMessage> {
    return this.#call('StopRun', { name });
  }

  retuneRun(
    name: string,
    target: RetuneTarget,
    { rampMs, etag = '' }: { rampMs?: number; etag?: string } = {},
  ): Promise<{ run: RunMessage; version: string; shares: readonly ShareMessage[] }> {
    const ramp = rampMs === undefined ? {} : { ramp: durationToMessage(rampMs) };
    // Of the model of the run, whichever that is.
    const wanted =
      'stages' in target ? { plan: { ...planToMessage('open', target.stages), model: 'MODEL_UNSPECIFIED' } } : target;
    return this.#call('RetuneRun', { name, ...wanted, ...ramp, etag });
  }

  pauseRun(name: string): Promise<RunMessage> {
    return this.#call('PauseRun', { name });
  }

  resumeRun(name: string): Promise<RunMessage> {
    return this.#call('ResumeRun', { name });
  }

  /** Until the run ends or the signal aborts; survives a change of the master. */
  async *watchRun(name: string, options: WatchOptions = {}): AsyncGenerator<WatchedSecond> {
    const { fromSecond = 0, includeSamples = false, signal = NEVER, onReconnect } = options;
    const giveUpAfterMs = options.reconnectMs ?? DEFAULT_RECONNECT_MS;
    const source = (from: number): AsyncIterable<WatchRunMessage> =>
      this.#stream('WatchRun', { name, fromSecond: String(from), includeSamples }, signal);
    const watch = { signal, giveUpAfterMs, ...(onReconnect === undefined ? {} : { onLost: onReconnect }) };
    for await (const message of resumeWatch(source, fromSecond, watch)) {
      const { run, second, sample, shares, skippedSeconds, final } = message;
      yield {
        run: run!,
        second,
        sample: sample.length === 0 ? null : decodeSample(sample),
        shares,
        skippedSeconds: Number(skippedSeconds),
        final,
      };
    }
  }

  /** `document` is the whole report, the shape of `gostress/schema/report`. */
  async getRunReport(name: string): Promise<RunReportMessage & { document: Readonly<Record<string, unknown>> }> {
    const answer = await this.#call<RunReportMessage>('GetRunReport', { name });
    return { ...answer, document: answer.report === null ? {} : structToJson(answer.report) };
  }

  getCluster(): Promise<ClusterMessage> {
    return this.#call('GetCluster', {});
  }

  listNodes(
    options: Omit<PageOptions, 'states'> = {},
  ): Promise<{ nodes: readonly NodeMessage[]; nextPageToken: string }> {
    return this.#call('ListNodes', options);
  }

  /** @param name `nodes/a` */
  drainNode(name: string): Promise<NodeMessage> {
    return this.#call('DrainNode', { name });
  }

  /** @param term 0: the present one */
  explainTerm(term: string): Promise<TermReasonsMessage> {
    return this.#call('ExplainTerm', { term });
  }

  /** @param to `nodes/a`; empty: the best one */
  failover(to: string, reason: string): Promise<NominationMessage> {
    return this.#call('Failover', { to, reason });
  }

  async pauseFailover(reason: string): Promise<void> {
    await this.#call('PauseFailover', { reason });
  }

  async resumeFailover(): Promise<void> {
    await this.#call('ResumeFailover', {});
  }

  /** @param afterId stored events with greater ids, then new ones; null: only new ones */
  watchEvents(afterId: string | null, signal: AbortSignal): AsyncIterable<EventMessage> {
    return this.#stream('WatchEvents', afterId === null ? {} : { afterId }, signal);
  }

  close(): void {
    this.#channel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #call<T>(name: string, request: object): Promise<T> {
    const { path, requestSerialize, responseDeserialize } = methods[name]!;
    try {
      return responseDeserialize(
        await this.#channel.unary(path, requestSerialize(request), this.#deadlineMs, null),
      ) as T;
    } catch (error) {
      throw fromStatus(error, this.address, this.#deadlineMs);
    }
  }

  async *#stream<T>(name: string, request: object, signal: AbortSignal): AsyncGenerator<T> {
    const { path, requestSerialize, responseDeserialize } = methods[name]!;
    try {
      const messages = this.#channel.stream(path, requestSerialize(request), signal, null);
      for await (const bytes of messages) yield responseDeserialize(bytes) as T;
    } catch (error) {
      throw fromStatus(error, this.address, null);
    }
  }
}
