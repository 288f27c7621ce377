import { mergeSamples } from '../task/merge.ts';
import type { Sample } from '../task/sample.ts';
import { Wake } from './wake.ts';

/** A second is told when all have told theirs, or this long after its end. */
export const LATENESS_MS = 3_000;
/** Seconds that are kept for who watches; who is slower reads the store. */
const KEPT_SECONDS = 60;
/** So many parts of a second become one as they come: those of a thousand workers in one go would hold up everything else. */
const PARTS_AT_ONCE = 50;
/** What is said of a second so far ahead is not believed. */
const MAX_AHEAD_SECONDS = 60;

/**
 * The present seconds of a run, merged over its workers, for who watches. What is late is left out here; it is in the
 * store and in the report. Memory is bounded by KEPT_SECONDS.
 */
export class LiveRun {
  readonly wake = new Wake();
  readonly #parts = new Map<number, Sample[]>();
  /** The last second each assignment has told of. */
  readonly #told = new Map<number, number>();
  readonly #merged = new Map<number, Sample>();
  #firstSecond = Infinity;
  #nextSecond = Infinity;
  #ended = false;

  /** What is added before this is called is left out. @param firstSecond what was before it is in the store only */
  begin(firstSecond: number): void {
    this.#firstSecond = this.#nextSecond = firstSecond;
  }

  /** The first second that is not merged yet; all before it are here or in the store. Infinity: not begun. */
  get nextSecond(): number {
    return this.#nextSecond;
  }

  /** The first second that `get` may have. */
  get oldestSecond(): number {
    return Math.max(this.#firstSecond, this.#nextSecond - KEPT_SECONDS);
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Whether all of the seconds before this one have had time to be stored; those before `firstSecond` by another master. */
  isStoredBefore(second: number, elapsedMs: number): boolean {
    return elapsedMs >= second * 1000 + LATENESS_MS;
  }

  /** undefined: nothing happened in that second, or it is not kept any more. */
  get(second: number): Sample | undefined {
    return this.#merged.get(second);
  }

  add(assignment: number, sample: Sample): void {
    const { second } = sample;
    if (second < this.#nextSecond || second > this.#nextSecond + MAX_AHEAD_SECONDS || this.#ended) return;
    this.#told.set(assignment, Math.max(second, this.#told.get(assignment) ?? 0));
    const parts = this.#parts.get(second);
    if (parts === undefined) this.#parts.set(second, [sample]);
    else if (parts.push(sample) === PARTS_AT_ONCE) this.#parts.set(second, [mergeSamples(parts, second + 1)]);
  }

  /**
   * Merges what is ready.
   *
   * @param expected assignments that are loading
   */
  publish(expected: readonly number[], elapsedMs: number): void {
    const before = this.#nextSecond;
    while (this.#isReady(expected, elapsedMs)) this.#mergeNext();
    if (this.#nextSecond !== before) this.wake.tell();
  }

  /** Nothing more comes: merges all that is here. */
  end(): void {
    const last = Math.max(-1, ...this.#parts.keys());
    while (this.#nextSecond <= last) this.#mergeNext();
    this.#ended = true;
    this.wake.tell();
  }

  #isReady(expected: readonly number[], elapsedMs: number): boolean {
    const second = this.#nextSecond;
    if (elapsedMs >= (second + 1) * 1000 + LATENESS_MS) return true;
    return this.#parts.has(second) && expected.every((assignment) => (this.#told.get(assignment) ?? -1) >= second);
  }

  #mergeNext(): void {
    const second = this.#nextSecond++;
    const parts = this.#parts.get(second);
    this.#parts.delete(second);
    this.#merged.delete(second - KEPT_SECONDS);
    if (parts !== undefined) this.#merged.set(second, mergeSamples(parts, second + 1));
  }
}
