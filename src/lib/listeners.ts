/** Undoes an `add`; idempotent. Disposing is the same as `close`. */
export interface Listening extends Disposable {
  close(): void;
}

/**
 * Those who want to hear of something. A listener that throws does not keep the others from hearing: what it threw goes
 * to `onError`.
 */
export class Listeners<Args extends readonly unknown[]> {
  readonly #listeners = new Set<{ call: (...args: Args) => void }>();
  readonly #onError: (error: unknown) => void;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  add(call: (...args: Args) => void): Listening {
    const entry = { call };
    this.#listeners.add(entry);
    const close = () => void this.#listeners.delete(entry);
    return { close, [Symbol.dispose]: close };
  }

  /** Calls each that is there now; one that is removed meanwhile is not called. */
  tell(...args: Args): void {
    for (const entry of [...this.#listeners]) {
      if (!this.#listeners.has(entry)) continue;
      try {
        entry.call(...args);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
