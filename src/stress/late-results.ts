import type { NodeRef } from '../cluster/ports.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Ledger } from './ledger.ts';
import type { SampleRecord, TaskStore } from './ports.ts';
import { keyOf, type SampleKey } from './stored-run.ts';

/** Ends that wait to be stored; what comes on top is said again by its worker. */
const MAX_ENDS = 10_000;

export interface LateResultsOptions {
  store: Pick<TaskStore, 'assignments' | 'putAssignments' | 'reviseRun'>;
  term: number;
  ledger: Ledger;
  log: Log;
}

interface End {
  from: NodeRef;
  key: SampleKey;
  finalSeq: number;
}

/** What comes of runs that are over: it is stored, and raises the revision of the report. */
export class LateResults {
  readonly #options: LateResultsOptions;
  readonly #ends = new Map<string, End>();
  /** Runs of which more is known now. */
  readonly #revised = new Set<bigint>();
  #isBusy = false;

  constructor(options: LateResultsOptions) {
    this.#options = options;
  }

  /** These are in the store now. */
  stored(samples: readonly SampleRecord[]): void {
    for (const { runId } of samples) this.#revised.add(runId);
    this.again();
  }

  /** A worker said how an assignment of such a run ended. */
  stopped(from: NodeRef, key: SampleKey, finalSeq: number): void {
    if (this.#ends.size >= MAX_ENDS) return;
    this.#ends.set(`${from.nodeId} ${keyOf(key)}`, { from, key, finalSeq });
    this.again();
  }

  /** Goes on with what waits; for each thing the store has its own deadline. */
  again(): void {
    if (this.#isBusy || this.#ends.size + this.#revised.size === 0) return;
    this.#isBusy = true;
    void this.#work().then((isDone) => {
      this.#isBusy = false;
      // What came while the last of it was being written.
      if (isDone) this.again();
    });
  }

  /** @returns false: the store does not take it now */
  async #work(): Promise<boolean> {
    try {
      for (const [name, end] of this.#ends) {
        this.#ends.delete(name);
        await this.#finish(end);
      }
      for (const runId of this.#revised) await this.#revise(runId);
      return true;
    } catch (error) {
      this.#options.log.warn({ error: errorMessage(error) }, 'late results not stored, trying again');
      return false;
    }
  }

  async #revise(runId: bigint): Promise<void> {
    this.#revised.delete(runId);
    try {
      await this.#options.store.reviseRun(this.#options.term, runId);
    } catch (error) {
      this.#revised.add(runId);
      throw error;
    }
  }

  async #finish({ from, key, finalSeq }: End): Promise<void> {
    const { store, term, ledger } = this.#options;
    const records = await store.assignments(key.runId);
    const record = records.find((r) => r.number === key.assignment && r.incarnation === key.incarnation);
    if (record?.finalSeq === null) {
      const state = record.state === 'LOST' ? 'LOST' : 'STOPPED';
      const over = { id: key.runId, version: null };
      if ((await store.putAssignments(term, over, [{ ...record, state, finalSeq }])) !== 'written') return;
      // Less is unknown now, also when all samples were here before.
      this.#revised.add(key.runId);
    }
    await ledger.open(key.runId);
    if (record !== undefined) ledger.setFinal(key, record.finalSeq ?? finalSeq);
    ledger.ack(from, key);
  }
}
