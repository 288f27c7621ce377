import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type {
  CoordinatorView,
  MasterContext,
  Member,
  MemberEvent,
  NodeRecord,
  NodeRef,
  Subscription,
} from '../../../src/cluster/ports.ts';
import { CodedError } from '../../../src/lib/errors.ts';
import { SILENT } from '../../../src/lib/log.ts';
import { StressMaster } from '../../../src/stress/master.ts';
import {
  DEFAULT_PLACEMENT,
  type Placement,
  type RunRecord,
  type RunResults,
  type RunUpdate,
  type StressApi,
  type TaskStore,
} from '../../../src/stress/ports.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import type { Store } from '../../../src/store/store.ts';
import type { RunAccount } from '../../../src/task/account.ts';
import type { Sample } from '../../../src/task/sample.ts';
import { eventually } from '../../support/eventually.ts';
import { memberOf, nodeOf, taskOf } from './records.ts';
import { FakeWorker } from './worker.ts';

/** A report that is nothing but what it is made of. */
export interface PlainReport {
  seconds: Sample[];
  account: RunAccount;
}

async function makeReport(_: RunRecord, { seconds, account }: RunResults): Promise<Readonly<Record<string, unknown>>> {
  return { seconds: await listOf(seconds), account: account() };
}

/** A term of a real StressMaster under a context that the test plays. */
export class Term {
  readonly driver: StressMaster;
  readonly term: number;
  readonly stepDowns: string[] = [];
  readonly permits = new Map<string, boolean>();
  readonly #over = new AbortController();
  readonly hello = new Set<(from: NodeRef, state: unknown) => void>();
  readonly message = new Set<(from: NodeRef, payload: unknown) => void>();
  readonly member = new Set<(event: MemberEvent) => void>();
  ended: Promise<void> = Promise.resolve();
  /** false: frozen, it believes to be master and says nothing. */
  mayAct = true;

  constructor(store: TaskStore, term: number) {
    this.term = term;
    this.driver = new StressMaster({ store, makeReport });
  }

  get api(): StressApi {
    return this.driver.api!;
  }

  begin(cluster: FakeCluster, node: NodeRecord): void {
    this.ended = this.driver.run(this.#context(cluster, node));
  }

  end(why = 'over'): Promise<void> {
    this.#over.abort(new Error(why));
    return this.ended;
  }

  #context(cluster: FakeCluster, node: NodeRecord): MasterContext {
    const listen = <T>(set: Set<T>, listener: T): Subscription => {
      set.add(listener);
      const close = () => void set.delete(listener);
      return { close, [Symbol.dispose]: close };
    };
    return {
      node,
      log: SILENT,
      term: this.term,
      signal: this.#over.signal,
      mayAct: () => this.mayAct && !this.#over.signal.aborted,
      stepDown: (why) => {
        this.stepDowns.push(why);
        this.#over.abort(new Error(why));
      },
      members: () => cluster.members(),
      standingOf: (ref) => cluster.worker(ref)?.standing ?? 'suspect',
      onMember: (listener) => listen(this.member, listener),
      onHello: (listener) => listen(this.hello, listener),
      onMessage: (listener) => listen(this.message, listener),
      send: (to, payload) => cluster.worker(to)?.receive(this.term, payload) ?? false,
      permit: (to, granted) => void this.permits.set(to.nodeId, granted),
      drain: (nodeId) => cluster.change(nodeId, { draining: true }),
      cluster: {
        quorum: 1,
        reasons: { term: this.term, nodeId: node.nodeId, how: 'by rank', nomination: null, ranked: [node.nodeId] },
        view: () => cluster.view,
        handOver: () => Promise.reject(new Error('not here')),
        inhibit: () => Promise.reject(new Error('not here')),
      },
    };
  }
}

/** Fake workers, a real store, and real masters of the stress driver. */
export class FakeCluster implements AsyncDisposable {
  readonly store: Store;
  readonly workers: FakeWorker[] = [];
  master: Term | null = null;
  /** What the coordinator says. */
  view: CoordinatorView | null = null;
  /** The name of a call of the master to the store that is carried out, and whose answer is lost; once. */
  loseAnswerOf: keyof TaskStore | null = null;
  /** What happens while the master waits for that answer. */
  whileItWaits: () => void = () => undefined;
  readonly #folder: string | null;
  readonly #terms: Term[] = [];

  private constructor(store: Store, folder: string | null) {
    this.store = store;
    this.#folder = folder;
  }

  /** On SQLite in a private folder. */
  static async start(...nodeIds: string[]): Promise<FakeCluster> {
    const cluster = await FakeCluster.idle();
    return cluster.begin(...nodeIds);
  }

  /** The same without workers and master, which `begin` brings. */
  static async idle(): Promise<FakeCluster> {
    const folder = await mkdtemp(path.join(tmpdir(), 'gostress-stress-'));
    const store = openSqliteStore({ folder, log: SILENT });
    await store.migrate();
    return new FakeCluster(store, folder);
  }

  /** On a store that is ready, and that it closes. */
  static on(store: Store): FakeCluster {
    return new FakeCluster(store, null);
  }

  async begin(...nodeIds: string[]): Promise<this> {
    for (const nodeId of nodeIds) this.workers.push(new FakeWorker(this, nodeOf(nodeId)));
    await this.elect();
    return this;
  }

