import { describe, expect, test } from 'vitest';
import { MAX_HEAD_BYTES } from '../../src/load/http1-head.ts';
import { parseResponse, type Parsed } from '../support/parse-response.ts';

const ok = 'HTTP/1.1 200 OK\r\n';
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;

/** The rules that a client must keep, each with its section of RFC 9112 (or of RFC 9110, where it says so). */
type Row = [rule: string, stream: string, expected: Partial<Parsed>];

const complete = (body: string, more: Partial<Parsed> = {}): Partial<Parsed> => ({ kind: 'complete', body, ...more });
const broken: Partial<Parsed> = { kind: 'broken' };
const incomplete: Partial<Parsed> = { kind: 'incomplete' };

const RULES: Row[] = [
  // 2.2 Message parsing
  ['2.2: header lines end with CRLF; a bare LF is refused', `HTTP/1.1 200 OK\nContent-Length: 0\n\n`, broken],
  ['2.2: a bare LF within the headers is refused', `${ok}A: b\nContent-Length: 0\r\n\r\n`, broken],
  ['2.2: a bare CR in a value is refused', `${ok}A: b\rc\r\nContent-Length: 0\r\n\r\n`, broken],
  ['2.2: a space between status line and first header is refused', `${ok} A: b\r\nContent-Length: 0\r\n\r\n`, broken],
  ['2.2: a tab there too', `${ok}\tA: b\r\nContent-Length: 0\r\n\r\n`, broken],
  // 2.3 HTTP version
  ['2.3: the name of the protocol is case-sensitive', 'http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', broken],
  ['2.3: another major version is refused', 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n', broken],
  [
    '9110 2.5: a higher minor version is read as 1.1',
    'HTTP/1.2 200 OK\r\nContent-Length: 1\r\n\r\nx',
    complete('x', { keepsAlive: true }),
  ],
  ['2.3: a version has two numbers of one digit', 'HTTP/1.11 200 OK\r\nContent-Length: 0\r\n\r\n', broken],
  // 4 Status line
  ['4: a status has three digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n', broken],
  ['4: not four', 'HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n', broken],
  ['4: and no letters', 'HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n', broken],
  ['9110 15: a status below 100 is none', 'HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n', broken],
  [
    '9110 15: an unknown class is passed on as it is',
    'HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n',
    complete('', { statuses: [999] }),
  ],
  ['4: one space between version and status', 'HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n', broken],
  ['4: the reason phrase may be empty', 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', complete('')],
  [
    '4: and is ignored',
    'HTTP/1.1 200 404 \xe9 Not\tFound\r\nContent-Length: 0\r\n\r\n',
    complete('', { statuses: [200] }),
  ],
  // 5 Field syntax
  ['5: names are case-insensitive', `${ok}cOnTeNt-LeNgTh: 1\r\n\r\nx`, complete('x')],
  ['5: spaces around a value are not of it', `${ok}Content-Length: \t 1 \t\r\n\r\nx`, complete('x')],
  ['5: a value needs no space before it, and may be empty', `${ok}A:\r\nContent-Length:1\r\n\r\nx`, complete('x')],
  ['5.1: no space between a name and its colon', `${ok}Content-Length : 1\r\n\r\nx`, broken],
  ['9110 5.1: a name is a token', `${ok}A(b): c\r\nContent-Length: 0\r\n\r\n`, broken],
  ['9110 5.1: and not empty', `${ok}: c\r\nContent-Length: 0\r\n\r\n`, broken],
  ['9110 5.5: NUL in a value is refused', `${ok}A: b\0\r\nContent-Length: 0\r\n\r\n`, broken],
  ['9110 5.5: bytes that are not ASCII are good', `${ok}A: \xe9\xff\r\nContent-Length: 0\r\n\r\n`, complete('')],
  ['5: a line without a colon is refused', `${ok}nothing\r\nContent-Length: 0\r\n\r\n`, broken],
  ['5.2: a folded line goes on with the value', `${ok}A: b\r\n c\r\n\td\r\nContent-Length: 1\r\n\r\nx`, complete('x')],
  ['5.2: also of a field that frames', `${ok}Content-Length:\r\n 1\r\n\r\nx`, complete('x')],
  ['5.2: whose parts a space separates', `${ok}Content-Length: 1\r\n 0\r\n\r\n0123456789`, broken],
  ['5.2: a fold may be of spaces alone', `${ok}Content-Length: 1\r\n \r\n\r\nx`, complete('x')],
  // 6.1 Transfer-Encoding
  [
    '6.1: names of codings are case-insensitive',
    `${ok}Transfer-Encoding: ChUnKeD\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
    complete('x'),
  ],
  [
    '6.1: with HTTP/1.0 the connection is closed after it',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    complete('x', { keepsAlive: false }),
  ],
  [
    '6.1: 204 has no body whatever it says',
    'HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n',
    complete('', { keepsAlive: true }),
  ],
  // 6.3 Message body length
  ['6.3 rule 1: 204 ends with its head', 'HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello', complete('', { rest: 5 })],
  ['6.3 rule 1: 304 too', 'HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n', complete('', { rest: 0, keepsAlive: true })],
  [
    '6.3 rule 1: and an informational one',
    `HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\n${ok}Content-Length: 1\r\n\r\nx`,
    complete('x', { statuses: [103, 200] }),
  ],
  [
    '6.3 rule 3: both lengths are an attack',
    `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    broken,
  ],
  ['6.3 rule 3: in either order', `${ok}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n`, broken],
  [
    '6.3 rule 4: chunked may be the last of several',
    `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
    complete('x'),
  ],
  [
    '6.3 rule 4: also in two headers',
    `${ok}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
    complete('x'),
  ],
  [
    '6.3 rule 4: when it is not the last, the close ends the body',
    `${ok}Transfer-Encoding: chunked, gzip\r\n\r\n1\r\nx`,
    complete('1\r\nx', { keepsAlive: false }),
  ],
  ['6.3 rule 4: so too without it', `${ok}Transfer-Encoding: gzip\r\n\r\nabc`, complete('abc', { keepsAlive: false })],
  ['6.3 rule 5: a length that is no number is refused', `${ok}Content-Length: five\r\n\r\nhello`, broken],
  ...['+5', '-5', '0x5', '5.0', '5 5', '', ',', '5,', '1e1'].map((value): Row => [
    `6.3 rule 5: so is ${JSON.stringify(value)}`,
    `${ok}Content-Length: ${value}\r\n\r\nhello`,
    broken,
  ]),
  ['6.3 rule 5: two different ones are refused', `${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, broken],
  ['6.3 rule 5: also in one header', `${ok}Content-Length: 5, 6\r\n\r\nhello`, broken],
  [
    '6.3 rule 5: the same one again is one',
    `${ok}Content-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello`,
    complete('hello'),
  ],
  ['9110 8.6: leading zeros are good', `${ok}Content-Length: 0005\r\n\r\nhello`, complete('hello')],
  ['9110 8.6: more than can be counted is refused', `${ok}Content-Length: 9007199254740993\r\n\r\nx`, broken],
  [
    '6.3 rule 6: the body is as long as it says, and no longer',
    `${ok}Content-Length: 5\r\n\r\nhelloHTTP/1.1`,
    complete('hello', { rest: 8 }),
  ],
  [
    '6.3 rule 8: without a length the close ends the body',
    `${ok}\r\nto the end`,
    complete('to the end', { keepsAlive: false }),
  ],
  ['6.3 rule 8: even an empty one', `${ok}Connection: keep-alive\r\n\r\n`, complete('', { keepsAlive: false })],
  // 7.1 Chunked
  [
    '7.1: sizes are hexadecimal, in either case',
    `${chunked}a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n`,
    complete('01234567890123456789', { keepsAlive: true }),
  ],
  ['7.1: leading zeros are good, the last chunk may have several', `${chunked}0001\r\nx\r\n000\r\n\r\n`, complete('x')],
  ['7.1: a size needs a digit', `${chunked}\r\nx\r\n0\r\n\r\n`, broken],
  ['7.1: and has no sign', `${chunked}+1\r\nx\r\n0\r\n\r\n`, broken],
  ['7.1: nor a prefix', `${chunked}0x1\r\nx\r\n0\r\n\r\n`, broken],
  ['7.1: a size that cannot be counted is refused', `${chunked}20000000000001\r\nx`, broken],
  ['7.1: a chunk ends with CRLF', `${chunked}1\r\nxy\r\n0\r\n\r\n`, broken],
  ['7.1: not with LF alone', `${chunked}1\r\nx\n0\r\n\r\n`, broken],
  ['7.1: a size line does not either', `${chunked}1\nx\r\n0\r\n\r\n`, broken],
  ['7.1.1: unknown extensions are ignored', `${chunked}1;a;b=c;d="e;f"\r\nx\r\n0;last\r\n\r\n`, complete('x')],
  ['7.1.1: spaces may stand before them', `${chunked}1 \t;a\r\nx\r\n0\r\n\r\n`, complete('x')],
  ['7.1.1: but nothing else', `${chunked}1 a\r\nx\r\n0\r\n\r\n`, broken],
  ['7.1.1: an extension has no LF in it', `${chunked}1;a\nx\r\n0\r\n\r\n`, broken],
  [
    '7.1.2: trailers are read and change nothing',
    `${chunked}1\r\nx\r\n0\r\nContent-Length: 9\r\nConnection: close\r\nA: b\r\n\r\n`,
    complete('x', { keepsAlive: true, rest: 0 }),
  ],
  ['7.1.2: and are headers by their form', `${chunked}1\r\nx\r\n0\r\nno colon\r\n\r\n`, broken],
  ['7: chunked has no parameters', `${ok}Transfer-Encoding: chunked;a=b\r\n\r\n1\r\nx\r\n0\r\n\r\n`, broken],
  // 8 Incomplete messages
  ['8: a close in the status line', 'HTTP/1.1 2', incomplete],
  ['8: in the headers', `${ok}Content-Length: 0\r\n`, incomplete],
  ['8: before the length is reached', `${ok}Content-Length: 5\r\n\r\nhell`, incomplete],
  ['8: in a chunk', `${chunked}5\r\nhel`, incomplete],
  ['8: before the last chunk', `${chunked}1\r\nx\r\n`, incomplete],
  ['8: in the trailers', `${chunked}1\r\nx\r\n0\r\nA: b\r\n`, incomplete],
  ['8: after an informational response', 'HTTP/1.1 103 X\r\n\r\n', incomplete],
  // 9.3 Persistence
  ['9.3: HTTP/1.1 is kept', `${ok}Content-Length: 0\r\n\r\n`, complete('', { keepsAlive: true })],
  [
    '9.3: unless it says close',
    `${ok}Connection: close\r\nContent-Length: 0\r\n\r\n`,
    complete('', { keepsAlive: false }),
  ],
  [
    '9.3: in whatever case, and among others',
    `${ok}Connection: x, CLOSE ,y\r\nContent-Length: 0\r\n\r\n`,
    complete('', { keepsAlive: false }),
  ],
  [
    '9.3: or in a second header',
    `${ok}Connection: keep-alive\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    complete('', { keepsAlive: false }),
  ],
  [
    '9.3: a longer word is another',
    `${ok}Connection: closed, not-close\r\nContent-Length: 0\r\n\r\n`,
    complete('', { keepsAlive: true }),
  ],
  ['9.3: HTTP/1.0 is not kept', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', complete('', { keepsAlive: false })],
  [
    '9.3: unless it says keep-alive',
    'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n',
    complete('', { keepsAlive: true }),
  ],
  [
    '9.3: and not close',
    'HTTP/1.0 200 OK\r\nConnection: Keep-Alive, close\r\nContent-Length: 0\r\n\r\n',
    complete('', { keepsAlive: false }),
  ],
  // 9110 15.2 Informational
  [
    '9110 15.2: informational responses come before the final one',
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: a\r\n\r\n${ok}Content-Length: 1\r\n\r\nx`,
    complete('x', { statuses: [100, 103, 200] }),
  ],
  [
    '9110 15.2: their headers are not those of the final one',
    `HTTP/1.1 103 X\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${ok}Content-Length: 1\r\n\r\nx`,
    complete('x', { keepsAlive: true }),
  ],
  ['9110 15.2.2: 101 that was not asked for is refused', 'HTTP/1.1 101 X\r\nUpgrade: y\r\n\r\n', broken],
];

describe('a response is read as RFC 9112 has it, cut anywhere', () => {
  test.each(RULES)('%s', (_rule, stream, expected) => {
    const bytes = Buffer.from(stream, 'latin1');
    const whole = parseResponse(bytes);
    expect(whole).toMatchObject(expected);
    for (let cut = 0; cut <= bytes.length; cut++) expect(parseResponse(bytes, [cut]), `cut at ${cut}`).toEqual(whole);
    const everywhere = Array.from(bytes, (_, i) => i);
    expect(parseResponse(bytes, everywhere), 'byte by byte').toEqual(whole);
  });

  test('6.3 rule 1: to HEAD there is no body, whatever the head says', () => {
    for (const head of ['Content-Length: 5', 'Transfer-Encoding: chunked', 'A: b']) {
      const parsed = parseResponse(Buffer.from(`${ok}${head}\r\n\r\n`), [], true);
      expect(parsed).toMatchObject({ kind: 'complete', body: '', keepsAlive: true });
    }
  });
});

describe('limits', () => {
  const long = 'x'.repeat(MAX_HEAD_BYTES);
  test.each([
    ['a header', `${ok}A: ${long}\r\n\r\n`],
    ['a name', `${ok}${long}: a\r\n\r\n`],
    ['a reason', `HTTP/1.1 200 ${long}\r\n\r\n`],
    ['a Connection', `${ok}Connection: ${long}\r\n\r\n`],
    ['many headers', `${ok}${'A: b\r\n'.repeat(MAX_HEAD_BYTES / 6)}\r\n`],
    ['many informational heads', 'HTTP/1.1 103 X\r\n\r\n'.repeat(MAX_HEAD_BYTES / 18 + 1)],
    ['the trailers', `${chunked}0\r\nA: ${long}\r\n\r\n`],
    ['a chunk extension', `${chunked}1;${long}\r\nx\r\n0\r\n\r\n`],
    ['a chunk size', `${chunked}${'0'.repeat(MAX_HEAD_BYTES)}1\r\nx\r\n0\r\n\r\n`],
  ])('%s of more than 64 KiB is refused', (_, stream) => {
    const bytes = Buffer.from(stream);
    expect(parseResponse(bytes)).toMatchObject({ kind: 'broken', problem: expect.stringContaining('65536') as string });
    const cuts = Array.from({ length: Math.floor(bytes.length / 1000) }, (_, i) => i * 1000);
    expect(parseResponse(bytes, cuts).kind).toBe('broken');
  });

  test('a head of just under 64 KiB is read, and many chunks are no matter', () => {
    const head = `${ok}A: ${'x'.repeat(MAX_HEAD_BYTES - 100)}\r\nContent-Length: 1\r\n\r\nx`;
    expect(parseResponse(Buffer.from(head))).toMatchObject({ kind: 'complete', body: 'x' });
    const chunks = `${chunked}${'1;extension\r\nx\r\n'.repeat(20_000)}0\r\n\r\n`;
    expect(parseResponse(Buffer.from(chunks))).toMatchObject({ kind: 'complete', body: 'x'.repeat(20_000) });
  });
});
