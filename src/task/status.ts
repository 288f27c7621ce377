/** States of a run. They cover the seed's six: not executed, waiting, executing, change QPS, waiting to stop, executed. */
export const RUN_STATES = [
  /** Wanted; no master has taken it up yet. */
  'PENDING',
  /** Workers were chosen and told; not all have acknowledged. */
  'ASSIGNING',
  'RUNNING',
  /** A changed plan was sent; not all workers have applied it. */
  'RETUNING',
  /** Rate 0 by the user's wish; everything is kept, the plan's time goes on. */
  'PAUSED',
  /** Part of the load has no worker now. */
  'SHORT_OF_WORKERS',
  /** No new hits; waiting for what is in flight and for the last samples. */
  'STOPPING',
  /** Final: ended as planned or stopped by the user, every sample is stored. */
  'DONE',
  /** Final: ended, and part of the results is unknown. */
  'DONE_INCOMPLETE',
  /** Final: could not be carried out; `reason` says why. */
  'FAILED',
  /** Final: stopped before its first hit. */
  'CANCELLED',
] as const;
export type RunState = (typeof RUN_STATES)[number];

export const FINAL_STATES: ReadonlySet<RunState> = new Set(['DONE', 'DONE_INCOMPLETE', 'FAILED', 'CANCELLED']);

const NEXT: Readonly<Record<RunState, readonly RunState[]>> = {
  PENDING: ['ASSIGNING', 'SHORT_OF_WORKERS', 'FAILED', 'CANCELLED'],
  ASSIGNING: ['RUNNING', 'PAUSED', 'SHORT_OF_WORKERS', 'STOPPING', 'FAILED', 'CANCELLED'],
  RUNNING: ['RETUNING', 'PAUSED', 'SHORT_OF_WORKERS', 'STOPPING', 'FAILED'],
  RETUNING: ['RUNNING', 'PAUSED', 'SHORT_OF_WORKERS', 'STOPPING', 'FAILED'],
  PAUSED: ['RETUNING', 'RUNNING', 'SHORT_OF_WORKERS', 'STOPPING', 'FAILED'],
  SHORT_OF_WORKERS: ['ASSIGNING', 'RUNNING', 'RETUNING', 'PAUSED', 'STOPPING', 'FAILED', 'CANCELLED'],
  STOPPING: ['DONE', 'DONE_INCOMPLETE', 'FAILED', 'CANCELLED'],
  DONE: [],
  DONE_INCOMPLETE: [],
  FAILED: [],
  CANCELLED: [],
};

/** Whether a run may go from one state to the other. */
export function mayFollow(from: RunState, to: RunState): boolean {
  return NEXT[from].includes(to);
}

/** @throws RangeError naming both states when the transition is not allowed */
export function checkTransition(from: RunState, to: RunState): void {
  if (!mayFollow(from, to)) throw new RangeError(`run: expected a state that may follow ${from}, found ${to}`);
}
