import { fractionOf } from './shares.ts';
import { EPSILON, isActive, isKeeper, type Owner, type RunView, type Send } from './view.ts';

/** What was not answered for this long is sent again; workers tell repetitions apart. */
const RESEND_MS = 3_000;

/**
 * The commands that are due. Of what changes the division of the load, every lowering is applied before any raise is
 * sent: then the parts that are loaded never sum to more than the whole. A raise by less than one part, as
 * rounding makes it, does not wait.
 */
export function sendsOf(view: RunView): Send[] {
  const active = view.owners.filter(isActive);
  const mayRaise = !active.some(isAboveItsShare);
  const due = active.filter((owner) => owner.standing === 'live' && isDue(owner, view.nowMs));
  const loads = due
    .filter((owner) => owner.confirmed < owner.record.version && owner.most !== null && (mayRaise || !isRaise(owner)))
    .map((owner) => sendOf(owner));
  const idle = active.filter((owner) => isReplaced(view, owner));
  const why = active.some(isKeeper) ? 'its share has moved' : 'its node leaves, and no other has its share';
  return [...loads, ...stopsOf(view, idle, why)];
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
