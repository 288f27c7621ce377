import type { JudgedCandidate, NodeInfo } from './ports.ts';
import type { Timings } from './timings.ts';

/**
 * The decisions of a sentinel, as functions of what it has seen: no clock, no network. Instants are `nowMs`. Nothing here is
 * needed for safety: lock, term and fence hold whatever a sentinel does.
 */

// --- Is it down? -------------------------------------------------------------------------------------------------

/** So many probes in a row must have failed, however long they took. */
const MIN_MISSES = 3;

/** What came of the probes of one node, or of one master's term. */
export interface History {
  /** When the last valid answer came; of one that never came: when the probing began. */
  validAtMs: number;
  /** Probes since then that brought no valid answer. */
  misses: number;
  /** Of the last miss. */
  why: string;
}

export function historyFrom(atMs: number): History {
  return { validAtMs: atMs, misses: 0, why: '' };
}

/** @param miss why the probe brought no valid answer; null: it brought one */
export function probed(history: History, miss: string | null, atMs: number): History {
  if (miss === null) return historyFrom(atMs);
  return { ...history, misses: history.misses + 1, why: miss };
}

/** Subjectively down: for this one observer. */
export function isDown({ validAtMs, misses }: History, atMs: number, { downAfterMs }: Timings): boolean {
  return misses >= MIN_MISSES && atMs - validAtMs >= downAfterMs;
}

/** How many of the live sentinels must say so. */
export function votesNeeded(live: number, quorum: number): number {
  return Math.max(quorum, Math.floor(live / 2) + 1);
}

// --- What to do? -------------------------------------------------------------------------------------------------

/** A tick this late, or clocks that went apart by this much: the observer itself is not to be trusted. */
const LATE_MS = 1_000;
const CLOCKS_APART_MS = 500;

/**
 * Whether a sentinel's own process or machine stood still or had its clock set between two ticks, so that what it saw
 * meanwhile says nothing of others.
 *
 * @param tick both clocks' steps since the tick before, and what the step should have been
 */
export function isTilted(tick: { monotonicMs: number; wallMs: number; everyMs: number }): boolean {
  const { monotonicMs, wallMs, everyMs } = tick;
  return monotonicMs - everyMs > LATE_MS || Math.abs(wallMs - monotonicMs) > CLOCKS_APART_MS;
}

/** From the second failover on that came within this time of the one before, or of the end of its pause … */
const STREAK_MS = 60_000;
/** … the next one waits this long, twice as long after each further one, and at most so long. */
const FIRST_HOLD_OFF_MS = 10_000;
const LONGEST_HOLD_OFF_MS = 600_000;

/** Until when no failover is to be done after those of late; -Infinity: none stands in the way. @param failoversMs oldest first */
export function holdOffUntilMs(failoversMs: readonly number[]): number {
  let streak = 0;
  let untilMs = -Infinity;
  let lastMs = -Infinity;
  for (const atMs of failoversMs) {
    streak = atMs - Math.max(lastMs, untilMs) <= STREAK_MS ? streak + 1 : 1;
    const holdOffMs = Math.min(LONGEST_HOLD_OFF_MS, FIRST_HOLD_OFF_MS * 2 ** (streak - 2));
    untilMs = streak < 2 ? -Infinity : atMs + holdOffMs;
    lastMs = atMs;
  }
  return untilMs;
}

export interface Situation {
  atMs: number;
  /** The master's, since when this sentinel knows it; null: there is none, and candidates follow by rank without help. */
  term: { number: number; sinceMs: number } | null;
  /** For this sentinel. */
  isDown: boolean;
  /** Of live sentinels, this one included, that hold the master of this term for down. */
  votes: number;
  /** Live sentinels. */
  live: number;
  quorum: number;
  /** Until then this sentinel only observes. */
  tiltUntilMs: number;
  /** Failovers that it saw, oldest first. */
  failoversMs: readonly number[];
  /** An operator has paused automatic failover. */
  isInhibited: boolean;
  timings: Timings;
}

export interface Decision {
  /** Whether this sentinel's vote against the master of the term shall stand. */
  vote: boolean;
  /** Lead the failover of this term, if no other sentinel does. */
  act: boolean;
  /** The sentence to log when it changes. */
  why: string;
}

export function decide(situation: Situation): Decision {
  const { atMs, term, isDown, votes, live, quorum, tiltUntilMs, isInhibited, timings } = situation;
  const only = (vote: boolean, why: string): Decision => ({ vote, act: false, why });
  if (term === null) return only(false, 'there is no master: the candidates follow by rank');
  if (atMs < tiltUntilMs) return only(false, 'this process or its clock stood still: it only observes for a while');
  if (!isDown) return only(false, `the master of term ${term.number} answers`);
  const needed = votesNeeded(live, quorum);
  const down = `the master of term ${term.number} does not answer`;
  if (votes < needed) return only(true, `${down}: fewer than ${needed} sentinels say so`);
  if (isInhibited) return only(true, `${down}: an operator has paused automatic failover`);
  // A lock whose lease is gone needs no sentinel, so this waits for none.
  if (atMs - term.sinceMs < timings.termSettleMs) {
    return only(true, `${down}: the term is younger than ${timings.termSettleMs} ms`);
  }
  if (atMs < holdOffUntilMs(situation.failoversMs)) {
    return only(true, `${down}: held off, there were several failovers of late`);
  }
  return { vote: true, act: true, why: `${down}: ${needed} sentinels or more say so` };
}

