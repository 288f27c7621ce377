import { formatCount, formatMs, formatShare } from '../lib/format.ts';
import type { DropCause } from '../task/sample.ts';
import type { LoadModel } from '../task/spec.ts';

/**
 * Can the instrument be trusted? VALID: yes. DEGRADED: yes with care, the reasons say where. INVALID: the numbers are
 * not the target's. It judges the generator only: a slow or failing target never lowers it.
 */
export interface Verdict {
  verdict: VerdictLevel;
  /** The gravest first; empty when VALID. */
  reasons: Reason[];
}
export const VERDICTS = ['VALID', 'DEGRADED', 'INVALID'] as const;
export type VerdictLevel = (typeof VERDICTS)[number];

export interface Reason {
  level: 'DEGRADED' | 'INVALID';
  code: ReasonCode;
  /** One sentence: what was found, and what it does to the numbers. */
  text: string;
}

export const REASON_CODES = [
  /** The accounting identity does not hold. */
  'accounting',
  /** No hit was scheduled after the warm-up. */
  'nothing-measured',
  /** Hits were dropped because the generator was late or stood still. */
  'generator-limited',
  /** Hits were dropped because the engine had no permit to load. */
  'no-permit',
  /** Hits were started later than scheduled. */
  'late',
  /** Open model: an engine thread had no time left. */
  'saturated',
  /** Closed model: an engine thread had no time left. */
  'generator-bound',
  /** Answers were read late, for seconds on end. */
  'loop-delay',
  /** An engine thread stood still once. */
  'stalled',
  'gc-pause',
  /** Others took the CPU, or we took it from the target. */
  'node-cpu',
  'ports-exhausted',
  'descriptors-exhausted',
  /** Hits whose end is not known: their worker was lost. */
  'workers-lost',
  /** Hits of the plan that were due while no worker took them. */
  'unserved',
  /** A worker had no room for more results: it paused, or gave latencies up. */
  'buffer-full',
] as const;
export type ReasonCode = (typeof REASON_CODES)[number];

/** From `degraded` on the verdict is at best DEGRADED, from `invalid` on INVALID. */
export interface Threshold {
  degraded: number;
  invalid: number;
}

/** First thresholds; change them here and in README.md together. */
export const THRESHOLDS = {
  /** Share of the scheduled hits that were dropped with the cause generator-limited or stalled. */
  generatorDrops: { degraded: 0.001, invalid: 0.01 },
  /** 99th percentile of lateness: it is contained in every response time. */
  latenessP99Ms: { degraded: 1, invalid: 10 },
  /** Busy part of the busiest engine thread, held for SUSTAINED_SECONDS. Closed model: at most DEGRADED. */
  utilisation: { degraded: 0.9, invalid: 0.98 },
  /** 99th percentile of the event loop's delay in a second, held for SUSTAINED_SECONDS. */
  loopDelayP99Ms: { degraded: 10, invalid: 100 },
  /** Longest time that an engine thread did not look at its sockets. In the open model drops and lateness tell how much it spoiled. */
  stallMs: { degraded: 100, invalid: 1000 },
  /** Longest garbage collection pause of an engine thread. */
  gcPauseMs: { degraded: 50, invalid: 500 },
  /** Busy part of the whole node, held for SUSTAINED_SECONDS: what it does to the numbers cannot be told, so never INVALID. */
  nodeCpu: { degraded: 0.95, invalid: Infinity },
  /** Share of the hits that this machine's own limits, a missing permit or a lost worker spoiled: any is DEGRADED. */
  spoiled: { degraded: Number.MIN_VALUE, invalid: 0.01 },
} as const satisfies Record<string, Threshold>;

/** What must hold on for this many whole seconds in a row, so that a start-up or a hiccup does not count. */
export const SUSTAINED_SECONDS = 3;

/** What the verdict is made of. Hits are those after the warm-up, and health that of seconds in which hits were under way. */
export interface Evidence {
  model: LoadModel;
  scheduled: number;
  started: number;
  dropped: Readonly<Record<DropCause, number>>;
  unknown: number;
  /** Hits that lost workers may have started on top, at most; null: there is no telling. */
  mayHaveStarted: number | null;
  answered: number;
  /** Of the answered: the latency was given up. */
  unmeasured: number;
  /** Hits of the plan that no worker had when they were due, at least. */
  unserved: number;
  /** Time in which workers held the load for want of room, added up. */
  bufferFullMs: number;
  /** 0 in the closed model. */
  latenessP99Ms: number;
  /** SUSTAINED_SECONDS; of a run that was shorter: its whole seconds, or 0: the levels are those of its part of a second. */
  sustainedSeconds: number;
  /** The highest level that was held for `sustainedSeconds` in a row; 0 when none was. */
  sustainedUtilisation: number;
  sustainedLoopDelayP99Ms: number;
  /** Of whole seconds only: in a part of one the machine was busy with the start. */
  sustainedNodeCpu: number;
  loopDelayMaxMs: number;
  gcMaxMs: number;
  /** Hits that failed for want of a local port or a file descriptor, and hits started; both with the warm-up. */
  portsExhausted: number;
  descriptorsExhausted: number;
  startedInAll: number;
  /** null: not to be told before the end. */
  identityHolds: boolean | null;
}

