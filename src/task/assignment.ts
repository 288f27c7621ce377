import type { Plan, Share } from './plan.ts';
import type { PreparedTask } from './spec.ts';

/** One engine's share of a run: self-contained, a plan and not a remote control. */
export interface Assignment {
  task: PreparedTask;
  plan: Plan;
  share: Share;
  /** This share's part of the task's total hits; null: no limit. */
  hits: number | null;
  /** This share's part of the task's limits. */
  maxInFlight: number;
  maxQueue: number;
}
