import { Engine, wholeAssignment } from '../load/engine.ts';
import { defaultThreads } from '../load/threads.ts';
import { ReportBuilder, type Second } from '../report/builder.ts';
import type { Report } from '../report/schema.ts';
import type { PreparedTask } from '../task/spec.ts';
import { NodeCpu } from '../lib/cpu.ts';
import { VERSION } from './version.ts';

export interface LocalRunOptions {
  /** Engine threads, at least 1. Default: what `defaultThreads` says. */
  threads?: number;
  /** Once a second. */
  onSecond?: (second: Second) => void;
}

/** One run of a task on this node alone: engine, report and the node's CPU put together. */
export class LocalRun {
  readonly #engine: Engine;
  readonly #cpu = new NodeCpu();
  readonly #builder: ReportBuilder;

  constructor(task: PreparedTask, options: LocalRunOptions = {}) {
    const { onSecond } = options;
    const assignment = wholeAssignment(task);
    this.#engine = new Engine(assignment, {
      threads: options.threads ?? defaultThreads(assignment),
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
