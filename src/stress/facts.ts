import { formatShare } from '../lib/format.ts';
import type { AssignmentRecord } from './ports.ts';
import { fractionOf } from './shares.ts';
import { isActive, type Decision, type Owner, type RunView, type Said } from './view.ts';

/** A worker that is connected gets this long on top of the grace period to end an assignment that it was told to stop. */
export const STOP_PATIENCE_MS = 15_000;
/** The same of one that is not heard of: longer than any permit and lease last. */
export const SUSPECT_PATIENCE_MS = 60_000;

/** As long as a permit may last without its master, by the timings as they are by default. */
const LONGEST_PERMIT_MS = 30_000;
/** Master and worker may be apart by this in what they take for the run time. */
export const CLOCK_TOLERANCE_MS = 1_000;

/** What has become of assignments and is not in their records yet; null: nothing. */
export function facts(view: RunView): Decision | null {
  const found = view.owners.map((owner) => factOf(view, owner)).filter((fact) => fact !== null);
  if (found.length === 0) return null;
  return {
    records: found.map(({ record }) => record),
    change: null,
    sends: [],
    said: found.flatMap(({ said }) => said),
  };
}

interface Fact {
  record: AssignmentRecord;
  said: Said[];
}

function factOf(view: RunView, owner: Owner): Fact | null {
  const { record, ended } = owner;
  if (ended !== null && record.finalSeq !== ended.finalSeq) {
    const state = record.state === 'LOST' ? 'LOST' : 'STOPPED';
    return { record: { ...record, state, finalSeq: ended.finalSeq }, said: [] };
  }
  if (!isActive(owner)) return null;
  const isUnsent = record.share.weight === 0 && owner.most === 0 && !owner.knows;
  if (view.run.plan === null || isUnsent) return { record: { ...record, state: 'STOPPED', finalSeq: 0 }, said: [] };
  if (owner.refused !== null) return refused(owner, owner.refused);
  const why = lostBecause(view, owner);
  if (why !== null) return lost(view, owner, why);
  if (record.state === 'ASSIGNED' && owner.confirmed >= record.version) {
    return { record: { ...record, state: 'RUNNING' }, said: [] };
  }
  return null;
}

function refused({ record }: Owner, why: string): Fact {
  const text = `nodes/${record.nodeId} refused assignment ${record.number}: ${why}`;
  return { record: { ...record, state: 'STOPPED', finalSeq: 0 }, said: [{ kind: 'run.refused', text }] };
}

function lost(view: RunView, owner: Owner, why: string): Fact {
  const { record } = owner;
  const part = formatShare(fractionOf(record.share));
  const text = `nodes/${record.nodeId} ${why}: assignment ${record.number} (${part} of the load) is lost`;
  return {
    record: { ...record, state: 'LOST', lostByMs: lostByMs(view, owner) },
    said: [{ kind: 'share.lost', text }],
  };
}

function lostByMs({ elapsedMs, run }: RunView, { standing, missing, goneAtMs }: Owner): number | null {
  if (elapsedMs === null) return null;
  const isGone = standing === 'gone' && run.placement.moving === 'strict';
  // Who was not heard of for SUSPECT_PATIENCE_MS has no permit any more.
  const hasStopped = isGone || missing || standing === 'suspect';
  // The store may not have answered since.
  const sinceMs = standing === 'gone' ? (goneAtMs ?? elapsedMs) : elapsedMs;
  return Math.ceil(sinceMs + CLOCK_TOLERANCE_MS + (hasStopped ? 0 : LONGEST_PERMIT_MS));
}

function lostBecause(view: RunView, owner: Owner): string | null {
  const { nowMs, run } = view;
  if (owner.standing === 'gone') return 'is gone';
  if (owner.missing && owner.record.state === 'RUNNING') return 'does not know it any more';
  const graceMs = run.task.spec.load.graceMs;
  if (owner.standing === 'live' && owner.stopSentMs !== null && nowMs - owner.stopSentMs > graceMs + STOP_PATIENCE_MS) {
    return 'did not stop it in time';
  }
  if (owner.standing === 'suspect' && view.stoppingForMs > graceMs + SUSPECT_PATIENCE_MS) return 'is not heard of';
  return null;
}
