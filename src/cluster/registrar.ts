import { CodedError, errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { aborted, Backoff, pause } from '../lib/wait.ts';
import type { Coordinator, NodeRecord, Probe, Registration } from './ports.ts';
import type { Timings } from './timings.ts';

export interface RegistrarOptions {
  coordinator: Coordinator;
  /** What the node says of itself; `seq` and `incarnation` are given by the coordinator. */
  node: Omit<NodeRecord, 'seq' | 'incarnation'>;
  timings: Timings;
  probe: Probe;
  /** Each time it changes; null: there is no lease now. */
  onRegistration: (registration: Registration | null) => void;
  log: Log;
}

/** Keeps the node's record in the coordinator: again, with growing pauses, whenever the lease is lost. */
export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #first = Promise.withResolvers<NodeRecord>();
  #node: NodeRecord;

  constructor(options: RegistrarOptions) {
    this.#options = options;
    this.#node = { ...options.node, seq: 0, incarnation: 0 };
  }

  /** The node with its seq and incarnation, when the coordinator has given them; for good, also past a lost lease. */
  get first(): Promise<NodeRecord> {
    return this.#first.promise;
  }

  get node(): NodeRecord {
    return this.#node;
  }

  /**
   * Resolves when the signal has aborted and the record is given back.
   *
   * @throws CodedError FAILED_PRECONDITION when another process has the id: one that lives elsewhere when this one starts, or
   * one that has taken it later, so that this one would never be of use again
   */
  async run(signal: AbortSignal): Promise<void> {
    const { timings, onRegistration, log } = this.#options;
    const backoff = new Backoff(timings.retryMinMs, timings.retryMaxMs);
    while (!signal.aborted) {
      const registration = await this.#register();
      if (registration === null) {
        await pause(backoff.takeMs(), signal);
        continue;
      }
      backoff.reset();
      this.#node = registration.node;
      onRegistration(registration);
      this.#first.resolve(registration.node);
      log.info({ incarnation: this.#node.incarnation, seq: this.#node.seq }, 'registered');
      await aborted(AbortSignal.any([signal, registration.signal]));
      onRegistration(null);
      if (registration.signal.aborted) log.warn({ why: errorMessage(registration.signal.reason) }, 'registration lost');
      await registration.release();
    }
  }

  async #register(): Promise<Registration | null> {
    const { coordinator, timings, log } = this.#options;
    try {
      if (this.#node.incarnation === 0) await this.#refuseTwin();
      return await coordinator.register(this.#node, timings.leaseTtlMs);
    } catch (error) {
      if (error instanceof CodedError && error.code === 'FAILED_PRECONDITION') throw error;
      const code = error instanceof CodedError ? error.code : 'INTERNAL';
      log.warn({ code, why: errorMessage(error) }, 'cannot register');
      return null;
    }
  }

  /**
   * An earlier process of this id that does not answer is replaced. One that lives is left alone: two that a supervisor starts anew
   * would take the id from each other for ever. At this node's own address nobody else can answer.
   */
  async #refuseTwin(): Promise<void> {
    const { coordinator, timings, probe } = this.#options;
    const { nodeId, address } = this.#node;
    const { nodes } = await coordinator.read();
    const twin = nodes.find((node) => node.nodeId === nodeId && node.address !== address);
    if (twin === undefined) return;
    const answer = await probe(twin.address, timings.sentinelProbeDeadlineMs).catch(() => null);
    if (answer?.nodeId !== nodeId || answer.incarnation !== twin.incarnation) return;
    throw new CodedError(
      'FAILED_PRECONDITION',
      `node ${nodeId}: expected an id that is free, found its process at ${twin.address} alive; stop that one, or give this one another id`,
    );
  }
}