  get databaseFile(): string {
    return path.join(this.#folder!, 'gostress.sqlite');
  }

  /** Another connection to its SQLite, as a person has it. The store is in this thread too: no call of it may wait. */
  person(): DatabaseSync {
    return new DatabaseSync(this.databaseFile, { timeout: 0 });
  }

  /** What a person writes into its SQLite, once the store lets it. */
  async byHand(sql: string): Promise<Record<string, unknown>[]> {
    using person = this.person();
    return await eventually(() => person.prepare(sql).all());
  }

  get api(): StressApi {
    return this.master!.api;
  }

  /** A new master: it raises the fence, and the workers connect to it: all, or these. */
  async elect(...nodeIds: string[]): Promise<Term> {
    const term = new Term(this.#tasks(), (this.master?.term ?? 0) + 1);
    await this.store.fence.raise(term.term, { nodeId: 'master', incarnation: term.term });
    this.master = term;
    this.#terms.push(term);
    for (const worker of this.workers) worker.connected = false;
    term.begin(this, nodeOf('master', { incarnation: term.term }));
    for (const worker of this.workers) {
      const isOne = nodeIds.length === 0 || nodeIds.includes(worker.node.nodeId);
      if (isOne && worker.standing !== 'gone') worker.connect();
    }
    return term;
  }

  worker(ref: NodeRef | string): FakeWorker | undefined {
    if (typeof ref === 'string') return this.workers.findLast(({ node }) => node.nodeId === ref);
    return this.workers.find(({ node }) => node.nodeId === ref.nodeId && node.incarnation === ref.incarnation);
  }

  members(): Member[] {
    return this.workers
      .filter(({ standing, connected }) => connected || standing !== 'gone')
      .map(({ node, connected, standing, part }) => memberOf(node, { connected, standing, ...part }));
  }

  /** A worker that was not there before. */
  add(nodeId: string, part: Partial<NodeRecord> = {}): FakeWorker {
    const worker = new FakeWorker(this, nodeOf(nodeId, part));
    this.workers.push(worker);
    worker.connect();
    this.tell('added', worker);
    return worker;
  }

  change(nodeId: string, part: Partial<Member>): void {
    const worker = this.worker(nodeId)!;
    Object.assign(worker.part, part);
    this.tell('modified', worker);
  }

  tell(kind: MemberEvent['kind'], { node, connected, standing, part }: FakeWorker): void {
    const member = memberOf(node, { connected, standing, ...part });
    for (const listener of this.master!.member) listener({ kind, member });
  }

  async start(load: object, placing: Partial<Placement> = {}): Promise<RunRecord> {
    const task = await this.api.createTask(taskOf(load), { ...DEFAULT_PLACEMENT, ...placing }, null);
    return this.api.startTask(task.id, null);
  }

  run({ taskId, number }: Pick<RunRecord, 'taskId' | 'number'>): Promise<RunRecord> {
    return this.store.tasks.getRun(taskId, number).then((run) => run!);
  }

  /** Waits until the run is in one of these states. */
  reaches(run: Pick<RunRecord, 'taskId' | 'number'>, ...states: RunRecord['state'][]): Promise<RunRecord> {
    return eventually(async () => {
      const now = await this.run(run);
      if (!states.includes(now.state))
        throw new Error(`expected ${states.join(' or ')}, found ${now.state} ${now.reason}`);
      return now;
    }, 30_000);
  }

  /** The run is RUNNING and its first samples are there. */
  async underWay(run: RunRecord): Promise<void> {
    await this.reaches(run, 'RUNNING');
    await eventually(() => {
      if (!this.workers.some(({ made }) => made.length > 0)) throw new Error('expected a sample, found none');
    });
  }

  /** What each node has now, e.g. `a 200/600`. */
  loads(): string[] {
    return this.workers.flatMap((worker) =>
      worker.loading.map(({ share }) => `${worker.node.nodeId} ${share.weight}/${share.of}`),
    );
  }

  /** Every message that made or changed load, in the order in which workers got it. */
  readonly history: string[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.workers) worker.close();
    await Promise.all(this.#terms.map((term) => term.end()));
    await this.store.close();
    if (this.#folder !== null) await rm(this.#folder, { recursive: true, force: true });
  }

  /** The store as masters see it. */
  #tasks(): TaskStore {
    return new Proxy(this.store.tasks, {
      get: (tasks, name: keyof TaskStore) => {
        const call = tasks[name].bind(tasks) as (...args: unknown[]) => Promise<unknown>;
        return async (...args: unknown[]) => {
          const answer = await call(...args);
          if (this.loseAnswerOf !== name) return answer;
          this.loseAnswerOf = null;
          this.whileItWaits();
          throw new CodedError('UNAVAILABLE', 'the answer is lost');
        };
      },
    });
  }
}

/** All updates of a watch, until its end. */
export async function watchAll(api: StressApi, run: RunRecord, fromSecond = 0): Promise<RunUpdate[]> {
  const signal = AbortSignal.timeout(60_000);
  return listOf(api.watchRun(run.taskId, run.number, fromSecond, signal));
}

/** Of its report: each second, and its hits. */
export async function okPerSecond(api: StressApi, run: RunRecord): Promise<[second: number, ok: number][]> {
  const { report } = await api.getRunReport(run.taskId, run.number);
  return (report as unknown as PlainReport).seconds.map(({ second, counts }) => [second, counts.ok]);
}

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
