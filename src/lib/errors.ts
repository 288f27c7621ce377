/**
 * Errors that a user can act on. They are caught once, at the border (CLI, later gRPC), and mapped there.
 * The message says what was expected and what was found.
 */
export type ErrorCode =
  /** The command line is wrong. */
  | 'USAGE'
  /** A task, file or value given by the user is wrong; `problems` has one line each. */
  | 'INVALID_INPUT'
  /** A report could not be written (closed pipe, full disk). */
  | 'OUTPUT'
  /** A defect of GoStress itself, or of the machine it runs on. */
  | 'INTERNAL';

export class CodedError extends Error {
  readonly code: ErrorCode;
  /** Every problem found, one line each: where, what was expected, what was found. At least one. */
  readonly problems: readonly string[];

  constructor(code: ErrorCode, problems: string | readonly string[], options?: { cause?: unknown }) {
    const list = typeof problems === 'string' ? [problems] : problems;
    super(list.join('\n'), options);
    this.name = 'CodedError';
    this.code = code;
    this.problems = list;
  }
}

/** The text of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
