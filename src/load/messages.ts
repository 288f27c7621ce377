import type { Assignment } from '../task/assignment.ts';
import type { Plan } from '../task/plan.ts';
import type { Sample } from '../task/sample.ts';

/** From the engine to one of its threads. An `id` is answered by `applied` once the thread has done it. */
export type ToThread =
  | { type: 'prepare'; assignment: Assignment }
  /** Start barrier: all threads are given the same instant (`nowMs` clock). */
  | { type: 'start'; startAtMs: number }
  | { type: 'plan'; plan: Plan; id: number }
  | { type: 'drain' }
  | { type: 'abort' };

/** From a thread to its engine. */
export type FromThread =
  | { type: 'ready' }
  | { type: 'sample'; sample: Sample }
  | { type: 'applied'; id: number }
  /** Every hit is accounted for; the thread exits. */
  | { type: 'ended' };
