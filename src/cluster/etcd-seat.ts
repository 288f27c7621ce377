import type { Etcd3, Namespace } from 'etcd3';
import { ask } from './etcd-client.ts';
import { KEYS, readJson, type TermRecord } from './etcd-records.ts';
import type { RenewedLease } from './lease.ts';
import type { Doubt, NodeRef, Nomination, SentinelSeat } from './ports.ts';

export interface EtcdSeatOptions {
  keys: Namespace;
  leaseClient: Etcd3['leaseClient'];
  leaseId: string;
  /** Of the sentinel. */
  nodeId: string;
}

/** The lock that established a term, as one transaction needs it. */
interface FoundLock {
  term: number;
  /** After the cluster's prefix, as all keys here. */
  key: string;
  createRevision: string;
  leaseId: string;
  termModRevision: string;
}

/** A sentinel's words as keys under its lease. */
export class EtcdSeat implements SentinelSeat {
  readonly #lease: RenewedLease;
  readonly #options: EtcdSeatOptions;
  #voteKey: string | null = null;
  /** Of the failover that this sentinel leads, as far as it knows. */
  #claimKey: string | null = null;
  /** The lock of the term that was claimed last, read meanwhile: whether it still stands, the transaction sees. */
  #claimedLock: Promise<FoundLock | null> = Promise.resolve(null);

  constructor(lease: RenewedLease, options: EtcdSeatOptions) {
    this.#lease = lease;
    this.#options = options;
  }

  get signal(): AbortSignal {
    return this.#lease.signal;
  }

  validUntilMs(): number {
    return this.#lease.validUntilMs();
  }

  release(): Promise<void> {
    return this.#lease.release();
  }

  async vote(vote: { term: number; why: string } | null): Promise<void> {
    const key = vote === null ? null : this.#keyOfVote(vote.term, this.#options.nodeId);
    if (this.#voteKey !== key) {
      await this.#giveClaimBack();
      if (this.#voteKey !== null) await this.#delete(this.#voteKey);
    }
    this.#voteKey = key;
    if (key !== null) await this.#put(key, vote!.why);
  }

  async doubt({ nodeId, incarnation }: NodeRef, why: string | null): Promise<void> {
    const key = `${KEYS.seen}${nodeId}/${this.#options.nodeId}`;
    if (why === null) await this.#delete(key);
    else await this.#put(key, JSON.stringify({ nodeId, incarnation, why } satisfies Doubt));
  }

  async claim(term: number, votes: readonly string[]): Promise<boolean> {
    const { keys, leaseId, nodeId } = this.#options;
    const key = `${KEYS.claim}${term}`;
    this.#claimedLock = this.#lockOf(term);
    this.#claimedLock.catch(() => undefined);
    let claiming = keys.if(key, 'Create', '==', 0);
    for (const id of votes) claiming = claiming.and(this.#keyOfVote(term, id), 'Create', '>', 0);
    const { succeeded } = await ask(
      'claim the failover',
      claiming.then(keys.put(key).value(nodeId).lease(leaseId)).commit(),
    );
    const isMine = succeeded || (await ask('read the claim of the failover', keys.get(key).string())) === nodeId;
    if (isMine) this.#claimKey = key;
    return isMine;
  }

  async nominate(nomination: Nomination): Promise<boolean> {
    const { keys, nodeId } = this.#options;
    const { forTerm, votes } = nomination;
    const lock = await this.#claimedLock;
    if (lock?.term !== forTerm) return false;
    let ending = keys
      .if(lock.key, 'Create', '==', lock.createRevision)
      .and(KEYS.term, 'Mod', '==', lock.termModRevision)
      .and(`${KEYS.claim}${forTerm}`, 'Value', '==', nodeId)
      .and(KEYS.inhibit, 'Create', '==', 0);
    for (const id of votes) ending = ending.and(this.#keyOfVote(forTerm, id), 'Create', '>', 0);
    const put = keys.put(KEYS.nomination).value(JSON.stringify(nomination));
    const done = [keys.delete().key(lock.key), keys.delete().key(`${KEYS.claim}${forTerm}`), put];
    const { succeeded } = await ask('nominate the next master', ending.then(...done).commit());
    if (succeeded) await this.#revoke(lock.leaseId);
    return succeeded;
  }

  async #lockOf(term: number): Promise<FoundLock | null> {
    const { keys } = this.#options;
    const [terms, locks] = await Promise.all([
      ask('read the term', keys.get(KEYS.term).exec()),
      ask('read the lock', keys.getAll().prefix(`${KEYS.election}/`).exec()),
    ]);
    const record = readJson(terms.kvs[0]?.value.toString()) as TermRecord | null;
    const lock = locks.kvs.find(({ create_revision: revision }) => revision === record?.revision);
    if (record?.term !== term || lock === undefined) return null;
    return {
      term,
      key: lock.key.toString(),
      createRevision: lock.create_revision,
      leaseId: lock.lease,
      termModRevision: terms.kvs[0]!.mod_revision,
    };
  }

  /** The lock is free already: a lease that stays for some seconds holds nothing. */
  async #revoke(leaseId: string): Promise<void> {
    const revoking = ask('revoke the lease of the lock', this.#options.leaseClient.leaseRevoke({ ID: leaseId }));
    await revoking.catch(() => undefined);
  }

  /** A claim for each failover would add up as long as this sentinel lives. */
  async #giveClaimBack(): Promise<void> {
    const { keys, nodeId } = this.#options;
    const key = this.#claimKey;
    if (key === null) return;
    await ask('give the claim back', keys.if(key, 'Value', '==', nodeId).then(keys.delete().key(key)).commit());
    this.#claimKey = null;
  }

  async #put(key: string, value: string): Promise<void> {
    const { keys, leaseId } = this.#options;
    await ask(`put ${key}`, keys.put(key).value(value).lease(leaseId).exec());
  }

  async #delete(key: string): Promise<void> {
    await ask(`delete ${key}`, this.#options.keys.delete().key(key).exec());
  }

  #keyOfVote(term: number, nodeId: string): string {
    return `${KEYS.votes}${term}/${nodeId}`;
  }
}
