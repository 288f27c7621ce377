import type { Member, NodeRef } from '../cluster/ports.ts';
import type { AssignmentRecord, RunningAssignment } from './ports.ts';
import { fractionOf } from './shares.ts';
import type { Owner } from './view.ts';

/** What a master remembers of one assignment; `Owner` says what each means. */
export class OwnerState {
  record: AssignmentRecord;
  confirmed = 0;
  most: number | null;
  sent: Owner['sent'] = null;
  knows = false;
  missing = false;
  isReady = false;
  stopSentMs: number | null = null;
  stopAgainMs = 0;
  refused: string | null = null;
  ended: Owner['ended'] = null;
  goneAtMs: number | null = null;
  /** Who told how it ended: a later process of its node, when that was on disk. */
  endTeller: NodeRef | null = null;
  scheduled = 0;
  /** Since when it has been suspect; null: it is not. */
  suspectSinceMs: number | null = null;

  /** @param isNew made by this master, so that nobody was told of it yet */
  constructor(record: AssignmentRecord, isNew: boolean) {
    this.record = record;
    this.most = isNew ? 0 : null;
  }

  get ref(): NodeRef {
    return { nodeId: this.record.nodeId, incarnation: this.record.incarnation };
  }

  belongsTo({ nodeId, incarnation }: NodeRef): boolean {
    return this.record.nodeId === nodeId && this.record.incarnation === incarnation;
  }

  /** Its worker opened a stream and said what it has; null: not this. */
  hello(entry: RunningAssignment | null): void {
    this.sent = null;
    this.stopAgainMs = 0;
    this.missing = entry === null;
    this.knows = this.isReady = entry !== null;
    if (entry === null) {
      this.most = 0;
      return;
    }
    this.confirmed = entry.version;
    this.most = entry.version >= this.record.version ? fractionOf(this.record.share) : fractionOf(entry.share);
    if (entry.finalSeq !== null) this.stopped(entry.finalSeq, '', false);
  }

  /** @param version, share as it was told; the record's, but for who is only to make ready */
  commanded({ version, share }: Pick<AssignmentRecord, 'version' | 'share'>, atMs: number): void {
    this.sent = { version, atMs };
    this.knows = true;
    this.missing = false;
    this.most = Math.max(this.most ?? 0, fractionOf(share));
  }

  acknowledged(version: number): void {
    this.isReady = true;
    this.confirmed = Math.max(this.confirmed, version);
    if (this.confirmed >= this.record.version) this.most = fractionOf(this.record.share);
  }

  toldToStop(atMs: number, againMs: number): void {
    this.stopSentMs ??= atMs;
    this.stopAgainMs = atMs + againMs;
  }

  stopped(finalSeq: number, why: string, isEarly: boolean): void {
    this.ended ??= { finalSeq, why, isEarly };
    this.most = 0;
  }

  view(standing: Member['standing'], leaving: boolean, storedUpTo: number): Owner {
    const { record, confirmed, most, sent, knows, missing, isReady, goneAtMs, refused, ended, scheduled } = this;
    const { stopSentMs, stopAgainMs } = this;
    const known = { record, confirmed, most, sent, knows, missing, isReady, goneAtMs, refused, ended, scheduled };
    return { ...known, stopSentMs, stopAgainMs, standing, leaving, storedUpTo };
  }
}
