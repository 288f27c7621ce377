import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Backoff, pause } from '../lib/wait.ts';
import { acquireMastership, type Mastership } from './election.ts';
import { MasterTerm, type TermEnd } from './master-term.ts';
import type { ProbePort } from './port-probe.ts';
import type { Coordinator, Fence, MasterDriver, MasterRecord, NodeRecord, NodeRef, Probe } from './ports.ts';
import type { Timings } from './timings.ts';

/** After a driver has failed the node leaves the mastership to others for this long at first, and at most. */
const FAILED_PAUSE_MS = [1_000, 30_000] as const;

export interface CandidateOptions {
  coordinator: Coordinator;
  probePort: ProbePort;
  fence: Fence;
  timings: Timings;
  probe: Probe;
  quorum: number;
  node: () => NodeRecord;
  /** New drivers for a new term, by name. */
  createDrivers: () => ReadonlyMap<string, MasterDriver>;
  addressOf: (ref: NodeRef) => string | null;
  /** The highest term that this process met as a worker. */
  maxTerm: () => number;
  successor: () => MasterRecord | null;
  /** The term begins, or (null) the mastership is over and its drivers are told to stop. */
  onTerm: (term: MasterTerm | null, mastership: Mastership | null) => void;
  log: Log;
}

/** Tries to become master again and again, and is it from time to time. */
export class Candidate {
  readonly #options: CandidateOptions;
  readonly #failures = new Backoff(...FAILED_PAUSE_MS);
  #maxTerm = 0;

  constructor(options: CandidateOptions) {
    this.#options = options;
  }

  /** Resolves when the signal has aborted and what was held is given back. */
  async run(signal: AbortSignal): Promise<void> {
    const { timings } = this.#options;
    const backoff = new Backoff(timings.retryMinMs, timings.retryMaxMs);
    while (!signal.aborted) {
      const mastership = await this.#acquire(signal);
      if (mastership === null) {
        await pause(backoff.takeMs(), signal);
        continue;
      }
      backoff.reset();
      const end = await this.#lead(mastership, signal);
      if (end.failed) await pause(this.#failures.takeMs(), signal);
      else this.#failures.reset();
    }
  }

  async #acquire(signal: AbortSignal): Promise<Mastership | null> {
    const { coordinator, fence, node, maxTerm, timings, log } = this.#options;
    const maxWorkerTerm = Math.max(this.#maxTerm, maxTerm());
    try {
      return await acquireMastership({ coordinator, fence, node: node(), maxWorkerTerm, timings, signal, log });
    } catch (error) {
      if (!signal.aborted) log.warn({ why: errorMessage(error) }, 'cannot become master');
      return null;
    }
  }

  async #lead(mastership: Mastership, signal: AbortSignal): Promise<TermEnd> {
    const { node, createDrivers, onTerm } = this.#options;
    const log = this.#options.log.child({ role: 'master', term: mastership.term });
    const stop = () => mastership.stepDown(errorMessage(signal.reason));
    let told = false;
    const over = () => {
      if (told) onTerm(null, null);
      told = false;
    };
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      const term = new MasterTerm({
        ...this.#options,
        mastership,
        node: node(),
        drivers: createDrivers(),
        onNewerTerm: (newer) => (this.#maxTerm = Math.max(this.#maxTerm, newer)),
        log,
      });
      log.info({}, 'master');
      onTerm(term, mastership);
      told = true;
      mastership.signal.addEventListener('abort', over, { once: true });
      const end = await term.run();
      log[signal.aborted ? 'info' : 'warn']({ why: end.why }, 'no longer master');
      return end;
    } finally {
      over();
      signal.removeEventListener('abort', stop);
      mastership.stepDown('the term is over');
      await mastership.release();
    }
  }
}
