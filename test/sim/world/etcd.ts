import { KEYS, readJson, type TermRecord } from '../../../src/cluster/etcd-records.ts';
import type { NodeRecord } from '../../../src/cluster/ports.ts';
import type { Dice, SimClock } from './clock.ts';

export interface ServerLease {
  id: string;
  ttlMs: number;
  expiresAtMs: number;
}

/** A key after the cluster's prefix, with its value and revisions. */
export interface Key {
  key: string;
  value: string;
  create: number;
  mod: number;
  lease: ServerLease | null;
  /** When it was created: for the judge. */
  sinceMs: number;
}

/** One condition of a transaction; of a key that is not there both revisions are 0. */
export interface Compare {
  key: string;
  column: 'Create' | 'Mod' | 'Value';
  operator: '==' | '>';
  operand: string;
}

/** What a transaction, or a single call, changes. */
export type Change = { put: string; value: string; leaseId: string | null } | { delete: string };

/** A key as it was written; of one that was deleted, the revision of that. */
export type Event = { type: 'Put'; at: Key } | { type: 'Delete'; at: Pick<Key, 'key' | 'mod'> };

/** etcd as its clients see it: keys, leases, transactions, and the election's queue. All in one place, at true time. */
export class SimEtcd {
  /** Who was established, in order: for the judge. */
  readonly terms: { term: number; nodeId: string; incarnation: number; atMs: number }[] = [];
  /** Leases end up to so much after their time (a new leader of etcd prolongs them). */
  lateExpiryMs = 0;
  /** A transaction is about to be done. */
  onCommit: (changes: readonly Change[]) => void = () => undefined;
  readonly #clock: SimClock;
  readonly #dice: Dice;
  readonly #leases = new Map<string, ServerLease>();
  readonly #keys = new Map<string, Key>();
  readonly #watchers = new Set<(events: readonly Event[]) => void>();
  /** Keys of the election whose owners wait for it. */
  readonly #campaigns = new Map<string, (rev: number) => void>();
  #rev = 1;

  constructor(clock: SimClock, dice: Dice) {
    this.#clock = clock;
    this.#dice = dice;
  }

  /** All keys and leases are gone, and the term with them. */
  wipe(): void {
    const keys = [...this.#keys.keys()];
    this.#rev += 1;
    this.#leases.clear();
    this.#keys.clear();
    this.#changed(keys);
  }

  /** Every lease ends now. */
  expireAll(): void {
    for (const id of [...this.#leases.keys()]) this.revoke(id);
  }

  // --- Leases ------------------------------------------------------------------------------------------------------

  grant(ttlMs: number): string {
    const lease = { id: String(++this.#rev), ttlMs, expiresAtMs: 0 };
    this.#leases.set(lease.id, lease);
    this.#prolong(lease);
    return lease.id;
  }

  /** @returns whether it was still there */
  renew(id: string): boolean {
    const lease = this.#leases.get(id);
    if (lease !== undefined) this.#prolong(lease);
    return lease !== undefined;
  }

  revoke(id: string): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    this.#leases.delete(id);
    this.#rev += 1;
    const gone = [...this.#keys.values()].filter((key) => key.lease === lease).map(({ key }) => key);
    for (const key of gone) this.#keys.delete(key);
    this.#changed(gone);
  }

  // --- Keys --------------------------------------------------------------------------------------------------------

  get(key: string): Key | null {
    return this.#keys.get(key) ?? null;
  }

  list(prefix: string): Key[] {
    return [...this.#keys.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** One transaction. @returns false: one of its conditions does not hold, and nothing was done */
  commit(compares: readonly Compare[], changes: readonly Change[]): boolean {
    if (!compares.every((compare) => this.#holds(compare))) return false;
    for (const change of changes) {
      if ('put' in change && change.leaseId !== null && !this.#leases.has(change.leaseId)) {
        throw new Error('etcdserver: requested lease not found');
      }
    }
    this.onCommit(changes);
    this.#rev += 1;
    for (const change of changes) {
      if ('put' in change) this.#put(change.put, change.value, change.leaseId);
      else this.#keys.delete(change.delete);
    }
    this.#changed(changes.map((change) => ('put' in change ? change.put : change.delete)));
    return true;
  }

  /** Of the last change. */
  get revision(): number {
    return this.#rev;
  }

  /** @param act is told what was written or deleted by a change */
  onChange(act: (events: readonly Event[]) => void): () => void {
    this.#watchers.add(act);
    return () => this.#watchers.delete(act);
  }

  // --- The election ------------------------------------------------------------------------------------------------

  /** Stands in the queue, under a key of this lease. @param won called once that is the first of them */
  campaign(leaseId: string, value: string, won: (rev: number) => void): void {
    const key = `${KEYS.election}/${leaseId}`;
    this.#campaigns.set(key, won);
    this.commit([], [{ put: key, value, leaseId }]);
  }

  /** The key of the lock. */
  get lock(): Key | null {
    return this.list(`${KEYS.election}/`).sort((a, b) => a.create - b.create)[0] ?? null;
  }

  // --- For the judge -----------------------------------------------------------------------------------------------

  /** The term whose lock stands; null: there is none. */
  get established(): TermRecord | null {
    const record = readJson(this.get(KEYS.term)?.value) as TermRecord | null;
    return record !== null && record.revision === String(this.lock?.create) ? record : null;
  }

  /** Its record stands. */
  isRegistered(nodeId: string, incarnation: number): boolean {
    return (readJson(this.get(KEYS.nodes + nodeId)?.value) as NodeRecord | null)?.incarnation === incarnation;
  }

  #put(key: string, value: string, leaseId: string | null): void {
    const { create, sinceMs } = this.#keys.get(key) ?? { create: this.#rev, sinceMs: this.#clock.nowMs };
    const lease = leaseId === null ? null : this.#leases.get(leaseId)!;
    this.#keys.set(key, { key, value, create, mod: this.#rev, lease, sinceMs });
    if (key !== KEYS.term) return;
    const { term, nodeId, incarnation } = JSON.parse(value) as TermRecord;
    this.terms.push({ term, nodeId, incarnation, atMs: this.#clock.nowMs });
  }

  #holds({ key, column, operator, operand }: Compare): boolean {
    const found = this.#keys.get(key);
    if (column === 'Value') return found?.value === operand;
    const revision = (column === 'Create' ? found?.create : found?.mod) ?? 0;
    return operator === '==' ? revision === Number(operand) : revision > Number(operand);
  }

  #prolong(lease: ServerLease): void {
    lease.expiresAtMs = this.#clock.nowMs + lease.ttlMs;
    const lateMs = this.#dice.between(0, 300) + this.#dice.between(0, this.lateExpiryMs);
    const { expiresAtMs } = lease;
    this.#clock.at(expiresAtMs + lateMs, null, () => {
      if (lease.expiresAtMs === expiresAtMs) this.revoke(lease.id);
    });
  }

  #changed(keys: readonly string[]): void {
    for (const key of this.#campaigns.keys()) if (!this.#keys.has(key)) this.#campaigns.delete(key);
    const { lock } = this;
    const won = lock === null ? undefined : this.#campaigns.get(lock.key);
    if (won !== undefined) {
      this.#campaigns.delete(lock!.key);
      won(lock!.create);
    }
    const events = keys.map((key): Event => {
      const at = this.#keys.get(key);
      return at === undefined ? { type: 'Delete', at: { key, mod: this.#rev } } : { type: 'Put', at };
    });
    for (const act of [...this.#watchers]) act(events);
  }
}
