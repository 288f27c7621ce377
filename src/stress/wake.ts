import { pause } from '../lib/wait.ts';

/** Something has changed: wakes whoever waits for it. */
export class Wake {
  #next = Promise.withResolvers<void>();
  #count = 0;

  /** Grows with each `tell`: who remembers it does not miss what happened before it waits. */
  get count(): number {
    return this.#count;
  }

  tell(): void {
    this.#count += 1;
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }

  /** Resolves when something was told after `seen`, the time has passed, or the signal aborted; never rejects. */
  async after(seen: number, ms: number, signal: AbortSignal): Promise<void> {
    if (this.#count !== seen) return;
    const over = new AbortController();
    const ended = AbortSignal.any([over.signal, signal]);
    await Promise.race([this.#next.promise, pause(ms, ended)]);
    over.abort();
  }
}
