import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import type { MasterDriver, WorkerDriver } from './ports.ts';

/** Called once for each term in which the node is master. */
export type MasterDriverFactory = () => MasterDriver;
/** Called once for each start of the node as a worker. */
export type WorkerDriverFactory = () => WorkerDriver;

type Kind = 'master' | 'worker';

/**
 * The kinds of work that nodes can do, by name, in the manner of Go's `database/sql`: what is wrong with a name is told
 * when it is registered, not when it is used.
 */
export class DriverRegistry {
  readonly #factories = {
    master: new Map<string, MasterDriverFactory>(),
    worker: new Map<string, WorkerDriverFactory>(),
  };

  /** @throws CodedError INVALID_INPUT when the name is empty or taken */
  registerMaster(name: string, factory: MasterDriverFactory): void {
    register(this.#factories.master, 'master', name, factory);
  }

  /** @throws CodedError INVALID_INPUT when the name is empty or taken */
  registerWorker(name: string, factory: WorkerDriverFactory): void {
    register(this.#factories.worker, 'worker', name, factory);
  }

  /** @throws CodedError INVALID_INPUT naming the known ones when there is no such driver */
  createMaster(name: string): MasterDriver {
    return lookUp(this.#factories.master, 'master', name)();
  }

  /** @throws CodedError INVALID_INPUT naming the known ones when there is no such driver */
  createWorker(name: string): WorkerDriver {
    return lookUp(this.#factories.worker, 'worker', name)();
  }

  hasMaster(name: string): boolean {
    return this.#factories.master.has(name);
  }

  hasWorker(name: string): boolean {
    return this.#factories.worker.has(name);
  }

  /** Every name, of either kind, sorted. */
  names(): readonly string[] {
    return [...new Set([...this.#factories.master.keys(), ...this.#factories.worker.keys()])].sort();
  }
}

function register<F>(factories: Map<string, F>, kind: Kind, name: string, factory: F): void {
  if (typeof name !== 'string' || name.trim() === '') {
    throw new CodedError('INVALID_INPUT', `${kind} driver: expected a name, found ${show(name)}`);
  }
  if (typeof factory !== 'function') {
    throw new CodedError('INVALID_INPUT', `${kind} driver ${show(name)}: expected a factory, found ${show(factory)}`);
  }
  if (factories.has(name)) {
    throw new CodedError('INVALID_INPUT', `${kind} driver ${show(name)}: expected a new name, found it registered`);
  }
  factories.set(name, factory);
}

function lookUp<F>(factories: ReadonlyMap<string, F>, kind: Kind, name: string): F {
  const factory = factories.get(name);
  if (factory !== undefined) return factory;
  const known = [...factories.keys()].sort().map((each) => JSON.stringify(each));
  const expected = known.length === 0 ? 'none is registered' : `expected one of ${known.join(', ')}`;
  throw new CodedError('INVALID_INPUT', `${kind} driver: ${expected}, found ${show(name)}`);
}

/**
 * Of the process, not of the module: a user's driver may import another copy of this package (its own dependency
 * beside a global install) and still has to be heard of.
 */
const GLOBAL = Symbol.for('gostress.drivers/1');
const shared = globalThis as { [GLOBAL]?: DriverRegistry | undefined };

/** Where `registerMasterDriver` and `registerWorkerDriver` register. */
export const drivers: DriverRegistry = (shared[GLOBAL] ??= new DriverRegistry());

/**
 * Makes a kind of work known to this process, for the time while its node is master.
 *
 * @throws CodedError INVALID_INPUT when the name is empty or taken
 */
export function registerMasterDriver(name: string, factory: MasterDriverFactory): void {
  drivers.registerMaster(name, factory);
}

/**
 * Makes a kind of work known to this process, for the time while its node is a worker.
 *
 * @throws CodedError INVALID_INPUT when the name is empty or taken
 */
export function registerWorkerDriver(name: string, factory: WorkerDriverFactory): void {
  drivers.registerWorker(name, factory);
}
