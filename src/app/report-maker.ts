import { ReportBuilder, type RunEnd } from '../report/builder.ts';
import type { ReportMaker, RunRecord } from '../stress/ports.ts';
import type { RunAccount } from '../task/account.ts';
import { clientOf } from '../task/client.ts';
import { compilePlan, planEndMs } from '../task/plan.ts';
import { FINAL_STATES, type RunState } from '../task/status.ts';
import { VERSION } from './version.ts';

/**
 * Makes reports of runs on a cluster, of the merged seconds that are stored: the same document as of a local run. CPU of
 * nodes is not in it: a sample of several nodes has no one CPU.
 */
export function reportMaker(): ReportMaker {
  return async (run, { workers, seconds, account }) => {
    const builder = new ReportBuilder({
      task: run.task.spec,
      version: VERSION,
      startedAt: new Date(run.startedWallMs ?? run.createdWallMs),
      client: clientOf(run.task.spec),
      threads: null,
      workers,
      nodeVersion: process.versions.node,
    });
    const seen: Seen = { durationMs: 0, lastHitsFromMs: 0, scheduled: 0 };
    for await (const sample of seconds) {
      builder.add(sample);
      seen.durationMs = sample.second * 1000 + sample.durationMs;
      if (sample.counts.scheduled > 0) seen.lastHitsFromMs = sample.second * 1000;
      seen.scheduled += sample.counts.scheduled;
    }
    return builder.build(endOf(run, seen, account()));
  };
}

/** What the samples say. */
interface Seen {
  durationMs: number;
  /** Start of the last second in which a hit was due. */
  lastHitsFromMs: number;
  scheduled: number;
}

/** The run went to the end of its plan, or of its hits. */
const FINISHED: ReadonlySet<RunState> = new Set(['DONE', 'DONE_INCOMPLETE']);

function endOf(run: RunRecord, { durationMs, lastHitsFromMs, scheduled }: Seen, account: RunAccount): RunEnd {
  const { load } = run.task.spec;
  const planned = compilePlan(load.model, load.stages);
  const wasChanged = run.applied !== null && (run.applied.target !== null || run.applied.stages !== null);
  const plan = wasChanged && run.plan !== null ? run.plan : null;
  const wanted = run.plan ?? planned;
  const hasHitsLeft = load.hits === null || scheduled + (account.mayHaveStarted ?? Infinity) < load.hits;
  // When within a second a run was stopped or its hits were used up, or how far one is that goes on, the samples do not tell.
  const isWhole =
    run.wanted.state !== 'STOPPED' && FINISHED.has(run.state) && hasHitsLeft && planEndMs(wanted) !== Infinity;
  return {
    wanted: { plan: wanted, untilMs: isWhole ? planEndMs(wanted) : lastHitsFromMs },
    endedAt: new Date(run.endedWallMs ?? (run.startedWallMs ?? run.createdWallMs) + durationMs),
    stop: stopOf(run, durationMs >= planEndMs(plan ?? planned), account),
    account,
    ...(plan === null ? {} : { plan }),
  };
}

function stopOf({ state, reason, wanted }: RunRecord, isPlanOver: boolean, account: RunAccount): RunEnd['stop'] {
  if (state === 'FAILED' || state === 'CANCELLED') return { kind: 'aborted', reason: reason || state };
  if (!FINAL_STATES.has(state)) return { kind: 'running', reason: state };
  if (wanted.state === 'STOPPED' && !isPlanOver) return { kind: 'drained', reason: 'stopped' };
  // What was missing when the run was closed may have come since.
  return { kind: 'completed', reason: account.isComplete ? '' : reason };
}
