import { status, type ServiceError } from '@grpc/grpc-js';
import { CodedError } from '../lib/errors.ts';
import { plainReason } from '../lib/grpc-words.ts';
import { aborted, pause } from '../lib/wait.ts';
import type { StressApi } from '../stress/ports.ts';
import { Channel } from './channel.ts';
import { fromStatus, isServiceError } from './errors.ts';

/** The master as this node knows it. */
export interface MasterAddress {
  nodeId: string;
  /** `host:port` */
  address: string;
  term: number;
}

/** Where calls are answered: here, while this node is the master; else at the master's address. */
export interface Route {
  /** null: this node is not the master. */
  api: () => StressApi | null;
  /** null: none is known. */
  master: () => MasterAddress | null;
  /** Why a later master would not be known, e.g. `etcd does not answer`; null: it would be. */
  problem: () => string | null;
  nodeId: string;
}

/** How often a call under way looks whether its master still is the newest that is known. */
const LOOK_MS = 100;

/**
 * Forwards calls to the master. One connection, to the master of now. A call whose master is replaced meanwhile ends at once: the
 * old one may be frozen, and would be waited for in vain.
 */
export class Forwarder implements Disposable {
  readonly #route: Route;
  #channel: Channel | null = null;

  constructor(route: Route) {
    this.#route = route;
  }

  /** @param cameBy the node that forwarded the call to this one; null: a client's. @throws CodedError UNAVAILABLE, ServiceError of the master */
  async unary(path: string, request: Buffer, deadlineMs: number, cameBy: string | null): Promise<Buffer> {
    const { master, channel } = this.#connect(cameBy);
    using replaced = this.#whenReplaced(master);
    try {
      return await Promise.race([
        channel.unary(path, request, deadlineMs, this.#route.nodeId),
        failing(replaced.signal),
      ]);
    } catch (error) {
      throw this.#explain(error, master, deadlineMs);
    }
  }

  /** @throws CodedError UNAVAILABLE, ServiceError of the master */
  async *stream(path: string, request: Buffer, signal: AbortSignal, cameBy: string | null): AsyncGenerator<Buffer> {
    const { master, channel } = this.#connect(cameBy);
    using replaced = this.#whenReplaced(master);
    try {
      yield* until(channel.stream(path, request, signal, this.#route.nodeId), replaced.signal);
    } catch (error) {
      throw this.#explain(error, master, null);
    }
  }

  #connect(cameBy: string | null): { master: MasterAddress; channel: Channel } {
    const master = this.#route.master();
    const problem = this.#route.problem();
    if (master === null && problem !== null) throw unavailable(`no master is known now: ${problem}`);
    if (cameBy !== null) {
      const now = master === null ? 'none is elected now' : `that is ${describe(master)} as far as it knows`;
      throw unavailable(
        `node ${cameBy} takes node ${this.#route.nodeId} for the master; it is not, or not yet: ${now}`,
      );
    }
    if (master === null) throw unavailable('no master is elected now: try again in some seconds');
    if (this.#channel?.address !== master.address) {
      this.#channel?.close();
      this.#channel = new Channel(master.address);
    }
    return { master, channel: this.#channel };
  }

  /** A signal that aborts when a newer master than this one is known. */
  #whenReplaced(master: MasterAddress): Disposable & { signal: AbortSignal } {
    const controller = new AbortController();
    const timer = setInterval(() => {
      const newer = this.#route.master();
      if (newer === null || newer.term <= master.term) return;
      const found = `${describe(newer)} has replaced ${describe(master)} while this call was under way`;
      controller.abort(unavailable(`${found}: try again; whether the earlier one has done it is not known`));
    }, LOOK_MS);
    return { signal: controller.signal, [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** What gRPC itself says of a call to the master, in words; what the master says stays as it is. */
  #explain(error: unknown, master: MasterAddress, deadlineMs: number | null): unknown {
    if (!isServiceError(error) || error.metadata.get('grpc-status-details-bin').length > 0) return error;
    const why = lostWords(error, deadlineMs);
    if (why === null) return fromStatus(error, master.address, deadlineMs);
    const problem = this.#route.problem();
    const newer = problem === null ? '' : `; whether there is a newer one is not known: ${problem}`;
    return unavailable(`the master (${describe(master)}) ${why}${newer}`, error);
  }

  close(): void {
    this.#channel?.close();
    this.#channel = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function describe({ nodeId, address, term }: MasterAddress): string {
  return `node ${nodeId} at ${address}, term ${term}`;
}

/** null: the master was reached. */
function lostWords({ code, details }: ServiceError, deadlineMs: number | null): string | null {
  switch (code) {
    case status.DEADLINE_EXCEEDED:
      return `did not answer within ${deadlineMs ?? '?'} ms`;
    case status.UNAVAILABLE:
    case status.CANCELLED:
    case status.INTERNAL:
    case status.UNKNOWN:
      return `cannot be reached: ${plainReason(details)}`;
    default:
      return null;
  }
}

export function unavailable(message: string, cause?: unknown): CodedError {
  return new CodedError('UNAVAILABLE', message, cause === undefined ? {} : { cause });
}

/** @throws CodedError UNAVAILABLE when the work takes longer; it goes on unseen */
export async function within<T>(work: Promise<T>, deadlineMs: number, what: string): Promise<T> {
  const over = new AbortController();
  const late = pause(deadlineMs, over.signal).then(() => {
    const ms = Math.round(deadlineMs);
    throw unavailable(
      `${what}: expected an end within ${ms} ms; something it needs (the database, etcd) does not answer`,
    );
  });
  // When it is not late, that it was ended is no error.
  late.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
  }
}

/** Rejects with the signal's reason when it aborts. */
async function failing(signal: AbortSignal): Promise<never> {
  await aborted(signal);
  throw signal.reason as Error;
}

/** Reads until the signal aborts, even when the source does not notice it; then its reason is thrown. */
export async function* until<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  const end = aborted(signal).then(() => null);
  try {
    for (;;) {
      const next = signal.aborted ? null : await Promise.race([iterator.next(), end]);
      if (next === null) throw signal.reason as Error;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a generator that hangs would never answer.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
