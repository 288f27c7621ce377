import type { NodeRef } from '../cluster/ports.ts';
import { nowMs } from '../lib/clock.ts';
import type { AssignmentKey, StressToWorker } from './ports.ts';

const STOP_AGAIN_MS = 3_000;
/** Its share may be another's by now: what is in flight is given up soon. */
const STRAY_GRACE_MS = 1_000;

interface Stray extends AssignmentKey {
  version: number;
  sentAtMs: number;
}

export interface StraysOptions {
  send: (to: NodeRef, message: StressToWorker) => boolean;
  permit: (to: NodeRef, granted: boolean) => void;
}

/**
 * Assignments that workers have and should not: of runs that are over, or whose share was given to others. Until such a
 * worker has stopped them it gets no permit, since it would load what others load.
 */
export class Strays {
  readonly #options: StraysOptions;
  readonly #byNode = new Map<string, { ref: NodeRef; strays: Map<string, Stray> }>();

  constructor(options: StraysOptions) {
    this.#options = options;
  }

  isWithheld(ref: NodeRef): boolean {
    return this.#byNode.has(nameOf(ref));
  }

  /** It opened a stream, and this is all it has that it should not. */
  hello(ref: NodeRef, strays: readonly (AssignmentKey & { version: number })[]): void {
    this.#byNode.delete(nameOf(ref));
    this.#options.permit(ref, strays.length === 0);
    for (const stray of strays) this.add(ref, stray);
  }

  /** Nothing is known of it yet. */
  withhold(ref: NodeRef): void {
    this.#of(ref);
    this.#options.permit(ref, false);
  }

  add(ref: NodeRef, { runId, assignment, version }: AssignmentKey & { version: number }): void {
    this.#options.permit(ref, false);
    this.#of(ref).strays.set(keyOf({ runId, assignment }), { runId, assignment, version, sentAtMs: -Infinity });
    this.stop();
  }

  /** It said that this has stopped, or that it does not know it. */
  stopped(ref: NodeRef, key: AssignmentKey): void {
    const node = this.#byNode.get(nameOf(ref));
    if (node?.strays.delete(keyOf(key)) !== true || node.strays.size > 0) return;
    this.#byNode.delete(nameOf(ref));
    this.#options.permit(ref, true);
  }

  /** Tells all to stop that were not told just now. */
  stop(): void {
    const atMs = nowMs();
    for (const { ref, strays } of this.#byNode.values()) {
      for (const stray of strays.values()) {
        if (atMs - stray.sentAtMs < STOP_AGAIN_MS) continue;
        const { runId, assignment, version } = stray;
        const why = 'its share is not its own any more';
        const message = { type: 'stop', runId, assignment, version, graceMs: STRAY_GRACE_MS, why } as const;
        if (this.#options.send(ref, message)) stray.sentAtMs = atMs;
      }
    }
  }

  /** The process is no more. */
  forget(ref: NodeRef): void {
    this.#byNode.delete(nameOf(ref));
  }

  #of(ref: NodeRef): { ref: NodeRef; strays: Map<string, Stray> } {
    const known = this.#byNode.get(nameOf(ref));
    if (known !== undefined) return known;
    const made = { ref, strays: new Map<string, Stray>() };
    this.#byNode.set(nameOf(ref), made);
    return made;
  }
}

function nameOf({ nodeId, incarnation }: NodeRef): string {
  return `${incarnation} ${nodeId}`;
}

function keyOf({ runId, assignment }: AssignmentKey): string {
  return `${runId} ${assignment}`;
}
