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
  /** There is no such task, run or node. */
  | 'NOT_FOUND'
  /** The state of things does not allow it now: another run is active, the run has ended, it was changed meanwhile. */
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  /** Something that is needed does not answer: etcd, the database, the master. Trying again later may help. */
  | 'UNAVAILABLE'
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

/** What a user gave is wrong: what was expected, and what was found. */
export function invalid(message: string, cause?: unknown): CodedError {
  return new CodedError('INVALID_INPUT', message, cause === undefined ? {} : { cause });
}

/** The words for what a file or stream may fail with; anything else is told in the system's own words. */
const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  EPIPE: 'its reader has closed the pipe',
  ERR_STREAM_DESTROYED: 'it has failed before',
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file is too large',
  EIO: 'the device failed',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'no such file or folder',
  ENOTDIR: 'no such file or folder',
  EISDIR: 'it is a folder',
  EBADF: 'it is closed',
};

/** Why a file or stream could not be read or written, in a few words. */
export function systemReason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return SYSTEM_REASONS[code] ?? errorMessage(error);
}
