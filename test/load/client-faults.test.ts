import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { CLIENTS, HTTP1_CLIENTS, taskForClient } from '../support/engine.ts';
import { probeFor, type Probe } from '../support/exchange.ts';
import { startServerFor, type TestServerOptions } from '../support/http2-server.ts';
import {
  okResponse,
  startRawServer,
  type RawRequest,
  type RawServer,
  type ServerRequest,
} from '../support/raw-server.ts';

/** The invariant of the product: answered <= requests that the target saw <= written + redirects. */
function expectIdentity(probe: Probe, server: RawServer): void {
  const { answered, failed, written, redirected } = probe.counts;
  expect(answered + failed).toBe(probe.sends);
  expect(answered).toBeLessThanOrEqual(server.heads.length);
  expect(server.heads.length).toBeLessThanOrEqual(written + redirected);
}

/** What one connection answers to every request, and whether it ends then. */
function answering(text: string | Buffer, then: 'keep' | 'end' | 'reset' = 'keep') {
  return ({ socket }: RawRequest): void => {
    if (then === 'end') socket.end(text);
    else if (then === 'reset') socket.write(text, () => setImmediate(() => socket.resetAndDestroy()));
    else socket.write(text);
  };
}

const answerOk = (request: ServerRequest) => request.answer();

