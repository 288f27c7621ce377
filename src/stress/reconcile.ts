import { formatDuration } from '../lib/duration.ts';
import { errorMessage } from '../lib/errors.ts';
import { formatRate, formatShare, plural } from '../lib/format.ts';
import { planEndMs, type Plan } from '../task/plan.ts';
import { FINAL_STATES, mayFollow, type RunState } from '../task/status.ts';
import { deal, dealHits, newRecords, recordsOf, unassignedHits, type Deal } from './deal.ts';
import { closing } from './closing.ts';
import { facts } from './facts.ts';
import type { AssignmentRecord, RunChange } from './ports.ts';
import { sendsOf } from './sends.ts';
import { fractionOf } from './shares.ts';
import { coveredBy, EPSILON, isActive, isKeeper, NOTHING, type Decision, type RunView, type Said } from './view.ts';
import { askedPlan, plansFor, sameWanted, unitTarget, wantedProblems } from './wanted.ts';

/** A changed plan takes effect this much after it was made, so that all workers have it by then. */
const PLAN_LEAD_MS = 100;
/** So often may assignments end before their time, before the run is given up. */
const MAX_BROKEN = 10;
/** Of two clocks: who ended so much before the plan's end has ended with it. */
export const END_TOLERANCE_MS = 2_000;

/**
 * What is to be done for a run: compares what is wanted, what is stored and what workers say. Pure. Whatever must be
 * stored comes alone, with nothing to send: once it is stored the run is looked at again. So a command is a matter of
 * record before it leaves.
 */
export function reconcile(view: RunView): Decision {
  const { run } = view;
  if (FINAL_STATES.has(run.state)) return NOTHING;
  const known = facts(view);
  if (known !== null) return known;
  if (run.state === 'STOPPING') return closing(view);
  if (run.wanted.state === 'STOPPED') return stopWanted(view);
  try {
    if (run.plan === null) return begin(view);
    // Who has a share will say how far the run is.
    if (view.elapsedMs === null) return NOTHING;
    return (
      ended(view, run.plan) ?? broken(view) ?? changed(view, run.plan) ?? cover(view, run.plan) ?? stand(view, run.plan)
    );
  } catch (error) {
    return fail(view, errorMessage(error));
  }
}

function write(records: readonly AssignmentRecord[], change: RunChange | null, ...said: Said[]): Decision {
  return { records, change, sends: [], said };
}

function stopWanted(view: RunView): Decision {
  const { run, wallMs } = view;
  if (run.plan !== null) {
    return write(
      [],
      { state: 'STOPPING', applied: run.wanted, reason: '' },
      { kind: 'run.state', text: 'stopping, as the user wants' },
    );
  }
  const change: RunChange = { state: 'CANCELLED', applied: run.wanted, endedWallMs: wallMs };
  return write([], change, { kind: 'run.state', text: 'cancelled before it began' });
}

/** What has begun has to stop first. */
function fail(view: RunView, reason: string): Decision {
  const state: RunState = view.owners.some(isActive) ? 'STOPPING' : 'FAILED';
  const change: RunChange = { state, reason };
  if (state === 'FAILED') change.endedWallMs = view.wallMs;
  return write([], change, { kind: 'run.state', text: `failed: ${reason}` });
}

/** The first assignment. */
function begin(view: RunView): Decision {
  const { run, owners } = view;
  const refusal = owners.find((owner) => owner.refused !== null);
  if (refusal !== undefined && view.candidates.length === 0) return fail(view, refusal.refused!);
  if (view.awaited > 0) return NOTHING;
  const problems = wantedProblems(run.task.spec.load.model, run.wanted);
  if (problems.length > 0) return fail(view, `wanted: ${problems.join('; ')}`);
  const { plan, asked } = plansFor(run, null, 0);
  const unit = unitTarget(run, asked, 0);
  const made = deal(view, { unit, peak: peakOf(asked, 0), widen: 'any' });
  if (made.shares.length === 0) return short(view, noWorker(view)) ?? NOTHING;
  const records = recordsOf(view, made, true, run.task.spec.load.hits);
  const state: RunState = 'ASSIGNING';
  const change: RunChange = { state, plan, applied: run.wanted, startedWallMs: view.wallMs, reason: '' };
  return { ...write(records, change, { kind: 'run.state', text: `assigned: ${tell(view, made, unit)}` }), asked };
}

