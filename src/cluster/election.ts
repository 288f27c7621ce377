import { isDeepStrictEqual } from 'node:util';
import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { pause } from '../lib/wait.ts';
import type { Coordinator, CoordinatorView, Fence, MasterLock, NodeRecord, Nomination, TermReasons } from './ports.ts';
import type { Timings } from './timings.ts';

/** Candidates that are named in the reasons of a term. */
const MAX_RANKED = 32;

export interface ElectionOptions {
  coordinator: Coordinator;
  fence: Fence;
  /** This candidate, as it is registered. */
  node: NodeRecord;
  /** The highest term that a worker of this cluster has told of, 0: none. */
  maxWorkerTerm: number;
  timings: Timings;
  signal: AbortSignal;
  log: Log;
}

/** Leadership is a value with an expiry. */
export interface Mastership {
  readonly term: number;
  readonly reasons: TermReasons;
  /** Aborts, with the reason, when the mastership is over. */
  readonly signal: AbortSignal;
  /** Until this instant nobody else can have a later term, if nobody took the lock away; `nowMs` clock. */
  validUntilMs(): number;
  mayAct(): boolean;
  /** Stop acting now; `release` gives the lock back. */
  stepDown(why: string): void;
  /**
   * Says who shall follow, and steps down.
   *
   * @returns false: the lock is lost, so that nobody can be named
   * @throws CodedError UNAVAILABLE when the coordinator does not answer; this node is then still master
   */
  handOver(nomination: Nomination): Promise<boolean>;
  /** Never rejects. */
  release(): Promise<void>;
}

/**
 * Waits for its turn and takes part in the election once: "Master lock with terms". The order is the protocol's: the fence
 * must be readable; the lock is won; one transaction makes the new term true; the fence is raised; only then it acts.
 *
 * @returns null: it did not become master this time
 * @throws CodedError UNAVAILABLE when the coordinator or the store does not answer
 */
export async function acquireMastership(options: ElectionOptions): Promise<Mastership | null> {
  const { node } = options;
  const seen = node.priority > 0 ? await itsTurn(options) : null;
  if (seen === null) return null;
  const looking = lookAgain(options, seen);
  const lock = await campaign(
    options,
    looking.then((turn) => turn !== null),
  );
  const turn = await looking;
  if (lock === null || turn === null) return null;
  try {
    const term = await establish(lock, turn.fenceTerm, options);
    if (term !== null) return new HeldMastership(reasonsOf(term, lock, node, turn.ranked), lock, options.timings);
  } catch (error) {
    await lock.release();
    throw error;
  }
  await lock.release();
  return null;
}

/**
 * How long a candidate waits, after the lock became free, before it takes part: a nominee not at all, the others one
 * after another by rank (priority, then seq), later when there is a nominee.
 */
export function turnMs(
  node: NodeRecord,
  view: CoordinatorView,
  { rankStepMs, nomineeMs }: Pick<Timings, 'rankStepMs' | 'nomineeMs'>,
): number {
  if (view.nomination?.nodeId === node.nodeId) return 0;
  const rank = view.nodes.filter((other) => other.nodeId !== node.nodeId && isBefore(other, node)).length;
  return rank * rankStepMs + (view.nomination === null ? 0 : nomineeMs);
}

function isBefore(a: NodeRecord, b: NodeRecord): boolean {
  if (!a.roles.includes('candidate') || a.priority <= 0) return false;
  return a.priority !== b.priority ? a.priority > b.priority : a.seq < b.seq;
}

interface Turn {
  /** The candidates by rank. */
  ranked: readonly string[];
  fenceTerm: number;
}

/** There is no master, or the one there is has named this node to follow it: that waits at the door while the other finishes. */
function mayTry({ master, nomination }: CoordinatorView, { nodeId }: NodeRecord): boolean {
  return master === null || nomination?.nodeId === nodeId;
}

/** Waits until it may try and its turn has come. @returns null: the signal has aborted */
async function itsTurn({ coordinator, node, timings, signal }: ElectionOptions): Promise<CoordinatorView | null> {
  const seen = await firstView(coordinator, signal, (view) => mayTry(view, node));
  if (seen !== null) await pause(turnMs(node, seen, timings), signal);
  return signal.aborted ? null : seen;
}

/**
 * A watch may be late. And one that cannot read the fence would win and lead nothing.
 *
 * @returns null: there is a master again, or the signal has aborted
 */
async function lookAgain(
  { coordinator, fence, node, timings, signal }: ElectionOptions,
  seen: CoordinatorView,
): Promise<Turn | null> {
  // Who is named did not wait, so that what it has seen is as new as a second look.
  const isNew = seen.nomination?.nodeId === node.nodeId;
  for (let known = seen; ;) {
    const [view, { term: fenceTerm }] = await Promise.all([isNew ? seen : coordinator.read(), fence.read()]);
    if (!mayTry(view, node)) return null;
    if (isDeepStrictEqual(view.nomination, known.nomination)) return { ranked: rankedIn(view), fenceTerm };
    // A term has come and gone meanwhile, and somebody was named: the turn is another one now.
    known = view;
    await pause(turnMs(node, known, timings), signal);
    if (signal.aborted) return null;
  }
}

