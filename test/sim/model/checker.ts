/** What may happen to something, step by step, with no word on when. States are plain data. */
export interface Model<S> {
  initial: S;
  /** Every step that is possible now: a sentence, and the state after it. Must not change the state it is given. */
  steps(state: S): Iterable<Step<S>>;
  /** Which invariant is broken, as a sentence; null: none. */
  broken(state: S): string | null;
}

export type Step<S> = readonly [sentence: string, after: S];

export interface Found {
  /** Different states seen. */
  states: number;
  /** Steps on the way to the farthest of them. */
  depth: number;
  /** null: in no state that was seen. */
  violation: { text: string; trace: readonly string[] } | null;
}

/**
 * Looks at every state that can be reached, nearest first: the trace of a violation is as short as one can be.
 *
 * @throws RangeError when there are more states than `limit`
 */
export function explore<S>(model: Model<S>, limit = 2_000_000): Found {
  const seen = new Set<string>([JSON.stringify(model.initial)]);
  const parents: number[] = [-1];
  const sentences: string[] = [''];
  let depth = 0;
  let level: { state: S; at: number }[] = [{ state: model.initial, at: 0 }];
  const found = (violation: Found['violation']): Found => ({ states: seen.size, depth, violation });
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { state, at } of level) {
      const text = model.broken(state);
      if (text !== null) return found({ text, trace: traceTo(at, parents, sentences) });
      for (const [sentence, after] of model.steps(state)) {
        const key = JSON.stringify(after);
        if (seen.has(key)) continue;
        seen.add(key);
        if (seen.size > limit) throw new RangeError(`expected at most ${limit} states, found more`);
        next.push({ state: after, at: parents.push(at) - 1 });
        sentences.push(sentence);
      }
    }
    if (next.length > 0) depth += 1;
    level = next;
  }
  return found(null);
}

function traceTo(at: number, parents: readonly number[], sentences: readonly string[]): string[] {
  const trace: string[] = [];
  for (let i = at; i > 0; i = parents[i]!) trace.unshift(sentences[i]!);
  return trace;
}