/** Its plan is over, or its hits are used up. */
function ended(view: RunView, plan: Plan): Decision | null {
  const endMs = planEndMs(plan);
  const { hits } = view.run.task.spec.load;
  const isIdle = !view.owners.some(isActive);
  const isOver = view.elapsedMs! >= (isIdle ? endMs - END_TOLERANCE_MS : endMs);
  const isUsedUp = hits !== null && isIdle && !view.owners.some(isUnsettled) && unassignedHits(view) === 0;
  if (!isOver && !isUsedUp) return null;
  const why = isOver ? `its plan of ${formatDuration(endMs)} is over` : `its ${hits} hits are used up`;
  return write([], { state: 'STOPPING', reason: '' }, { kind: 'run.state', text: `ending: ${why}` });
}

/** Not all samples are stored that are to come. */
function isUnsettled({ record, storedUpTo, standing }: RunView['owners'][number]): boolean {
  return record.finalSeq !== null && storedUpTo < record.finalSeq && standing !== 'gone';
}

/** Workers that refused, or ended before their time. */
function broken(view: RunView): Decision | null {
  const { owners, candidates } = view;
  const refusals = owners.filter((owner) => owner.refused !== null);
  if (refusals.length > 0 && candidates.length === 0 && !owners.some(isActive))
    return fail(view, refusals[0]!.refused!);
  const early = owners.filter((owner) => owner.ended?.isEarly === true);
  if (early.length <= MAX_BROKEN) return null;
  return fail(view, `${early.length} assignments ended before their time, the last one: ${early.at(-1)!.ended!.why}`);
}

/** The user wants another load, a pause or the end of one. */
function changed(view: RunView, plan: Plan): Decision | null {
  const { run } = view;
  if (run.applied !== null && sameWanted(run.wanted, run.applied)) return null;
  const problems = wantedProblems(run.task.spec.load.model, run.wanted);
  if (problems.length > 0) return null;
  const atMs = Math.max(0, view.elapsedMs! + PLAN_LEAD_MS);
  const next = plansFor(run, view.asked, atMs);
  const unit = unitTarget(run, next.asked, atMs);
  const made = deal(view, { unit, peak: peakOf(next.asked, atMs), widen: 'no' });
  const same = JSON.stringify(next.plan) === JSON.stringify(plan);
  const records = same ? [] : recordsOf(view, made, true, null);
  const change: RunChange = { applied: run.wanted, ...(same ? {} : { plan: next.plan }) };
  if (records.length > 0 && mayFollow(run.state, 'RETUNING')) change.state = 'RETUNING';
  const text = `${run.wanted.state === 'PAUSED' ? 'paused' : 'retuned'}: ${tell(view, made, unit)}`;
  return { ...write(records, change, { kind: 'run.state', text }), asked: next.asked };
}

/** Gives what has no owner (any more) to others, and rebalances when nodes have joined. */
function cover(view: RunView, plan: Plan): Decision | null {
  const { run, owners } = view;
  const { hits } = run.task.spec.load;
  const elapsedMs = Math.max(0, view.elapsedMs!);
  const asked = view.asked ?? askedPlan(run);
  const unit = unitTarget(run, asked, elapsedMs);
  if (isAboutToEnd(view, plan)) return null;
  if (hits !== null) return coverHits(view, { unit, peak: peakOf(asked, elapsedMs) });
  const keepers = owners.filter(isKeeper);
  const covered = coveredBy(keepers);
  const leavers = owners.filter((o) => isActive(o) && o.leaving && o.record.share.weight > 0);
  const isLacking = covered < 1 - EPSILON || leavers.length > 0;
  const isCalm = owners.filter(isActive).every((owner) => owner.confirmed >= owner.record.version);
  if (!isLacking && !isCalm) return null;
  const peak = peakOf(asked, elapsedMs);
  const made = deal(view, { unit, peak, widen: isLacking ? 'any' : 'settled' });
  const isBetter = 1 - made.missing > covered + EPSILON || leavers.length > 0;
  const widens = !isLacking && made.shares.length > keepers.length;
  if (!isBetter && !widens) return null;
  const records = recordsOf(view, made, false, null);
  const change: RunChange | null = mayFollow(run.state, 'RETUNING') ? { state: 'RETUNING' } : null;
  const why = leavers.length > 0 ? 'a node leaves' : isLacking ? 'part of the load has no worker' : 'nodes have joined';
  return write(records, change, { kind: 'share.moved', text: `${why}: ${tell(view, made, unit)}` });
}

