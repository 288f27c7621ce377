import type { AssignmentKey, AssignmentRecord } from './ports.ts';

/** Names the samples of one assignment by one process of its node; `seq` counts within it. */
export interface SampleKey extends AssignmentKey {
  incarnation: number;
}

export function keyOf({ runId, assignment, incarnation }: SampleKey): string {
  return `${runId} ${assignment} ${incarnation}`;
}

/** Assignments of which something is wrong. */
const MAX_TOLD = 100;

interface Numbers {
  /** All up to this are stored. */
  upTo: number;
  /** Stored after a gap. */
  beyond: Set<number>;
  /** On their way to the store. */
  queued: Set<number>;
  finalSeq: number | null;
}

/** All that an assignment made is known and stored. */
export function isWhole(finalSeq: number | null, storedUpTo: number): boolean {
  return finalSeq !== null && storedUpTo >= finalSeq;
}

/** Which samples of a run are stored, by number. */
export class StoredRun {
  readonly #byKey = new Map<string, Numbers>();
  readonly #told = new Set<string>();
  readonly #assignments: Set<number>;

  constructor(
    runId: bigint,
    stored: readonly { assignment: number; incarnation: number; upTo: number }[],
    assignments: readonly AssignmentRecord[],
  ) {
    this.#assignments = new Set(assignments.map(({ number }) => number));
    for (const { upTo, ...key } of stored) this.#numbers({ runId, ...key }).upTo = upTo;
    for (const { number, incarnation, finalSeq } of assignments) {
      if (finalSeq !== null) this.#numbers({ runId, assignment: number, incarnation }).finalSeq = finalSeq;
    }
  }

  knows(assignment: number): boolean {
    return this.#assignments.has(assignment);
  }

  addAssignment(assignment: number): void {
    this.#assignments.add(assignment);
  }

  upTo(key: SampleKey): number {
    return this.#byKey.get(keyOf(key))?.upTo ?? 0;
  }

  /** How the assignment ended is stored, or it is no assignment: nothing more is expected of it. */
  isFinal(key: SampleKey): boolean {
    return !this.knows(key.assignment) || (this.#byKey.get(keyOf(key))?.finalSeq ?? null) !== null;
  }

  setFinal(key: SampleKey, finalSeq: number): void {
    this.#numbers(key).finalSeq = finalSeq;
  }

  judge(key: SampleKey & { seq: number }): 'new' | 'queued' | 'stored' | 'refused' {
    const { upTo, beyond, queued, finalSeq } = this.#numbers(key);
    if (key.seq <= upTo || beyond.has(key.seq)) return 'stored';
    if (queued.has(key.seq)) return 'queued';
    return key.seq < 1 || (finalSeq !== null && key.seq > finalSeq) ? 'refused' : 'new';
  }

  queued(key: SampleKey & { seq: number }): void {
    this.#numbers(key).queued.add(key.seq);
  }

  stored(key: SampleKey & { seq: number }): void {
    const numbers = this.#numbers(key);
    numbers.queued.delete(key.seq);
    if (key.seq > numbers.upTo) numbers.beyond.add(key.seq);
    while (numbers.beyond.delete(numbers.upTo + 1)) numbers.upTo += 1;
  }

  /** They will never be stored, and their worker need not keep them. */
  forgive(key: SampleKey, upTo: number): void {
    const numbers = this.#numbers(key);
    numbers.upTo = Math.max(numbers.upTo, upTo);
  }

  /** Whether nothing was said yet of what is wrong with its samples; from now on something is. */
  isFirstProblem(key: SampleKey): boolean {
    const name = keyOf(key);
    if (this.#told.has(name) || this.#told.size >= MAX_TOLD) return false;
    this.#told.add(name);
    return true;
  }

  #numbers(key: SampleKey): Numbers {
    const name = keyOf(key);
    let numbers = this.#byKey.get(name);
    if (numbers === undefined) {
      numbers = { upTo: 0, beyond: new Set(), queued: new Set(), finalSeq: null };
      this.#byKey.set(name, numbers);
    }
    return numbers;
  }
}
