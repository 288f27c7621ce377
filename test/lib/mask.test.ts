import { describe, expect, it, test } from 'vitest';
import { isSecretName, maskHeaderValue, maskText, maskUrl } from '../../src/lib/mask.ts';
import { show } from '../../src/lib/show.ts';

describe('maskHeaderValue', () => {
  test.each([
    'Authorization',
    'proxy-authorization',
    'Cookie',
    'Set-Cookie',
    'X-Api-Key',
    'apikey',
    'api_key',
    'X-CSRF-Token',
    'Client-Secret',
    'X-Password',
  ])('hides the value of %s', (name) => {
    expect(isSecretName(name)).toBe(true);
    expect(maskHeaderValue(name, 'canary')).toBe('***');
  });

  test.each(['Accept', 'Content-Type', 'X-Request-Id', 'X-Cookies-Accepted', 'Keep'])(
    'shows the value of %s',
    (name) => {
      expect(maskHeaderValue(name, 'value')).toBe('value');
    },
  );
});

describe('maskUrl', () => {
  test.each([
    ['http://h/path?q=1', 'http://h/path?q=1'],
    ['http://user:canary@h:8080/a@b?c=d@e', 'http://***@h:8080/a@b?c=d@e'],
    ['http://canary@h/', 'http://***@h/'],
    ['http:canary:canary@h/', 'http:***@h/'],
    ['http://h/?a=1&access_token=canary&b=2', 'http://h/?a=1&access_token=***&b=2'],
    ['http://h/?apiKey=canary', 'http://h/?apiKey=***'],
    // Not URLs, but what people type when they mean one.
    ['user:canary@h/path', '***@h/path'],
    ['http://user:can/ary@h/', 'http://***@h/'],
    ['http://user:can#ary@h:x/', 'http://***@h:x/'],
    ['localhost:8080/x', 'localhost:8080/x'],
  ])('writes %s as %s', (url, masked) => {
    expect(maskUrl(url)).toBe(masked);
  });
});

describe('maskText', () => {
  it('hides each secret wherever it stands', () => {
    expect(maskText('got canary and canary, not bird', ['canary'])).toBe('got *** and ***, not bird');
  });

  it('hides a long secret whole when it contains a shorter one', () => {
    expect(maskText('x canary-long y', ['canary', 'canary-long'])).toBe('x *** y');
  });

  it('takes a secret as it is, not as a pattern', () => {
    expect(maskText('a.c* abcc $&$&', ['a.c*', '$&$&'])).toBe('*** abcc ***');
  });

  it('leaves secrets of fewer than four characters alone', () => {
    expect(maskText('a b c', ['a', ''])).toBe('a b c');
  });

  it('hides users and passwords of URLs in a text', () => {
    expect(maskText('cannot reach https://u:canary@h/x or ftp://canary@h', [])).toBe(
      'cannot reach https://***@h/x or ftp://***@h',
    );
  });

  it.each(['PRIVATE KEY', 'RSA PRIVATE KEY', 'ENCRYPTED PRIVATE KEY'])(
    'hides a PEM %s, and shows a certificate',
    (kind) => {
      const pem = `-----BEGIN ${kind}-----\ncanary\n-----END ${kind}-----`;
      const certificate = '-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----';
      expect(maskText(`a ${pem} b ${certificate}`, [])).toBe(`a *** b ${certificate}`);
    },
  );

  it('hides a private key that is cut off', () => {
    expect(maskText('a -----BEGIN PRIVATE KEY-----\ncanary', [])).toBe('a ***');
  });
});

describe('show', () => {
  test.each([
    [undefined, 'nothing'],
    [null, 'nothing'],
    ['', '""'],
    ['a "b"\n', String.raw`"a \"b\"\n"`],
    [5, '5'],
    [true, 'true'],
    [[1], 'a list'],
    [{ a: 1 }, 'a map'],
    ['http://u:canary@h', '"http://***@h"'],
    ['x'.repeat(61), `"${'x'.repeat(60)}…"`],
  ])('shows %j as %s', (value, text) => {
    expect(show(value)).toBe(text);
  });
});
