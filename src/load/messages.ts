import type { Assignment } from '../task/assignment.ts';
import type { Sample } from '../task/sample.ts';
import type { Course } from './course.ts';

/** Where in the run's time the load begins. */
export interface EngineStart {
  /** Instant of run time 0, `nowMs` clock. */
  zeroAtMs: number;
  /** Run time; hits that are due earlier are not this engine's. */
  fromMs: number;
}

/** From the engine to one of its threads. An `id` is answered by `applied` once the thread has done it. */
export type ToThread =
  /** @see EngineOptions.permit */
  | { type: 'prepare'; assignment: Assignment; permit: SharedArrayBuffer | null }
  /** Start barrier: all threads are given the same instant. */
  | ({ type: 'start' } & EngineStart)
  | { type: 'course'; course: Course; id: number }
  | { type: 'drain'; graceMs: number | null }
  | { type: 'abort' };

/** From a thread to its engine. */
export type FromThread =
  | { type: 'ready' }
  | { type: 'sample'; sample: Sample }
  | { type: 'applied'; id: number }
  /** Every hit is accounted for; the thread exits. */
  | { type: 'ended' };
