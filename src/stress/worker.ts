import type { WorkerContext, WorkerDriver } from '../cluster/ports.ts';
import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import { aborted, pause } from '../lib/wait.ts';
import type { AssignmentKey, StressHello, StressToMaster, StressToWorker } from './ports.ts';
import { Results, type ResultsOptions } from './results.ts';
import { Room } from './room.ts';
import type { Spill } from './spill.ts';
import { keyOf as nameOf } from './stored-run.ts';
import { createEngine, Work, type Assign, type CreateEngine, type Retune } from './work.ts';

type Ack = Extract<StressToWorker, { type: 'ack' }>;
type Stop = Extract<StressToWorker, { type: 'stop' }>;

/** Permits, repetitions and room for results are looked at this often. */
const TICK_MS = 200;
/** What is not acknowledged for this long is sent again. */
const RESEND_MS = 5_000;
/** A node that leaves now waits so long for the acknowledgement of its last samples. */
const LAST_ACKS_MS = 1_000;

export interface StressWorkerOptions {
  /** For results that wait long, also across a restart; null: they are kept in memory. */
  spill: Spill | null;
  /** When there is no room for more results: nothing is loaded, or latencies are given up and hits counted only. */
  onBufferFull: 'pause' | 'drop';
  /** Default: engines that send hits. */
  createEngine?: CreateEngine;
}

/**
 * The stress driver of a worker. It loads what it is assigned for as long as it has a permit, whoever is master, and keeps
 * each sample until a master says that it is stored; those of earlier processes of the node too.
 */
export class StressWorker implements WorkerDriver {
  readonly #options: StressWorkerOptions;
  readonly #works = new Map<string, Work>();
  /** What earlier processes left on disk. */
  readonly #leftovers = new Map<string, Results>();
  #context: WorkerContext | null = null;
  #room: Room | null = null;
  #isFull = false;
  #sentAgainAtMs = 0;

  constructor(options: StressWorkerOptions = { spill: null, onBufferFull: 'pause' }) {
    this.#options = options;
    for (const found of options.spill?.found ?? []) {
      this.#leftovers.set(nameOf(found.key), Results.of(found, this.#resultsOptions));
    }
  }

