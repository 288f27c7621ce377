import { formatCount as n } from '../lib/format.ts';
import { DROP_CAUSES } from '../task/sample.ts';
import type { Counts } from '../task/sample.ts';

export interface Accounting {
  /** Every hit is in exactly one place. Anything else is a defect of GoStress. */
  holds: boolean;
  /** The identity with its numbers, one equation a line. */
  lines: string[];
}

/**
 * The accounting identity at the end of a run: scheduled = started + dropped + cancelled, started = unwritten +
 * written, written = ok + failed + aborted + unknown, and ok ≤ answered ≤ ok + failed. The last line is what the target
 * should have counted: answered ≤ its count ≤ written, each redirect on top.
 *
 * @param mayHaveStarted hits on top that a lost worker may have started, at most; null: there is no telling
 */
export function accountFor(counts: Counts, mayHaveStarted: number | null = 0): Accounting {
  const { scheduled, started, cancelled, unwritten, written, ok, failed, aborted, unknown, answered } = counts;
  const dropped = droppedOf(counts);
  const equations: [sum: boolean, text: string][] = [
    [
      scheduled === started + dropped + cancelled,
      `scheduled ${n(scheduled)} = started ${n(started)} + dropped ${n(dropped)} + cancelled ${n(cancelled)}`,
    ],
    [started === unwritten + written, `started ${n(started)} = unwritten ${n(unwritten)} + written ${n(written)}`],
    [
      written === ok + failed + aborted + unknown,
      `written ${n(written)} = ok ${n(ok)} + failed ${n(failed)} + aborted ${n(aborted)} + unknown ${n(unknown)}`,
    ],
    [
      ok <= answered && answered <= ok + failed,
      `ok ${n(ok)} ≤ answered ${n(answered)} ≤ ok + failed ${n(ok + failed)}`,
    ],
  ];
  return {
    holds: equations.every(([holds]) => holds),
    lines: [
      ...equations.map(([holds, text]) => (holds ? text : `${text}  DOES NOT HOLD`)),
      targetLine(counts, mayHaveStarted),
    ],
  };
}

/** Dropped hits of all causes. */
export function droppedOf(counts: Counts): number {
  return DROP_CAUSES.reduce((sum, cause) => sum + counts.dropped[cause], 0);
}

/** Hits that ended without a whole answer, or never started. Those still under way are not among them. */
export function unansweredOf(counts: Counts): number {
  const { cancelled, unwritten, ok, failed, aborted, unknown, answered } = counts;
  return droppedOf(counts) + cancelled + unwritten + (ok + failed - answered) + aborted + unknown;
}

function targetLine({ answered, written, redirects }: Counts, mayHaveStarted: number | null): string {
  const least = answered + redirects;
  if (mayHaveStarted === null)
    return `the target must have counted at least ${n(least)} requests${redirectsIn(redirects)}`;
  const most = written + redirects + mayHaveStarted;
  if (least === most) return `the target must have counted ${n(most)} requests${redirectsIn(redirects)}`;
  return `the target must have counted ${n(least)} to ${n(most)} requests${redirectsIn(redirects)}`;
}

function redirectsIn(redirects: number): string {
  return redirects === 0 ? '' : `, ${n(redirects)} of them to follow redirects`;
}
