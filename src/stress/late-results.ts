import type { NodeRef } from '../cluster/ports.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Ledger } from './ledger.ts';
import type { RunRecord, SampleRecord, TaskStore } from './ports.ts';
import type { SampleKey } from './stored-run.ts';

/** Runs that ended under this master and may still get results. */
const MAX_CLOSED = 100;

export interface LateResultsOptions {
  store: TaskStore;
  term: number;
  ledger: Ledger;
  log: Log;
}

/** What comes of runs that are over: it is stored, and raises the revision of the report. */
export class LateResults {
  readonly #options: LateResultsOptions;
  readonly #closed = new Map<bigint, RunRecord>();
  #work: Promise<void> = Promise.resolve();

  constructor(options: LateResultsOptions) {
    this.#options = options;
  }

  closed(run: RunRecord): void {
    this.#closed.set(run.id, run);
    const [oldest] = this.#closed.keys();
    if (this.#closed.size > MAX_CLOSED) this.#closed.delete(oldest!);
  }

  stored(samples: readonly SampleRecord[]): void {
    for (const runId of new Set(samples.map((sample) => sample.runId))) this.#do(() => this.#revise(runId));
  }

  /** A worker said how an assignment of such a run ended. */
  stopped(from: NodeRef, key: SampleKey, finalSeq: number): void {
    this.#do(() => this.#finish(from, key, finalSeq));
  }

  /** One after another, each with the store's deadline. */
  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      this.#options.log.warn({ error: errorMessage(error) }, 'late results not stored');
    });
  }

  async #revise(runId: bigint): Promise<void> {
    const run = this.#closed.get(runId);
    if (run === undefined) return;
    const change = { revision: run.revision + 1 };
    if ((await this.#options.store.updateRun(this.#options.term, run, change)) !== 'written') return;
    this.#closed.set(runId, { ...run, ...change, version: run.version + 1 });
  }

  async #finish(from: NodeRef, key: SampleKey, finalSeq: number): Promise<void> {
    const { store, term, ledger } = this.#options;
    const records = await store.assignments(key.runId);
    const record = records.find((r) => r.number === key.assignment && r.incarnation === key.incarnation);
    if (record?.finalSeq === null) {
      const state = record.state === 'LOST' ? 'LOST' : 'STOPPED';
      await store.putAssignments(term, [{ ...record, state, finalSeq }]);
    }
    await ledger.open(key.runId);
    if (record !== undefined) ledger.setFinal(key, finalSeq);
    ledger.ack(from, key);
  }
}