// --- Who is next? ------------------------------------------------------------------------------------------------

/** Of a node with this label `true` no sentinel makes a master; it may still become one by rank. */
export const NO_FAILOVER_LABEL = 'noFailover';

const MAX_INFO_AGE_MS = 6_000;
const MAX_ANSWER_AGE_MS = 1_000;
const MAX_BUSY = 0.9;
const MAX_LOOP_LAG_MS = 200;
const CPU_BUCKET = 0.05;
/** Judgements that are kept with a nomination. */
const MAX_JUDGED = 32;

/** A node as one that chooses the next master knows it. */
export interface CandidateFacts {
  nodeId: string;
  isCandidate: boolean;
  noFailover: boolean;
  priority: number;
  seq: number;
  /** null: not known yet. */
  info: Pick<NodeInfo, 'cpu' | 'memory' | 'loopLagP99Ms'> | null;
  infoAgeMs: number;
  /** Since its last valid answer to a probe; Infinity: there was none. */
  answerAgeMs: number;
}

export interface Choice {
  /** null: nobody is fit. */
  nodeId: string | null;
  /** Nobody was fit until high CPU and memory were passed over. */
  relaxed: boolean;
  /** The best first, then those that were refused; at most 32. */
  judged: readonly JudgedCandidate[];
}

/**
 * Filter, then score: priority (higher), CPU (lower, steps of 5 %), memory (lower, steps of 1 %), number in the order of
 * joining (lower). When nobody passes, CPU and memory are passed over, once.
 *
 * @param failed the node that must not be it
 */
export function chooseMaster(nodes: readonly CandidateFacts[], failed: string): Choice {
  const strict = judgeAll(nodes, failed, false);
  if (strict.nodeId !== null) return strict;
  const relaxed = judgeAll(nodes, failed, true);
  return relaxed.nodeId === null ? strict : relaxed;
}

function judgeAll(nodes: readonly CandidateFacts[], failed: string, relaxed: boolean): Choice {
  const candidates = nodes.filter(({ isCandidate }) => isCandidate);
  const judged = candidates.map((node) => ({ node, refused: refusal(node, failed, relaxed) }));
  judged.sort((a, b) => Number(a.refused !== '') - Number(b.refused !== '') || compare(a.node, b.node));
  const [best] = judged;
  return {
    nodeId: best?.refused === '' ? best.node.nodeId : null,
    relaxed,
    judged: judged.slice(0, MAX_JUDGED).map(({ node, refused }) => ({
      nodeId: node.nodeId,
      refused,
      score: scoreText(node),
    })),
  };
}

/** Why a node is not fit; empty: it is. */
function refusal(node: CandidateFacts, failed: string, relaxed: boolean): string {
  const { info } = node;
  if (node.nodeId === failed) return 'it is the one that is to be followed';
  if (node.priority <= 0) return 'its priority is 0';
  if (node.noFailover) return `its label ${NO_FAILOVER_LABEL} forbids it`;
  if (!(node.answerAgeMs <= MAX_ANSWER_AGE_MS)) return 'it did not answer a probe within the last second';
  if (info === null || node.infoAgeMs > MAX_INFO_AGE_MS)
    return `nothing newer than ${MAX_INFO_AGE_MS} ms is known of it`;
  if (info.loopLagP99Ms >= MAX_LOOP_LAG_MS) return `its main loop lags ${Math.round(info.loopLagP99Ms)} ms`;
  if (!relaxed && info.cpu >= MAX_BUSY) return `its CPU is ${percent(info.cpu)} busy`;
  if (!relaxed && info.memory >= MAX_BUSY) return `its memory is ${percent(info.memory)} full`;
  return '';
}

/** Negative: `a` is better. */
function compare(a: CandidateFacts, b: CandidateFacts): number {
  const [x, y] = [scoreOf(a), scoreOf(b)];
  for (const [i, value] of x.entries()) if (value !== y[i]!) return value - y[i]!;
  return 0;
}

/** Compared from the left; lower is better. */
function scoreOf({ priority, info, seq }: CandidateFacts): readonly number[] {
  const [cpu, memory] = [info?.cpu ?? 1, info?.memory ?? 1];
  return [-priority, Math.floor(cpu / CPU_BUCKET), Math.round(memory * 100), seq];
}

function scoreText({ priority, info, seq }: CandidateFacts): string {
  const busy = info === null ? 'CPU and memory unknown' : `CPU ${percent(info.cpu)}, memory ${percent(info.memory)}`;
  return `priority ${priority}, ${busy}, number ${seq}`;
}

function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}
