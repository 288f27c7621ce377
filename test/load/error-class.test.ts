import { describe, expect, test } from 'vitest';
import { classify, classifyStreamEnd, type Phase } from '../../src/load/error-class.ts';

/** As Node makes them; the other classes are tested where they happen: client-faults, client-tls, connector. */
function systemError(code: string, message: string, fields: object = {}): Error {
  return Object.assign(new Error(message), { code, ...fields });
}

describe('classify', () => {
  test.each([
    ['connect', 'EADDRNOTAVAIL', 'ports-exhausted'],
    ['dns', 'EMFILE', 'descriptors-exhausted'],
    ['connect', 'ENFILE', 'descriptors-exhausted'],
    ['connect', 'ETIMEDOUT', 'connect-timeout'],
    ['connect', 'EHOSTUNREACH', 'connect'],
    ['connect', 'ENETUNREACH', 'connect'],
    ['connect', 'ECONNRESET', 'connect'],
    ['dns', 'EAI_AGAIN', 'dns'],
    ['tls', 'CERT_HAS_EXPIRED', 'tls'],
    ['exchange', 'EPIPE', 'reset'],
    ['exchange', 'ECONNABORTED', 'reset'],
    ['exchange', 'EPROTO', 'tls'],
    ['exchange', 'ERR_HTTP2_ERROR', 'protocol'],
    ['exchange', 'ETIMEDOUT', 'other'],
  ] as const)('%s, %s: %s', (phase, code, errorClass) => {
    expect(classify(systemError(code, 'words'), phase)).toEqual({ errorClass, message: 'words' });
  });

  test("a TLS 1.3 alert that comes after the handshake is tls, in OpenSSL's own words", () => {
    const error = systemError(
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      'C0F1B5A2D07F0000:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:../ssl/record.c:1584:\n',
      { library: 'SSL routines', reason: 'tlsv13 alert certificate required' },
    );
    expect(classify(error, 'exchange')).toEqual({ errorClass: 'tls', message: 'tlsv13 alert certificate required' });
  });

  test.each([
    [1, 'protocol', 'the stream ended with PROTOCOL_ERROR'],
    [7, 'reset', 'the stream was reset: REFUSED_STREAM'],
    [99, 'reset', 'the stream was reset: code 99'],
  ])('a stream of HTTP/2 that ends with code %i is %s', (code, errorClass, message) => {
    expect(classifyStreamEnd(code)).toEqual({ errorClass, message });
  });

  test('the local port is not in the message: it is another one each time', () => {
    const error = systemError('EADDRNOTAVAIL', 'connect EADDRNOTAVAIL 10.0.0.1:80 - Local (0.0.0.0:45123)');
    expect(classify(error, 'connect').message).toBe('connect EADDRNOTAVAIL 10.0.0.1:80');
  });

  test.each([
    [['ECONNREFUSED', 'ENETUNREACH'], 'connect-refused'],
    [['EADDRNOTAVAIL', 'ECONNREFUSED'], 'connect-refused'],
    [['ENETUNREACH', 'EMFILE'], 'descriptors-exhausted'],
    [['ECONNREFUSED', 'ETIMEDOUT'], 'connect-timeout'],
    [['ENETUNREACH', 'ENETUNREACH'], 'connect'],
  ] as const)('of several addresses (%s) the one within reach counts: %s', (codes, errorClass) => {
    const error = Object.assign(new AggregateError(codes.map((code) => systemError(code, code))), { code: codes[0] });
    expect(classify(error, 'connect').errorClass).toBe(errorClass);
  });

  test('a message is one line of at most 200 characters', () => {
    expect(classify(new Error(`first\nsecond`), 'exchange').message).toBe('first');
    expect(classify(new Error('x'.repeat(1000)), 'exchange').message).toHaveLength(200);
    expect(classify(systemError('ECODE', ''), 'exchange').message).toBe('ECODE');
  });

  test.each(['dns', 'connect', 'tls', 'exchange'] satisfies Phase[])('anything thrown has a class: %s', (phase) => {
    expect(classify('just text', phase)).toMatchObject({ message: 'just text' });
    expect(classify(new AggregateError([]), phase).errorClass).toBeDefined();
  });
});
