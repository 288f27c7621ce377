import { availableParallelism } from 'node:os';
import { Engine, wholeAssignment } from '../load/engine.ts';
import { ReportBuilder, type Second } from '../report/builder.ts';
import type { Report } from '../report/schema.ts';
import type { PreparedTask, TaskSpec } from '../task/spec.ts';
import { NodeCpu } from '../lib/cpu.ts';
import { VERSION } from './version.ts';

export interface LocalRunOptions {
  /** Engine threads, at least 1. Default: what `defaultThreads` says. */
  threads?: number;
  /** Once a second. */
  onSecond?: (second: Second) => void;
}

/** More threads than one for each so many hits per second, or slots, would only divide the connections. */
const RATE_PER_THREAD = 5_000;
const SLOTS_PER_THREAD = 64;

/**
 * Engine threads for a load: at most the cores that this process may use, less one for the main thread and the target;
 * in the open model no more than the rate needs, since a hit can use only the connections of its own thread.
 */
export function defaultThreads({ load, connections }: TaskSpec): number {
  const cores = Math.max(1, availableParallelism() - 1);
  if (load.model === 'closed') return cores;
  const peakRate = Math.max(...load.stages.map(({ target }) => target));
  const slots = Math.min(load.maxInFlight, connections.max ?? Infinity);
  return Math.max(1, Math.min(cores, Math.ceil(peakRate / RATE_PER_THREAD), Math.floor(slots / SLOTS_PER_THREAD)));
}

/** One run of a task on this node alone: engine, report and the node's CPU put together. */
export class LocalRun {
  readonly #engine: Engine;
  readonly #cpu = new NodeCpu();
  readonly #builder: ReportBuilder;

  constructor(task: PreparedTask, options: LocalRunOptions = {}) {
    const { onSecond } = options;
    this.#engine = new Engine(wholeAssignment(task), {
      threads: options.threads ?? defaultThreads(task.spec),
      onSample: (sample) => {
        const second = this.#builder.add(sample, this.#cpu.sample());
        onSecond?.(second);
      },
    });
    this.#builder = new ReportBuilder({
      task: task.spec,
      version: VERSION,
      startedAt: new Date(),
      client: this.#engine.clientName,
      threads: this.#engine.threads,
      nodeVersion: process.versions.node,
    });
  }

  /** To be called once. Resolves when every hit is accounted for. @throws CodedError INTERNAL */
  async run(): Promise<Report> {
    const stop = await this.#engine.run();
    return this.#builder.build({ endedAt: new Date(), stop });
  }

  /** No new hits; those in flight get the task's grace period. */
  drain(reason: string): void {
    this.#engine.drain(reason);
  }

  /** Gives up the hits in flight, now. */
  abort(reason: string): void {
    this.#engine.abort(reason);
  }
}