describe.each(CLIENTS)('%s', (client) => {
  const taskFor = taskForClient(client);
  const start = (options: TestServerOptions<ServerRequest>): Promise<RawServer> => startServerFor(client, options);

  describe('failed exchanges have their class', () => {
    test('messages are the same for each hit that fails the same way', async () => {
      await using server = await start({ onRequest: (request) => request.reset() });
      await using probe = probeFor(taskFor(server.url));
      for (let i = 0; i < 5; i++) await probe.exchange();
      expect(new Set(probe.outcomes.map((o) => o.message)).size).toBe(1);
    });
  });

  describe('no request is sent twice', () => {
    test('a kept connection that is reset while the next request is on its way', async () => {
      await using server = await start({
        onRequest: (request) => {
          if (request.request === 1) request.answer();
          else request.reset();
        },
      });
      await using probe = probeFor(taskFor(server.url));
      for (let i = 0; i < 10; i++) await probe.exchange();
      expect(probe.outcomes.map((o) => o.kind)).toEqual(Array(5).fill(['answered', 'reset']).flat());
      expect(server.heads).toHaveLength(10);
      expect(probe.counts).toMatchObject({ written: 10, connected: 5 });
    });

    test.each(['end', 'reset'] as const)(
      'a kept connection that the server ends (%s) just when the next is sent',
      async (how) => {
        await using server = await start({
          onRequest: (request) => {
            request.answer();
            setImmediate(() => (how === 'end' ? request.end() : request.reset()));
          },
        });
        await using probe = probeFor(taskFor(server.url));
        probe.onEvent = (event) => {
          if ((event === 'answered' || event === 'failed') && probe.sends < 200) probe.send();
        };
        probe.send();
        await probe.outcome(200);
        expectIdentity(probe, server);
        expect(probe.counts.answered).toBeGreaterThan(0);
        for (const { kind, events } of probe.outcomes) {
          expect(['answered', 'closed', 'reset']).toContain(kind);
          expect(events.filter((event) => event === 'written')).toHaveLength(1);
        }
      },
    );

    test('a target that is killed with requests in flight', async () => {
      const script =
        client === 'http2'
          ? `const server = require('node:http2').createServer((_, response) => response.end());`
          : `const server = require('node:net').createServer((s) => s.on('data', () => s.write('HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')));`;
      const listen = `server.listen(0, '127.0.0.1', () => process.stdout.write(String(server.address().port)));`;
      const child = spawn(process.execPath, ['-e', `${script} ${listen}`], { stdio: ['ignore', 'pipe', 'inherit'] });
      const [port] = (await once(child.stdout, 'data')) as [Buffer];
      await using probe = probeFor(taskFor(`http://127.0.0.1:${port.toString()}`));
      probe.onEvent = (event) => {
        if (probe.counts.answered === 100) child.kill('SIGKILL');
        if (event === 'answered' || (event === 'failed' && probe.counts.failed < 3)) probe.send();
      };
      probe.send();
      await probe.until(() => probe.counts.failed === 3);
      expect(['reset', 'closed', 'connect-refused']).toContain(probe.outcomes.at(-3)!.kind);
      expect(probe.outcomes.at(-1)!.kind).toBe('connect-refused');
      expect(probe.counts.written).toBeLessThanOrEqual(probe.counts.answered + 2);
      expect(probe.counts.answered).toBeGreaterThanOrEqual(100);
    });
  });

  describe('abort', () => {
    test('ends a stalled exchange before it returns, and its late answer reaches nobody', async () => {
      const requests: ServerRequest[] = [];
      await using server = await start({ onRequest: (request) => void requests.push(request) });
      await using probe = probeFor(taskFor(server.url));
      probe.send();
      await expect.poll(() => requests.length).toBe(1);
      probe.connection.abort('response-timeout', 'no answer within 1 s');
      expect(probe.outcomes).toEqual([
        expect.objectContaining({ kind: 'response-timeout', message: 'no answer within 1 s' }),
      ]);
      requests[0]!.answer('late');
      probe.send();
      await expect.poll(() => requests.length).toBe(2);
      requests[1]!.answer('in time');
      expect(await probe.outcome(2)).toMatchObject({ kind: 'answered', body: 'in time' });
      expect(server.connections).toBe(client === 'http2' ? 1 : 2);
      expectIdentity(probe, server);
    });

    test('a second abort, and one without an exchange, do nothing', async () => {
      await using server = await start({ onRequest: () => undefined });
      await using probe = probeFor(taskFor(server.url));
      probe.connection.abort('aborted', 'nothing to abort');
      probe.send();
      probe.connection.abort('aborted', 'one');
      probe.connection.abort('aborted', 'two');
      expect(probe.outcomes.map((o) => o.message)).toEqual(['one']);
    });

    test('right after send, the request is never written', async () => {
      await using server = await start({ onRequest: answerOk });
      await using probe = probeFor(taskFor(server.url));
      for (let i = 0; i < 10; i++) {
        probe.send();
        probe.connection.abort('aborted', 'at once');
      }
      expect(await probe.exchange()).toMatchObject({ kind: 'answered' });
      expect(probe.counts).toMatchObject({ written: 1, connected: 1, answered: 1, failed: 10 });
      expect(server.heads).toHaveLength(1);
    });

    test.each(['connected', 'written', 'head 200'])('from within %s', async (at) => {
      await using server = await start({ onRequest: answerOk });
      await using probe = probeFor(taskFor(server.url, { connections: { reuse: false } }));
      probe.onEvent = (event) => {
        if (event === at && probe.sends % 2 === 1) probe.connection.abort('total-timeout', 'now');
      };
      for (let i = 0; i < 6; i++) await probe.exchange();
      expect(probe.outcomes.map((o) => o.kind)).toEqual(Array(3).fill(['total-timeout', 'answered']).flat());
      if (at === 'connected') expect(probe.counts.written).toBe(3);
      expectIdentity(probe, server);
    });

    test('in the middle of a body, with the next exchange sent at once', async () => {
      await using server = await start({
        onRequest: (request) => {
          if (server.heads.length === 1) request.answerInPart('some');
          else request.answer();
        },
      });
      await using probe = probeFor(taskFor(server.url));
      probe.onEvent = (event) => {
        if (event === 'failed') probe.send();
      };
      probe.send();
      await probe.until(() => probe.counts.written === 1);
      await probe.until(() => probe.events.includes('head 200'));
      probe.connection.abort('total-timeout', 'too long');
      expect(await probe.outcome(2)).toMatchObject({ kind: 'answered', body: 'ok' });
      expect(probe.outcomes[0]!.kind).toBe('total-timeout');
    });
  });

  describe('a kept body', () => {
    const text = 'the quick brown fox '.repeat(50);

    const encoded = (coding: string, bytes: Buffer) => (request: ServerRequest) =>
      request.answer(bytes, { headers: { 'Content-Encoding': coding } });

    test.each([
      ['gzip', gzipSync(text)],
      ['X-GZIP', gzipSync(text)],
      ['deflate', deflateSync(text)],
      ['deflate', deflateRawSync(text)],
      ['br', brotliCompressSync(text)],
      ['zstd', zstdCompressSync(text)],
      ['identity', Buffer.from(text)],
      ['gzip, br', brotliCompressSync(gzipSync(text))],
    ])('is decoded: %s', async (coding, bytes) => {
      await using server = await start({ onRequest: encoded(coding, bytes) });
      await using probe = probeFor(taskFor(server.url));
      expect(await probe.exchange()).toMatchObject({ kind: 'answered', bodyBytes: bytes.length, body: text });
    });

    test('that is longer than the limit is cut, and the next one is whole again', async () => {
      await using server = await start({
        onRequest: (request) => request.answer(request.request === 1 ? 'x'.repeat(200_000) : 'short'),
      });
      await using probe = probeFor(taskFor(server.url), 100_000);
      expect(await probe.exchange()).toMatchObject({ bodyBytes: 200_000, body: 'x'.repeat(100_000) });
      expect(await probe.exchange()).toMatchObject({ bodyBytes: 5, body: 'short' });
    });

    test.each([
      ['a broken coding', encoded('gzip', Buffer.from('not gzip'))],
      ['more than the limit when decoded', encoded('gzip', gzipSync(Buffer.alloc(100_000)))],
      ['a coding cut short', encoded('zstd', zstdCompressSync(text).subarray(0, 20))],
    ])('is null with %s, and the answer stands', async (_name, response) => {
      await using server = await start({ onRequest: response });
      await using probe = probeFor(taskFor(server.url), 50_000);
      expect(await probe.exchange()).toMatchObject({ kind: 'answered', status: 200, body: null });
    });
  });
});

