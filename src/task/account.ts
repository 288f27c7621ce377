import type { Counts } from './sample.ts';

/** What a cluster knows, and does not know, of a run beside its samples. */
export interface RunAccount {
  /** Assignments that it had. */
  assignments: number;
  /** The run is over, and all samples of all assignments are stored. */
  isComplete: boolean;
  /** One for each assignment of which not all is stored, and nothing more is to be expected now. */
  unknown: UnknownResults[];
  /** What closes the accounting identity: hits under way at the last stored samples of those count as unknown. */
  closing: { counts: Counts; warmup: Counts };
  /** Hits that may have been started on top, at most; null: there is no telling. */
  mayHaveStarted: number | null;
  /** The first MAX_PAUSES of them. */
  pauses: LoadPause[];
  /** Of all pauses, added up over the workers, ms. */
  pausedMs: Record<PauseCause, number>;
  givenUp: GivenUpLatencies[];
}

export const MAX_PAUSES = 100;

/** Names an assignment for people. */
export interface AssignmentName {
  assignment: number;
  nodeId: string;
}

/** What came after the last stored sample of an assignment. */
export interface UnknownResults extends AssignmentName {
  /** Number of its last sample before the first that is not stored; 0: none is stored. */
  afterSeq: number;
  /** Run time at the end of that sample, ms. */
  fromMs: number;
  /** Run time by which its worker surely sent nothing more; null: not known. */
  untilMs: number | null;
  /** Hits that had not ended by then. */
  underWay: number;
  /** Hits that were due from then on: it may have started none, or up to so many; null: there is no telling. */
  mayHaveStarted: number | null;
}

export const PAUSE_CAUSES = [
  /** The worker heard of no master. */
  'no-permit',
  /** The worker had no room for more results. */
  'buffer-full',
] as const;
export type PauseCause = (typeof PAUSE_CAUSES)[number];

/** A time in which an assignment sent nothing, although hits were due. */
export interface LoadPause extends AssignmentName {
  cause: PauseCause;
  /** Second of the run in which it began. */
  second: number;
  durationMs: number;
  /** Hits that were due and dropped; those that a full buffer held back are not counted. */
  dropped: number;
}

/** Latencies that were given up because a worker had no room for more results. */
export interface GivenUpLatencies extends AssignmentName {
  /** Samples that they are missing from. */
  seconds: number;
  /** Answers that they are missing of. */
  answers: number;
}
