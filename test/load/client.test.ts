import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { nowMs } from '../../src/lib/clock.ts';
import { createClient } from '../../src/load/clients.ts';
import { CLIENTS, HTTP1_CLIENTS, taskForClient } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { Probe, probeFor } from '../support/exchange.ts';
import { startServerFor, type TestServerOptions } from '../support/http2-server.ts';
import { okResponse, startRawServer, type RawServer, type ServerRequest } from '../support/raw-server.ts';

const answerOk = (request: ServerRequest) => request.answer();

describe.each(CLIENTS)('%s', (client) => {
  const taskFor = taskForClient(client);
  const start = (options: TestServerOptions<ServerRequest>): Promise<RawServer> => startServerFor(client, options);

  describe('the request target', () => {
    test.each([
      ['', '/'],
      ['?a=b', '/?a=b'],
      ['/a/../b/%2e%2e/c', '/a/../b/%2e%2e/c'],
      ["/{id}?q=it's|fine", "/{id}?q=it's|fine"],
      ['/ü?q=é%20x', '/%C3%BC?q=%C3%A9%20x'],
    ])('of a URL that ends in %j is %j', async (end, target) => {
      await using server = await start({ onRequest: answerOk });
      await using probe = probeFor(taskFor(`${server.url}${end}`));
      await probe.exchange();
      expect(server.heads[0]!.split('\r\n')[0]).toContain(`GET ${target} HTTP/`);
    });
  });

  describe('events', () => {
    test('a first exchange connects, writes, hears the head and the answer, in this order', async () => {
      await using server = await start({ onRequest: answerOk });
      await using probe = probeFor(taskFor(server.url));
      const outcome = await probe.exchange();
      expect(outcome).toMatchObject({ kind: 'answered', status: 200, bodyBytes: 2, body: 'ok' });
      expect(outcome.events).toEqual(['connected', 'written', 'head 200', 'answered']);
    });

    test('the client counts a connection that failed', async () => {
      const server = await start({ onRequest: answerOk });
      await server.close();
      await using probe = probeFor(taskFor(server.url));
      expect((await probe.exchange()).kind).toBe('connect-refused');
      expect(probe.client.events).toBeGreaterThan(0);
    });

    test('later exchanges use the kept connection', async () => {
      await using server = await start({ onRequest: answerOk });
      await using probe = probeFor(taskFor(server.url));
      await probe.exchange();
      expect((await probe.exchange()).events).toEqual(['written', 'head 200', 'answered']);
      expect(server.connections).toBe(1);
      expect(server.heads).toHaveLength(2);
    });

    test('the next exchange may be sent from within answered', async () => {
      await using server = await start({ onRequest: answerOk });
      await using probe = probeFor(taskFor(server.url));
      probe.onEvent = (event) => {
        if (event === 'answered' && probe.sends < 50) probe.send();
      };
      probe.send();
      await probe.outcome(50);
      expect(probe.counts).toMatchObject({ connected: 1, written: 50, answered: 50, failed: 0 });
      expect(server.heads).toHaveLength(50);
    });

    test('the next exchange may be sent from within failed, also when every connection is refused', async () => {
      const server = await start({ onRequest: answerOk });
      await server.close();
      await using probe = probeFor(taskFor(server.url));
      probe.onEvent = (event) => {
        if (event === 'failed' && probe.sends < 20) probe.send();
      };
      probe.send();
      await probe.outcome(20);
      expect(probe.outcomes.map((o) => o.kind)).toEqual(Array(20).fill('connect-refused'));
      expect(probe.counts.written).toBe(0);
    });

    test('the next exchange may be sent from within failed, also when every connection is reset after the request', async () => {
      await using server = await start({ onRequest: (request) => request.reset() });
      await using probe = probeFor(taskFor(server.url));
      probe.onEvent = (event) => {
        if (event === 'failed' && probe.sends < 20) probe.send();
      };
      probe.send();
      await probe.outcome(20);
      expect(probe.outcomes.map((o) => o.kind)).toEqual(Array(20).fill('reset'));
      expect(server.heads).toHaveLength(20);
      expect(probe.counts.written).toBe(20);
    });

    test('an exception of the listener is not made a failure of the target', async () => {
      await using server = await start({ onRequest: answerOk });
      const crashed = new Promise<unknown>((resolve) => {
        const others = process.listeners('uncaughtException');
        process.removeAllListeners('uncaughtException');
        process.once('uncaughtException', (error) => {
          for (const other of others) process.on('uncaughtException', other);
          resolve(error);
        });
      });
      await using probe = probeFor(taskFor(server.url));
      probe.onEvent = (event) => {
        if (event === 'answered') throw new Error('a defect');
      };
      probe.send();
      await expect(crashed).resolves.toEqual(new Error('a defect'));
      expect(probe.counts).toMatchObject({ answered: 1, failed: 0 });
    });

    test('an exchange cannot be sent while one is in progress', async () => {
      await using server = await start({ onRequest: () => undefined });
      await using probe = probeFor(taskFor(server.url));
      probe.send();
      expect(() => probe.connection.send()).toThrow('in progress');
    });
  });

  describe('what is sent', () => {
    test.each(['PUT', 'DELETE', 'GET', 'OPTIONS', 'purge'])(
      'a body goes with %s too, and the connection is kept',
      async (method) => {
        const bodies: string[] = [];
        await using server = await start({
          onRequest: (request) => {
            bodies.push(request.body.toString());
            answerOk(request);
          },
        });
        await using probe = probeFor(taskFor(server.url, { request: { method }, body: 'payload' }));
        await probe.exchange();
        await probe.exchange();
        expect(bodies).toEqual(['payload', 'payload']);
        expect(server.heads[0]).toMatch(new RegExp(`^${method} / HTTP/`));
        expect(server.connections).toBe(1);
      },
    );

    test("the task's Host header is the one that is sent", async () => {
      await using server = await start({ onRequest: answerOk });
      const headers = [{ name: 'Host', value: 'shop.example' }];
      await using probe = probeFor(taskFor(server.url, { request: { headers } }));
      await probe.exchange();
      expect(server.heads[0]!.match(/^host:.*$/gim)).toEqual(['host: shop.example']);
    });

    test('user and password of the URL become basic authorization and are not in the request line', async () => {
      await using server = await start({ onRequest: answerOk });
      const url = server.url.replace('//', '//us%40er:p%C3%A4ss@');
      await using probe = probeFor(taskFor(`${url}/x`));
      await probe.exchange();
      expect(server.heads[0]).toMatch(/^GET \/x HTTP\//);
      expect(server.heads[0]!.replace('authorization', 'Authorization')).toContain(
        `Authorization: Basic ${Buffer.from('us@er:päss').toString('base64')}`,
      );
      expect(server.heads[0]).toContain(`host: 127.0.0.1:${server.port}\r\n`);
    });

    test('an Authorization header comes before user and password of the URL', async () => {
      await using server = await start({ onRequest: answerOk });
      const headers = [{ name: 'authorization', value: 'Bearer t' }];
      await using probe = probeFor(taskFor(server.url.replace('//', '//u:p@'), { request: { headers } }));
      await probe.exchange();
      expect(server.heads[0]!.match(/^authorization:.*$/gim)).toEqual(['authorization: Bearer t']);
    });

    test.each([
      ['Transfer-Encoding', 'chunked', 'transfer-encoding'],
      ['Content-Length', '3', 'content-length cannot be set'],
      ['Expect', '100-continue', 'expect'],
      ['X-Bad', 'canary\r\nX-Injected: 1', 'X-Bad'],
      ['No Token', 'x', 'header key'],
    ])('a request that cannot be sent is refused before any load: %s', (name, value, problem) => {
      const task = taskFor('http://127.0.0.1:9', { request: { headers: [{ name, value }] } });
      const create = () => createClient(task, { keepBody: false, maxBodyBytes: 0 });
      expect(create).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
      expect(create).toThrow(problem);
      expect(create).not.toThrow('canary');
    });
  });

  describe('a new connection per hit', () => {
    test('each exchange has its own connection, closed when the answer is complete', async () => {
      await using server = await start({ onRequest: answerOk });
      await using probe = probeFor(taskFor(server.url, { connections: { reuse: false } }));
      for (let i = 0; i < 3; i++) {
        expect((await probe.exchange()).events).toEqual(['connected', 'written', 'head 200', 'answered']);
      }
      expect(server.connections).toBe(3);
      if (client !== 'http2') expect(server.heads.every((head) => head.includes('connection: close'))).toBe(true);
    });

    test('also when the next one is sent from within answered', async () => {
      await using server = await start({ onRequest: answerOk });
      await using probe = probeFor(taskFor(server.url, { connections: { reuse: false } }));
      probe.onEvent = (event) => {
        if (event === 'answered' && probe.sends < 20) probe.send();
      };
      probe.send();
      await probe.outcome(20);
      expect(probe.counts).toMatchObject({ connected: 20, written: 20, answered: 20 });
      expect(server.connections).toBe(20);
    });
  });

  describe('keep-alive', () => {
    test('a connection that the server closed between requests is replaced, and no request is lost or repeated', async () => {
      await using server = await start({
        onRequest: (request) => {
          request.answer();
          setImmediate(() => request.end());
        },
      });
      await using probe = probeFor(taskFor(server.url));
      for (let i = 0; i < 5; i++) {
        await probe.exchange();
        while (probe.client.traffic().connections > 0) await new Promise((resolve) => setImmediate(resolve));
      }
      expect(probe.counts).toMatchObject({ connected: 5, written: 5, answered: 5, failed: 0 });
      expect(server.heads).toHaveLength(5);
    });

    test('HEAD keeps its connection and has no body', async () => {
      await using server = await start({
        onRequest: (request) => request.answer('', { headers: { 'Content-Length': '1000' } }),
      });
      await using probe = probeFor(taskFor(server.url, { request: { method: 'HEAD' } }));
      for (let i = 0; i < 3; i++) {
        expect(await probe.exchange()).toMatchObject({ kind: 'answered', status: 200, bodyBytes: 0 });
      }
      expect(server.connections).toBe(1);
    });

    // nghttp2 holds RFC 9110 section 8.6 against a 204 with a length.
    test.each([...(client === 'http2' ? [] : [204]), 304])(
      'status %i has no body, whatever its headers say',
      async (status) => {
        await using server = await start({
          onRequest: (request) => request.answer('', { status, headers: { 'Content-Length': '10' } }),
        });
        await using probe = probeFor(taskFor(server.url));
        expect(await probe.exchange()).toMatchObject({ kind: 'answered', status, bodyBytes: 0 });
      },
    );
  });

  describe('traffic', () => {
    test('close gives up what is still connecting', async () => {
      await using server = await start({ onRequest: answerOk });
      const client = createClient(taskFor(server.url), { keepBody: false, maxBodyBytes: 0 });
      const probe = new Probe(client);
      probe.send();
      probe.connection.abort('aborted', 'the run ends');
      await client.close();
      expect(probe.outcomes).toHaveLength(1);
      expect(client.traffic().connections).toBe(0);
    });
  });
});

describe.each(HTTP1_CLIENTS)('%s', (client) => {
  const taskFor = taskForClient(client);

  describe('events', () => {
    test('the client counts each: a connection, a request, every head and piece of a body, an end', async () => {
      const pieces = ['HTTP/1.1 103 Early Hints\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n', 'o', 'k'];
      const more: (() => void)[] = [];
      await using server = await startRawServer({
        onRequest: ({ socket }) => {
          for (const piece of pieces) more.push(() => void socket.write(piece));
        },
      });
      await using probe = probeFor(taskFor(server.url));
      expect(probe.client.events).toBe(0);
      probe.send();
      await eventually(() => expect(more).toHaveLength(pieces.length));
      // Connected and written.
      expect(probe.client.events).toBe(2);
      for (const [i, write] of more.entries()) {
        write();
        const isLast = i === more.length - 1;
        await eventually(() => expect(probe.client.events).toBe(isLast ? 7 : 3 + i));
      }
      expect(await probe.outcome(1)).toMatchObject({ kind: 'answered', body: 'ok' });
    });
  });

  describe('what is sent', () => {
    test('headers go in their order, with host and connection before them, and the body with its length', async () => {
      await using server = await startRawServer({ onRequest: answerOk });
      const headers = [
        { name: 'X-A', value: '1' },
        { name: 'x-b', value: 'é' },
        { name: 'X-A', value: '2' },
      ];
      const task = taskFor(`${server.url}/p%20q?a=1&b`, { request: { method: 'POST', headers }, body: 'grüß' });
      await using probe = probeFor(task);
      await probe.exchange();
      expect(server.heads[0]!.split('\r\n')).toEqual([
        'POST /p%20q?a=1&b HTTP/1.1',
        `host: 127.0.0.1:${server.port}`,
        'connection: keep-alive',
        'X-A: 1',
        'x-b: é',
        'X-A: 2',
        'content-length: 6',
      ]);
    });
  });

  describe('keep-alive', () => {
    test('Connection: close of the server is honoured', async () => {
      await using server = await startRawServer({
        onRequest: ({ socket }) => void socket.write(okResponse('ok', 'Connection: close\r\n')),
      });
      await using probe = probeFor(taskFor(server.url));
      await probe.exchange();
      await probe.exchange();
      expect(server.connections).toBe(2);
    });

    test.each([5, 1])('a hint of %i s does not end the connection of hits that follow at once', async (seconds) => {
      await using server = await startRawServer({
        onRequest: ({ socket }) => void socket.write(okResponse('ok', `Keep-Alive: timeout=${seconds}\r\n`)),
      });
      await using probe = probeFor(taskFor(server.url));
      for (let i = 0; i < 5; i++) await probe.exchange();
      expect(server.connections).toBe(1);
    });

    test("an idle connection is not used any more when the server's hint has run out", async () => {
      await using server = await startRawServer({
        onRequest: ({ socket }) => void socket.write(okResponse('ok', 'Keep-Alive: timeout=1\r\n')),
      });
      await using probe = probeFor(taskFor(server.url));
      await probe.exchange();
      const answeredAt = nowMs();
      await eventually(() => expect(nowMs() - answeredAt).toBeGreaterThan(900));
      expect((await probe.exchange()).events).toContain('connected');
      await eventually(() => expect(probe.client.traffic().connections).toBe(1));
    });
  });

  describe('traffic', () => {
    test('counts the bytes on the wire over open and closed connections', async () => {
      const response = okResponse('hello');
      await using server = await startRawServer({ onRequest: ({ socket }) => void socket.write(response) });
      await using probe = probeFor(taskFor(server.url));
      await probe.exchange();
      await probe.exchange();
      const sent = server.heads.reduce((sum, head) => sum + head.length + 4, 0);
      const expected = { bytesIn: 2 * response.length, bytesOut: sent, connectionsOpened: 1 };
      expect(probe.client.traffic()).toEqual({ ...expected, connections: 1 });
      await probe.client.close();
      expect(probe.client.traffic()).toEqual({ ...expected, connections: 0 });
    });

    test('two slots of a client have a connection each', async () => {
      await using server = await startRawServer({ onRequest: answerOk });
      const client = createClient(taskFor(server.url), { keepBody: false, maxBodyBytes: 0 });
      const probes = [new Probe(client), new Probe(client)];
      const outcomes = await Promise.all(probes.map((probe) => probe.exchange()));
      expect(outcomes.map((o) => [o.kind, o.body])).toEqual([
        ['answered', null],
        ['answered', null],
      ]);
      expect(client.traffic().connections).toBe(2);
      await client.close();
      expect(client.traffic().connections).toBe(0);
    });
  });

  test('a common server with large bodies is read to the last byte', async () => {
    const body = 'x'.repeat(3_000_000);
    const server = createServer((_request, response) => response.end(body)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    await using probe = probeFor(taskFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), 1000);
    for (let i = 0; i < 3; i++) {
      const outcome = await probe.exchange();
      expect(outcome).toMatchObject({ kind: 'answered', bodyBytes: 3_000_000 });
      expect(outcome.body).toHaveLength(1000);
    }
    server.closeAllConnections();
    server.close();
  });
});
