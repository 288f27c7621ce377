import { nowMs } from '../lib/clock.ts';
import { systemReason } from '../lib/errors.ts';
import { formatBytes } from '../lib/format.ts';
import type { Log } from '../lib/log.ts';
import type { Results } from './results.ts';
import { SpillFull, type Spill } from './spill.ts';

/** What is not acknowledged for this long is written to disk. */
const SPILL_AFTER_MS = 5_000;
/** What is written at once. */
const MAX_WRITE_BYTES = 1024 * 1024;
/** After a write that failed. */
const RETRY_MS = 1_000;
/** Results in memory: with more than this there is no room until half of them are gone. */
const MAX_MEMORY_BYTES = 64 * 1024 * 1024;
/** What was counted must be kept even without room; with more than this in memory no load is carried on. */
const LAST_MEMORY_BYTES = 2 * MAX_MEMORY_BYTES;

export interface RoomOptions {
  /** null: there is memory only. */
  spill: Spill | null;
  log: Log;
  maxMemoryBytes?: number;
}

/** Where results wait for a master: in memory, and on disk once they are old. */
export class Room {
  readonly #options: RoomOptions;
  readonly #maxMemoryBytes: number;
  #memoryBytes = 0;
  #writing: Promise<void> | null = null;
  #retryAtMs = -Infinity;
  /** Why the disk took no more; null: it does. */
  #diskProblem: string | null = null;
  #full: string | null = null;

  constructor(options: RoomOptions) {
    this.#options = options;
    this.#maxMemoryBytes = options.maxMemoryBytes ?? MAX_MEMORY_BYTES;
  }

  /** Why there is no room for more results; null: there is. */
  get full(): string | null {
    return this.#full;
  }

  /** Not even what is counted can be kept for long. */
  get isExhausted(): boolean {
    return this.#memoryBytes > LAST_MEMORY_BYTES;
  }

  /** To be called again and again: writes what is due, and sees whether there is room. @param all cheap to go through again */
  look(all: Iterable<Results>): void {
    const { spill } = this.#options;
    if (spill !== null && this.#writing === null && nowMs() >= this.#retryAtMs) {
      this.#writing = this.#write(spill, all, nowMs() - SPILL_AFTER_MS).finally(() => (this.#writing = null));
    }
    this.#memoryBytes = 0;
    for (const { memoryBytes } of all) this.#memoryBytes += memoryBytes;
    this.#full = this.#whyFull();
  }

  /** Writes all that is not acknowledged, as far as there is room: the process ends. */
  async rescue(all: Iterable<Results>): Promise<void> {
    const { spill } = this.#options;
    await this.#writing;
    if (spill !== null) await this.#write(spill, all, Infinity);
  }

  #whyFull(): string | null {
    const most = this.#full === null ? this.#maxMemoryBytes : this.#maxMemoryBytes / 2;
    if (this.#memoryBytes > most) return `${formatBytes(this.#memoryBytes)} wait in memory`;
    return this.#diskProblem;
  }

  async #write(spill: Spill, all: Iterable<Results>, beforeMs: number): Promise<void> {
    for (;;) {
      const due = this.#due(all, beforeMs);
      // After it was full, a part of it is to be free before it counts as having room.
      const isTight = this.#diskProblem !== null && spill.bytes > spill.maxBytes / 2;
      if (due.length === 0) {
        if (!isTight) this.#diskProblem = null;
        return;
      }
      try {
        const places = await spill.append(due.map(({ frame }) => frame));
        for (const [i, place] of places.entries()) due[i]!.written(place);
        if (!isTight) this.#diskProblem = null;
      } catch (error) {
        this.#failed(error);
        return;
      }
    }
  }

  #due(all: Iterable<Results>, beforeMs: number): ReturnType<Results['toSpill']> {
    for (const results of all) {
      const due = results.toSpill(beforeMs, MAX_WRITE_BYTES);
      if (due.length > 0) return due;
    }
    return [];
  }

  #failed(error: unknown): void {
    const problem = error instanceof SpillFull ? error.message : `the disk takes no more: ${systemReason(error)}`;
    if (problem !== this.#diskProblem) this.#options.log.warn({ error: problem }, 'results are not written to disk');
    this.#diskProblem = problem;
    this.#retryAtMs = nowMs() + RETRY_MS;
  }
}