function rankedIn({ nodes }: CoordinatorView): readonly string[] {
  const ranked = nodes.filter(({ roles, priority }) => roles.includes('candidate') && priority > 0);
  ranked.sort((a, b) => b.priority - a.priority || a.seq - b.seq);
  return ranked.slice(0, MAX_RANKED).map(({ nodeId }) => nodeId);
}

function reasonsOf(
  term: number,
  { nomination }: MasterLock,
  { nodeId }: NodeRecord,
  ranked: readonly string[],
): TermReasons {
  return { term, nodeId, how: nomination?.nodeId === nodeId ? 'nominated' : 'by rank', nomination, ranked };
}

/** Resolves with the first view of that kind; null: the signal has aborted. */
async function firstView(
  coordinator: Coordinator,
  signal: AbortSignal,
  isIt: (view: CoordinatorView) => boolean,
): Promise<CoordinatorView | null> {
  if (signal.aborted) return null;
  const found = Promise.withResolvers<CoordinatorView | null>();
  const stop = (): void => found.resolve(null);
  signal.addEventListener('abort', stop);
  const watch = coordinator.watch((view) => {
    if (view !== null && isIt(view)) found.resolve(view);
  });
  try {
    return await found.promise;
  } finally {
    watch.close();
    signal.removeEventListener('abort', stop);
  }
}

/**
 * Does not stay in the queue behind a master, unless that has named it: else who follows is decided by rank, not by who stood there
 * first.
 */
async function campaign(
  { coordinator, node, timings, signal }: ElectionOptions,
  turn: Promise<boolean>,
): Promise<MasterLock | null> {
  const led = new AbortController();
  const watch = coordinator.watch((view) => {
    if (view !== null && !mayTry(view, node)) led.abort();
  });
  const { leaseTtlMs, campaignMs: deadlineMs } = timings;
  try {
    const ended = AbortSignal.any([signal, led.signal]);
    return await coordinator.campaign(node, { leaseTtlMs, deadlineMs, signal: ended, turn });
  } finally {
    watch.close();
  }
}

/**
 * @param fenceTerm as it was before the lock was won: whoever raised it since had made its term true in etcd first, where it is the
 *   lock's `seenTerm`
 * @returns the term; null: somebody was faster
 */
async function establish(lock: MasterLock, fenceTerm: number, options: ElectionOptions): Promise<number | null> {
  const { fence, node, maxWorkerTerm, timings, signal, log } = options;
  const term = Math.max(lock.seenTerm, fenceTerm, maxWorkerTerm) + 1;
  if (!(await lock.establish(term))) {
    log.warn({ term }, 'the lock was lost before its term stood');
    return null;
  }
  if (await isFence(fence, term, node)) return lock.signal.aborted ? null : term;
  log.error({ term }, `the fence of the store could not be raised; trying again in ${timings.fenceRetryMs} ms`);
  await lock.release();
  await pause(timings.fenceRetryMs, signal);
  return null;
}

/** Raises the fence; when the answer was lost, reads whether it stands. */
async function isFence(fence: Fence, term: number, { nodeId, incarnation }: NodeRecord): Promise<boolean> {
  try {
    return await fence.raise(term, { nodeId, incarnation });
  } catch {
    const found = await fence.read().catch(() => null);
    return found?.term === term && found.holder?.nodeId === nodeId && found.holder.incarnation === incarnation;
  }
}

class HeldMastership implements Mastership {
  readonly reasons: TermReasons;
  readonly #lock: MasterLock;
  readonly #over = new AbortController();
  readonly #stallMs: number;
  readonly #tick: NodeJS.Timeout;
  #tickedAtMs = nowMs();

  constructor(reasons: TermReasons, lock: MasterLock, { leaseTtlMs }: Timings) {
    this.reasons = reasons;
    this.#lock = lock;
    this.#stallMs = leaseTtlMs / 2;
    this.#tick = setInterval(() => {
      this.#look();
      this.#tickedAtMs = nowMs();
    }, leaseTtlMs / 10);
    const lost = () => this.stepDown(`the master's lock is lost: ${errorMessage(lock.signal.reason)}`);
    if (lock.signal.aborted) lost();
    else lock.signal.addEventListener('abort', lost, { once: true });
  }

  get term(): number {
    return this.reasons.term;
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  validUntilMs(): number {
    return this.#over.signal.aborted ? 0 : this.#lock.validUntilMs();
  }

  mayAct(): boolean {
    if (this.#over.signal.aborted) return false;
    // A loop that stood still may see its next tick only after what waited with it.
    this.#look();
    return nowMs() < this.validUntilMs();
  }

  stepDown(why: string): void {
    if (this.#over.signal.aborted) return;
    clearInterval(this.#tick);
    this.#over.abort(new Error(why));
  }

  async handOver(nomination: Nomination): Promise<boolean> {
    if (!(await this.#lock.nominate(nomination))) return false;
    this.stepDown(`handed over to node ${nomination.nodeId}: ${nomination.reason}`);
    return true;
  }

  release(): Promise<void> {
    this.stepDown('the lock was given back');
    return this.#lock.release();
  }

  #look(): void {
    const stoodMs = nowMs() - this.#tickedAtMs;
    if (stoodMs > this.#stallMs) this.stepDown(`the main loop stood still for ${Math.round(stoodMs)} ms`);
  }
}
