import { EtcdCoordinator } from '../../../src/cluster/etcd.ts';
import { Node } from '../../../src/cluster/node.ts';
import type {
  ClusterControl,
  Coordinator,
  MasterContext,
  NodeInfo,
  NodeRecord,
  Role,
  WorkerContext,
} from '../../../src/cluster/ports.ts';
import { DriverRegistry } from '../../../src/cluster/registry.ts';
import { DEFAULT_TIMINGS } from '../../../src/cluster/timings.ts';
import type { Log, LogFields } from '../../../src/lib/log.ts';
import { StressMaster } from '../../../src/stress/master.ts';
import { STRESS, type StressToWorker } from '../../../src/stress/ports.ts';
import type { Spill } from '../../../src/stress/spill.ts';
import { StressWorker } from '../../../src/stress/worker.ts';
import type { SimProcess } from './clock.ts';
import { engineFactory, type SimEngine } from './engine.ts';
import { etcdClients } from './etcd-clients.ts';
import { inside } from './globals.ts';
import { sqlClient } from './sql.ts';
import type { World } from './world.ts';

/** Clocks of machines differ in speed by up to so much. */
export const DRIFT = 0.005;
const SUPERVISOR_MS = 1_000;

/** One start of the node of a host: a process with the production code of a whole node in it. */
export class Host {
  readonly name: string;
  readonly process: SimProcess;
  readonly node: Node;
  readonly engines = new Set<SimEngine>();
  /** The send of the last ping whose echo came, by the process's clock; of a term that is not older than another it met. */
  echoedMs = -Infinity;
  /** The newest term of which its driver got a message. */
  metTerm = 0;
  /** Of each assignment: acknowledged up to here. */
  readonly acked = new Map<string, number>();
  worker: StressWorker | null = null;
  /** What an operator can ask of it since it has become master. */
  control: ClusterControl | null = null;
  #drainedAtMs = -Infinity;
  readonly #world: World;
  readonly #spill: Spill | null;
  readonly #stop = new AbortController();

