import { planEndMs } from '../task/plan.ts';
import type { RunState } from '../task/status.ts';
import type { RunChange } from './ports.ts';
import { stopsOf } from './sends.ts';
import { isWhole } from './stored-run.ts';
import { isActive, NOTHING, type Decision, type Owner, type RunView } from './view.ts';

/** The samples of what has ended may take this long to come and be stored. */
export const STORE_PATIENCE_MS = 60_000;
/** After the plan's end workers end by themselves; who has not by this time on top of the grace period is told to. */
const OVERDUE_MS = 5_000;
/** Reasons are cut at so many lost assignments. */
const MAX_NAMED = 5;

/** A run that is STOPPING: stops what loads, waits for what is to come, and says how it ended. */
export function closing(view: RunView): Decision {
  const { run, owners } = view;
  const active = owners.filter(isActive);
  const isTold = run.wanted.state === 'STOPPED' || run.reason !== '';
  if (active.length > 0) {
    const overdueMs = planEndMs(run.plan!) + run.task.spec.load.graceMs + OVERDUE_MS;
    const isOverdue = view.elapsedMs !== null && view.elapsedMs > overdueMs;
    const isIdle = !isTold && !isOverdue;
    return isIdle ? NOTHING : { ...NOTHING, sends: stopsOf(view, active, why(view)) };
  }
  if (owners.some((owner) => isToCome(owner, view.stoppingForMs))) return NOTHING;
  return finish(view);
}

function why({ run }: RunView): string {
  if (run.reason !== '') return run.reason;
  return run.wanted.state === 'STOPPED' ? 'stopped by the user' : 'the plan is over';
}

/** Its worker is there and has samples that are not stored yet. */
function isToCome(owner: Owner, stoppingForMs: number): boolean {
  if (owner.record.finalSeq === null || isWhole(owner.record.finalSeq, owner.storedUpTo)) return false;
  return owner.standing !== 'gone' && stoppingForMs < STORE_PATIENCE_MS;
}

function finish(view: RunView): Decision {
  const { run, owners, wallMs } = view;
  const unknown = owners.filter(({ record, storedUpTo }) => !isWhole(record.finalSeq, storedUpTo));
  const isUntouched = owners.every(({ record }) => record.finalSeq === 0);
  const state: RunState =
    run.reason !== ''
      ? 'FAILED'
      : unknown.length > 0
        ? 'DONE_INCOMPLETE'
        : isUntouched && run.wanted.state === 'STOPPED'
          ? 'CANCELLED'
          : 'DONE';
  const change: RunChange = { state, endedWallMs: wallMs };
  if (state === 'DONE_INCOMPLETE') change.reason = reasonOf(unknown);
  const text = state === 'DONE_INCOMPLETE' ? `${state}: ${change.reason}` : state;
  return { ...NOTHING, change, said: [{ kind: 'run.state', text }] };
}

function reasonOf(unknown: readonly Owner[]): string {
  const named = unknown.slice(0, MAX_NAMED).map(({ record, storedUpTo }) => {
    const known = storedUpTo === 0 ? 'nothing is known' : `what came after its sample ${storedUpTo} is unknown`;
    return `of assignment ${record.number} (nodes/${record.nodeId}) ${known}`;
  });
  const more = unknown.length - named.length;
  return `${named.join('; ')}${more > 0 ? `; and of ${more} more` : ''}`;
}
