import type { Log } from '../lib/log.ts';
import { Backoff, pause } from '../lib/wait.ts';
import type { MasterRecord } from './ports.ts';
import { WorkerSession, type WorkerSessionOptions } from './worker-session.ts';

export type WorkerLinkOptions = Omit<WorkerSessionOptions, 'maxTerm' | 'leaving' | 'onWelcome'> & {
  /** A stream to the master of this term is open, or (null) has closed. */
  onSession: (term: number | null) => void;
  log: Log;
};

/** Keeps one stream open to whoever is master, as long as the node is a worker. */
export class WorkerLink {
  readonly #options: WorkerLinkOptions;
  readonly #backoff: Backoff;
  #master: MasterRecord | null = null;
  #maxTerm = 0;
  #leaving: string | null = null;
  #session: WorkerSession | null = null;
  /** Aborts when another master is to be dialled. */
  #changed = new AbortController();

  constructor(options: WorkerLinkOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.timings.retryMinMs, options.timings.retryMaxMs);
  }

  /** The highest term this process ever met. */
  get maxTerm(): number {
    return this.#maxTerm;
  }

  /** Who is master now, null: nobody. A record of an older term than one that was met is not believed. */
  follow(master: MasterRecord | null): void {
    if (master !== null && master.term < this.#maxTerm) return;
    const same = master?.term === this.#master?.term && master?.node.address === this.#master?.node.address;
    this.#master = master;
    if (same) return;
    if (master !== null) {
      this.#maxTerm = master.term;
      const { term } = this.#session ?? {};
      if (term !== undefined && term !== master.term) this.#session?.close(`term ${master.term} has begun`);
      this.#backoff.reset();
    }
    this.#changed.abort();
  }

  /** Tells this and every later master that the node leaves. */
  leave(why: string): void {
    this.#leaving ??= why;
    this.#session?.sayLeave(why);
  }

  /** @returns false: no master has welcomed us, or the link is full; the message was not taken */
  send(driver: string, payload: unknown): boolean {
    return this.#session?.send(driver, payload) ?? false;
  }

  /** Resolves soon after the signal aborts, its stream closed. */
  async run(signal: AbortSignal): Promise<void> {
    const { permit, timings } = this.#options;
    // Also between two masters: the lease goes on being renewed, and the permit with it.
    const refreshing = setInterval(() => permit.refresh(), timings.pingMs);
    const stop = () => {
      this.#session?.close('this node stops');
      this.#changed.abort();
    };
    signal.addEventListener('abort', stop, { once: true });
    while (!signal.aborted) {
      this.#changed = new AbortController();
      if (this.#master !== null) await this.#follow(this.#master);
      await pause(this.#master === null ? Infinity : this.#backoff.takeMs(), this.#changed.signal);
    }
    signal.removeEventListener('abort', stop);
    clearInterval(refreshing);
  }

  async #follow(master: MasterRecord): Promise<void> {
    const { onSession, log } = this.#options;
    const session = new WorkerSession(master, {
      ...this.#options,
      maxTerm: () => this.#maxTerm,
      leaving: () => this.#leaving,
      onWelcome: (term) => {
        this.#maxTerm = Math.max(this.#maxTerm, term);
        this.#backoff.reset();
        log.info({ master: master.node.nodeId, term }, 'connected to the master');
        onSession(term);
      },
    });
    this.#session = session;
    const how = await session.ended;
    this.#session = null;
    const fields = { master: master.node.nodeId, kind: how.kind, why: how.why };
    if (session.term === null) log.debug(fields, 'the master did not take us');
    else {
      log.info(fields, 'disconnected from the master');
      onSession(null);
    }
  }
}
