import type { WorkerContext } from '../../../src/cluster/ports.ts';
import { nowMs } from '../../../src/lib/clock.ts';
import { Listeners } from '../../../src/lib/listeners.ts';
import { SILENT, type Log } from '../../../src/lib/log.ts';
import type { StressToMaster, StressToWorker } from '../../../src/stress/ports.ts';
import { StressWorker, type StressWorkerOptions } from '../../../src/stress/worker.ts';
import { mergeSamples } from '../../../src/task/merge.ts';
import { compilePlan, WHOLE } from '../../../src/task/plan.ts';
import { decodeSample } from '../../../src/task/sample-codec.ts';
import type { Counts } from '../../../src/task/sample.ts';
import { record } from '../../support/cluster-nodes.ts';
import { constant, taskFor } from '../../support/engine.ts';

export type Assign = Extract<StressToWorker, { type: 'assign' }>;
/** Both acknowledgements are one member of the union. */
type OfType<T extends StressToMaster['type']> = Extract<
  StressToMaster,
  { type: T extends `${string}Ack` ? 'assignAck' | 'retuneAck' : T }
>;

/** An engine is ready after about half a second on an idle machine. */
export const START_AFTER_MS = 1_500;
export const KEY = { runId: 7n, assignment: 1 };
export const GIVE_UP_AFTER_MS = 4_000;

export interface HandMasterOptions {
  incarnation?: number;
  log?: Log;
  worker?: StressWorkerOptions;
}

/** The kit and a master, played by hand; the worker and its engines are real. */
export class HandMaster {
  readonly worker: StressWorker;
  readonly heard: StressToMaster[] = [];
  /** Acknowledges what comes. */
  isStoring = true;
  /** The stream takes messages. */
  isOpen = true;
  readonly ended: Promise<void>;
  readonly #messages = new Listeners<[unknown, number]>(fail);
  readonly #sessions = new Listeners<[number | null]>(fail);
  readonly #drained = new Listeners<[]>(fail);
  readonly #stop = new AbortController();
  readonly #draining = new AbortController();
  readonly #cell = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);

  readonly #url: string;
  readonly #incarnation: number;

  /** @param url of the target */
  constructor(url: string, { incarnation = 3, log = SILENT, worker }: HandMasterOptions = {}) {
    this.#url = url;
    this.#incarnation = incarnation;
    this.worker = new StressWorker(worker);
    this.permitUntil(Infinity);
    const validUntilMs = (): number => new Float64Array(this.#cell)[0]!;
    const context: WorkerContext = {
      node: record({ incarnation }),
      log,
      signal: this.#stop.signal,
      draining: this.#draining.signal,
      permit: {
        cell: this.#cell,
        validUntilMs,
        missingForMs: () => Math.max(0, nowMs() - validUntilMs()),
        giveUpAfterMs: GIVE_UP_AFTER_MS,
      },
      onMessage: (listener) => this.#messages.add(listener),
      onSession: (listener) => this.#sessions.add(listener),
      onDrained: (listener) => this.#drained.add(listener),
      send: (payload) => this.#take(payload as StressToMaster),
    };
    this.ended = this.worker.run(context);
    this.#sessions.tell(1);
  }

  permitUntil(atMs: number): void {
    new Float64Array(this.#cell)[0] = atMs;
  }

  say(message: StressToWorker): void {
    this.#messages.tell(message, 1);
  }

  /** Assigns hits at a rate for some seconds. */
  assign(rate: number, seconds: number, change: Partial<Assign> = {}): Assign {
    const plan = compilePlan('open', [constant(rate, seconds * 1000)]);
    const message: Assign = {
      type: 'assign',
      ...KEY,
      version: 1,
      epoch: 1,
      task: taskFor(this.#url),
      plan,
      share: WHOLE,
      hits: null,
      maxInFlight: 1_000,
      maxQueue: 0,
      planOffsetMs: 0,
      startAfterMs: START_AFTER_MS,
      run: 'tasks/1/runs/1',
      ...change,
    };
    this.say(message);
    return message;
  }

  lose(): void {
    this.isOpen = false;
    this.#sessions.tell(null);
  }

  reconnect(): void {
    this.isOpen = true;
    this.#sessions.tell(2);
  }

  drain(): void {
    this.#draining.abort(new Error('SIGTERM'));
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the test is over'));
    await this.ended;
  }

  of<T extends StressToMaster['type']>(type: T): OfType<T>[] {
    return this.heard.filter((message) => message.type === type) as OfType<T>[];
  }

  /** Each sample once, in the order of its number. */
  samples(assignment = KEY.assignment) {
    const mine = this.of('samples').filter((message) => message.assignment === assignment);
    const bySeq = new Map(mine.flatMap(({ samples }) => samples.map(({ seq, data }) => [seq, decodeSample(data)])));
    return [...bySeq].sort(([a], [b]) => a - b).map(([, sample]) => sample);
  }

  counts(assignment = KEY.assignment): Counts {
    return mergeSamples(
      this.samples(assignment).map((sample) => ({ ...sample, second: 0 })),
      1,
    ).counts;
  }

  /** Says that all is stored that this assignment has sent. */
  acknowledge(assignment = KEY.assignment): void {
    const upTo = Math.max(0, ...this.samples(assignment).map(({ seq }) => seq));
    const final = this.of('stopped').some((message) => message.assignment === assignment);
    this.say({ type: 'ack', runId: KEY.runId, assignment, incarnation: this.#incarnation, upTo, final });
  }

  #take(message: StressToMaster): boolean {
    if (!this.isOpen) return false;
    this.heard.push(message);
    if (this.isStoring && (message.type === 'samples' || message.type === 'stopped')) {
      queueMicrotask(() => {
        this.acknowledge(message.assignment);
      });
    }
    return true;
  }
}

function fail(error: unknown): void {
  throw error;
}
