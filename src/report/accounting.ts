import { formatCount as n, plural } from '../lib/format.ts';
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
 * @param isOver false: some hits are still queued, connecting or in flight, and make up for the difference of each sum
 */
export function accountFor(counts: Counts, mayHaveStarted: number | null = 0, isOver = true): Accounting {
  const { scheduled, started, cancelled, unwritten, written, ok, failed, aborted, unknown, answered } = counts;
  const dropped = droppedOf(counts);
  const sumOf = (whole: number, parts: number, text: string, underWay: string): [holds: boolean, text: string] => {
    const rest = whole - parts;
    return isOver ? [rest === 0, text] : [rest >= 0, `${text} + ${underWay} ${n(rest)}`];
  };
  const equations: [holds: boolean, text: string][] = [
    sumOf(
      scheduled,
      started + dropped + cancelled,
      `scheduled ${n(scheduled)} = started ${n(started)} + dropped ${n(dropped)} + cancelled ${n(cancelled)}`,
      'queued',
    ),
    sumOf(
      started,
      unwritten + written,
      `started ${n(started)} = unwritten ${n(unwritten)} + written ${n(written)}`,
      'connecting',
    ),
    sumOf(
      written,
      ok + failed + aborted + unknown,
      `written ${n(written)} = ok ${n(ok)} + failed ${n(failed)} + aborted ${n(aborted)} + unknown ${n(unknown)}`,
      'in flight',
    ),
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
    return `the target must have counted at least ${plural(least, 'request')}${redirectsIn(redirects)}`;
  const most = written + redirects + mayHaveStarted;
  if (least === most) return `the target must have counted ${plural(most, 'request')}${redirectsIn(redirects)}`;
  return `the target must have counted ${n(least)} to ${n(most)} requests${redirectsIn(redirects)}`;
}

function redirectsIn(redirects: number): string {
  return redirects === 0 ? '' : `, ${n(redirects)} of them to follow redirects`;
}