/** Judges the evidence by THRESHOLDS. Pure. */
export function judge(evidence: Evidence): Verdict {
  const found = RULES.map((rule) => rule(evidence)).filter((reason) => reason !== null);
  const reasons = [
    ...found.filter(({ level }) => level === 'INVALID'),
    ...found.filter(({ level }) => level === 'DEGRADED'),
  ];
  return { verdict: reasons[0]?.level ?? 'VALID', reasons };
}

type Rule = (evidence: Evidence) => Reason | null;

const RULES: readonly Rule[] = [
  accounting,
  nothingMeasured,
  generatorDrops,
  noPermit,
  lateness,
  saturation,
  loopDelay,
  stall,
  gcPause,
  nodeCpu,
  (e) => exhausted('ports-exhausted', e.portsExhausted, e.startedInAll, 'local ports (EADDRNOTAVAIL)'),
  (e) => exhausted('descriptors-exhausted', e.descriptorsExhausted, e.startedInAll, 'file descriptors (EMFILE)'),
  workersLost,
  unserved,
  latenciesGivenUp,
  heldBack,
];

function accounting({ identityHolds }: Evidence): Reason | null {
  if (identityHolds !== false) return null;
  const text = 'the accounting identity does not hold: a defect of GoStress, please report it with this report';
  return { level: 'INVALID', code: 'accounting', text };
}

function nothingMeasured({ scheduled, identityHolds }: Evidence): Reason | null {
  if (scheduled > 0 || identityHolds === null) return null;
  const text = 'no hit was scheduled after the warm-up: nothing was measured';
  return { level: 'INVALID', code: 'nothing-measured', text };
}

function generatorDrops({ dropped, scheduled }: Evidence): Reason | null {
  const count = dropped['generator-limited'] + dropped.stalled;
  const hits = `${formatCount(count)} hits (${formatShare(shareOf(count, scheduled))} of the scheduled)`;
  const text = `the generator dropped ${hits} because it was late or stood still: the load was not what was asked for`;
  return reasonFor('generator-limited', shareOf(count, scheduled), THRESHOLDS.generatorDrops, text);
}

function noPermit({ dropped, scheduled }: Evidence): Reason | null {
  const share = shareOf(dropped['no-permit'], scheduled);
  const hits = `${formatCount(dropped['no-permit'])} hits (${formatShare(share)} of the scheduled)`;
  const text = `the engine paused for want of a permit and dropped ${hits}: the load was not what was asked for`;
  return reasonFor('no-permit', share, THRESHOLDS.spoiled, text);
}

function lateness({ latenessP99Ms }: Evidence): Reason | null {
  const limit = formatMs(THRESHOLDS.latenessP99Ms.degraded);
  const text = `hits were started late: lateness p99 is ${formatMs(latenessP99Ms)}, trusted is less than ${limit}; it is part of the response times`;
  return reasonFor('late', latenessP99Ms, THRESHOLDS.latenessP99Ms, text);
}

function saturation({ model, sustainedUtilisation, sustainedSeconds }: Evidence): Reason | null {
  const busy = `an engine thread was ${formatShare(sustainedUtilisation)} busy for ${heldFor(sustainedSeconds)}`;
  if (model === 'open') {
    const text = `${busy}: it cannot keep up, and its own delay is in the latencies`;
    return reasonFor('saturated', sustainedUtilisation, thresholdFor(sustainedSeconds, THRESHOLDS.utilisation), text);
  }
  const text = `${busy}: the rate is what this generator can do, the target may be able to do more`;
  return reasonFor('generator-bound', sustainedUtilisation, atMostDegraded(THRESHOLDS.utilisation), text);
}