function coverHits(view: RunView, load: { unit: number; peak: number }): Decision | null {
  if (unassignedHits(view) === 0 || view.owners.some(isUnsettled)) return null;
  if (view.owners.length > MAX_BROKEN * Math.max(10, view.candidates.length)) {
    return fail(view, `${view.owners.length} assignments could not use up the hits`);
  }
  const made = dealHits(view, load);
  if (made.shares.length === 0) return null;
  const records = newRecords(view, made, unassignedHits(view));
  const change: RunChange | null = mayFollow(view.run.state, 'RETUNING') ? { state: 'RETUNING' } : null;
  return write(records, change, { kind: 'share.moved', text: `hits are left: ${tell(view, made, load.unit)}` });
}

/** Some workers may have ended with the plan already. */
function isAboutToEnd(view: RunView, plan: Plan): boolean {
  return planEndMs(plan) - view.elapsedMs! <= END_TOLERANCE_MS;
}

/** Nothing is to be written but, it may be, the state: says what is to be sent. */
function stand(view: RunView, plan: Plan): Decision {
  const { run, owners } = view;
  const active = owners.filter(isActive);
  const load = active.filter(({ record }) => record.share.weight > 0);
  const isLimited = run.task.spec.load.hits !== null;
  const sends = { ...NOTHING, sends: sendsOf(view) };
  const isEnding = isAboutToEnd(view, plan) || (isLimited && owners.some(isUnsettled));
  if (load.length === 0) return isEnding ? sends : (short(view, noWorker(view)) ?? sends);
  const covered = coveredBy(load);
  if (covered < 1 - EPSILON && !isLimited) return isEnding ? sends : (short(view, lacking(view, covered)) ?? sends);
  // A new master does not judge before it has heard of all.
  if (active.some(({ most }) => most === null)) return sends;
  const isPending = active.some((owner) => owner.confirmed < owner.record.version) || isAhead(view, plan);
  const settled = run.applied?.state === 'PAUSED' ? 'PAUSED' : 'RUNNING';
  const state = isPending ? (mayFollow(run.state, 'RETUNING') ? 'RETUNING' : run.state) : settled;
  if (state === run.state) return sends;
  return write([], { state, reason: '' }, { kind: 'run.state', text: `${run.state} → ${state}` });
}

/** Workers have their shares, or a change, and it does not hold yet. */
function isAhead({ run, elapsedMs }: RunView, { segments }: Plan): boolean {
  if (run.state === 'ASSIGNING') return elapsedMs! < 0;
  return (
    run.state === 'RETUNING' &&
    segments.some(({ startMs }) => startMs > elapsedMs! && startMs <= elapsedMs! + PLAN_LEAD_MS)
  );
}

function short({ run }: RunView, reason: string): Decision | null {
  if (run.state === 'SHORT_OF_WORKERS' && run.reason === reason) return null;
  return write([], { state: 'SHORT_OF_WORKERS', reason }, { kind: 'run.state', text: `short of workers: ${reason}` });
}

function noWorker({ run, draining }: RunView): string {
  const labels = Object.entries(run.placement.labels).map(([name, value]) => `${name}=${value}`);
  return `expected a connected worker${labels.length > 0 ? ` with ${labels.join(', ')}` : ''}, found ${draining === 0 ? 'none' : `${draining}, all draining`}`;
}

function lacking(view: RunView, covered: number): string {
  const asked = view.asked ?? askedPlan(view.run);
  const unit = unitTarget(view.run, asked, Math.max(0, view.elapsedMs ?? 0));
  const what = view.run.task.spec.load.model === 'open' ? '/s' : ' users';
  return `expected workers for ${round(unit)}${what}, found capacity for ${round(unit * covered)}${what}`;
}

/** The highest target that is still to come. */
function peakOf(asked: Plan, atMs: number): number {
  const rest = asked.segments.filter(({ endMs }) => endMs > atMs);
  return Math.max(1e-3, ...rest.map(({ from, to }) => Math.max(from, to)));
}

/** `a 33.3 %, b 33.3 %, c 33.3 % of 600/s`. @param unit the target that the shares are made of */
function tell({ run }: RunView, { shares }: Deal, unit: number): string {
  if (shares.length === 0) return 'nobody has a share';
  const each = shares.map(({ owner, candidate, share }) => {
    return `${owner?.record.nodeId ?? candidate!.node.nodeId} ${formatShare(fractionOf(share))}`;
  });
  const whole = run.task.spec.load.model === 'open' ? formatRate(unit) : plural(unit, 'user');
  return `${each.join(', ')} of ${whole}`;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
