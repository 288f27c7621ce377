import { CodedError, errorMessage } from '../lib/errors.ts';

/** Server error numbers, the same in MySQL and MariaDB. */
export const ER = {
  DBACCESS_DENIED: 1044,
  ACCESS_DENIED: 1045,
  DUP_ENTRY: 1062,
  BAD_DB: 1049,
  NO_SUCH_THREAD: 1094,
  NO_SUCH_TABLE: 1146,
  BAD_FIELD: 1054,
  DUP_FIELDNAME: 1060,
  NET_PACKET_TOO_LARGE: 1153,
  LOCK_WAIT_TIMEOUT: 1205,
  LOCK_DEADLOCK: 1213,
} as const;

/** Full, shutting down, read-only, too many connections, killed: not the fault of the statement. */
const PASSING = new Set([
  1021, 1030, 1037, 1040, 1041, 1053, 1077, 1114, 1203, 1226, 1290, 1317, 1836, 1927, 3024, 3169,
]);

/** The server's number of an error, or 0. */
export function errnoOf(error: unknown): number {
  return error instanceof Error && 'errno' in error ? Number(error.errno) || 0 : 0;
}

/** The connection is of no use any more: the client's side says so, or the server has killed it. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('fatal' in error && error.fatal === true) return true;
  const code = 'code' in error ? String(error.code) : '';
  return /^(PROTOCOL_|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_)/.test(code) || errnoOf(error) === 1927;
}

/** What a failed call is told as. CodedErrors of the work itself pass; what is not known is a defect. */
export function mysqlError(error: unknown, what: string): CodedError {
  if (error instanceof CodedError) return error;
  const said = errorMessage(error);
  const code = isUnavailable(error) ? 'UNAVAILABLE' : 'INTERNAL';
  return new CodedError(code, `MySQL cannot ${what}: ${said}${hintOf(errnoOf(error))}`, { cause: error });
}

function isUnavailable(error: unknown): boolean {
  const errno = errnoOf(error);
  return hintOf(errno) !== '' || PASSING.has(errno) || isConnectionError(error);
}

function hintOf(errno: number): string {
  switch (errno) {
    case ER.ACCESS_DENIED:
    case ER.DBACCESS_DENIED:
      return '; expected a user who may read and write the database: see the URL and GRANT';
    case ER.BAD_DB:
      return '; make it: CREATE DATABASE … CHARACTER SET utf8mb4';
    case ER.NO_SUCH_TABLE:
    case ER.BAD_FIELD:
      return '; run `gostress migrate` first';
    case ER.LOCK_WAIT_TIMEOUT:
      return ': another connection holds the row, see SHOW ENGINE INNODB STATUS';
    case ER.LOCK_DEADLOCK:
      return ' (again and again)';
    default:
      return '';
  }
}

/** @param limitBytes `max_allowed_packet` of the server */
export function packetTooLarge(bytes: number, limitBytes: number): CodedError {
  return new CodedError(
    'FAILED_PRECONDITION',
    `MySQL takes at most ${limitBytes} bytes at once, this needs about ${bytes}: ` +
      'raise max_allowed_packet of the server (SET GLOBAL max_allowed_packet = …, and its config file), or make the body smaller',
  );
}
