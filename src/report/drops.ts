import { formatCount, formatMs, formatRate, formatShare } from '../lib/format.ts';
import { DROP_CAUSES } from '../task/sample.ts';
import type { DropCause } from '../task/sample.ts';

/** How much more than just enough is advised. */
const HEADROOM = 1.2;

export interface DropEvidence {
  scheduled: number;
  dropped: Readonly<Record<DropCause, number>>;
  /** Most hits in flight, and what set that limit; `streams`: the connections did, and hits share them. */
  slots: number;
  slotsLimitedBy: 'connections' | 'streams' | 'max-in-flight';
  /** Mean time that a hit held its slot, ms; null: more timed out than were answered. */
  holdMs: number | null;
  /** Slowest answer, ms; 0: none. */
  slowestMs: number;
  /** Highest target while hits were dropped for want of a slot, hits per second. */
  askedPerSecond: number;
  /** Hits that the queue holds; null: there is none. */
  queue: number | null;
}

/** A sentence for each cause of drops: how many, why, and what to try. Pure. */
export function dropHints(evidence: DropEvidence): string[] {
  return DROP_CAUSES.filter((cause) => evidence.dropped[cause] > 0).map((cause) => {
    const count = evidence.dropped[cause];
    return `dropped ${formatCount(count)} (${formatShare(count / evidence.scheduled)}): ${WHY[cause](evidence)}`;
  });
}

const WHY: Record<DropCause, (evidence: DropEvidence) => string> = {
  'target-limited': targetLimited,
  'generator-limited': () =>
    'the generator was behind its schedule; try a lower -q, more --threads, or a faster machine',
  stalled: () =>
    'the generator stood still and they were overdue when it went on; was the machine overloaded or paused?',
  'no-permit': () => 'the engine had no permit to load',
};

/** By Little's law: slots / hold time is the rate that they carry, and rate × hold time the slots that it needs. */
function targetLimited(evidence: DropEvidence): string {
  const { slots, holdMs, askedPerSecond } = evidence;
  const queue = evidence.queue === null ? '' : `, and the queue of ${formatCount(evidence.queue)} was full`;
  if (holdMs === null || holdMs === 0)
    return `${slotsText(evidence)} all waited for answers that did not come in time${queue}`;
  const carried = (slots / holdMs) * 1000;
  const carry = `${slotsText(evidence)} × ${formatMs(holdMs)} carry about ${formatRate(Number(carried.toPrecision(2)))}`;
  const needed = Math.ceil((askedPerSecond * holdMs * HEADROOM) / 1000);
  if (needed > slots) return `${carry}${queue}; try ${flag(evidence)} ${needed}`;
  const hint = evidence.queue === null ? '; --on-saturated queue lets hits wait' : '';
  return `${carry} on average: they were all taken only for a while (slowest answer ${formatMs(evidence.slowestMs)})${queue}${hint}`;
}

function slotsText({ slots, slotsLimitedBy }: DropEvidence): string {
  if (slotsLimitedBy !== 'connections') return `${formatCount(slots)} hits in flight`;
  return slots === 1 ? '1 connection' : `${formatCount(slots)} connections`;
}

function flag({ slotsLimitedBy }: DropEvidence): string {
  return slotsLimitedBy === 'max-in-flight' ? '--max-in-flight' : '-c';
}
