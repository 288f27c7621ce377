import type { Report } from '../report/schema.ts';

/** The exit codes of every verb. */
export const EXIT = {
  OK: 0,
  /** A defect, an output that failed, or a run in which no hit succeeded at all. */
  FAILED: 1,
  /** The command line, or a file it names, is wrong; no hit was sent. */
  USAGE: 2,
  /** Something that is needed does not answer: the cluster, or what a node depends on. A run on the cluster may go on. */
  LOST: 3,
  /** The generator cannot be trusted. */
  INVALID: 98,
  /** An SLO was missed. */
  SLO_MISSED: 99,
  INTERRUPTED: 130,
} as const;

export interface RunOutcome {
  /** The report could not be written. */
  outputFailed: boolean;
  /** Hits that succeeded, warm-up included. */
  ok: number;
  /** Ended by a signal. */
  interrupted: boolean;
  verdict: 'VALID' | 'DEGRADED' | 'INVALID';
  slosMissed: boolean;
  /** DEGRADED counts as INVALID. */
  strict: boolean;
}

/** The exit code of a run: the first that applies, in this order. */
export function runExitCode(outcome: RunOutcome): number {
  if (outcome.outputFailed || outcome.ok === 0) return EXIT.FAILED;
  if (outcome.interrupted) return EXIT.INTERRUPTED;
  if (outcome.verdict === 'INVALID' || (outcome.strict && outcome.verdict === 'DEGRADED')) return EXIT.INVALID;
  if (outcome.slosMissed) return EXIT.SLO_MISSED;
  return EXIT.OK;
}

/** The same of a run's report. */
export function reportExitCode(report: Report, outputFailed: boolean, strict: boolean): number {
  return runExitCode({
    outputFailed,
    ok: report.counts.ok,
    interrupted: report.run.stop.kind !== 'completed',
    verdict: report.verdict.verdict,
    slosMissed: report.slos.some(({ pass }) => !pass),
    strict,
  });
}
