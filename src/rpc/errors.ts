import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { CodedError, errorMessage, type ErrorCode } from '../lib/errors.ts';
import { plainReason } from '../lib/grpc-words.ts';
import { maskText } from '../lib/mask.ts';
import { loadProto } from './loader.ts';

/**
 * CodedError ↔ gRPC status. A status carries google.rpc.Status in `grpc-status-details-bin`: BadRequest with a violation for each
 * problem, and ErrorInfo with our own code.
 */

const CODES: Readonly<Record<ErrorCode, status>> = {
  USAGE: status.INVALID_ARGUMENT,
  INVALID_INPUT: status.INVALID_ARGUMENT,
  OUTPUT: status.INTERNAL,
  NOT_FOUND: status.NOT_FOUND,
  FAILED_PRECONDITION: status.FAILED_PRECONDITION,
  ABORTED: status.ABORTED,
  UNAVAILABLE: status.UNAVAILABLE,
  INTERNAL: status.INTERNAL,
};

const DOMAIN = 'gostress';
const DETAILS = 'grpc-status-details-bin';
const TYPE_URL = 'type.googleapis.com/';

/** They travel in headers, of which peers take some KiB. */
const MAX_MESSAGE_LENGTH = 2_000;
const MAX_DETAILS_BYTES = 4_000;

interface Any {
  type_url: string;
  value: Buffer;
}
interface Status {
  code: number;
  message: string;
  details: Any[];
}
interface BadRequest {
  fieldViolations: { field: string; description: string }[];
}
interface ErrorInfo {
  reason: string;
  domain: string;
  metadata: Record<string, string>;
}

const types = { ...loadProto('google/rpc/status.proto'), ...loadProto('google/rpc/error_details.proto') };
const statusType = types['google.rpc.Status'] as MessageTypeDefinition<Status, Status>;
const badRequestType = types['google.rpc.BadRequest'] as MessageTypeDefinition<BadRequest, BadRequest>;
const errorInfoType = types['google.rpc.ErrorInfo'] as MessageTypeDefinition<ErrorInfo, ErrorInfo>;

/** Of anything thrown; what is no CodedError is a defect of our own. */
export function toStatus(error: unknown): StatusObject {
  const coded = error instanceof CodedError ? error : new CodedError('INTERNAL', `own error: ${errorMessage(error)}`);
  const code = CODES[coded.code];
  const details = maskText(coded.message, []).toWellFormed();
  const message = details.length <= MAX_MESSAGE_LENGTH ? details : `${details.slice(0, MAX_MESSAGE_LENGTH)}…`;
  const metadata = new Metadata();
  const anys = [any('google.rpc.ErrorInfo', errorInfoType, { reason: coded.code, domain: DOMAIN, metadata: {} })];
  if (code === status.INVALID_ARGUMENT) {
    anys.unshift(any('google.rpc.BadRequest', badRequestType, { fieldViolations: violations(coded.problems) }));
  }
  metadata.set(
    DETAILS,
    statusType.serialize({ code, message: message.slice(0, MAX_MESSAGE_LENGTH / 2), details: anys }),
  );
  return { code, details: message, metadata };
}

function any<T>(name: string, type: MessageTypeDefinition<T, T>, message: T & object): Any {
  return { type_url: `${TYPE_URL}${name}`, value: type.serialize(message) };
}

/** Where a problem's line begins with the path of a field, e.g. `task.load.plan.stages[1].duration: `. */
const FIELD = /^([a-z_]+(?:\.[a-z_]+|\[(?:\d+|"[^"]*")\])*): ([^]*)$/;

/** As many as fit. */
function violations(problems: readonly string[]): BadRequest['fieldViolations'] {
  const list = problems.map((line) => {
    const [, field = '', description = line] = FIELD.exec(maskText(line, []).toWellFormed()) ?? [];
    return { field, description };
  });
  let bytes = 0;
  const fitting = list.filter(
    (one) => (bytes += Buffer.byteLength(one.field + one.description) + 10) < MAX_DETAILS_BYTES,
  );
  const left = list.length - fitting.length;
  return left === 0 ? fitting : [...fitting, { field: '', description: `and ${left} more problems` }];
}

const OWN_CODES: ReadonlySet<string> = new Set(Object.keys(CODES));

/** What a call to `address` has failed with. @param deadlineMs that the call had; null: none */
export function fromStatus(error: unknown, address: string, deadlineMs: number | null): CodedError {
  if (!isServiceError(error)) return new CodedError('INTERNAL', errorMessage(error), { cause: error });
  const details = readDetails(error.metadata);
  const code = details.info !== null && OWN_CODES.has(details.info.reason) ? (details.info.reason as ErrorCode) : null;
  const problems = details.violations.map(({ field, description }) =>
    field === '' ? description : `${field}: ${description}`,
  );
  if (code !== null) return new CodedError(code, problems.length > 0 ? problems : error.details, { cause: error });
  return new CodedError(...withoutDetails(error, address, deadlineMs), { cause: error });
}

/** Of statuses that gRPC itself makes, or another server. */
function withoutDetails(
  { code, details }: ServiceError,
  address: string,
  deadlineMs: number | null,
): [ErrorCode, string] {
  switch (code) {
    case status.DEADLINE_EXCEEDED:
      return ['UNAVAILABLE', `${address}: expected an answer within ${deadlineMs ?? '?'} ms, found none`];
    case status.UNAVAILABLE:
      return ['UNAVAILABLE', `cannot reach ${address}: ${plainReason(details)}`];
    case status.CANCELLED:
      return ['UNAVAILABLE', lost(address, details)];
    case status.INTERNAL:
      return details.startsWith(CUT_OFF) ? ['UNAVAILABLE', lost(address, details)] : ownFault(address, code, details);
    case status.UNIMPLEMENTED:
      return ['FAILED_PRECONDITION', `${address}: expected a node of GoStress of this version, found another server`];
    case status.RESOURCE_EXHAUSTED:
      return ['INVALID_INPUT', `${address}: the message is too large: ${details}`];
    case status.INVALID_ARGUMENT:
      return ['INVALID_INPUT', details];
    case status.NOT_FOUND:
    case status.FAILED_PRECONDITION:
    case status.ABORTED:
      return [status[code] as ErrorCode, details];
    default:
      return ownFault(address, code, details);
  }
}

/** How grpc-js begins what it says of a call whose connection the other side gave up; it takes it for an INTERNAL error. */
const CUT_OFF = 'Received RST_STREAM';

function lost(address: string, details: string): string {
  return `lost the connection to ${address}: ${details}`;
}

function ownFault(address: string, code: status, details: string): [ErrorCode, string] {
  return ['INTERNAL', `${address}: ${status[code]}: ${details}`];
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'metadata' in error;
}

function readDetails(metadata: Metadata): { violations: BadRequest['fieldViolations']; info: ErrorInfo | null } {
  const [bytes] = metadata.get(DETAILS);
  if (!Buffer.isBuffer(bytes)) return { violations: [], info: null };
  try {
    const { details } = statusType.deserialize(bytes);
    const of = (name: string): Any | undefined => details.find(({ type_url: url }) => url === `${TYPE_URL}${name}`);
    const [bad, info] = [of('google.rpc.BadRequest'), of('google.rpc.ErrorInfo')];
    return {
      violations: bad === undefined ? [] : badRequestType.deserialize(bad.value).fieldViolations,
      info: info === undefined ? null : errorInfoType.deserialize(info.value),
    };
  } catch {
    // Not of ours: the status says enough.
    return { violations: [], info: null };
  }
}
