import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../lib/clock.ts';
import { CodedError, errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { ER, errnoOf, isConnectionError, mysqlError } from './mysql-errors.ts';
import { MysqlSession } from './mysql-session.ts';
import type { Db } from './tables.ts';

export interface PoolOptions {
  /** Opens a connection, ready for use; rejects soon after the signal aborts. */
  open: (signal: AbortSignal) => Promise<MysqlSession>;
  maxSessions: number;
  maxWaiting: number;
  log: Log;
}

const DEADLOCK_ATTEMPTS = 4;

/**
 * Connections for calls with a deadline, which counts from the call: the wait for a connection is in it. A connection
 * whose call has timed out is destroyed, never handed out again: its statement may still be running.
 */
export class MysqlPool {
  readonly #options: PoolOptions;
  readonly #permits: Permits;
  readonly #closing = new AbortController();
  #idle: MysqlSession[] = [];

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#permits = new Permits(options.maxSessions, options.maxWaiting);
  }

  /**
   * @param what completes "MySQL cannot …"
   * @throws CodedError
   */
  async call<T>(what: string, deadlineMs: number, work: (db: Db) => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) throw new CodedError('UNAVAILABLE', `MySQL cannot ${what}: the store is closed`);
    const over = new AbortController();
    const late = () => {
      const text = `MySQL does not answer within ${deadlineMs / 1000} s: ${what}`;
      this.#options.log.warn({}, text);
      over.abort(new CodedError('UNAVAILABLE', text));
    };
    const timer = setTimeout(late, deadlineMs);
    const closed = () => over.abort(new CodedError('UNAVAILABLE', `MySQL cannot ${what}: the store was closed`));
    this.#closing.signal.addEventListener('abort', closed);
    try {
      return await this.#attempt(work, over.signal, nowMs() + deadlineMs);
    } catch (error) {
      throw over.signal.aborted ? (over.signal.reason as CodedError) : mysqlError(error, what);
    } finally {
      clearTimeout(timer);
      this.#closing.signal.removeEventListener('abort', closed);
    }
  }

  /** Cuts what is under way. */
  close(): void {
    this.#closing.abort();
    for (const session of this.#idle) session.end();
    this.#idle = [];
  }

  async #attempt<T>(work: (db: Db) => Promise<T>, signal: AbortSignal, untilMs: number): Promise<T> {
    await this.#permits.take(signal);
    try {
      for (let attempt = 1; ; attempt++) {
        const session = await this.#session(signal);
        try {
          return await this.#work(session, work, signal);
        } catch (error) {
          if (errnoOf(error) !== ER.LOCK_DEADLOCK || attempt === DEADLOCK_ATTEMPTS || signal.aborted) throw error;
        }
        await sleep(Math.min(Math.random() * 20 * attempt, Math.max(0, untilMs - nowMs())));
      }
    } finally {
      this.#permits.give();
    }
  }

  async #session(signal: AbortSignal): Promise<MysqlSession> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.isDead) return idle;
    }
    return this.#options.open(signal);
  }

  async #work<T>(session: MysqlSession, work: (db: Db) => Promise<T>, signal: AbortSignal): Promise<T> {
    const { promise: cut, reject } = Promise.withResolvers<never>();
    const onAbort = () => {
      session.destroy();
      // A server that does not answer one does not answer the others: do not let each of them cost a deadline.
      for (const idle of this.#idle) idle.destroy();
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort);
    try {
      if (signal.aborted) onAbort();
      return await Promise.race([work(session.db), cut]);
    } catch (error) {
      if (isConnectionError(error)) {
        session.destroy();
        this.#options.log.warn({ error: errorMessage(error) }, 'a connection to MySQL was lost');
      }
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      cut.catch(() => undefined);
      if (!session.isDead) this.#idle.push(session);
    }
  }
}

/** A counted right to a connection, given in the order of asking. */
class Permits {
  readonly #maxWaiting: number;
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(count: number, maxWaiting: number) {
    this.#free = count;
    this.#maxWaiting = maxWaiting;
  }

  /** Rejects with the signal's reason when it aborts. */
  async take(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    if (this.#waiting.size >= this.#maxWaiting) {
      throw new CodedError('UNAVAILABLE', `MySQL: expected at most ${this.#maxWaiting} calls waiting, found more`);
    }
    await new Promise<void>((resolve, reject) => {
      const stop = () => {
        this.#waiting.delete(go);
        reject(signal.reason as Error);
      };
      const go = () => {
        signal.removeEventListener('abort', stop);
        resolve();
      };
      signal.addEventListener('abort', stop);
      this.#waiting.add(go);
    });
  }

  give(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
