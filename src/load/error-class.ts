import type { ErrorClass } from '../task/sample.ts';

/** How far a connection had come: what an error means depends on it. */
export type Phase = 'dns' | 'connect' | 'tls' | 'exchange';

export interface Failure {
  errorClass: ErrorClass;
  /** One line without secrets, local ports or measured values: distinct messages stay few. */
  message: string;
}

export const CLOSED: Failure = {
  errorClass: 'closed',
  message: 'the peer closed the connection before the answer was complete',
};

interface SystemError {
  name?: string;
  code?: unknown;
  syscall?: unknown;
  /** Only of OpenSSL's errors; then `reason` has its words, and `message` begins with a thread's number. */
  library?: unknown;
  reason?: unknown;
  message: string;
}

const MAX_MESSAGE_LENGTH = 200;

/** This machine's own limits mean the same in every phase. */
const LOCAL_LIMITS: Readonly<Record<string, ErrorClass>> = {
  EADDRNOTAVAIL: 'ports-exhausted',
  EMFILE: 'descriptors-exhausted',
  ENFILE: 'descriptors-exhausted',
};

/** Of an address that cannot be reached from here at all, e.g. an IPv6 one on a machine without IPv6. */
const UNREACHABLE: ReadonlySet<unknown> = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/** What undici says too briefly. */
const UNDICI_WORDS: Readonly<Record<string, string>> = {
  'other side closed': CLOSED.message,
  closed: 'the connection closed before the answer was complete',
  'bad response': 'the peer sent 100 Continue, which was not asked for',
  'bad upgrade': 'the peer sent 101 Switching Protocols, which was not asked for',
};

/**
 * Names what went wrong.
 * @param ended the peer had ended its side of the connection (FIN), and all that it had sent was parsed: what is
 *   missing then is missing because of that (`closed`), what does not fit before that breaks the rules (`protocol`)
 */
export function classify(error: unknown, phase: Phase, ended = false): Failure {
  const cause = telling(error);
  const code = typeof cause.code === 'string' ? cause.code : '';
  const errorClass = LOCAL_LIMITS[code] ?? CLASSIFIERS[phase](code, cause, ended);
  return { errorClass, message: describe(cause, code) };
}

/** Names of error codes, by their numbers (RFC 9113 section 7). */
const HTTP2_CODES =
  'NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR REFUSED_STREAM ' +
  'CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED';
/** Say that an answer broke the rules. node:http2 does not tell whether the peer or it itself has reset the stream. */
const HTTP2_PROTOCOL_CODES: ReadonlySet<string> = new Set([
  ...['PROTOCOL_ERROR', 'FLOW_CONTROL_ERROR', 'FRAME_SIZE_ERROR', 'COMPRESSION_ERROR'],
]);

/** The name of an error code of HTTP/2. */
export function http2CodeName(code: number): string {
  return HTTP2_CODES.split(' ')[code] ?? `code ${code}`;
}

/** Names what ended a stream of HTTP/2 that the answer was not complete on. */
export function classifyStreamEnd(code: number): Failure {
  const name = http2CodeName(code);
  if (HTTP2_PROTOCOL_CODES.has(name)) return { errorClass: 'protocol', message: `the stream ended with ${name}` };
  return { errorClass: 'reset', message: `the stream was reset: ${name}` };
}

const CLASSIFIERS: Record<Phase, (code: string, error: SystemError, ended: boolean) => ErrorClass> = {
  dns: () => 'dns',
  connect: (code) => {
    if (code === 'ECONNREFUSED') return 'connect-refused';
    return code === 'ETIMEDOUT' ? 'connect-timeout' : 'connect';
  },
  // Node gives a connection that ends in the handshake the code of a reset, but no system call.
  tls: (code, error) => (code === 'ECONNRESET' && error.syscall !== undefined ? 'reset' : 'tls'),
  exchange: classifyExchange,
};

function classifyExchange(code: string, error: SystemError, ended: boolean): ErrorClass {
  switch (code) {
    case 'ECONNRESET':
    case 'ECONNABORTED':
    case 'EPIPE':
      return 'reset';
    case 'UND_ERR_SOCKET':
      return error.message === 'bad response' || error.message === 'bad upgrade' ? 'protocol' : 'closed';
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return ended ? 'closed' : 'protocol';
    case 'UND_ERR_HEADERS_OVERFLOW':
    case 'ERR_HTTP2_ERROR':
    case 'ERR_ASSERTION':
      // nghttp2 met what the protocol does not allow. undici asserts what it takes for granted of an answer: a status of at least 100, for one.
      return 'protocol';
    case 'EPROTO':
      return 'tls';
  }
  if (error.name === 'HTTPParserError') return ended ? 'closed' : 'protocol';
  // A TLS 1.3 server refuses the client's certificate only after the handshake is over for the client.
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) return 'tls';
  return 'other';
}

/** The one error to report of several addresses tried in turn (RFC 8305): the last of an address within reach. */
function telling(error: unknown): SystemError {
  if (error instanceof AggregateError) {
    const errors = error.errors as SystemError[];
    return errors.findLast((e) => !UNREACHABLE.has(e.code)) ?? errors[0] ?? error;
  }
  return error instanceof Error ? error : { message: String(error) };
}

function describe(error: SystemError, code: string): string {
  if (code === 'UND_ERR_SOCKET') return UNDICI_WORDS[error.message] ?? error.message;
  if (code === 'ERR_ASSERTION') return 'the peer sent an answer that cannot be one';
  const text = error.library !== undefined && typeof error.reason === 'string' ? error.reason : error.message;
  const line = text.split('\n', 1)[0]!.replace(/ - Local \(.*\)$/, '');
  return (line === '' ? code : line).slice(0, MAX_MESSAGE_LENGTH);
}