describe.each(HTTP1_CLIENTS)('%s', (client) => {
  const taskFor = taskForClient(client);

  test('a kept connection that broke before the request was written is replaced: nobody saw that request', async () => {
    const sockets: Socket[] = [];
    await using server = await startRawServer({
      onRequest: answering(okResponse()),
      onConnection: (socket) => void sockets.push(socket),
    });
    await using probe = probeFor(taskFor(server.url));
    await probe.exchange();
    // After this turn the event loop polls before it comes to undici's setImmediate: the reset, already received and
    // still unread when the next request is sent, is read before the request is written.
    await new Promise((resolve) => setImmediate(resolve));
    sockets[0]!.resetAndDestroy();
    const outcome = await probe.exchange();
    expect(outcome.events).toEqual(['connected', 'written', 'head 200', 'answered']);
    expect(probe.counts).toMatchObject({ written: 2, connected: 2, answered: 2 });
    expect(server.heads).toHaveLength(2);
  });

  describe('complete answers', () => {
    const chunked =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n';

    test.each([
      ['chunked with extensions and trailers', chunked, 'keep', 'abcde', 1],
      ['delimited by the close of the connection', 'HTTP/1.1 200 OK\r\n\r\nto the end', 'end', 'to the end', 2],
      ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nold', 'end', 'old', 2],
      [
        'after 103 Early Hints',
        `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${okResponse('late')}`,
        'keep',
        'late',
        1,
      ],
      ['after two 1xx', `HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\n\r\n${okResponse('late')}`, 'keep', 'late', 1],
      ['of no length', okResponse(''), 'keep', '', 1],
      ['without a reason phrase', 'HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx', 'keep', 'x', 1],
    ] as const)('%s', async (_name, response, then, body, connections) => {
      await using server = await startRawServer({ onRequest: answering(response, then) });
      await using probe = probeFor(taskFor(server.url));
      for (let i = 0; i < 2; i++) {
        const outcome = await probe.exchange();
        expect(outcome).toMatchObject({ kind: 'answered', status: 200, body, bodyBytes: body.length });
        expect(outcome.events.filter((event) => event.startsWith('head'))).toEqual(['head 200']);
      }
      expect(server.connections).toBe(connections);
      expectIdentity(probe, server);
    });

    test('100 Continue that nobody asked for: http1 passes it over, undici takes it for a fault', async () => {
      await using server = await startRawServer({
        onRequest: answering(`HTTP/1.1 100 Continue\r\n\r\n${okResponse()}`),
      });
      await using probe = probeFor(taskFor(server.url));
      expect((await probe.exchange()).kind).toBe(client === 'undici' ? 'protocol' : 'answered');
      expectIdentity(probe, server);
    });

    test('more bytes than the length says end the connection, not the exchange', async () => {
      await using server = await startRawServer({ onRequest: answering(`${okResponse('ok')} and more`) });
      await using probe = probeFor(taskFor(server.url));
      for (let i = 0; i < 3; i++) expect(await probe.exchange()).toMatchObject({ kind: 'answered', body: 'ok' });
      expect(server.connections).toBe(3);
      expect(server.heads).toHaveLength(3);
    });

    test('an answer that comes byte by byte is one answer', async () => {
      await using server = await startRawServer({
        onRequest: ({ socket }) => {
          const bytes = [...Buffer.from(okResponse('slow'))];
          const step = () => {
            const byte = bytes.shift();
            if (byte !== undefined) socket.write(Buffer.of(byte), () => setImmediate(step));
          };
          step();
        },
      });
      await using probe = probeFor(taskFor(server.url));
      expect(await probe.exchange()).toMatchObject({ kind: 'answered', body: 'slow' });
    });
  });

  describe('failed exchanges have their class', () => {
    const head = 'HTTP/1.1 200 OK\r\n';

    test.each([
      ['closed before any answer', '', 'end', 'closed'],
      ['reset before any answer', '', 'reset', 'reset'],
      ['closed in the status line', 'HTTP/1.1 2', 'end', 'closed'],
      ['closed in the headers', `${head}Content-`, 'end', 'closed'],
      ['closed in the body', `${head}Content-Length: 10\r\n\r\nshort`, 'end', 'closed'],
      ['closed in the last body', `${head}Connection: close\r\nContent-Length: 10\r\n\r\nshort`, 'end', 'closed'],
      ['closed in a chunk', `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nab`, 'end', 'closed'],
      [
        'closed in the last chunk',
        `${head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab`,
        'end',
        'closed',
      ],
      ['closed after 103', 'HTTP/1.1 103 E\r\n\r\n', 'end', 'closed'],
      ['reset in the body', `${head}Content-Length: 10\r\n\r\nshort`, 'reset', 'reset'],
      ['reset in a chunk', `${head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab`, 'reset', 'reset'],
      ['reset in a body that only the close delimits', `${head}\r\nsome`, 'reset', 'reset'],
      ['garbage', 'SSH-2.0-OpenSSH_9.2\r\n', 'keep', 'protocol'],
      ['an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'keep', 'protocol'],
      ['a status of 0', 'HTTP/1.1 000 X\r\n\r\n', 'keep', 'protocol'],
      ['a broken header', `${head}Content-Length: 5\r\nno colon\r\n\r\n`, 'keep', 'protocol'],
      ['a length that is no number', `${head}Content-Length: many\r\n\r\n`, 'keep', 'protocol'],
      ['two lengths', `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx`, 'keep', 'protocol'],
      [
        'length and chunks',
        `${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
        'keep',
        'protocol',
      ],
      ['a broken chunk size', `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 'keep', 'protocol'],
      ['a head of more than 64 KiB', `${head}X-Long: ${'x'.repeat(70_000)}\r\n\r\n`, 'keep', 'protocol'],
      ['101 that nobody asked for', `HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n`, 'keep', 'protocol'],
    ] as const)('%s', async (_name, response, then, errorClass) => {
      let broken = true;
      await using server = await startRawServer({
        onRequest: (request) => {
          if (broken) answering(response, then)(request);
          else request.socket.write(okResponse());
        },
      });
      await using probe = probeFor(taskFor(server.url));
      const outcomes = [await probe.exchange(), await probe.exchange()];
      expect(outcomes.map((o) => [o.kind, o.message])).toEqual(
        Array(2).fill([errorClass, expect.stringMatching(/^.{5,200}$/)]),
      );
      expect(outcomes[0]!.events.slice(0, 2)).toEqual(['connected', 'written']);
      expect(outcomes[0]!.events.at(-1)).toBe('failed');
      expect(server.heads).toHaveLength(2);
      broken = false;
      expect(await probe.exchange()).toMatchObject({ kind: 'answered', body: 'ok' });
      expectIdentity(probe, server);
    });
  });
});
