/** What comes before a new master has read the runs: beyond this it is sent again, or asked for again. */
const MAX_ACTS = 10_000;
const MAX_BYTES = 64 * 1024 * 1024;

/** Keeps what comes too early for later. */
export class Early {
  #waiting: (() => void)[] | null = [];
  #bytes = 0;

  /** From now on things are done as they come. */
  get isOver(): boolean {
    return this.#waiting === null;
  }

  /** @param bytes that are kept for it */
  act(act: () => void, bytes = 0): void {
    if (this.#waiting === null) return act();
    if (this.#waiting.length >= MAX_ACTS || this.#bytes + bytes > MAX_BYTES) return;
    this.#bytes += bytes;
    this.#waiting.push(act);
  }

  end(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const act of waiting) act();
  }
}
