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
  /** The lock of the term that was voted on last, read with the vote: whether it still stands, the transaction sees. */
  #votedLock: Promise<FoundLock | null> = Promise.resolve(null);

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
    if (vote !== null) {
      this.#votedLock = this.#lockOf(vote.term);
      this.#votedLock.catch(() => undefined);
    }
    if (this.#voteKey !== key && this.#voteKey !== null) await this.#delete(this.#voteKey);
    this.#voteKey = key;
    if (key !== null) await this.#put(key, vote!.why);
  }

  async doubt({ nodeId, incarnation }: NodeRef, why: string | null): Promise<void> {
    const key = `${KEYS.seen}${nodeId}/${this.#options.nodeId}`;
    if (why === null) await this.#delete(key);
    else await this.#put(key, JSON.stringify({ nodeId, incarnation, why } satisfies Doubt));
  }

  async nominate(nomination: Nomination): Promise<boolean> {
    const { keys } = this.#options;
    const { forTerm, votes } = nomination;
    const voted = await this.#votedLock.catch(() => null);
    const lock = voted?.term === forTerm ? voted : await this.#lockOf(forTerm);
    if (lock === null) return false;
    let ending = keys
      .if(lock.key, 'Create', '==', lock.createRevision)
      .and(KEYS.term, 'Mod', '==', lock.termModRevision)
      .and(KEYS.inhibit, 'Create', '==', 0);
    for (const id of votes) ending = ending.and(this.#keyOfVote(forTerm, id), 'Create', '>', 0);
    const put = keys.put(KEYS.nomination).value(JSON.stringify(nomination));
    const ended = ending.then(keys.delete().key(lock.key), put).commit();
    const { succeeded } = await ask('nominate the next master', ended);
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
