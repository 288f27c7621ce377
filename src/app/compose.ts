import { availableParallelism } from 'node:os';
import { Engine, wholeAssignment } from '../load/engine.ts';
import { ReportBuilder } from '../report/builder.ts';
import type { Report } from '../report/schema.ts';
import type { Verdict } from '../report/verdict.ts';
import type { Sample } from '../task/sample.ts';
import type { PreparedTask } from '../task/spec.ts';
import { NodeCpu } from './cpu.ts';
import { VERSION } from './version.ts';

export interface LocalRunOptions {
  /** Engine threads, at least 1. Default: `defaultThreads()`. */
  threads?: number;
  /** Once a second; `verdict` is the one on the run so far. */
  onSample?: (sample: Sample, verdict: Verdict) => void;
}

/** The cores that this process may use, less one for the main thread and the target; at least 1. */
export function defaultThreads(): number {
  return Math.max(1, availableParallelism() - 1);
}

/** One run of a task on this node alone: engine, report and the node's CPU put together. */
export class LocalRun {
  readonly #engine: Engine;
  readonly #cpu = new NodeCpu();
  readonly #builder: ReportBuilder;

  constructor(task: PreparedTask, options: LocalRunOptions = {}) {
    const { onSample } = options;
    this.#engine = new Engine(wholeAssignment(task), {
      threads: options.threads ?? defaultThreads(),
      onSample: (sample) => {
        this.#builder.add(sample, this.#cpu.sample());
        onSample?.(sample, this.#builder.runningVerdict());
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
