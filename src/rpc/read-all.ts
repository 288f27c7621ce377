import { CodedError } from '../lib/errors.ts';

/**
 * Reads the fields of a request, each by a function of its own.
 *
 * @returns what they return
 * @throws CodedError INVALID_INPUT with what is wrong with any of them, in their order
 */
export function readAll<T extends readonly unknown[]>(...readers: { [K in keyof T]: () => T[K] }): T {
  const problems: string[] = [];
  const values = readers.map((read) => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof CodedError) || error.code !== 'INVALID_INPUT') throw error;
      problems.push(...error.problems);
      return undefined;
    }
  });
  if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
  return values as unknown as T;
}
