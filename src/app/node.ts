import { hostname } from 'node:os';
import { EtcdCoordinator } from '../cluster/etcd.ts';
import { loadDriver, servePackage } from '../cluster/load-driver.ts';
import { MemoryHub } from '../cluster/memory.ts';
import { Node } from '../cluster/node.ts';
import type { Accept, Coordinator } from '../cluster/ports.ts';
import { DriverRegistry, drivers as registered } from '../cluster/registry.ts';
import type { Timings } from '../cluster/timings.ts';
import { CodedError, errorMessage } from '../lib/errors.ts';
import type { Log, LogFields } from '../lib/log.ts';
import { Backoff, pause, settledWithin } from '../lib/wait.ts';
import { Prober, probeService } from '../rpc/probe.ts';
import { startRpcServer, type MasterAddress } from '../rpc/server.ts';
import { createDialer } from '../rpc/session-client.ts';
import { sessionService } from '../rpc/session-server.ts';
import { openMysqlStore } from '../store/mysql.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';
import { StressMaster } from '../stress/master.ts';
import { registeredOnly } from '../stress/service.ts';
import { STRESS, type ClusterStatus } from '../stress/ports.ts';
import type { Spill } from '../stress/spill.ts';
import { StressWorker } from '../stress/worker.ts';
import { formatHostPort, type HostPort } from './config-keys.ts';
import { isWildcard, type NodeConfig } from './config.ts';
import { reportMaker } from './report-maker.ts';
import { openSpill } from './spill-folder.ts';
import { VERSION } from './version.ts';

/** A node that lives. Disposing of it aborts it. */
export interface RunningNode extends AsyncDisposable {
  readonly nodeId: string;
  /** `host:port` that clients and other nodes dial. */
  readonly address: string;
  /** Resolves when it has drained, or was aborted; rejects with CodedError when it failed. */
  readonly done: Promise<void>;
  /** Aborts when it begins to drain. */
  readonly draining: AbortSignal;
  /** Hands its work over, flushes its results and ends, within the timings' `drain`. Idempotent. */
  drain(why: string): void;
  /** Ends now. */
  abort(why: string): void;
}

/** At the end, calls of clients that still run get this long. */
const LAST_CALLS_MS = 2_000;
/** Their end, and those of the connections to etcd and the database, together. */
const HANG_UP_MS = 5_000;
/** Before the database is tried again. */
const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 5_000;

/**
 * Starts a node with all its parts. Waits for the database as long as it takes.
 *
 * @param stop aborts the start
 * @returns null: the start was aborted
 * @throws CodedError of what cannot be: a port or folder that is taken, a driver that cannot be loaded
 */
