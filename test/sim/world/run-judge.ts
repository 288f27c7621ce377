import type { AssignmentRecord, RunRecord } from '../../../src/stress/ports.ts';
import { planEndMs, targetAt, type Plan } from '../../../src/task/plan.ts';
import type { RunState } from '../../../src/task/status.ts';
import type { SimEngine } from './engine.ts';
import type { World } from './world.ts';

/** After a stop, once all is healed, nothing is loaded any more. */
const STOPPED_BY_MS = 70_000;
/** What two workers, and the judge, take for the run time may be apart by so much. */
const APART_MS = 1_000;
/** A run goes forward only. */
const STEP: Readonly<Record<RunState, number>> = {
  PENDING: 0,
  ASSIGNING: 1,
  RUNNING: 2,
  RETUNING: 2,
  PAUSED: 2,
  SHORT_OF_WORKERS: 2,
  STOPPING: 3,
  DONE: 4,
  DONE_INCOMPLETE: 4,
  FAILED: 4,
  CANCELLED: 4,
};

interface Known {
  /** All that it ever had. */
  plans: Plan[];
  stoppedAtMs: number | null;
  /** Run time 0 of its first engine, true time. */
  zeroMs: number | null;
  endedMs: number | null;
  /** Hits sent in each second of the run, and by whom. */
  seconds: Map<number, { hits: number; engines: Set<SimEngine> }>;
  /** Seconds in which, or beside which, a share changed. */
  divided: Set<number>;
  /** Hits that were due, by assignment. */
  due: Map<number, number>;
  /** Of assignments that were written off: hits that were known then. */
  knownOfLost: Map<number, number>;
}

/** What must hold of a run, by its states, its plans and its hits. */
export class RunJudge {
  readonly #world: World;
  readonly #violated: (text: string) => void;
  readonly #runs = new Map<bigint, Known>();
  readonly #shares = new Map<SimEngine, string>();
  /** Engines that count the run time as the first one does. */
  readonly #agreed = new Set<SimEngine>();

  constructor(world: World, violated: (text: string) => void) {
    this.#world = world;
    this.#violated = violated;
  }

  /** S8: it goes to another state. */
  state(run: RunRecord, state: RunState): void {
    if (STEP[state] === 4) this.#of(run.id).endedMs = this.#world.clock.nowMs;
    const back = STEP[state] < STEP[run.state] && !(run.state === 'SHORT_OF_WORKERS' && state === 'ASSIGNING');
    const skips = state.startsWith('DONE') && run.state !== 'STOPPING';
    if (back || skips || STEP[run.state] === 4) this.#violated(`S8: run ${run.id} goes from ${run.state} to ${state}`);
  }

  stopWanted(runId: bigint): void {
    this.#of(runId).stoppedAtMs = this.#world.clock.nowMs;
  }

  planned({ id, plan: before }: RunRecord, plan: Plan): void {
    this.#of(id).plans.push(plan);
    if (before !== null && planEndMs(before) !== planEndMs(plan)) {
      this.#violated(`S7: the plan of run ${id} ends at ${planEndMs(plan)} ms instead of ${planEndMs(before)}`);
    }
  }

  lost({ runId, number }: AssignmentRecord, known: number): void {
    this.#of(runId).knownOfLost.set(number, known);
  }

  began(engine: SimEngine, inMs: number): void {
    const known = this.#of(engine.key.runId);
    const zeroMs = this.#world.clock.nowMs + inMs;
    known.zeroMs ??= zeroMs;
    if (Math.abs(zeroMs - known.zeroMs) < APART_MS) this.#agreed.add(engine);
  }

  /** S7: no more hits are due than there are. */
  due({ key: { runId, assignment } }: SimEngine, hits: number): void {
    const { due, knownOfLost } = this.#of(runId);
    due.set(assignment, (due.get(assignment) ?? 0) + hits);
    const most = this.#world.sql.runs.get(runId)!.task.spec.load.hits;
    if (most === null || !this.#isStrict) return;
    let sum = 0;
    // Of what was written off others have what was not known of it.
    for (const [number, count] of due) sum += Math.min(count, knownOfLost.get(number) ?? Infinity);
    if (sum > most) this.#violated(`S7: ${sum} hits of run ${runId} were due, of ${most}`);
  }

  /**
   * S7: no second is above the plan. Not where a share moved: workers' seconds are apart, so that one's may hold less of the time before
   * the move than another's; that nobody loads two parts at once is seen elsewhere. S8: a stop is not lost.
   */
  hit(engine: SimEngine, hits: number, second: number): void {
    const { runId } = engine.key;
    const { nowMs } = this.#world.clock;
    const { plans, seconds, divided, stoppedAtMs } = this.#of(runId);
    if (stoppedAtMs !== null && nowMs > STOPPED_BY_MS) {
      this.#violated(`S8: run ${runId} was stopped at ${(stoppedAtMs / 1000).toFixed(1)} s, and is loaded`);
    }
    if (!this.#isStrict || !this.#agreed.has(engine)) return;
    const share = `${engine.share.weight}/${engine.share.of}`;
    if (this.#shares.get(engine) !== share) for (const near of [-1, 0, 1]) divided.add(second + near);
    this.#shares.set(engine, share);
    if (divided.has(second)) return;
    const sum = seconds.get(second) ?? { hits: 0, engines: new Set() };
    seconds.set(second, sum);
    sum.hits += hits;
    sum.engines.add(engine);
    const most = Math.max(
      ...plans.map((plan) => peakOf(plan, second * 1000 - APART_MS, (second + 1) * 1000 + APART_MS)),
    );
    if (sum.hits > most * 1.01 + sum.engines.size) {
      this.#violated(`S7: ${sum.hits} hits in second ${second} of run ${runId}, whose plans have at most ${most}`);
    }
  }

  /** L2: one that could use up its hits did so. */
  end({ id, task, state, wanted }: RunRecord): void {
    const { hits } = task.spec.load;
    const { due, plans, knownOfLost, zeroMs, endedMs } = this.#of(id);
    if (hits === null || state !== 'DONE' || wanted.state !== 'RUNNING' || knownOfLost.size > 0) return;
    const isOver = endedMs! - zeroMs! > planEndMs(plans.at(-1)!) - 2 * APART_MS;
    const sum = [...due.values()].reduce((a, b) => a + b, 0);
    if (!isOver && sum !== hits) this.#violated(`L2: run ${id} ended by itself after ${sum} of ${hits} hits`);
  }

  get #isStrict(): boolean {
    return this.#world.moving === 'strict' && this.#world.isEtcdHonest;
  }

  #of(runId: bigint): Known {
    const none = { plans: [], stoppedAtMs: null, zeroMs: null, endedMs: null };
    const known = this.#runs.get(runId) ?? {
      ...none,
      seconds: new Map(),
      divided: new Set(),
      due: new Map(),
      knownOfLost: new Map(),
    };
    this.#runs.set(runId, known);
    return known;
  }
}

/** The highest target in a stretch of run time. */
function peakOf(plan: Plan, fromMs: number, toMs: number): number {
  const within = plan.segments.filter(({ startMs, endMs }) => startMs < toMs && endMs > fromMs);
  const ends = within.flatMap(({ startMs, endMs, from, to }) => [
    startMs >= fromMs ? from : targetAt(plan, fromMs),
    endMs <= toMs ? to : targetAt(plan, toMs),
  ]);
  return Math.max(0, ...ends);
}
