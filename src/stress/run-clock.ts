import { nowMs } from '../lib/clock.ts';
import type { RunRecord, TaskStore } from './ports.ts';

/**
 * From the assignment to the first hit: workers start their engines meanwhile, and then begin together. On an idle machine
 * that takes half a second, a whole one in a fresh process; what is due before an engine is ready is dropped.
 */
export const START_AFTER_MS = 1_500;

/**
 * How far a run is, by this process's clock. A master that takes a run up asks its workers, who know; the clocks of two
 * nodes are compared only when nobody is left to be asked.
 */
export class RunClock {
  /** Run time 0; null: not begun, or not known yet. */
  #zeroAtMs: number | null = null;
  /** Where it would be if nobody could be asked, on a clock like the one above; null: it had not begun. */
  readonly #guessAtMs: number | null;

  /** @param guessMs run time now as it seems; null: the run has not begun */
  constructor(guessMs: number | null) {
    this.#guessAtMs = guessMs === null ? null : nowMs() - guessMs;
  }

  /** Run time, ms; below 0: about to begin; null: not begun, or not known yet. */
  get elapsedMs(): number | null {
    return this.#zeroAtMs === null ? null : nowMs() - this.#zeroAtMs;
  }

  /** The same, or, before anybody has said it, as it seems. */
  get likelyMs(): number | null {
    const zeroAtMs = this.#zeroAtMs ?? this.#guessAtMs;
    return zeroAtMs === null ? null : nowMs() - zeroAtMs;
  }

  /** This master has begun it: run time now. @returns whether it is known only now */
  begun(elapsedMs: number): boolean {
    return this.#guessAtMs === null && this.#set(nowMs() - elapsedMs);
  }

  /** A worker said what run time it has now; the first word counts. @returns whether it is known only now */
  heard(elapsedMs: number): boolean {
    return this.#set(nowMs() - elapsedMs);
  }

  /** Nobody can say. @returns whether it is known only now */
  guess(): boolean {
    return this.#guessAtMs !== null && this.#set(this.#guessAtMs);
  }

  #set(zeroAtMs: number): boolean {
    if (this.#zeroAtMs !== null) return false;
    this.#zeroAtMs = zeroAtMs;
    return true;
  }
}

/** How far the run seems to be: by what is stored of it, or by the wall clocks of two masters. */
export async function guessOf(store: Pick<TaskStore, 'lastSecond'>, run: RunRecord): Promise<number | null> {
  if (run.plan === null) return null;
  const lastSecond = (await store.lastSecond(run.id)) ?? -1;
  return Math.max(0, wallElapsedMs(run), (lastSecond + 1) * 1000);
}

/** Run time by the wall clock of this node and of the one that began the run. */
export function wallElapsedMs({ startedWallMs }: RunRecord): number {
  return Date.now() - (startedWallMs ?? Date.now()) - START_AFTER_MS;
}
