import { availableParallelism } from 'node:os';
import type { Assignment } from '../task/assignment.ts';
import { peakTarget } from '../task/plan.ts';

/** More threads than one for each so many hits per second, or slots, would only divide the connections. */
const RATE_PER_THREAD = 5_000;
const SLOTS_PER_THREAD = 64;

/**
 * Engine threads for an assignment: at most the cores that this process may use, less one for the main thread and the
 * target; in the open model no more than the rate needs, since a hit can use only the connections of its own thread.
 */
export function defaultThreads({ plan, share, maxInFlight }: Assignment): number {
  const cores = Math.max(1, availableParallelism() - 1);
  if (plan.model === 'closed') return cores;
  const peakRate = (peakTarget(plan, Infinity) * share.weight) / share.of;
  return Math.max(
    1,
    Math.min(cores, Math.ceil(peakRate / RATE_PER_THREAD), Math.floor(maxInFlight / SLOTS_PER_THREAD)),
  );
}
