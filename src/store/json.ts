import { CodedError } from '../lib/errors.ts';

/** @throws CodedError INVALID_INPUT; the text itself, which may hold secrets, is not shown */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new CodedError('INVALID_INPUT', `expected JSON, found a text of ${text.length} characters that is not`, {
      cause: error,
    });
  }
}

/** What is wrong with a column, one line each. @param error what reading it threw. @throws what is not the row's fault */
export function columnProblems(column: string, error: unknown): string[] {
  if (error instanceof CodedError) return error.problems.map((problem) => `${column}: ${problem}`);
  throw error;
}
