import { formatCount as n, formatMs } from '../lib/format.ts';
import {
  MAX_PAUSES,
  type AssignmentName,
  type LoadPause,
  type RunAccount,
  type UnknownResults,
} from '../task/account.ts';
import type { Report } from './schema.ts';

/** What the cluster knows beside the samples, for people and for programs. */
/** @param unserved hits of the plan that no worker had when they were due */
export function describeCluster(account: RunAccount, unserved: number): Report['cluster'] {
  const { assignments, isComplete, mayHaveStarted, unknown, pauses, pausedMs, givenUp } = account;
  return {
    assignments,
    complete: isComplete,
    lines: linesOf(account, unserved),
    unserved,
    mayHaveStarted,
    unknown: unknown.map(withNode),
    pauses: pauses.map((pause) => ({ ...withNode(pause), durationMs: Math.round(pause.durationMs) })),
    pausedMs: { ...pausedMs },
    givenUp: givenUp.map(withNode),
  };
}

function withNode<T extends AssignmentName>({ nodeId, ...rest }: T): Omit<T, 'nodeId'> & { node: string } {
  return { ...rest, node: `nodes/${nodeId}` };
}

function linesOf({ assignments, isComplete, unknown, pauses, givenUp }: RunAccount, unserved: number): string[] {
  const whole = `nothing is unknown: every sample of ${n(assignments)} assignments is here`;
  const left = pauses.length < MAX_PAUSES ? [] : ['and perhaps more pauses'];
  return [
    ...(isComplete ? [whole] : unknown.map(unknownText)),
    ...(unserved === 0
      ? []
      : [`${n(unserved)} hits of the plan were due while no worker took them: they were never scheduled`]),
    ...pauses.map(pauseText),
    ...left,
    ...givenUp.map((part) => {
      const { seconds, answers } = part;
      return `${whose(part)} gave up the latencies of ${n(answers)} answers in ${n(seconds)} seconds: no room for more results`;
    }),
  ];
}

function unknownText(part: UnknownResults): string {
  const { afterSeq, fromMs, untilMs, underWay, mayHaveStarted } = part;
  const after = afterSeq === 0 ? 'all of it' : `what came after sample ${afterSeq} (at ${formatMs(fromMs)})`;
  const until = untilMs === null ? '' : ` until ${formatMs(untilMs)}`;
  const more =
    mayHaveStarted === null
      ? `it may have started more${until}, nobody can tell how many`
      : `it may have started 0 to ${n(mayHaveStarted)} more${until}`;
  return `${whose(part)}: ${after} is unknown; ${n(underWay)} hits were under way, and ${more}`;
}

function pauseText(pause: LoadPause): string {
  const { cause, second, durationMs, dropped } = pause;
  const how =
    cause === 'no-permit'
      ? `for want of a permit, ${n(dropped)} hits dropped`
      : 'for want of room for results, nothing was scheduled';
  return `${whose(pause)} paused for ${formatMs(durationMs)} from second ${n(second)} on: ${how}`;
}

function whose({ assignment, nodeId }: AssignmentName): string {
  return `assignment ${assignment} (nodes/${nodeId})`;
}
