import { pause } from '../lib/wait.ts';

/**
 * Between a source that goes on and a reader that may be slow: holds at most `capacity` items. A source that is ahead waits a
 * moment for the reader; then the oldest item goes, and the next one that is read is told how many went before it.
 */
export class Coalescer<T> {
  readonly #capacity: number;
  readonly #patienceMs: number;
  readonly #items: T[] = [];
  #skipped = 0;
  #isEnded = false;
  #error: unknown = null;
  #wake = Promise.withResolvers<void>();

  constructor(capacity: number, patienceMs: number) {
    this.#capacity = capacity;
    this.#patienceMs = patienceMs;
  }

  /** @param counts whether losing this item is worth telling */
  async push(item: T, counts: (item: T) => boolean): Promise<void> {
    if (this.#items.length >= this.#capacity) await this.#waitForRoom();
    if (this.#items.length >= this.#capacity && counts(this.#items.shift()!)) this.#skipped++;
    this.#items.push(item);
    this.#changed();
  }

  /** No more comes. @param error what the reader gets after the last item; null: the end */
  end(error: unknown): void {
    this.#isEnded = true;
    this.#error = error;
    this.#changed();
  }

  async *read(): AsyncGenerator<{ item: T; skipped: number }> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        const skipped = this.#skipped;
        this.#skipped = 0;
        this.#changed();
        yield { item, skipped };
      } else if (!this.#isEnded) await this.#wake.promise;
      else if (this.#error === null) return;
      else throw this.#error as Error;
    }
  }

  async #waitForRoom(): Promise<void> {
    const over = new AbortController();
    const timeout = pause(this.#patienceMs, over.signal);
    const isFull = (): boolean => this.#items.length >= this.#capacity && !this.#isEnded;
    const woken = (): Promise<boolean> => this.#wake.promise.then(() => true);
    const isInTime = (): Promise<boolean> => Promise.race([woken(), timeout.then(() => false)]);
    while (isFull() && (await isInTime())) continue;
    over.abort();
  }

  #changed(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}
