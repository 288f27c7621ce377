import { EventEmitter } from 'node:events';
import { CALL_DEADLINE_MS } from '../../../src/cluster/etcd-client.ts';
import type { LeaderKey } from '../../../src/cluster/etcd-election.ts';
import type { EtcdClients } from '../../../src/cluster/etcd.ts';
import type { SimClock, SimProcess } from './clock.ts';
import type { Change, Compare, Event, Key, SimEtcd } from './etcd.ts';
import { inside } from './globals.ts';
import type { SimNetwork } from './network.ts';

/** A call to etcd over the network. */
type Call = <T>(work: () => T, deadlineMs?: number) => Promise<T>;

/** Calls back with what has changed, until what it returns is called. */
type OnChange = (act: (events: readonly Event[]) => void) => () => void;

/** An instant of the wall clock, as gRPC has it. */
interface CallOptions {
  deadline?: number;
}

/** The clients of one process: so much of etcd3 and of the election service as the production code uses. */
export function etcdClients(etcd: SimEtcd, network: SimNetwork, clock: SimClock, host: string): EtcdClients {
  const call: Call = (work, deadlineMs = CALL_DEADLINE_MS) => network.call(host, 'etcd', deadlineMs, work);
  const onChange: OnChange = (act) => {
    const process = inside.getStore() as SimProcess;
    let atMs = 0;
    return etcd.onChange((events) => {
      // Events may be lost, but none comes before an older one.
      if (network.isCut(host, 'etcd')) return;
      atMs = Math.max(atMs, clock.nowMs + network.delayMs(host, 'etcd'));
      clock.at(atMs, process, () => act(events));
    });
  };
  const client = {
    namespace: () => namespace(etcd, call, onChange),
    lease: (ttlSeconds: number) => lease(etcd, call, ttlSeconds * 1000),
    leaseClient: { leaseRevoke: ({ ID }: { ID: string }) => call(() => etcd.revoke(ID)) },
    close: () => undefined,
  };
  const campaign: ReturnType<EtcdClients['election']['connect']>['campaign'] = (
    { name, lease: leaseId, value },
    { deadlineMs, signal },
  ) => {
    const { promise, resolve, reject } = Promise.withResolvers<LeaderKey | null>();
    const process = inside.getStore() as SimProcess;
    setTimeout(() => resolve(null), deadlineMs);
    signal.addEventListener('abort', () => resolve(null), { once: true });
    if (signal.aborted) resolve(null);
    const won = (rev: number): void => {
      if (network.isCut(host, 'etcd')) return;
      clock.after(network.delayMs(host, 'etcd'), process, () =>
        resolve({ key: `${name}/${leaseId}`, rev: String(rev) }),
      );
    };
    call(() => etcd.campaign(leaseId, value, won), deadlineMs).catch(reject);
    return promise;
  };
  return {
    client: client as unknown as EtcdClients['client'],
    election: { connect: () => ({ campaign, [Symbol.dispose]: () => undefined }) },
  };
}

function lease(etcd: SimEtcd, call: Call, ttlMs: number) {
  let id = '';
  let isLost = false;
  return {
    grant: async () => (id = await call(() => etcd.grant(ttlMs))),
    keepaliveOnce: async (options: CallOptions) => {
      isLost = !(await call(() => etcd.renew(id), leftMs(options)));
      if (isLost) throw new Error('the lease is gone');
    },
    revoke: (options: CallOptions) => call(() => etcd.revoke(id), leftMs(options)),
    revoked: () => isLost,
  };
}

/** Keys after the cluster's prefix: there is one cluster only. */
function namespace(etcd: SimEtcd, call: Call, onChange: OnChange) {
  return {
    get: (key: string) => new Read(etcd, call, () => [etcd.get(key)].filter((found) => found !== null)),
    getAll: () =>
      Object.assign(new Read(etcd, call, () => etcd.list('')), {
        prefix: (prefix: string) => new Read(etcd, call, () => etcd.list(prefix)),
      }),
    put: (key: string) => new Put(etcd, call, key),
    delete: () => ({ key: (key: string) => new Write(etcd, call, { delete: key }) }),
    if: (...first: Condition) => new Transaction(etcd, call).and(...first),
    watch: () => ({ prefix: () => ({ watcher: () => new Watcher(onChange) }) }),
  };
}

class Read {
  readonly #call: Call;
  readonly #find: () => { found: Key[]; revision: number };
  #options: CallOptions = {};

  constructor(etcd: SimEtcd, call: Call, find: () => Key[]) {
    this.#call = call;
    this.#find = () => ({ found: find(), revision: etcd.revision });
  }

  options(options: CallOptions): this {
    this.#options = options;
    return this;
  }

  async exec() {
    const { found, revision } = await this.#call(this.#find, leftMs(this.#options));
    return { header: { revision: String(revision) }, kvs: found.map(kvOf) };
  }

  async string(): Promise<string | null> {
    return (await this.exec()).kvs[0]?.value.toString() ?? null;
  }
}

/** Done by itself, or as a part of a transaction. */
class Write {
  readonly #etcd: SimEtcd;
  readonly #call: Call;
  change: Change;

  constructor(etcd: SimEtcd, call: Call, change: Change) {
    this.#etcd = etcd;
    this.#call = call;
    this.change = change;
  }

  exec(): Promise<boolean> {
    return this.#call(() => this.#etcd.commit([], [this.change]));
  }
}

class Put extends Write {
  #put: Extract<Change, { put: string }>;

  constructor(etcd: SimEtcd, call: Call, key: string) {
    const put = { put: key, value: '', leaseId: null };
    super(etcd, call, put);
    this.#put = put;
  }

  value(value: string): this {
    this.change = this.#put = { ...this.#put, value };
    return this;
  }

  lease(leaseId: string): this {
    this.change = this.#put = { ...this.#put, leaseId };
    return this;
  }
}

type Condition = [key: string, column: Compare['column'], operator: Compare['operator'], operand: string | number];

class Transaction {
  readonly #etcd: SimEtcd;
  readonly #call: Call;
  readonly #compares: Compare[] = [];
  #changes: readonly Change[] = [];

  constructor(etcd: SimEtcd, call: Call) {
    this.#etcd = etcd;
    this.#call = call;
  }

  and(...[key, column, operator, operand]: Condition): this {
    this.#compares.push({ key, column, operator, operand: String(operand) });
    return this;
  }

  then(...writes: readonly Write[]): this {
    this.#changes = writes.map(({ change }) => change);
    return this;
  }

  async commit(): Promise<{ succeeded: boolean }> {
    return { succeeded: await this.#call(() => this.#etcd.commit(this.#compares, this.#changes)) };
  }
}

class Watcher extends EventEmitter {
  readonly #close: () => void;

  constructor(onChange: OnChange) {
    super();
    this.#close = onChange((events) =>
      this.emit('data', {
        events: events.map(({ type, at }) => ({
          type,
          kv:
            type === 'Put' ? kvOf(at) : { key: Buffer.from(at.key), value: Buffer.of(), mod_revision: String(at.mod) },
        })),
      }),
    );
  }

  cancel(): Promise<void> {
    this.#close();
    return Promise.resolve();
  }
}

function kvOf({ key, value, create, mod, lease }: Key) {
  return {
    key: Buffer.from(key),
    value: Buffer.from(value),
    create_revision: String(create),
    mod_revision: String(mod),
    lease: lease?.id ?? '0',
  };
}

function leftMs({ deadline }: CallOptions): number {
  return deadline === undefined ? CALL_DEADLINE_MS : Math.max(0, deadline - Date.now());
}
