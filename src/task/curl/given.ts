import { CodedError } from '../../lib/errors.ts';
import type { ByteText } from './bytes.ts';

/** A value together with the option it came from, as the user wrote that. */
export interface Given {
  shown: string;
  value: ByteText;
}

/** Gathers the problems of a command, so that all are told at once. */
export class Problems {
  readonly list: string[];

  constructor(list: readonly string[]) {
    this.list = [...list];
  }

  /** What `read` returns; undefined when it threw, and its problems are in the list. */
  attempt<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.list.push(...error.problems);
      return undefined;
    }
  }

  /** @throws CodedError INVALID_INPUT when there are any */
  check(): void {
    if (this.list.length > 0) throw new CodedError('INVALID_INPUT', this.list);
  }
}

/** What `read` makes of each. @throws CodedError with the problems of all, each behind its option's name */
export function eachGiven<G extends Given, T>(list: readonly G[], read: (given: G) => T): T[] {
  const problems = new Problems([]);
  const results = list.map((given) => {
    const before = problems.list.length;
    const result = problems.attempt(() => read(given));
    for (let i = before; i < problems.list.length; i++) problems.list[i] = `${given.shown}: ${problems.list[i]!}`;
    return result;
  });
  problems.check();
  return results as T[];
}
