import { formatDuration } from '../lib/duration.ts';
import { CodedError } from '../lib/errors.ts';

/**
 * Every timing of the kit, milliseconds. The values are those of the cluster's design; they lean on each other, which
 * `timingProblems` checks at start.
 */
export interface Timings {
  /** Of a node's record and of the master's lock; renewed every quarter of it. */
  leaseTtlMs: number;
  /** Taken off each validity, for clocks that run at different speeds and for what happens between a check and the act. */
  marginMs: number;
  /** One campaign for the master's lock ends by then. */
  campaignMs: number;
  /** Candidates of equal chance start this much after one another. */
  rankStepMs: number;
  /** After the fence could not be raised a candidate waits this long. */
  fenceRetryMs: number;
  /** A worker pings its master. */
  pingMs: number;
  /** A master echoes the last ping of each worker. */
  heartbeatMs: number;
  nodeInfoMs: number;
  /** A permit counts this long from the send of the echoed ping … */
  permitMs: number;
  /** … and this long while the worker's own lease holds. */
  permitOnLeaseMs: number;
  /** Work that had no permit for this long may be given up. */
  abortAfterMs: number;
  /** A connected worker without a ping for this long is suspect. */
  suspectAfterMs: number;
  /** A worker leaves a master that was silent for this long. */
  silenceMs: number;
  /** Hello and Welcome come within this time of the opening of a stream. */
  welcomeMs: number;
  /** Of a sentinel's record, and of what it says. */
  sentinelTtlMs: number;
  /** A sentinel probes the master and the candidates this often (others as its budget allows), with this deadline. */
  sentinelProbeMs: number;
  sentinelProbeDeadlineMs: number;
  /** A node without a valid answer for this long, and three misses, is down for the sentinel that asks. */
  downAfterMs: number;
  /** No sentinel ends a term that is younger. */
  termSettleMs: number;
  /** A nominee has this long to win before the other candidates try by rank. */
  nomineeMs: number;
  /** A sentinel whose own process or clock stood still only observes for this long. */
  tiltMs: number;
  /** A suspect worker's port is tried this often, with this deadline. */
  probeEveryMs: number;
  probeDeadlineMs: number;
  /** Bounds of the growing pause before something is tried again: dialling, registering, campaigning. */
  retryMinMs: number;
  retryMaxMs: number;
  /** A driver that was told to stop gets this long. */
  driverStopMs: number;
  /** A draining node gets this long to hand its work over. */
  drainMs: number;
}

export const DEFAULT_TIMINGS: Timings = {
  leaseTtlMs: 5_000,
  marginMs: 200,
  campaignMs: 5_000,
  rankStepMs: 150,
  fenceRetryMs: 10_000,
  pingMs: 400,
  heartbeatMs: 500,
  nodeInfoMs: 2_000,
  permitMs: 2_000,
  permitOnLeaseMs: 30_000,
  abortAfterMs: 60_000,
  suspectAfterMs: 1_500,
  silenceMs: 3_000,
  welcomeMs: 2_000,
  sentinelTtlMs: 3_000,
  sentinelProbeMs: 300,
  sentinelProbeDeadlineMs: 450,
  downAfterMs: 2_000,
  termSettleMs: 10_000,
  nomineeMs: 1_500,
  tiltMs: 3_000,
  probeEveryMs: 100,
  probeDeadlineMs: 250,
  retryMinMs: 50,
  retryMaxMs: 1_000,
  driverStopMs: 5_000,
  drainMs: 30_000,
};

/** Sets of timings that a config may name; single ones may be put over them. */
export const TIMING_PROFILES = {
  default: {},
  /** A dead master is replaced in about half the time; a network that stands still for a second costs a failover. */
  fast: { downAfterMs: 1_000, sentinelProbeMs: 150, sentinelProbeDeadlineMs: 300 },
} as const satisfies Readonly<Record<string, Partial<Timings>>>;

/** etcd grants no lease shorter than this, whatever one asks; a shorter wish would make every wait for it too short. */
export const MIN_LEASE_TTL_MS = 2_000;

const NAMES = Object.keys(DEFAULT_TIMINGS) as (keyof Timings)[];

/** Left side, right side (each a sum of its terms): left must not be greater; and why. */
type Rule = readonly [left: readonly Part[], right: readonly Part[], why: string];
type Part = keyof Timings | readonly [number, keyof Timings];

