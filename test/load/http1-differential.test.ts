import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prepareRequest, requestBytes } from '../../src/load/request.ts';
import type { ClientName } from '../../src/task/spec.ts';
import { taskFor } from '../support/engine.ts';
import { probeFor, type Outcome } from '../support/exchange.ts';
import { parseResponse } from '../support/parse-response.ts';
import { startRawServer } from '../support/raw-server.ts';

const ok = 'HTTP/1.1 200 OK\r\n';

/** As servers have sent them. */
const RECORDED: Record<string, string> = {
  nginx:
    'HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 25 Nov 2025 10:00:00 GMT\r\nContent-Type: text/plain\r\n' +
    'Content-Length: 2\r\nConnection: keep-alive\r\n\r\nok',
  'nginx 404':
    'HTTP/1.1 404 Not Found\r\nServer: nginx/1.22.1\r\nDate: Tue, 25 Nov 2025 10:00:00 GMT\r\nContent-Type: text/html\r\n' +
    'Content-Length: 18\r\nConnection: close\r\n\r\n<html>none</html>\n',
  'node:http':
    'HTTP/1.1 200 OK\r\nDate: Tue, 25 Nov 2025 10:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n' +
    'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
  'python http.server':
    'HTTP/1.0 200 OK\r\nServer: SimpleHTTP/0.6 Python/3.11.2\r\nDate: Tue, 25 Nov 2025 10:00:00 GMT\r\n' +
    'Content-type: text/html; charset=utf-8\r\nContent-Length: 4\r\n\r\ndir\n',
  apache:
    'HTTP/1.1 304 Not Modified\r\nDate: Tue, 25 Nov 2025 10:00:00 GMT\r\nServer: Apache/2.4.57 (Debian)\r\n' +
    'Connection: Keep-Alive\r\nKeep-Alive: timeout=5, max=100\r\nETag: "a-b"\r\n\r\n',
};

