import { LONGEST_TIMER_MS } from './clock.ts';

/** Resolves after the time, or at once when the signal aborts; never rejects and leaves nothing behind. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, LONGEST_TIMER_MS));
    signal.addEventListener('abort', done);
  });
}

/** A function, because the compiler believes that a signal that was not aborted before an await is not after it. */
export function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** @returns whether the promise settled within the time; what it settled to is the caller's business */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const over = new AbortController();
  const settled = promise.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, pause(ms, over.signal).then(() => false)]);
  } finally {
    over.abort();
  }
}

/** Pauses that double from the first to the longest; of each, a random part between a half and the whole is taken. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  #nextMs: number;

  constructor(minMs: number, maxMs: number) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#nextMs = minMs;
  }

  /** It went well: the next pause is the shortest again. */
  reset(): void {
    this.#nextMs = this.#minMs;
  }

  takeMs(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(this.#maxMs, ms * 2);
    return ms * (0.5 + Math.random() / 2);
  }
}
