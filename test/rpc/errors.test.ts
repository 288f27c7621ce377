import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { CodedError, type ErrorCode } from '../../src/lib/errors.ts';
import { fromStatus, toStatus } from '../../src/rpc/errors.ts';

function errorOf({ code, details, metadata }: Partial<StatusObject>): ServiceError {
  return Object.assign(new Error(details), { code: code!, details: details!, metadata: metadata ?? new Metadata() });
}

describe('an error that goes over the wire', () => {
  test.each<[ErrorCode, status]>([
    ['USAGE', status.INVALID_ARGUMENT],
    ['INVALID_INPUT', status.INVALID_ARGUMENT],
    ['NOT_FOUND', status.NOT_FOUND],
    ['FAILED_PRECONDITION', status.FAILED_PRECONDITION],
    ['ABORTED', status.ABORTED],
    ['UNAVAILABLE', status.UNAVAILABLE],
    ['INTERNAL', status.INTERNAL],
    ['OUTPUT', status.INTERNAL],
  ])('%s has a status of its own and comes back as it was', (code, expected) => {
    const sent = toStatus(new CodedError(code, ['a.b[0]: expected x, found y', 'more']));
    expect(sent.code).toBe(expected);
    const back = fromStatus(errorOf(sent), 'host:1', 10);
    expect(back.code).toBe(code);
    expect(back.message).toBe('a.b[0]: expected x, found y\nmore');
  });

  test('that is no CodedError is our own', () => {
    expect(toStatus(new TypeError('x is not a function'))).toMatchObject({
      code: status.INTERNAL,
      details: 'own error: x is not a function',
    });
  });

  test('is cut where it is too long for the headers, and says how many problems are left out', () => {
    const problems = Array.from({ length: 500 }, (_, i) => `slos[${i}]: ${'x'.repeat(100)}`);
    const sent = toStatus(new CodedError('INVALID_INPUT', problems));
    expect(Buffer.concat(sent.metadata.get('grpc-status-details-bin') as Buffer[]).length).toBeLessThan(8_000);
    expect(sent.details.length).toBeLessThanOrEqual(2_001);
    const back = fromStatus(errorOf(sent), 'host:1', 10);
    expect(back.problems.at(-1)).toBe(`and ${500 - (back.problems.length - 1)} more problems`);
  });
});

describe('a status of gRPC itself, or of another server', () => {
  test.each<[status, string, ErrorCode, string]>([
    [status.DEADLINE_EXCEEDED, '', 'UNAVAILABLE', 'host:1: expected an answer within 10 ms, found none'],
    [status.UNAVAILABLE, 'refused', 'UNAVAILABLE', 'cannot reach host:1: refused'],
    [status.CANCELLED, 'gone', 'UNAVAILABLE', 'lost the connection to host:1: gone'],
    [
      status.INTERNAL,
      'Received RST_STREAM with code 0',
      'UNAVAILABLE',
      'lost the connection to host:1: Received RST_STREAM with code 0',
    ],
    [status.INTERNAL, 'a bug', 'INTERNAL', 'host:1: INTERNAL: a bug'],
    [
      status.UNIMPLEMENTED,
      '',
      'FAILED_PRECONDITION',
      'host:1: expected a node of GoStress of this version, found another server',
    ],
    [status.RESOURCE_EXHAUSTED, '90 MB', 'INVALID_INPUT', 'host:1: the message is too large: 90 MB'],
    [status.NOT_FOUND, 'none', 'NOT_FOUND', 'none'],
    [status.PERMISSION_DENIED, 'no', 'INTERNAL', 'host:1: PERMISSION_DENIED: no'],
  ])('%i %j is %s', (code, details, expected, message) => {
    expect(fromStatus(errorOf({ code, details }), 'host:1', 10)).toMatchObject({ code: expected, message });
  });

  test('with details that nobody can read is told without them', () => {
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff]));
    expect(fromStatus(errorOf({ code: status.ABORTED, details: 'x', metadata }), 'host:1', 10).message).toBe('x');
  });
});