  constructor(world: World, process: SimProcess, place: number, roles: readonly Role[], spill: Spill | null) {
    const { network, sql } = world;
    const { name } = process;
    this.#world = world;
    this.name = name;
    this.process = process;
    this.#spill = spill;
    const address = `127.0.0.1:${7000 + place}`;
    const record = { nodeId: name, address, roles, priority: 100, labels: {}, version: 'sim' };
    this.node = inside.run(this.process, () => {
      const { fence, store } = sqlClient(sql, network, name);
      const registry = new DriverRegistry();
      registry.registerWorker(STRESS, () => this.#worker());
      registry.registerMaster(STRESS, () => {
        const driver = new StressMaster({ store, makeReport: () => Promise.resolve({}) });
        return { run: (context) => driver.run(this.#masterContext(context)) };
      });
      return new Node({
        node: record,
        coordinator: this.#coordinator(),
        fence: roles.includes('candidate') ? fence : null,
        dial: this.#dial(),
        drivers: [STRESS],
        registry,
        timings: DEFAULT_TIMINGS,
        probe: (to, deadlineMs) => network.ask(name, to, deadlineMs),
        quorum: 1,
        capacity: null,
        senses: {
          probePort: async (to, deadlineMs) => {
            const found = await network.probe(name, to, deadlineMs);
            return world.mutants.probe?.(found) ?? found;
          },
          createSampler: ({ running }) => ({
            latest: () => infoOf(this.process, running()),
            [Symbol.dispose]: () => undefined,
          }),
        },
        log: logOf(world, name),
      });
    });
    network.listen(address, {
      process: this.process,
      accept: (link, peer) => this.node.accept(link, peer),
      answer: () => this.node.answer(),
    });
    inside.run(this.process, () => {
      this.node.run(this.#stop.signal).then(
        () => this.#ended(),
        (error: unknown) => {
          world.judge.violated(`${name}: its node failed: ${String(error)}`);
          this.#ended();
        },
      );
    });
  }

  get record(): NodeRecord {
    return this.node.record;
  }

  drain(): void {
    if (this.#drainedAtMs === -Infinity) this.#drainedAtMs = this.#world.clock.nowMs;
    inside.run(this.process, () => this.node.drain('the operator wants it'));
  }

  /** It believes in its mastership at this moment, if it was to look. */
  get leads(): boolean {
    const { process, node } = this;
    const mastership = node.mastership();
    if (mastership === null || mastership.signal.aborted || process.isDead || process.isFrozen) return false;
    return inside.run(process, () => process.monotonicMs() < mastership.validUntilMs());
  }

  /** Nothing is left on it that it owes. */
  get isIdle(): boolean {
    if (this.process.isDead || this.worker === null) return true;
    const { running, spilled } = this.worker.hello();
    return running.length + spilled.length === 0;
  }

  /** Its run is over: the process exits. */
  #ended(): void {
    // It could not hand over in its time: what it still kept is lost, as if it had been killed.
    this.#world.lose(this);
    const inTimeMs = this.#drainedAtMs + DEFAULT_TIMINGS.drainMs;
    // One that never came to be registered can hand nothing over: its disk keeps it for the next start.
    const couldHandOver = this.record.incarnation !== 0;
    if (!this.isIdle && couldHandOver && this.#world.clock.nowMs < inTimeMs * (1 - DRIFT)) {
      this.#world.judge.violated(`L3: ${this.name} left before it had handed over`);
    }
    this.process.kill();
    this.#world.network.changed();
    // A supervisor starts it again.
    this.#world.clock.after(SUPERVISOR_MS, null, () => this.#world.restart(this.name));
  }

  #coordinator(): Coordinator {
    const { etcd, network, clock, mutants } = this.#world;
    const options = { cluster: 'sim', user: null, password: null, log: logOf(this.#world, this.name) };
    const coordinator = new EtcdCoordinator(options, etcdClients(etcd, network, clock, this.name));
    const { view } = mutants;
    if (view === undefined) return coordinator;
    const watch: Coordinator['watch'] = (listener) =>
      coordinator.watch((seen) => listener(seen && view(seen, this.name)));
    // Its methods are to be called on itself.
    return new Proxy(coordinator, {
      get: (of, key) => (key === 'watch' ? watch : (Reflect.get(of, key) as () => unknown).bind(of)),
    });
  }

  #worker(): StressWorker {
    const worker = new StressWorker({
      spill: this.#spill,
      onBufferFull: 'pause',
      createEngine: engineFactory(this.process, this.#world.judge, this.engines),
    });
    this.worker = worker;
    const run = worker.run.bind(worker);
    worker.run = (context) => run(this.#workerContext(context));
    return worker;
  }

  #workerContext(context: WorkerContext): WorkerContext {
    const onMessage: WorkerContext['onMessage'] = (listener) =>
      context.onMessage((payload, term) => {
        this.#world.judge.command(this, payload as StressToWorker, term);
        listener(payload, term);
      });
    return proxy(context, { onMessage });
  }

  #masterContext(context: MasterContext): MasterContext {
    this.control = context.cluster;
    const standingOf: MasterContext['standingOf'] = (ref, address) => {
      const told = context.standingOf(ref, address);
      const standing = this.#world.mutants.standing?.(told, ref, context) ?? told;
      if (standing === 'gone') this.#world.judge.gone(context.term, ref);
      return standing;
    };
    return proxy(context, { standingOf });
  }

  #dial() {
    const dial = this.#world.network.dialler(this.name, this.process);
    return (address: string, handlers: Parameters<typeof dial>[1]) =>
      dial(address, {
        ...handlers,
        message: (message) => {
          this.#world.judge.heard(this, message);
          handlers.message(message);
        },
      });
  }
}

export function logOf(world: World, name: string, inherited: LogFields = {}): Log {
  const line = (level: string) => (fields: LogFields, text: string) => {
    world.say(name, `${level} ${text}`, { ...inherited, ...fields });
  };
  return {
    debug: line('debug'),
    info: line('info '),
    warn: line('warn '),
    error: line('error'),
    child: (more) => logOf(world, name, { ...inherited, ...(typeof more === 'function' ? more() : more) }),
  };
}

function proxy<T extends object>(whole: T, part: Partial<T>): T {
  return new Proxy(whole, { get: (of, key) => Reflect.get(key in part ? part : of, key) as unknown });
}

/** Its CPU is busy at times. */
function infoOf(process: SimProcess, running: number): NodeInfo {
  const memory = { memory: 0.3, memoryTotalBytes: 8e9, memoryFreeBytes: 5.6e9 };
  return { cpu: process.random(), cores: 2, ...memory, loopLagP99Ms: 1, capacity: null, running };
}
