import { ETCD_MISSING, startEtcds, type Etcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { call, grpcurl, GRPCURL_MISSING, type GrpcurlEnd } from '../support/grpcurl.ts';
import { MARIADB_MISSING, startMariadb, type Mariadb } from '../support/mariadb.ts';
import { NGINX_MISSING } from '../support/nginx-target.ts';
import { NodeProcess, type NodeOptions } from '../support/node-process.ts';

/** What the end-to-end tests need and is not here; null: all is. For `describe.skipIf`. */
export const MISSING =
  [ETCD_MISSING, GRPCURL_MISSING, MARIADB_MISSING, NGINX_MISSING].find((missing) => missing !== null) ?? null;

export interface Share {
  assignment: string;
  node: string;
  target: number;
  state: string;
}

export interface Run {
  name: string;
  state: string;
  reason?: string;
}

interface Node {
  name: string;
  standing?: string;
  master?: boolean;
  connected?: boolean;
}

export interface ClusterAnswer {
  master?: Node;
  term: number;
  nodes: Node[];
  runs: { run: Run; shares: Share[] }[];
}

/** What happened in one second of a run, over all its workers. */
export interface Second {
  second: number;
  target: number;
  started: number;
}

/** Numbers of a report; 64-bit ones are texts on the wire. */
export interface ReportAnswer {
  complete: boolean;
  counts: Readonly<Record<'scheduled' | 'started' | 'answered' | 'ok' | 'failed' | 'dropped' | 'unknown', number>>;
  report: Record<string, unknown>;
  /** What the report says of the cluster. */
  cluster: ClusterPart;
}

export interface ClusterPart {
  complete: boolean;
  lines: string[];
  mayHaveStarted: number | null;
  unknown: {
    node: string;
    afterSeq: number;
    fromMs: number;
    untilMs: number | null;
    underWay: number;
    mayHaveStarted: number | null;
  }[];
}

export interface ClusterOptions {
  /** Default: 1. */
  etcdMembers?: number;
  etcdArgs?: readonly string[];
  mariadbArgs?: readonly string[];
  /** What a node is started with, each time it is: how it reaches etcd and MySQL, and how it is reached. */
  connect?: (options: NodeOptions) => Promise<NodeOptions>;
}

/** The seconds that the messages of a watch tell of, in their order. */
export function secondsOf(messages: readonly Record<string, unknown>[]): number[] {
  return messages.flatMap(({ second }) =>
    second === undefined ? [] : [Number((second as { second?: string }).second ?? 0)],
  );
}

const FINAL = ['DONE', 'DONE_INCOMPLETE', 'FAILED', 'CANCELLED'];

/** A private etcd, a private MariaDB, and nodes that are real processes; spoken to with grpcurl. */
export class TestCluster implements AsyncDisposable {
  readonly etcds: readonly Etcd[];
  readonly mariadb: Mariadb;
  readonly mysqlUrl: string;
  readonly nodes = new Map<string, NodeProcess>();
  /** Every process that was ever started, also those that were killed. */
  readonly processes: NodeProcess[] = [];
  /** Those that may not know what the others know. */
  readonly cutOff = new Set<string>();
  readonly #connect: NonNullable<ClusterOptions['connect']>;

  private constructor(etcds: readonly Etcd[], mariadb: Mariadb, mysqlUrl: string, options: ClusterOptions) {
    this.etcds = etcds;
    this.mariadb = mariadb;
    this.mysqlUrl = mysqlUrl;
    this.#connect = options.connect ?? ((node) => Promise.resolve(node));
  }

  /** @param nodes their ids, and what they differ in */
  static async start(
    nodes: Readonly<Record<string, Partial<NodeOptions>>>,
    options: ClusterOptions = {},
  ): Promise<TestCluster> {
    const { etcdMembers = 1, etcdArgs, mariadbArgs } = options;
    const [etcds, mariadb] = await Promise.all([startEtcds(etcdMembers, etcdArgs), startMariadb(mariadbArgs)]);
    const cluster = new TestCluster(etcds, mariadb, await mariadb.createDatabase('gostress'), options);
    try {
      await Promise.all(Object.entries(nodes).map(([nodeId, options]) => cluster.add(nodeId, options)));
      await eventually(async () => {
        const { master, nodes: seen } = await cluster.status();
        const ready = seen.filter(({ connected }) => connected === true).length;
        if (master === undefined || ready < cluster.workers(nodes)) throw new Error(`${ready} workers are connected`);
      }, 60_000);
      return cluster;
    } catch (error) {
      const said = [...cluster.nodes.values()].map(({ nodeId, output }) => `${nodeId}: ${output.slice(-3000)}`);
      await cluster[Symbol.asyncDispose]();
      throw new Error(`the cluster did not come up:\n${said.join('\n')}`, { cause: error });
    }
  }

  async add(nodeId: string, options: Partial<NodeOptions> = {}): Promise<NodeProcess> {
    const etcdHosts = this.etcds.map(({ host }) => `http://${host}`);
    const connected = await this.#connect({ nodeId, etcdHosts, mysqlUrl: this.mysqlUrl, ...options });
    const node = await NodeProcess.start(connected);
    this.nodes.set(nodeId, node);
    this.processes.push(node);
    return node;
  }

  /** Its only member, or the first one. */
  get etcd(): Etcd {
    return this.etcds[0]!;
  }

  node(nodeId: string): NodeProcess {
    const node = this.nodes.get(nodeId);
    if (node === undefined) throw new Error(`no node ${nodeId}`);
    return node;
  }

  /** Some node that was neither killed nor frozen; any one serves the API. One that is cut off only if there is no other. */
  get address(): string {
    const alive = [...this.nodes.values()].filter(({ isAlive, isFrozen }) => isAlive && !isFrozen);
    const asked = alive.find(({ nodeId }) => !this.cutOff.has(nodeId)) ?? alive[0];
    if (asked === undefined) throw new Error('no node is alive');
    return asked.address;
  }

  /** @param method e.g. `TaskService/StartTask` */
  call(method: string, request: object = {}, address = this.address): Promise<Record<string, unknown>> {
    return call(address, `gostress.v1.${method}`, request);
  }

  /** Also of a call that fails. */
  ask(method: string, request: object = {}, address = this.address): Promise<GrpcurlEnd> {
    return grpcurl(address, `gostress.v1.${method}`, request);
  }

  async status(address = this.address): Promise<ClusterAnswer> {
    const answer = (await this.call('ClusterService/GetCluster', {}, address)) as Partial<
      Omit<ClusterAnswer, 'term'>
    > & {
      term?: string;
    };
    const runs = (answer.runs ?? []).map(({ run, shares }) => ({ run, shares: readShares(shares) }));
    return { ...answer, term: Number(answer.term ?? 0), nodes: answer.nodes ?? [], runs };
  }

  /** The master's id and term, once there is one of a term after `afterTerm`, as the node at the address knows it. */
  async master(afterTerm = 0, deadlineMs = 30_000, address?: string): Promise<{ nodeId: string; term: number }> {
    return eventually(async () => {
      const { master, term } = await this.status(address);
      if (master === undefined || term <= afterTerm) throw new Error(`term ${term}, no master yet`);
      return { nodeId: master.name.replace('nodes/', ''), term };
    }, deadlineMs);
  }

  /** Creates the task and starts it. @returns the run's name */
  async start(request: object): Promise<string> {
    const task = await this.call('TaskService/CreateTask', request);
    const run = await this.call('TaskService/StartTask', { name: task.name });
    return run.name as string;
  }

  async run(name: string): Promise<Run> {
    return (await this.call('TaskService/GetRun', { name })) as unknown as Run;
  }

  /** Shares of an active run that are given now. */
  async shares(name: string): Promise<Share[]> {
    const found = (await this.status()).runs.find(({ run }) => run.name === name);
    return (found?.shares ?? []).filter(({ state }) => state === 'ASSIGNED' || state === 'RUNNING');
  }

  async reach(name: string, state: string, deadlineMs = 30_000): Promise<Run> {
    return eventually(async () => {
      const run = await this.run(name);
      if (run.state !== state) throw new Error(`${name} is ${run.state} (${run.reason ?? ''}), not ${state}`);
      return run;
    }, deadlineMs);
  }

  /** Waits for the run's end. */
  async finish(name: string, deadlineMs = 60_000): Promise<Run> {
    return eventually(async () => {
      const run = await this.run(name);
      if (!FINAL.includes(run.state)) throw new Error(`${name} is ${run.state}`);
      return run;
    }, deadlineMs);
  }

  /** Each second of a run that has ended, as WatchRun tells it. */
  async seconds(name: string): Promise<Second[]> {
    const { messages } = await this.ask('TaskService/WatchRun', { name, from_second: '0' });
    return messages.flatMap(({ second }) => {
      if (second === undefined) return [];
      const { target = 0, ...rest } = second as { target?: number } & Record<string, string | undefined>;
      const number = (key: string): number => Number(rest[key] ?? 0);
      return { second: number('second'), target, started: number('started') };
    });
  }

  async report(name: string): Promise<ReportAnswer> {
    const { complete = false, report, ...rest } = await this.call('TaskService/GetRunReport', { name });
    const number = (key: string): number => Number(rest[key] ?? 0);
    return {
      complete: complete as boolean,
      report: report as Record<string, unknown>,
      cluster: (report as { cluster: ClusterPart }).cluster,
      counts: {
        scheduled: number('scheduled'),
        started: number('started'),
        answered: number('answered'),
        ok: number('ok'),
        failed: number('failed'),
        dropped: number('dropped'),
        unknown: number('unknown'),
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.nodes.values()].map((node) => node[Symbol.asyncDispose]()));
    await Promise.all([...this.etcds, this.mariadb].map((server) => server[Symbol.asyncDispose]()));
  }

  private workers(nodes: Readonly<Record<string, Partial<NodeOptions>>>): number {
    const roles = Object.values(nodes).map(({ env }) => env?.GOSTRESS_ROLES ?? 'worker,candidate');
    return roles.filter((list) => list.includes('worker')).length;
  }
}

/** What is 0 is not in the answer. */
function readShares(shares: readonly (Omit<Share, 'target'> & { target?: number })[] | undefined): Share[] {
  return (shares ?? []).map((share) => ({ ...share, target: share.target ?? 0 }));
}
