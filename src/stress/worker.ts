import type { WorkerContext, WorkerDriver } from '../cluster/ports.ts';
import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import { aborted, pause } from '../lib/wait.ts';
import type { AssignmentKey, StressHello, StressToMaster, StressToWorker } from './ports.ts';
import { Work, type Assign, type Retune } from './work.ts';

type Ack = Extract<StressToWorker, { type: 'ack' }>;
type Stop = Extract<StressToWorker, { type: 'stop' }>;

/** Permits, repetitions and room for results are looked at this often. */
const TICK_MS = 200;
/** What is not acknowledged for this long is sent again. */
const RESEND_MS = 5_000;
/** Samples that wait for a master: with more than this nothing is loaded until half of them are stored. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** A node that leaves now waits so long for the acknowledgement of its last samples. */
const LAST_ACKS_MS = 1_000;

/**
 * The stress driver of a worker. It loads what it is assigned for as long as it has a permit, whoever is master, and keeps
 * each sample until a master says that it is stored.
 */
export class StressWorker implements WorkerDriver {
  readonly #works = new Map<string, Work>();
  #context: WorkerContext | null = null;
  #isFull = false;
  #sentAgainAtMs = 0;

  async run(context: WorkerContext): Promise<void> {
    const { signal, draining } = context;
    this.#context = context;
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
    return { running: [...this.#works.values()].map((work) => work.entry()), spilled: [] };
  }

  running(): number {
    return this.#loading().length;
  }

  #loading(): Work[] {
    return [...this.#works.values()].filter((work) => work.isLoading);
  }

  /** Until nothing is left here, or the signal. */
  async #emptied(signal: AbortSignal): Promise<void> {
    while (this.#works.size > 0 && !signal.aborted) await pause(TICK_MS, signal);
  }

  async #leave(why: string): Promise<void> {
    const works = [...this.#works.values()];
    for (const work of works) if (work.isLoading) work.abort(why);
    await Promise.all(works.map((work) => work.done));
    this.#flush();
    await this.#emptied(AbortSignal.timeout(LAST_ACKS_MS));
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
        return this.#acked(work, message);
    }
  }

  #assign(message: Assign): void {
    const { node, permit, draining, log } = this.#context!;
    const { runId, assignment, run } = message;
    if (draining.aborted) return this.#answer('assignAck', message, 'this node drains');
    try {
      const work = new Work(message, {
        incarnation: node.incarnation,
        permit: permit.cell,
        onResult: () => this.#flush(),
        log: log.child({ run, assignment }),
      });
      this.#works.set(keyOf({ runId, assignment }), work);
      if (this.#isFull) work.hold(true);
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
    work.sendAgain();
    this.#flush();
  }

  #acked(work: Work | undefined, { incarnation, upTo, final }: Ack): void {
    if (work?.results.incarnation !== incarnation) return;
    work.results.acked(upTo);
    if (work.isSettled(final)) this.#works.delete(keyOf(work.key));
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
    for (const work of this.#works.values()) work.sendAgain();
    this.#flush();
  }

  #flush(): void {
    for (const work of this.#works.values()) if (!work.flush((message) => this.#send(message))) return;
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
    let bytes = 0;
    for (const { results } of this.#works.values()) bytes += results.bytes;
    const isFull = bytes > (this.#isFull ? MAX_KEPT_BYTES / 2 : MAX_KEPT_BYTES);
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#context!.log.warn({ bytes }, isFull ? 'no room for more results: the load pauses' : 'the load goes on');
    for (const work of this.#loading()) work.hold(isFull);
  }
}

function keyOf({ runId, assignment }: AssignmentKey): string {
  return `${runId} ${assignment}`;
}
