import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseResponse } from '../support/parse-response.ts';

/** A whole response that no connection's end delimits, and what a parser must make of it. */
interface Whole {
  stream: string;
  status: number;
  body: string;
}

const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
const value = fc.string({
  unit: fc
    .integer({ min: 0x21, max: 0xff })
    .filter((c) => c !== 0x7f)
    .map((c) => String.fromCharCode(c)),
  maxLength: 20,
});
const FRAMING = /^(content-length|transfer-encoding|connection|content-encoding|keep-alive)$/i;
const headers = fc
  .array(
    fc.tuple(
      token.filter((name) => !FRAMING.test(name)),
      value,
    ),
    { maxLength: 5 },
  )
  .map((list) => list.map(([name, text]) => `${name}: ${text}\r\n`).join(''));
const body = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const status = fc.integer({ min: 200, max: 999 }).filter((code) => code !== 204 && code !== 304);

const sized: fc.Arbitrary<Whole> = fc.tuple(status, headers, body).map(([code, head, text]) => ({
  stream: `HTTP/1.1 ${code} X\r\n${head}Content-Length: ${text.length}\r\n\r\n${text}`,
  status: code,
  body: text,
}));
const chunkedOnes: fc.Arbitrary<Whole> = fc
  .tuple(status, headers, fc.array(body.filter((text) => text !== '')), headers)
  .map(([code, head, chunks, trailers]) => ({
    stream: `HTTP/1.1 ${code} X\r\n${head}Transfer-Encoding: chunked\r\n\r\n${chunks
      .map((text) => `${text.length.toString(16)};x=y\r\n${text}\r\n`)
      .join('')}0\r\n${trailers}\r\n`,
    status: code,
    body: chunks.join(''),
  }));
const bodiless: fc.Arbitrary<Whole> = fc.tuple(fc.constantFrom(204, 304), headers).map(([code, head]) => ({
  stream: `HTTP/1.1 ${code} X\r\n${head}\r\n`,
  status: code,
  body: '',
}));
const informational = fc.array(
  headers.map((head) => `HTTP/1.1 103 Early Hints\r\n${head}\r\n`),
  { maxLength: 2 },
);
const whole: fc.Arbitrary<Whole> = fc
  .tuple(informational, fc.oneof(sized, chunkedOnes, bodiless))
  .map(([before, of]) => ({ ...of, stream: before.join('') + of.stream }));

const cutsOf = (length: number, positions: readonly number[]): number[] =>
  positions.map((position) => position % (length + 1)).sort((a, b) => a - b);
const positions = fc.array(fc.nat(), { maxLength: 8 });

test('a response is framed exactly, however it is cut and whatever follows it', () => {
  fc.assert(
    fc.property(whole, whole, positions, ({ stream, status: code, body: text }, following, at) => {
      const bytes = Buffer.from(stream + following.stream, 'latin1');
      const parsed = parseResponse(bytes, cutsOf(bytes.length, at));
      expect(parsed).toMatchObject({ kind: 'complete', body: text, rest: following.stream.length, keepsAlive: true });
      expect(parsed.statuses.at(-1)).toBe(code);
      // What is left is the following response, whole.
      const rest = bytes.subarray(bytes.length - parsed.rest);
      expect(parseResponse(rest)).toMatchObject({ kind: 'complete', body: following.body, rest: 0 });
    }),
    { numRuns: 2000 },
  );
});

test('a response that is cut short is never complete', () => {
  fc.assert(
    fc.property(whole, fc.nat(), ({ stream }, at) => {
      const bytes = Buffer.from(stream, 'latin1');
      const short = bytes.subarray(0, at % bytes.length);
      expect(parseResponse(short).kind).toBe('incomplete');
    }),
    { numRuns: 2000 },
  );
});

const mutated = fc
  .tuple(whole, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }))
  .map(([{ stream }, changes]) => {
    const bytes = Buffer.from(stream, 'latin1');
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
    return bytes;
  });
const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
const started = noise.map((bytes) =>
  Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n'), bytes]),
);

test('whatever the bytes are, the parser neither throws nor stops, and the cuts change nothing', () => {
  fc.assert(
    fc.property(fc.oneof(mutated, noise, started), positions, (bytes, at) => {
      expect(parseResponse(bytes, cutsOf(bytes.length, at))).toEqual(parseResponse(bytes));
    }),
    { numRuns: 5000 },
  );
});