export async function startNode(config: NodeConfig, log: Log, stop: AbortSignal): Promise<RunningNode | null> {
  const parts = new AsyncDisposableStack();
  try {
    const node = await compose(config, log, parts, stop);
    if (node !== null) return node;
    await parts.disposeAsync();
    return null;
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}

async function compose(
  config: NodeConfig,
  parentLog: Log,
  parts: AsyncDisposableStack,
  stop: AbortSignal,
): Promise<RunningNode | null> {
  const nodeId = config.nodeId ?? defaultNodeId(config.listen.port);
  let node: Node | null = null;
  const log = parentLog.child(() => ({ node: nodeId, ...leadership(node) }));
  const store = openStore(config, log);
  if (store !== null) parts.defer(() => store.close());
  const coordinator = parts.use(openCoordinator(config, log));
  const spill =
    config.buffer === null ? null : await openSpill(config.buffer, { cluster: config.clusterName, nodeId, log });
  if (spill !== null) parts.use(spill);
  const drivers = await loadDrivers(config, store, spill);
  const server = await startRpcServer({
    listen: formatHostPort(config.listen),
    nodeId,
    api: () => drivers.master()?.api ?? null,
    master: () => addressOfMaster(node),
    problem: () => (node?.isBlind === true ? 'etcd does not answer' : null),
    known: () => knownOf(node, config),
    services: [
      sessionService(
        accepting(() => node),
        log,
      ),
      probeService(() => node?.answer() ?? null),
    ],
    ready: () => node !== null,
    log,
  });
  parts.defer(() => server.close(LAST_CALLS_MS));
  const address = addressOf(config, server.port);
  if (store !== null && !(await migrate(store, log, stop))) return null;
  const { roles, priority, labels, timings, capacity, quorum } = config;
  const prober = parts.use(new Prober());
  const self = { nodeId, address, roles, priority, labels, version: VERSION };
  node = new Node({
    node: self,
    coordinator,
    fence: store?.fence ?? null,
    dial: createDialer({ log }),
    probe: prober.probe,
    quorum,
    drivers: drivers.names,
    registry: drivers.registry,
    timings,
    capacity,
    log,
  });
  log.info({ address, version: VERSION, roles: roles.join(',') }, 'serving');
  if (roles.includes('candidate') && store !== null && coordinator instanceof EtcdCoordinator) {
    // A takeover that is the first of its process takes longer by half: connections to be opened, code to be compiled.
    const rehearsal = [coordinator.rehearse({ ...self, seq: 0, incarnation: 0 }), store.fence.read()];
    // One that fails changes nothing; a node that ends at once has said why, and that is its last line.
    void Promise.allSettled(rehearsal);
  }
  return new LivingNode({ node, nodeId, address, timings, parts, log });
}

/** What a line carries, of whatever part of the node, while it is the master. */
function leadership(node: Node | null): LogFields {
  const mastership = node?.mastership() ?? null;
  return mastership === null ? {} : { role: 'master', term: mastership.term };
}

/** Until the node is there its port is open, since that is how others know that its process lives. */
function accepting(node: () => Node | null): Accept {
  return (link, peer) => {
    const ready = node();
    if (ready !== null) return ready.accept(link, peer);
    link.close('this node is still starting');
    return { message: () => undefined, closed: () => undefined };
  };
}

function addressOfMaster(node: Node | null): MasterAddress | null {
  const master = node?.master() ?? null;
  return master === null ? null : { nodeId: master.node.nodeId, address: master.node.address, term: master.term };
}

/** Without a master nobody judges the nodes: those that are registered are there, that is all. */
function knownOf(node: Node | null, { quorum }: NodeConfig): ClusterStatus | null {
  const view = node?.view() ?? null;
  if (node === null || view === null) return null;
  const master = node.isBlind ? null : (node.master()?.node ?? null);
  const { nodes, sentinels, inhibit } = view;
  const members = nodes.map(registeredOnly);
  return { master, term: view.master?.term ?? 0, members, sentinels, quorum, inhibit, runs: [] };
}

function openStore({ dataFolder, mysqlUrl, clusterName, roles }: NodeConfig, log: Log): Store | null {
  if (dataFolder !== null) return openSqliteStore({ folder: dataFolder, log });
  if (mysqlUrl === null || !roles.includes('candidate')) return null;
  return openMysqlStore({ url: mysqlUrl, cluster: clusterName, log });
}

function openCoordinator({ etcd, clusterName }: NodeConfig, log: Log): Coordinator {
  return etcd === null
    ? new MemoryHub().coordinator()
    : EtcdCoordinator.connect({ ...etcd, cluster: clusterName, log });
}

function addressOf({ advertise, listen }: NodeConfig, port: number): string {
  const here: HostPort = { host: isWildcard(listen.host) ? '127.0.0.1' : listen.host, port };
  return formatHostPort(advertise ?? here);
}

/**
 * Stays the same over restarts, and two nodes on a host have two ports: with the host's name alone the second one would
 * pass for a restart of the first, which then has to leave.
 *
 * @param port 0: any free one, which tells nothing
 */
function defaultNodeId(port: number): string {
  const host = hostname()
    .replace(/[^\w.-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  return `${host === '' ? 'node' : host.slice(0, 40)}-${port === 0 ? `pid-${process.pid}` : port}`;
}

/** @returns false: the start was aborted */
async function migrate(store: Store, log: Log, stop: AbortSignal): Promise<boolean> {
  const backoff = new Backoff(RETRY_MIN_MS, RETRY_MAX_MS);
  while (!stop.aborted) {
    try {
      const done = await store.migrate();
      if (done.length > 0) log.info({ migrations: done }, 'migrated the database');
      return true;
    } catch (error) {
      if (!(error instanceof CodedError) || error.code !== 'UNAVAILABLE') throw error;
      log.warn({ why: errorMessage(error) }, 'waiting for the database');
      await pause(backoff.takeMs(), stop);
    }
  }
  return false;
}

/** The stress driver and the user's, for this node alone: a process may have several nodes. */
async function loadDrivers({ drivers: files, buffer }: NodeConfig, store: Store | null, spill: Spill | null) {
  let master: StressMaster | null = null;
  const registry = new DriverRegistry();
  const onBufferFull = buffer?.onFull ?? 'pause';
  registry.registerWorker(STRESS, () => new StressWorker({ spill, onBufferFull }));
  if (store !== null) {
    const { tasks } = store;
    const makeReport = reportMaker();
    registry.registerMaster(STRESS, () => (master = new StressMaster({ store: tasks, makeReport })));
  }
  if (files.length > 0) servePackage(import.meta.url.replace(/node\.([jt]s)$/, 'index.$1'));
  for (const file of files) {
    for (const name of await loadDriver(file)) {
      if (registered.hasMaster(name)) registry.registerMaster(name, () => registered.createMaster(name));
      if (registered.hasWorker(name)) registry.registerWorker(name, () => registered.createWorker(name));
    }
  }
  return { registry, names: registry.names(), master: (): StressMaster | null => master };
}

interface Living {
  node: Node;
  nodeId: string;
  address: string;
  timings: Timings;
  parts: AsyncDisposableStack;
  log: Log;
}

class LivingNode implements RunningNode {
  readonly nodeId: string;
  readonly address: string;
  readonly done: Promise<void>;
  readonly #living: Living;
  readonly #abort = new AbortController();
  readonly #draining = new AbortController();

  constructor(living: Living) {
    this.nodeId = living.nodeId;
    this.address = living.address;
    this.#living = living;
    this.done = this.#live();
    // Whoever waits hears of it; nobody need.
    this.done.catch(() => undefined);
  }

  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  drain(why: string): void {
    if (this.#draining.signal.aborted) return;
    this.#draining.abort(why);
    this.#living.node.drain(why);
  }

  abort(why: string): void {
    this.#abort.abort(new CodedError('ABORTED', why));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort('disposed of');
    await settledWithin(this.done, this.#living.timings.driverStopMs + HANG_UP_MS);
  }

  async #live(): Promise<void> {
    const { node, log } = this.#living;
    try {
      await node.run(this.#abort.signal);
      log.info({}, 'ended');
    } finally {
      await this.#hangUp();
    }
  }

  /** The work is done, and its results are stored: whoever does not answer now is not waited for. */
  async #hangUp(): Promise<void> {
    const { parts, log } = this.#living;
    const hungUp = parts.disposeAsync();
    hungUp.catch((error: unknown) => log.warn({ err: error }, 'could not hang up'));
    if (!(await settledWithin(hungUp, HANG_UP_MS))) log.warn({}, 'could not hang up in time');
  }
}
