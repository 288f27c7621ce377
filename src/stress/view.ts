import type { Member } from '../cluster/ports.ts';
import type { Plan } from '../task/plan.ts';
import type { AssignmentRecord, RunChange, RunRecord } from './ports.ts';
import { fractionOf } from './shares.ts';
import type { Candidate } from './strategy.ts';

/** One run as its master sees it at one moment: all that `reconcile` looks at. Instants are `nowMs`. */
export interface RunView {
  run: RunRecord;
  nowMs: number;
  wallMs: number;
  /** Run time; below 0: workers are about to begin; null: none was told to, or this master does not know it yet. */
  elapsedMs: number | null;
  /** What the run would do if it was not paused; null: not known to this master yet. */
  asked: Plan | null;
  /** One per assignment, by number. */
  owners: readonly Owner[];
  /** Workers that may get a share now, those that have one included. */
  candidates: readonly RunCandidate[];
  /** Workers that would be candidates, did they not leave. */
  draining: number;
  /** Workers that are registered and have not connected yet, as long as it makes sense to wait for them. */
  awaited: number;
  /** How long the run has been STOPPING under this master, ms. */
  stoppingForMs: number;
}

export interface RunCandidate extends Candidate {
  /** It has been here long enough to be worth a rebalancing. */
  settled: boolean;
}

/** An assignment and what its worker said of it. */
export interface Owner {
  record: AssignmentRecord;
  /** Of its process, as the run's placement judges it: in `fast` mode a suspect is gone. */
  standing: Member['standing'];
  /** Its node leaves or is drained. */
  leaving: boolean;
  /** The latest version that the worker said it has applied, 0: none. */
  confirmed: number;
  /** The largest part of the whole that it may be loading now: applied or on its way; null: it has not said yet. */
  most: number | null;
  /** What was sent last on its present stream. */
  sent: { version: number; atMs: number } | null;
  /** It was told of the assignment on its present stream, or said that it has it. */
  knows: boolean;
  /** Its engine is there, be it without load. */
  isReady: boolean;
  /** Its Hello did not name the assignment. */
  missing: boolean;
  /** Run time at which its process was first seen gone, ms; null: it is not, or that time was not known. */
  goneAtMs: number | null;
  /** When it was told to stop first; null: it was not. */
  stopSentMs: number | null;
  /** Not before this is it told again. */
  stopAgainMs: number;
  /** Why it did not accept it; null: it did, or has not answered. */
  refused: string | null;
  /** It ended, by itself or as it was told; `isEarly`: before its time, and not as it was told. */
  ended: { finalSeq: number; why: string; isEarly: boolean } | null;
  /** Samples 1 to this are stored. */
  storedUpTo: number;
  /** Hits that its stored samples tell of; counted only where the task limits the hits. */
  scheduled: number;
}

export interface Send {
  kind: 'assign' | 'retune' | 'stop';
  record: AssignmentRecord;
  why: string;
}

/** What is to be done now; what is to be written comes first, and then the run is looked at again. */
export interface Decision {
  records: readonly AssignmentRecord[];
  change: RunChange | null;
  /** With a changed plan: what it would be if the run was not paused. */
  asked?: Plan;
  sends: readonly Send[];
  /** For the log and the events, a sentence each. */
  said: readonly Said[];
}

export interface Said {
  kind: 'run.state' | 'run.refused' | 'share.moved' | 'share.lost';
  text: string;
}

export const NOTHING: Decision = { records: [], change: null, sends: [], said: [] };

/** It loads, or is to. */
export function isActive({ record }: Pick<Owner, 'record'>): boolean {
  return record.state === 'ASSIGNED' || record.state === 'RUNNING';
}

/** Active, and neither leaving nor told to load nothing. */
export function isKeeper(owner: Owner): boolean {
  return isActive(owner) && !owner.leaving && owner.record.share.weight > 0;
}

/** The part of the load that has an owner, 0 to 1. */
export function coveredBy(owners: readonly Owner[]): number {
  return owners.reduce((sum, { record }) => sum + fractionOf(record.share), 0);
}

/** Parts of the whole are compared with this tolerance. */
export const EPSILON = 1e-9;

/** `tasks/42/runs/3` */
export function runName({ taskId, number }: Pick<RunRecord, 'taskId' | 'number'>): string {
  return `tasks/${taskId}/runs/${number}`;
}