  async run(context: WorkerContext): Promise<void> {
    const { signal, draining } = context;
    this.#context = context;
    this.#room = new Room({ spill: this.#options.spill, log: context.log });
    if (this.#leftovers.size > 0) {
      context.log.info(
        { assignments: this.#leftovers.size },
        'results of an earlier process are on disk: sending them',
      );
    }
    using parts = new DisposableStack();
    parts.use(context.onMessage((payload) => this.#message(payload as StressToWorker)));
    parts.use(context.onSession((term) => this.#session(term)));
    parts.use(context.onDrained(() => this.#flush()));
    const ticks = setInterval(() => this.#tick(), TICK_MS);
    parts.defer(() => clearInterval(ticks));
    try {
      await Promise.race([aborted(signal), aborted(draining)]);
      // Its master gives the shares to others and then stops them here; until then the load goes on.
      await this.#emptied(signal);
      await this.#leave(errorMessage(signal.reason));
    } finally {
      for (const work of this.#works.values()) work.abort('the stress driver ended');
    }
  }

  hello(): StressHello {
    const spilled = [...this.#leftovers.values()].map(({ key, lastSeq }) => ({ ...key, lastSeq }));
    return { running: [...this.#works.values()].map((work) => work.entry()), spilled };
  }

  running(): number {
    return this.#loading().length;
  }

  #loading(): Work[] {
    return [...this.#works.values()].filter((work) => work.isLoading);
  }

  /** Until nothing is left here, or the signal. */
  async #emptied(signal: AbortSignal): Promise<void> {
    while (this.#works.size + this.#leftovers.size > 0 && !signal.aborted) await pause(TICK_MS, signal);
  }

  async #leave(why: string): Promise<void> {
    const works = [...this.#works.values()];
    for (const work of works) if (work.isLoading) work.abort(why);
    await Promise.all(works.map((work) => work.done));
    this.#flush();
    await this.#emptied(AbortSignal.timeout(LAST_ACKS_MS));
    await this.#room!.rescue(this.#results());
  }

  get #resultsOptions(): ResultsOptions {
    return {
      spill: this.#options.spill,
      onLoaded: () => this.#flush(),
      onProblem: (error) =>
        this.#context!.log.error({ error: errorMessage(error) }, 'results cannot be read from disk'),
    };
  }

  #results(): Results[] {
    return [...this.#leftovers.values(), ...[...this.#works.values()].map(({ results }) => results)];
  }

  // --- What the master says ----------------------------------------------------------------------------------------

  #message(message: StressToWorker): void {
    const work = this.#works.get(keyOf(message));
    switch (message.type) {
      case 'assign':
        return work === undefined ? this.#assign(message) : this.#change('assignAck', work, message);
      case 'retune':
        return work === undefined ? this.#unknown(message) : this.#change('retuneAck', work, message);
      case 'stop':
        return work === undefined ? this.#unknown(message) : this.#stop(work, message);
      case 'ack':
        this.#acked(work, message);
        return this.#flush();
    }
  }

  #assign(message: Assign): void {
    const { node, permit, draining, log } = this.#context!;
    const { runId, assignment, run } = message;
    if (draining.aborted) return this.#answer('assignAck', message, 'this node drains');
    try {
      const work = new Work(message, {
        createEngine: this.#options.createEngine ?? createEngine,
        incarnation: node.incarnation,
        permit: permit.cell,
        results: this.#resultsOptions,
        onResult: () => this.#flush(),
        mustDrop: () => this.#isFull && this.#options.onBufferFull === 'drop',
        log: log.child({ task: run.replace(/\/runs\/.*/, ''), run, assignment }),
      });
      this.#works.set(keyOf({ runId, assignment }), work);
      if (this.#isFull && this.#options.onBufferFull === 'pause') work.hold(true);
      this.#answerAfter('assignAck', message, work.started());
    } catch (error) {
      log.warn({ run, assignment, error: errorMessage(error) }, 'the assignment cannot be carried out');
      this.#answer('assignAck', message, errorMessage(error));
    }
  }

  #change(type: 'assignAck' | 'retuneAck', work: Work, message: Assign | Retune): void {
    this.#answerAfter(
      type,
      message,
      work.started().then(() => work.retune(message)),
    );
  }

  /** This process never had it: there is nothing to wait for. */
  #unknown({ runId, assignment }: AssignmentKey): void {
    const { incarnation } = this.#context!.node;
    this.#send({ type: 'stopped', runId, assignment, incarnation, finalSeq: 0, why: 'not known here' });
  }

  #stop(work: Work, { why, graceMs }: Stop): void {
    if (work.isLoading) return work.stop(why, graceMs);
    work.results.sendAgain();
    this.#flush();
  }

  #acked(work: Work | undefined, message: Ack): void {
    const { incarnation, upTo, final } = message;
    const leftover = this.#leftovers.get(nameOf(message));
    if (leftover !== undefined) return this.#ackedLeftover(leftover, message);
    if (work?.results.key.incarnation !== incarnation) return;
    work.results.acked(upTo);
    if (!work.isSettled(final)) return;
    this.#works.delete(keyOf(work.key));
    work.results.release();
  }

  #ackedLeftover(results: Results, { upTo, final }: Ack): void {
    results.acked(upTo);
    const { runId, assignment, incarnation } = results.key;
    const key = { runId: String(runId), assignment, incarnation };
    const { log } = this.#context!;
    const givenUp = results.giveUpAfterHole(upTo);
    if (givenUp > 0) log.error({ ...key, givenUp, storedUpTo: upTo }, 'samples before these were lost on disk');
    if (!results.isSettled(final)) return;
    this.#leftovers.delete(nameOf(results.key));
    results.release();
    log.info({ ...key, storedUpTo: upTo }, 'results of an earlier process are stored');
  }

  // --- What the master is told -------------------------------------------------------------------------------------

  #answerAfter(type: 'assignAck' | 'retuneAck', message: Assign | Retune, applied: Promise<void>): void {
    applied.then(
      () => this.#answer(type, message, null),
      (error: unknown) => this.#answer(type, message, errorMessage(error)),
    );
  }

  #answer(type: 'assignAck' | 'retuneAck', message: Assign | Retune, error: string | null): void {
    const { runId, assignment, version, epoch } = message;
    this.#send({ type, runId, assignment, version, epoch, error });
  }

  /** What does not get through is sent again, or asked for again. @returns as `WorkerContext.send` */
  #send(message: StressToMaster): boolean {
    return this.#context!.send(message);
  }

  #session(term: number | null): void {
    if (term !== null) this.#sendAgain();
  }

  #sendAgain(): void {
    this.#sentAgainAtMs = nowMs();
    for (const results of this.#results()) results.sendAgain();
    this.#flush();
  }

  #flush(): void {
    for (const results of this.#results()) if (!results.flush((message) => this.#send(message))) return;
  }

  // --- Once in a while ---------------------------------------------------------------------------------------------

  #tick(): void {
    const { permit } = this.#context!;
    if (permit.missingForMs() > permit.giveUpAfterMs) {
      const why = `no permit for ${permit.giveUpAfterMs / 1000} s`;
      for (const work of this.#loading()) work.abort(why);
    }
    if (nowMs() - this.#sentAgainAtMs >= RESEND_MS) this.#sendAgain();
    this.#makeRoom();
  }

  #makeRoom(): void {
    const { log } = this.#context!;
    const room = this.#room!;
    room.look(this.#results());
    if (room.isExhausted) for (const work of this.#loading()) work.abort(`no room for more results: ${room.full}`);
    const isFull = room.full !== null;
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    const isPausing = this.#options.onBufferFull === 'pause';
    const what = isPausing ? 'the load pauses' : 'latencies are given up, hits are still counted';
    if (isFull) log.warn({ why: room.full }, `no room for more results: ${what}`);
    else log.info({}, `room for results again${isPausing ? ': the load goes on' : ''}`);
    if (isPausing) for (const work of this.#loading()) work.hold(isFull);
  }
}

function keyOf({ runId, assignment }: AssignmentKey): string {
  return `${runId} ${assignment}`;
}
