import type { Etcd3, Lease as EtcdLease, Namespace } from 'etcd3';
import { CodedError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { ask, CALL_DEADLINE_MS, createClient, type EtcdOptions } from './etcd-client.ts';
import { ElectionService, type ElectionLine, type LeaderKey } from './etcd-election.ts';
import { EtcdMembers } from './etcd-members.ts';
import {
  AWAITED,
  KEYS,
  prefixOf,
  nodeOf,
  readJson,
  readNomination,
  termOf,
  termRecordOf,
  viewOf,
  type Entry,
  type Given,
  type TermRecord,
} from './etcd-records.ts';
import { EtcdSeat } from './etcd-seat.ts';
import { EtcdWatch, type Listed } from './etcd-watch.ts';
import { instant, RenewedLease, type Instant } from './lease.ts';
import { ROLES } from './ports.ts';
import type {
  CampaignOptions,
  Coordinator,
  CoordinatorView,
  Inhibit,
  Lease,
  MasterLock,
  NodeRecord,
  NodeRef,
  Nomination,
  Registration,
  Role,
  SentinelSeat,
  Subscription,
} from './ports.ts';

/** Taken off each validity, on top of 1 % for the clocks. */
const MARGIN_MS = 200;
/** Registrations at the same time meet in a transaction; each round one of them wins. */
const MAX_ROUNDS = 50;

/** Of the lease of a rehearsal, which is given back at once. */
const REHEARSAL_TTL_MS = 5_000;

type Found = Entry & { modRevision: string };

/** A lease as it was granted, and how to keep it. */
interface Granted {
  lease: EtcdLease;
  id: string;
  ttlMs: number;
  sent: Instant;
}

/** What speaks to etcd. */
export interface EtcdClients {
  client: Pick<Etcd3, 'namespace' | 'lease' | 'leaseClient' | 'auth' | 'close'>;
  election: { connect: () => Disposable & Pick<ElectionLine, 'campaign'> };
}

type ClusterOptions = Pick<EtcdOptions, 'cluster' | 'user' | 'password'> & { log: Log };

/** The cluster's coordination in etcd: the keys of cluster `{cluster}` below `/gostress/{cluster}/`. */
export class EtcdCoordinator implements Coordinator {
  readonly #options: ClusterOptions;
  readonly #client: EtcdClients['client'];
  readonly #keys: Namespace;
  readonly #prefix: string;
  readonly #election: EtcdClients['election'];
  readonly #watch: EtcdWatch;
  /** Of the node that is registered here; until then somebody waits for every key. */
  #roles: readonly Role[] = ROLES;

  constructor(options: ClusterOptions, { client, election }: EtcdClients) {
    this.#options = options;
    this.#prefix = prefixOf(options.cluster);
    this.#client = client;
    this.#keys = client.namespace(this.#prefix);
    this.#election = election;
    const isAwaited = (key: string): boolean => this.#roles.some((role) => AWAITED[role](key));
    this.#watch = new EtcdWatch(this.#keys, () => this.#list(), isAwaited, options.log);
  }

  /** Does not wait for etcd: the first call does. @throws when a PEM file cannot be read */
  static connect(options: EtcdOptions & { log: Log }): EtcdCoordinator {
    const members = new EtcdMembers(options.hosts);
    const client = createClient(options, members);
    return new EtcdCoordinator(options, { client, election: new ElectionService(options, members) });
  }

  async register(node: NodeRecord, leaseTtlMs: number): Promise<Registration> {
    this.#roles = node.roles;
    const granted = await this.#grant(leaseTtlMs);
    try {
      const record = await this.#putNode(node, granted);
      const isMine = async (deadline: number): Promise<string | null> => {
        const found = nodeOf(await this.#get(KEYS.nodes + record.nodeId, deadline));
        if (found === null) return 'the record is gone';
        return found.incarnation === record.incarnation ? null : 'a later start of this node is registered';
      };
      return Object.assign(this.#renewed(granted, isMine), { node: record });
    } catch (error) {
      void this.#revoke(granted).catch(() => undefined);
      throw error;
    }
  }

  campaign(node: NodeRecord, options: CampaignOptions): Promise<MasterLock | null> {
    return this.#campaign(KEYS.election, node, options);
  }

  /** Wins an election that decides nothing: what a takeover runs, it should not run for the first time. */
  async rehearse(node: NodeRecord): Promise<void> {
    const signal = AbortSignal.timeout(CALL_DEADLINE_MS);
    const options = { leaseTtlMs: REHEARSAL_TTL_MS, deadlineMs: CALL_DEADLINE_MS, signal };
    const lock = await this.#campaign(KEYS.rehearsal + node.nodeId, node, options);
    await lock?.release();
  }

  async #campaign(key: string, node: NodeRecord, options: CampaignOptions): Promise<MasterLock | null> {
    const { leaseTtlMs, deadlineMs, signal, turn = Promise.resolve(true) } = options;
    using line = this.#election.connect();
    // Until the lock is won it is nothing but the lease.
    let leader: LeaderKey | null = null;
    const isMine = async (deadline: number): Promise<string | null> => {
      if (leader === null) return null;
      const found = await this.#get(leader.key.slice(this.#prefix.length), deadline);
      return found?.createRevision === leader.rev ? null : "the lock's key is gone";
    };
    const leasing = this.#grant(leaseTtlMs).then((granted) => ({
      id: granted.id,
      lease: this.#renewed(granted, isMine),
    }));
    const release = () => leasing.then(({ lease }) => lease.release()).catch(() => undefined);
    leasing.catch(() => undefined);
    try {
      if (await turn) {
        const { id, lease } = await leasing;
        const [name, value] = [this.#prefix + key, JSON.stringify(node)];
        const request = { name, lease: id, value, token: await this.#token() };
        const calling = { deadlineMs, signal: AbortSignal.any([signal, lease.signal]) };
        // Read before the lock is won, to be there by then: that it was read too early, `establish` finds out.
        const [won, term, nomination] = await Promise.all([
          line.campaign(request, calling),
          this.#get(KEYS.term),
          this.#get(KEYS.nomination),
        ]);
        leader = won;
        if (won !== null) return Object.assign(lease, this.#lockWith(won, node, term, nomination));
      }
    } catch (error) {
      await release();
      throw error;
    }
    await release();
    return null;
  }

  async sit({ nodeId, incarnation }: NodeRef, leaseTtlMs: number): Promise<SentinelSeat> {
    const granted = await this.#grant(leaseTtlMs);
    const key = KEYS.sentinels + nodeId;
    try {
      const put = this.#keys.put(key).value(JSON.stringify({ nodeId, incarnation } satisfies NodeRef));
      await ask('register the sentinel', put.lease(granted.id).exec());
    } catch (error) {
      void this.#revoke(granted).catch(() => undefined);
      throw error;
    }
    const isMine = async (deadline: number): Promise<string | null> => {
      const found = readJson((await this.#get(key, deadline))?.value) as NodeRef | null;
      if (found === null) return 'the record is gone';
      return found.incarnation === incarnation ? null : 'another start of this sentinel is registered';
    };
    const { leaseClient } = this.#client;
    const seat = { keys: this.#keys, leaseClient, leaseId: granted.id, nodeId };
    return new EtcdSeat(this.#renewed(granted, isMine), seat);
  }

  async inhibit(inhibit: Inhibit | null): Promise<void> {
    if (inhibit === null) await ask('resume failover', this.#keys.delete().key(KEYS.inhibit).exec());
    else await ask('pause failover', this.#keys.put(KEYS.inhibit).value(JSON.stringify(inhibit)).exec());
  }

  async readTerm(): Promise<number> {
    return termOf(await this.#get(KEYS.term));
  }

  async read(): Promise<CoordinatorView> {
    return viewOf([...(await this.#list()).entries.values()]);
  }

  watch(listener: (view: CoordinatorView | null) => void): Subscription {
    return this.#watch.add(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch.stop();
    this.#client.close();
    return Promise.resolve();
  }

  /** The rest of a lock: what the won key allows. @param found the term, as it was when this campaign began; so the nomination */
  #lockWith(
    leader: LeaderKey,
    node: NodeRecord,
    found: Found | null,
    nominated: Found | null,
  ): Omit<MasterLock, keyof Lease> {
    const seen = termOf(found);
    const key = leader.key.slice(this.#prefix.length);
    const establish = async (term: number): Promise<boolean> => {
      if (term <= seen) return false;
      const { nodeId, incarnation } = node;
      const record: TermRecord = { term, nodeId, incarnation, revision: leader.rev };
      const transaction = this.#keys
        .if(key, 'Create', '==', leader.rev)
        .and(KEYS.term, 'Mod', '==', found?.modRevision ?? 0)
        .then(this.#keys.put(KEYS.term).value(JSON.stringify(record)), this.#keys.delete().key(KEYS.nomination))
        .commit();
      try {
        return (await ask('establish the term', transaction)).succeeded;
      } catch (error) {
        // It may have been done without an answer. If not yet, it never will once the lock is given back.
        if (termRecordOf(await this.#get(KEYS.term))?.revision === leader.rev) return true;
        throw error;
      }
    };
    const nominate = async (nomination: Nomination): Promise<boolean> => {
      const put = this.#keys.put(KEYS.nomination).value(JSON.stringify(nomination));
      const transaction = this.#keys.if(key, 'Create', '==', leader.rev).then(put).commit();
      return (await ask('nominate the next master', transaction)).succeeded;
    };
    return { seenTerm: seen, nomination: readNomination(nominated?.value), establish, nominate };
  }

  /** Writes the record under the lease, with numbers that no other start of any node has. */
  async #putNode(node: NodeRecord, { id }: Granted): Promise<NodeRecord> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const [count, given, present] = await Promise.all(
        [KEYS.seq, KEYS.given + node.nodeId, KEYS.nodes + node.nodeId].map((key) => this.#get(key)),
      );
      const known = readJson(given?.value) as Given | null;
      const newest = Math.max(known?.incarnation ?? 0, nodeOf(present)?.incarnation ?? 0);
      if (node.incarnation !== 0 && newest > node.incarnation) {
        const expected = 'expected to be the only process of this id';
        throw new CodedError(
          'FAILED_PRECONDITION',
          `node ${node.nodeId}: ${expected}, found a later start of it registered`,
        );
      }
      const seq = known?.seq ?? Number(count?.value ?? 0) + 1;
      const incarnation = node.incarnation !== 0 ? node.incarnation : Math.max(Date.now(), newest + 1);
      const record = { ...node, seq, incarnation };
      const put = (key: string, value: string) => this.#keys.put(key).value(value);
      const transaction = this.#keys
        .if(KEYS.seq, 'Mod', '==', count?.modRevision ?? 0)
        .and(KEYS.given + node.nodeId, 'Mod', '==', given?.modRevision ?? 0)
        .then(
          ...(known === null ? [put(KEYS.seq, String(seq))] : []),
          put(KEYS.given + node.nodeId, JSON.stringify({ seq, incarnation } satisfies Given)),
          put(KEYS.nodes + node.nodeId, JSON.stringify(record)).lease(id),
        )
        .commit();
      if ((await ask('register the node', transaction)).succeeded) return record;
    }
    throw new CodedError('UNAVAILABLE', `etcd: the node could not be registered in ${MAX_ROUNDS} attempts`);
  }

  async #list(): Promise<Listed> {
    const { header, kvs } = await ask('list the cluster', this.#keys.getAll().exec());
    const entries = kvs.map((kv) => this.#entry(kv));
    return { revision: BigInt(header.revision), entries: new Map(entries.map((entry) => [entry.key, entry])) };
  }

  async #get(key: string, deadlineMs = CALL_DEADLINE_MS): Promise<Found | null> {
    const { kvs } = await ask(
      `read ${key}`,
      this.#keys
        .get(key)
        .options({ deadline: Date.now() + deadlineMs })
        .exec(),
      deadlineMs,
    );
    return kvs[0] === undefined ? null : { ...this.#entry(kvs[0], key), modRevision: kvs[0].mod_revision };
  }

  #entry(kv: { key: Buffer; value: Buffer; create_revision: string }, key?: string): Entry {
    const path = key ?? kv.key.toString().replace(this.#prefix, '');
    return { key: path, value: kv.value.toString(), createRevision: kv.create_revision };
  }

  async #grant(ttlMs: number): Promise<Granted> {
    const sent = instant();
    const lease = this.#client.lease(Math.ceil(ttlMs / 1000), {
      autoKeepAlive: false,
      deadline: Date.now() + CALL_DEADLINE_MS,
    });
    const id = await ask('grant a lease', lease.grant());
    return { lease, id, ttlMs: Math.ceil(ttlMs / 1000) * 1000, sent };
  }

  #renewed(granted: Granted, isMine: (deadlineMs: number) => Promise<string | null>): RenewedLease {
    return new RenewedLease({
      ttlMs: granted.ttlMs,
      marginMs: MARGIN_MS,
      sent: granted.sent,
      renew: async (deadlineMs) => {
        const [alive, lost] = await Promise.all([this.#keepAlive(granted, deadlineMs), isMine(deadlineMs)]);
        return alive ? lost : 'etcd says that the lease is gone';
      },
      revoke: () => this.#revoke(granted),
    });
  }

  /** @returns whether the lease is still there @throws CodedError UNAVAILABLE */
  async #keepAlive({ lease }: Granted, deadlineMs: number): Promise<boolean> {
    try {
      await ask('renew a lease', lease.keepaliveOnce({ deadline: Date.now() + deadlineMs }), deadlineMs);
      return true;
    } catch (error) {
      if (lease.revoked()) return false;
      throw error;
    }
  }

  async #revoke({ lease }: Granted): Promise<void> {
    await ask('revoke a lease', lease.revoke({ deadline: Date.now() + CALL_DEADLINE_MS }));
  }

  /** Of the user, for calls that do not go through etcd3. */
  async #token(): Promise<string | null> {
    const { user, password } = this.#options;
    if (user === null) return null;
    const { token } = await ask('log in', this.#client.auth.authenticate({ name: user, password: password ?? '' }));
    return token;
  }
}