const MADE: Record<string, string> = {
  'early hints': `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok}Content-Length: 2\r\n\r\nok`,
  'extensions and trailers': `${ok}Transfer-Encoding: chunked\r\n\r\n2;a="b"\r\nok\r\n0\r\nX: y\r\n\r\n`,
  'until the close': `${ok}Connection: close\r\n\r\nto the end`,
  'too long': `${ok}Content-Length: 2\r\n\r\nok, and more`,
  'two lengths': `${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok`,
  'length and chunks': `${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'no colon': `${ok}Content-Length: 2\r\nnothing\r\n\r\nok`,
  'a space before the colon': `${ok}Content-Length : 2\r\n\r\nok`,
  'a length with a sign': `${ok}Content-Length: +2\r\n\r\nok`,
  'a bad chunk size': `${ok}Transfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n`,
  'a bad chunk end': `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n`,
  'LF alone': 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok',
  'cut in the head': `${ok}Content-Le`,
  'cut in the body': `${ok}Content-Length: 9\r\n\r\nok`,
  'cut in a chunk': `${ok}Transfer-Encoding: chunked\r\n\r\n9\r\nok`,
  'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
};

interface Played {
  /** Answers, or classes of failures. */
  outcomes: Pick<Outcome, 'kind' | 'status' | 'bodyBytes' | 'body'>[];
  /** Made by the client. */
  /** That the client made. */
  connections: number;
}

interface Script {
  /** The stream comes in pieces that end at these positions. */
  cuts?: readonly number[];
  exchanges?: number;
  /** The server ends the connection after each answer. */
  ends?: boolean;
}

async function play(
  client: ClientName,
  stream: Buffer,
  { cuts = [], exchanges = 1, ends = true }: Script = {},
): Promise<Played> {
  await using server = await startRawServer({
    onRequest: ({ socket }) => {
      const positions = [...cuts, stream.length];
      const next = (from: number): void => {
        const to = positions.shift();
        if (to !== undefined && socket.writable) {
          socket.write(stream.subarray(from, to), () => setImmediate(() => next(to)));
        } else if (ends) {
          socket.end();
        }
      };
      next(0);
    },
  });
  await using probe = probeFor(taskFor(server.url, { client }));
  const outcomes: Outcome[] = [];
  for (let i = 0; i < exchanges; i++) outcomes.push(await probe.exchange());
  return {
    outcomes: outcomes.map(({ kind, status, bodyBytes, body }) => ({ kind, status, bodyBytes, body })),
    connections: probe.counts.connected,
  };
}

/** Plays it also without an end, when the response itself says that the connection goes on. */
async function expectSame(stream: Buffer, cuts: readonly number[]): Promise<void> {
  expect(await play('http1', stream, { cuts })).toEqual(await play('undici', stream));
  if (parseResponse(stream).keepsAlive !== true) return;
  const kept = { exchanges: 2, ends: false };
  expect(await play('http1', stream, { ...kept, cuts })).toEqual(await play('undici', stream, kept));
}

describe('http1 and undici make the same of an answer', () => {
  test.each(Object.entries({ ...RECORDED, ...MADE }))(
    '%s, cut at every byte',
    async (_name, text) => {
      const stream = Buffer.from(text, 'latin1');
      await expectSame(stream, []);
      const judged = await play('undici', stream);
      for (let cut = 1; cut < stream.length; cut++) {
        expect(await play('http1', stream, { cuts: [cut] }), `cut at ${cut}`).toEqual(judged);
      }
    },
    30_000,
  );

  test('except a folded line, which a client must read (RFC 9112 section 5.2), and undici does not', async () => {
    const stream = Buffer.from(`${ok}A: b\r\n c\r\nContent-Length: 2\r\n\r\nok`);
    expect((await play('undici', stream)).outcomes[0]!.kind).toBe('protocol');
    expect((await play('http1', stream)).outcomes[0]).toMatchObject({ kind: 'answered', body: 'ok' });
  });

  const generated = fc
    .record({
      version: fc.constantFrom('1.1', '1.0'),
      status: fc.constantFrom(200, 201, 204, 301, 304, 404, 503),
      framing: fc.constantFrom('length' as const, 'chunked' as const, 'close' as const),
      connection: fc.constantFrom('', 'Connection: close\r\n', 'Connection: keep-alive\r\n'),
      body: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      short: fc.nat({ max: 3 }),
      at: fc.array(fc.nat(), { maxLength: 3 }),
    })
    .map(({ version, status, framing, connection, body, short, at }) => {
      // After a response without a body that says it has one, undici closes the connection: here it says nothing.
      const hasBody = status !== 204 && status !== 304;
      const chunk = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`;
      const framed = {
        length: `Content-Length: ${body.length}\r\n\r\n${body}`,
        chunked: `Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`,
        close: `\r\n${body}`,
      };
      const frame = hasBody ? framed[framing] : '\r\n';
      const whole = Buffer.from(`HTTP/${version} ${status} X\r\n${connection}${frame}`, 'latin1');
      const stream = whole.subarray(0, whole.length - short);
      return { stream, cuts: at.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b) };
    });

  test('also of generated ones', async () => {
    await fc.assert(
      fc.asyncProperty(generated, async ({ stream, cuts }) => {
        await expectSame(stream, cuts);
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});

describe('http1 and undici send the same bytes', () => {
  const token = fc.stringMatching(/^[Xx]-[A-Za-z]{1,8}$/);
  const value = fc.stringMatching(/^[!-~\u00a1-\u00ff]{0,20}$/);
  const task = fc.record({
    method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY', 'PROPFIND', 'purge'),
    path: fc.constantFrom('', '/', '/a/../b', '/ü?q=é', '?x={y}', "/it's|fine"),
    user: fc.constantFrom('', 'us%40er:p@'),
    headers: fc.array(fc.record({ name: token, value }), { maxLength: 4 }),
    host: fc.boolean(),
    body: fc.option(fc.string({ maxLength: 50 }), { nil: undefined }),
    reuse: fc.boolean(),
  });

  test('whatever the request', async () => {
    await fc.assert(
      fc.asyncProperty(task, async ({ method, path, user, headers, host, body, reuse }) => {
        let received = Buffer.alloc(0);
        await using server = await startRawServer({
          onRequest: ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
          onConnection: (socket) =>
            void socket.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk]))),
        });
        const request = { method, headers: [...headers, ...(host ? [{ name: 'Host', value: 'shop.example' }] : [])] };
        const url = `${server.url.replace('//', `//${user}`)}${path}`;
        const prepared = taskFor(url, {
          client: 'undici',
          request,
          connections: { reuse },
          ...(body === undefined ? {} : { body }),
        });
        await using probe = probeFor(prepared);
        expect((await probe.exchange()).kind).toBe('answered');
        expect(requestBytes(prepareRequest(prepared)).toString('latin1')).toBe(received.toString('latin1'));
      }),
      { numRuns: 200 },
    );
  }, 30_000);
});
