import { addCounts } from '../task/merge.ts';
import { MAX_PAUSES, type LoadPause, type PauseCause, type RunAccount, type UnknownResults } from '../task/account.ts';
import { meanTarget, planEndMs } from '../task/plan.ts';
import { DROP_CAUSES, emptyCounts, type Counts, type Sample } from '../task/sample.ts';
import { FINAL_STATES } from '../task/status.ts';
import type { AssignmentRecord, RunRecord } from './ports.ts';
import type { StoredSecond } from './seconds.ts';
import { isWhole } from './stored-run.ts';

interface Part {
  record: AssignmentRecord;
  /** Samples 1 to this are stored. */
  upTo: number;
  /** Of these samples. */
  counts: Counts;
  warmup: Counts;
  last: Sample | null;
  pauses: Partial<Record<PauseCause, { pause: LoadPause; lastSecond: number }>>;
  givenUp: { seconds: number; answers: number };
}

/** Goes through the stored samples of a run once, and says what they do not tell. */
export class RunAccounting {
  readonly #run: RunRecord;
  readonly #parts = new Map<number, Part>();
  readonly #pauses: LoadPause[] = [];
  readonly #pausedMs: RunAccount['pausedMs'] = { 'no-permit': 0, 'buffer-full': 0 };

  constructor(
    run: RunRecord,
    assignments: readonly AssignmentRecord[],
    stored: readonly { assignment: number; incarnation: number; upTo: number }[],
  ) {
    this.#run = run;
    for (const record of assignments) {
      const own = stored.find((s) => s.assignment === record.number && s.incarnation === record.incarnation);
      this.#parts.set(record.number, {
        record,
        upTo: own?.upTo ?? 0,
        counts: emptyCounts(),
        warmup: emptyCounts(),
        last: null,
        pauses: {},
        givenUp: { seconds: 0, answers: 0 },
      });
    }
  }

  /** In the order of the seconds. */
  add({ parts }: StoredSecond): void {
    for (const { record, sample } of parts) {
      const part = this.#parts.get(record.assignment);
      if (part === undefined) continue;
      if (record.incarnation === part.record.incarnation && record.seq <= part.upTo) {
        addCounts(part.counts, sample.counts);
        addCounts(part.warmup, sample.warmup);
        if (record.seq === part.upTo) part.last = sample;
      }
      if (sample.counts.unmeasured > 0) {
        part.givenUp.seconds += 1;
        part.givenUp.answers += sample.counts.unmeasured;
      }
      const { scheduled, dropped } = sample.counts;
      const withoutPermit = dropped['no-permit'];
      const share = scheduled > 0 ? Math.min(1, withoutPermit / scheduled) : 0;
      this.#pause(part, 'no-permit', sample, share * sample.durationMs, withoutPermit);
      this.#pause(part, 'buffer-full', sample, sample.heldMs ?? 0, 0);
    }
  }

  /** When all seconds were added. */
  close(): RunAccount {
    const isOver = FINAL_STATES.has(this.#run.state);
    const parts = [...this.#parts.values()];
    const open = parts.filter(({ record, upTo }) => !isWhole(record.finalSeq, upTo));
    // Of an active run the rest may be on its way, but for what its worker took with it.
    const lost = open.filter(({ record }) => isOver || record.state === 'LOST');
    const unknown = lost.map((part) => this.#unknownOf(part));
    const closing = { counts: emptyCounts(), warmup: emptyCounts() };
    for (const { counts, warmup } of lost) {
      addCounts(closing.counts, underWayOf(counts));
      addCounts(closing.warmup, underWayOf(warmup));
    }
    return {
      assignments: parts.length,
      isComplete: isOver && open.length === 0,
      unknown,
      closing,
      mayHaveStarted: sumOrNull(unknown.map(({ mayHaveStarted }) => mayHaveStarted)),
      pauses: this.#pauses,
      pausedMs: this.#pausedMs,
      givenUp: parts
        .filter(({ givenUp }) => givenUp.seconds > 0)
        .map(({ record, givenUp }) => ({ ...nameOf(record), ...givenUp })),
    };
  }

  #pause(part: Part, cause: PauseCause, { second }: Sample, durationMs: number, dropped: number): void {
    if (durationMs <= 0) return;
    this.#pausedMs[cause] += durationMs;
    const before = part.pauses[cause];
    if (before !== undefined && second <= before.lastSecond + 1) {
      before.pause.durationMs += durationMs;
      before.pause.dropped += dropped;
      before.lastSecond = second;
      return;
    }
    const pause = { ...nameOf(part.record), cause, second, durationMs, dropped };
    part.pauses[cause] = { pause, lastSecond: second };
    if (this.#pauses.length < MAX_PAUSES) this.#pauses.push(pause);
  }

  #unknownOf({ record, upTo, counts, last }: Part): UnknownResults {
    const fromMs = last === null ? 0 : last.second * 1000 + last.durationMs;
    const untilMs = this.#untilMs(record, upTo, fromMs);
    const left = record.hits === null ? null : Math.max(0, record.hits - counts.scheduled);
    return {
      ...nameOf(record),
      afterSeq: upTo,
      fromMs,
      untilMs,
      underWay: underWayOf(counts).unknown,
      mayHaveStarted: least(left, this.#dueAtMost(record, last, fromMs, untilMs)),
    };
  }

  /** A sample is a second at most; where the number of the last one is not known, the worker's end is. */
  #untilMs({ finalSeq, lostByMs }: AssignmentRecord, upTo: number, fromMs: number): number | null {
    const endMs = this.#run.plan === null ? 0 : planEndMs(this.#run.plan);
    const lastMs = finalSeq === null ? lostByMs : fromMs + (finalSeq - upTo) * 1000;
    const untilMs = Math.min(lastMs ?? Infinity, endMs);
    return untilMs === Infinity ? null : Math.max(fromMs, untilMs);
  }

  /** The larger of what the plan says and of what its last sample went on with: the worker had the one or the other. */
  #dueAtMost({ share }: AssignmentRecord, last: Sample | null, fromMs: number, untilMs: number | null): number | null {
    const { plan } = this.#run;
    if (plan === null || untilMs === fromMs) return 0;
    if (plan.model === 'closed' || untilMs === null) return null;
    const seconds = (untilMs - fromMs) / 1000;
    const planned = (meanTarget(plan, fromMs, untilMs) * share.weight) / share.of;
    return Math.ceil(Math.max(planned, last?.target ?? 0) * seconds) + 1;
  }
}

/**
 * What would close the accounting identity of these counts: every hit that has not ended becomes unknown. One that was queued
 * or connecting may have been written after the last sample, so it counts as started and written.
 */
export function underWayOf(counts: Counts): Counts {
  const { scheduled, started, dropped, cancelled, unwritten, written, ok, failed, aborted, unknown } = counts;
  const queued = scheduled - started - cancelled - DROP_CAUSES.reduce((sum, cause) => sum + dropped[cause], 0);
  const connecting = started - unwritten - written;
  const inFlight = written - ok - failed - aborted - unknown;
  return {
    ...emptyCounts(),
    started: queued,
    written: queued + connecting,
    unknown: queued + connecting + inFlight,
  };
}

function nameOf({ number, nodeId }: AssignmentRecord): { assignment: number; nodeId: string } {
  return { assignment: number, nodeId };
}

function least(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

function sumOrNull(numbers: readonly (number | null)[]): number | null {
  return numbers.includes(null) ? null : numbers.reduce<number>((sum, n) => sum + n!, 0);
}