const RULES: readonly Rule[] = [
  [[[4, 'marginMs']], ['leaseTtlMs'], 'a lease is renewed every quarter of it'],
  [['pingMs', [2, 'heartbeatMs'], 'marginMs'], ['permitMs'], 'one lost heartbeat must not end a permit'],
  [['permitMs'], ['permitOnLeaseMs'], 'a lease prolongs the permit'],
  [['permitOnLeaseMs'], ['abortAfterMs'], 'work is given up only when no permit can be left'],
  [[[3, 'pingMs']], ['suspectAfterMs'], 'a single late ping is no reason for suspicion'],
  [['suspectAfterMs'], ['permitMs'], 'a worker is suspect before its permit is over'],
  [[[3, 'heartbeatMs']], ['silenceMs'], 'a single late heartbeat is no reason to leave'],
  [
    [[3, 'sentinelProbeMs'], 'sentinelProbeDeadlineMs'],
    ['downAfterMs'],
    'three probes and the last answer come before a node is down',
  ],
  [['downAfterMs', 'marginMs'], ['leaseTtlMs'], 'a lock that ends by itself needs no sentinel'],
  [['downAfterMs'], ['termSettleMs'], 'a term settles before it can be ended'],
  [['rankStepMs'], ['nomineeMs'], 'a nominee comes before the others'],
  [['retryMinMs'], ['retryMaxMs'], 'the pause grows from the first to the second'],
  [['driverStopMs'], ['drainMs'], 'a drain includes the stop of the drivers'],
];

export interface TimingProblem {
  /** The timing as users name it, e.g. `leaseTtl`; null: it is about several. */
  name: string | null;
  /** What was expected and what was found, in the names and durations that users write. */
  message: string;
}

/** `leaseTtlMs` is `leaseTtl` where users write it. */
export function timingName(key: string): string {
  return key.replace(/Ms$/, '');
}

/**
 * What is wrong with the timings; empty: nothing.
 *
 * @param minLeaseTtlMs the shortest lease that the coordinator grants
 */
export function timingProblems(timings: Timings, minLeaseTtlMs = MIN_LEASE_TTL_MS): TimingProblem[] {
  const problems: TimingProblem[] = NAMES.filter(
    (key) => !(Number.isSafeInteger(timings[key]) && timings[key] > 0),
  ).map((key) => ({
    name: timingName(key),
    message: `expected a positive whole number of milliseconds, found ${timings[key]}`,
  }));
  if (problems.length > 0) return problems;
  for (const key of ['leaseTtlMs', 'sentinelTtlMs'] as const) {
    const name = timingName(key);
    const found = `found ${formatDuration(timings[key])}`;
    if (timings[key] < minLeaseTtlMs) {
      problems.push({ name, message: `expected at least ${formatDuration(minLeaseTtlMs)}, ${found}` });
    }
    // etcd rounds up: a lease would then last longer than those believe who wait for its end.
    if (minLeaseTtlMs >= 1000 && timings[key] % 1000 !== 0) {
      problems.push({ name, message: `expected whole seconds, ${found}` });
    }
  }
  const broken = RULES.filter(([left, right]) => sum(timings, left) > sum(timings, right));
  const told = broken.map(([left, right, why]) => {
    const [a, b] = [left, right].map((terms) => `${words(terms)} (${formatDuration(sum(timings, terms))})`);
    return { name: null, message: `expected ${a} to be at most ${b}: ${why}` };
  });
  return [...problems, ...told];
}

/**
 * The defaults with some of them changed.
 *
 * @throws CodedError INVALID_INPUT with every problem
 */
export function timingsWith(changes: Partial<Timings>, minLeaseTtlMs = MIN_LEASE_TTL_MS): Timings {
  const timings = { ...DEFAULT_TIMINGS, ...changes };
  const problems = timingProblems(timings, minLeaseTtlMs);
  if (problems.length === 0) return timings;
  throw new CodedError(
    'INVALID_INPUT',
    problems.map(({ name, message }) => `timings${name === null ? '' : `.${name}`}: ${message}`),
  );
}

function sum(timings: Timings, terms: readonly Part[]): number {
  return terms
    .map((term) => (typeof term === 'string' ? timings[term] : term[0] * timings[term[1]]))
    .reduce((a, b) => a + b, 0);
}

function words(terms: readonly Part[]): string {
  return terms
    .map((term) => (typeof term === 'string' ? timingName(term) : `${term[0]} · ${timingName(term[1])}`))
    .join(' + ');
}