function loopDelay(evidence: Evidence): Reason | null {
  const { sustainedLoopDelayP99Ms: delayMs, sustainedSeconds } = evidence;
  const { loopDelayP99Ms } = THRESHOLDS;
  const threshold = isGeneratorBound(evidence)
    ? atMostDegraded(loopDelayP99Ms)
    : thresholdFor(sustainedSeconds, loopDelayP99Ms);
  const text = `the event loop was behind by ${formatMs(delayMs)} (p99) for ${heldFor(sustainedSeconds)}: answers were read that much late`;
  return reasonFor('loop-delay', delayMs, threshold, text);
}

function stall(evidence: Evidence): Reason | null {
  const { model, loopDelayMaxMs } = evidence;
  const { stallMs } = THRESHOLDS;
  const threshold = model === 'open' || isGeneratorBound(evidence) ? atMostDegraded(stallMs) : stallMs;
  const text = `an engine thread stood still for ${formatMs(loopDelayMaxMs)}: answers that came meanwhile were read that much late`;
  return reasonFor('stalled', loopDelayMaxMs, threshold, text);
}

function gcPause({ gcMaxMs }: Evidence): Reason | null {
  const text = `a garbage collection stopped an engine thread for ${formatMs(gcMaxMs)}: answers that came meanwhile were read that much late`;
  return reasonFor('gc-pause', gcMaxMs, THRESHOLDS.gcPauseMs, text);
}

function nodeCpu({ sustainedNodeCpu, sustainedSeconds }: Evidence): Reason | null {
  const text = `the CPU of this machine was ${formatShare(sustainedNodeCpu)} busy for ${heldFor(sustainedSeconds)}: the generator and whatever else ran here slowed each other down`;
  return reasonFor('node-cpu', sustainedNodeCpu, THRESHOLDS.nodeCpu, text);
}

function exhausted(code: ReasonCode, count: number, started: number, what: string): Reason | null {
  const share = shareOf(count, started);
  const text = `this machine ran out of ${what} for ${formatCount(count)} hits (${formatShare(share)} of the started): they never reached the target`;
  return reasonFor(code, share, THRESHOLDS.spoiled, text);
}

function unserved({ unserved: count, scheduled }: Evidence): Reason | null {
  const share = shareOf(count, scheduled + count);
  const text = `${formatCount(count)} hits (${formatShare(share)}) of the plan were due while no worker took them: the load was not what was asked for`;
  return reasonFor('unserved', share, THRESHOLDS.spoiled, text);
}

function workersLost({ unknown, mayHaveStarted, started }: Evidence): Reason | null {
  const most = unknown + (mayHaveStarted ?? 1);
  const share = shareOf(most, started);
  const more =
    mayHaveStarted === null
      ? ', nor how many more it started'
      : mayHaveStarted > 0
        ? `, nor of up to ${formatCount(mayHaveStarted)} more that it may have started`
        : '';
  const text = `what became of ${formatCount(unknown)} hits${more} (${formatShare(share)} of the started) is not known: their worker was lost`;
  return reasonFor('workers-lost', share, THRESHOLDS.spoiled, text);
}

function latenciesGivenUp({ unmeasured, answered }: Evidence): Reason | null {
  const share = shareOf(unmeasured, answered);
  const hits = `${formatCount(unmeasured)} answered hits (${formatShare(share)})`;
  const text = `a worker had no room for more results and gave the latencies of ${hits} up: they count as infinite`;
  return reasonFor('buffer-full', share, THRESHOLDS.spoiled, text);
}

function heldBack({ bufferFullMs }: Evidence): Reason | null {
  const text = `workers had no room for more results and held the load back for ${formatMs(bufferFullMs)}: the load was not what was asked for`;
  return reasonFor('buffer-full', bufferFullMs, atMostDegraded(THRESHOLDS.spoiled), text);
}

function reasonFor(code: ReasonCode, found: number, threshold: Threshold, text: string): Reason | null {
  if (!(found >= threshold.degraded)) return null;
  return { level: found >= threshold.invalid ? 'INVALID' : 'DEGRADED', code, text };
}

/** A closed loop that fills its core reads its answers late by its nature: at most DEGRADED. */
function isGeneratorBound({ model, sustainedUtilisation }: Evidence): boolean {
  return model === 'closed' && sustainedUtilisation >= THRESHOLDS.utilisation.degraded;
}

function atMostDegraded({ degraded }: Threshold): Threshold {
  return { degraded, invalid: Infinity };
}

/** What was seen for less than a second is a start-up or a hiccup as well as a lasting trouble: at most DEGRADED. */
function thresholdFor(sustainedSeconds: number, threshold: Threshold): Threshold {
  return sustainedSeconds === 0 ? atMostDegraded(threshold) : threshold;
}

function heldFor(seconds: number): string {
  return seconds === 0 ? 'less than a second' : `${seconds} s`;
}

function shareOf(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
