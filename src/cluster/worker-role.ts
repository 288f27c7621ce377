import { CodedError, errorMessage } from '../lib/errors.ts';
import { Listeners } from '../lib/listeners.ts';
import type { Log } from '../lib/log.ts';
import { aborted, settledWithin } from '../lib/wait.ts';
import { PermitHolder } from './permit.ts';
import type { Dial, MasterRecord, NodeInfo, NodeRecord, Registration, WorkerContext, WorkerDriver } from './ports.ts';
import type { Timings } from './timings.ts';
import { WorkerLink } from './worker-link.ts';

export interface WorkerRoleOptions {
  dial: Dial;
  timings: Timings;
  node: () => NodeRecord;
  /** By name. */
  drivers: ReadonlyMap<string, WorkerDriver>;
  /** How the node fares. */
  info: () => NodeInfo;
  log: Log;
}

interface Channel {
  message: Listeners<[unknown, number]>;
  session: Listeners<[number | null]>;
  drained: Listeners<[]>;
}

/** The node as a worker: its drivers, and the stream to whoever is master. */
export class WorkerRole {
  readonly permit: PermitHolder;
  readonly #options: WorkerRoleOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #link: WorkerLink;
  readonly #failed = Promise.withResolvers<never>();
  /** Ends the drivers. */
  readonly #stop = new AbortController();

  constructor(options: WorkerRoleOptions) {
    this.#options = options;
    this.#failed.promise.catch(() => undefined);
    this.permit = new PermitHolder(options.timings);
    for (const name of options.drivers.keys()) {
      const failed = (error: unknown) => this.#fail(name, error);
      const channel = {
        message: new Listeners<[unknown, number]>(failed),
        session: new Listeners<[number | null]>(failed),
      };
      this.#channels.set(name, { ...channel, drained: new Listeners<[]>(failed) });
    }
    this.#link = new WorkerLink({
      ...options,
      drivers: [...options.drivers.keys()],
      state: () => this.#state(),
      permit: this.permit,
      onSession: (term) => this.#tellAll(({ session }) => session.tell(term)),
      onDrained: () => this.#tellAll(({ drained }) => drained.tell()),
      onMessage: (driver, payload, term) => {
        const channel = this.#channels.get(driver);
        if (channel === undefined) options.log.debug({ driver }, 'message for a driver that is not here');
        else channel.message.tell(payload, term);
      },
    });
  }

  /** The highest term this process ever met. */
  get maxTerm(): number {
    return this.#link.maxTerm;
  }

  follow(master: MasterRecord | null): void {
    this.#link.follow(master);
  }

  hold(registration: Registration | null): void {
    this.permit.hold(registration);
  }

  /**
   * Works until the node drains (then its drivers get `drainMs` to hand over) or must stop now. The stream to the master
   * is closed after the drivers have stopped: its end tells that they have.
   *
   * @throws the error of a driver that failed
   */
  async run(signal: AbortSignal, draining: AbortSignal): Promise<void> {
    const { timings, drivers, log } = this.#options;
    const closeLink = new AbortController();
    const stop = () => this.#stop.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const stopped = Promise.all([...drivers].map(([name, driver]) => this.#drive(name, driver, draining)));
    const linked = this.#link.run(closeLink.signal);
    try {
      await Promise.race([aborted(AbortSignal.any([signal, draining])), this.#failed.promise]);
      if (!signal.aborted) {
        const why = errorMessage(draining.reason);
        this.#link.leave(why);
        const drained = settledWithin(stopped, timings.drainMs);
        const inTime = await Promise.race([drained, aborted(signal).then(() => null), this.#failed.promise]);
        if (inTime === false) log.warn({}, `the drivers did not hand over within ${timings.drainMs} ms`);
      }
    } finally {
      this.#stop.abort(signal.aborted ? signal.reason : new CodedError('ABORTED', 'the node stops'));
      if (!(await settledWithin(stopped, timings.driverStopMs))) {
        log.error({}, `a worker driver did not stop within ${timings.driverStopMs} ms`);
      }
      closeLink.abort();
      await linked;
      signal.removeEventListener('abort', stop);
    }
  }

  async #drive(name: string, driver: WorkerDriver, draining: AbortSignal): Promise<void> {
    try {
      await driver.run(this.#context(name, draining));
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#fail(name, error);
    }
  }

  #fail(name: string, error: unknown): void {
    const problem = `worker driver ${name} failed: ${errorMessage(error)}`;
    this.#failed.reject(new CodedError('INTERNAL', problem, { cause: error }));
  }

  #tellAll(tell: (channel: Channel) => void): void {
    for (const channel of this.#channels.values()) tell(channel);
  }

  #state(): Record<string, unknown> {
    const state: Record<string, unknown> = {};
    for (const [name, driver] of this.#options.drivers) {
      state[name] = this.#ask(name, () => driver.hello?.(), undefined);
    }
    return state;
  }

  /** Pieces of work, over all drivers. */
  running(): number {
    let running = 0;
    for (const [name, driver] of this.#options.drivers) running += this.#ask(name, () => driver.running?.() ?? 0, 0);
    return running;
  }

  #ask<T>(name: string, question: () => T, otherwise: T): T {
    try {
      return question();
    } catch (error) {
      this.#fail(name, error);
      return otherwise;
    }
  }

  #context(name: string, draining: AbortSignal): WorkerContext {
    const { node, log } = this.#options;
    const { message, session, drained } = this.#channels.get(name)!;
    return {
      get node() {
        return node();
      },
      log: log.child({ driver: name }),
      signal: this.#stop.signal,
      draining,
      permit: this.permit,
      onMessage: (listener) => message.add(listener),
      onSession: (listener) => session.add(listener),
      send: (payload) => this.#link.send(name, payload),
      onDrained: (listener) => drained.add(listener),
    };
  }
}
