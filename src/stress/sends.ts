import { fractionOf } from './shares.ts';
import { EPSILON, isActive, isKeeper, type Owner, type RunView, type Send } from './view.ts';

/** What was not answered for this long is sent again; workers tell repetitions apart. */
const RESEND_MS = 3_000;

/** Who makes ready for a share is waited for this long. */
const READY_PATIENCE_MS = 3_000;

/**
 * The commands that are due. Of what changes the division of the load, every lowering is applied before any raise is
 * sent: then the parts that are loaded never sum to more than the whole. A raise by less than one part, as
 * rounding makes it, does not wait. Who joins makes its engine ready before anybody is lowered for it, so that its part
 * of the load has nobody for no longer than messages travel.
 */
export function sendsOf(view: RunView): Send[] {
  const active = view.owners.filter(isActive);
  const mayRaise = !active.some(isAboveItsShare);
  const joining = mayRaise ? [] : active.filter(isJoining);
  const due = active.filter((owner) => owner.standing === 'live' && isDue(owner, view.nowMs));
  const mayChange = (owner: Owner) =>
    mayRaise || (!isRaise(owner) && !(isAboveItsShare(owner) && joining.some((other) => isAwaited(other, view.nowMs))));
  const loads = due
    .filter((owner) => owner.confirmed < owner.record.version && owner.most !== null && mayChange(owner))
    .map((owner) => sendOf(owner));
  const readies = joining.filter(({ knows }) => !knows).map(readyOf);
  const idle = active.filter((owner) => isReplaced(view, owner));
  const why = active.some(isKeeper) ? 'its share has moved' : 'its node leaves, and no other has its share';
  return [...readies, ...loads, ...stopsOf(view, idle, why)];
}

/** The stop of each of these, unless it was sent just now. */
export function stopsOf({ nowMs }: RunView, owners: readonly Owner[], why: string): Send[] {
  return owners
    .filter(({ standing }) => standing === 'live')
    .filter(({ stopAgainMs }) => nowMs >= stopAgainMs)
    .map(({ record }) => ({ kind: 'stop', record, why }));
}

function sendOf({ record, knows }: Owner): Send {
  const kind = knows ? 'retune' : 'assign';
  return { kind, record, why: `version ${record.version} of epoch ${record.epoch}` };
}

/** Its assignment without load, and of no version yet: what its record says comes as a change of it. */
function readyOf({ record }: Owner): Send {
  const share = { ...record.share, weight: 0 };
  return { kind: 'assign', record: { ...record, version: 0, share }, why: 'it makes ready' };
}

/** New in the division that is under way, and not ready. A user's change in the meantime does not wait for it. */
function isJoining({ record, standing, isReady, most }: Owner): boolean {
  return standing === 'live' && record.version === 1 && most === 0 && !isReady;
}

function isAwaited({ sent }: Owner, nowMs: number): boolean {
  return sent === null || nowMs - sent.atMs < READY_PATIENCE_MS;
}

function isDue({ sent, record }: Owner, nowMs: number): boolean {
  return sent === null || sent.version < record.version || nowMs - sent.atMs > RESEND_MS;
}

/** It may load more than its record says, or nobody knows. */
function isAboveItsShare({ most, record }: Owner): boolean {
  return most === null || partsAbove(most, record.share) >= 1 - EPSILON;
}

function isRaise({ most, record }: Owner): boolean {
  return partsAbove(most!, record.share) <= -1 + EPSILON || most === 0;
}

function partsAbove(most: number, share: { weight: number; of: number }): number {
  return (most - fractionOf(share)) * share.of;
}

/** Its share went to others: it loads nothing any more and can end; or, where hits are limited, it shall end first. */
function isReplaced(view: RunView, owner: Owner): boolean {
  if (view.run.task.spec.load.hits !== null) return owner.leaving;
  return owner.record.share.weight === 0 && (owner.confirmed >= owner.record.version || owner.missing);
}
