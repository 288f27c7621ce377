import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createHttp1Client } from '../../src/load/http1.ts';
import { clientOf } from '../../src/task/client.ts';
import { taskForClient } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { Probe, probeFor } from '../support/exchange.ts';
import { okResponse, startRawServer, type RawServer } from '../support/raw-server.ts';

const taskFor = taskForClient('http1');

/** A server that answers well, and its sockets. */
async function startGoodServer(): Promise<RawServer & { sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = await startRawServer({
    onRequest: ({ socket, request }) => void socket.write(okResponse(`answer ${request}`)),
    onConnection: (socket) => void sockets.push(socket),
  });
  return Object.assign(server, { sockets });
}

describe('bytes that no request asked for (RFC 9112 section 9.2)', () => {
  test.each([
    ['garbage', 'x'],
    ['a whole response', okResponse('not yours')],
    ['an empty line', '\r\n'],
  ])('%s on an idle connection closes it, and is no answer to the next request', async (_name, bytes) => {
    await using server = await startGoodServer();
    await using probe = probeFor(taskFor(server.url));
    await probe.exchange();
    server.sockets[0]!.write(bytes);
    await eventually(() => expect(probe.client.traffic().connections).toBe(0));
    expect(await probe.exchange()).toMatchObject({ kind: 'answered', body: 'answer 1' });
    expect(server.connections).toBe(2);
  });

  test('a second response in the same segment closes the connection before the next request is sent', async () => {
    await using server = await startRawServer({
      onRequest: ({ socket, connection }) => void socket.write(okResponse(`${connection}`) + okResponse('not yours')),
    });
    await using probe = probeFor(taskFor(server.url));
    probe.onEvent = (event) => {
      if (event === 'answered' && probe.sends < 10) probe.send();
    };
    probe.send();
    await probe.outcome(10);
    expect(probe.outcomes.map(({ body }) => body)).toEqual(Array.from({ length: 10 }, (_, i) => `${i + 1}`));
  });
});

describe('early answers', () => {
  test('one that comes before the whole request was sent stands, and the connection is not used again', async () => {
    const paused: Socket[] = [];
    await using server = await startRawServer({
      onConnection: (socket) => {
        socket.once('data', () => {
          socket.pause();
          paused.push(socket);
          socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig');
        });
      },
      onRequest: () => undefined,
    });
    await using probe = probeFor(
      taskFor(server.url, { request: { method: 'POST' }, body: Buffer.alloc(32 * 1024 * 1024) }),
    );
    for (let i = 1; i <= 2; i++) {
      expect(await probe.exchange()).toMatchObject({ kind: 'answered', status: 413, body: 'big' });
      expect(server.connections).toBe(i);
    }
    await eventually(() => expect(probe.client.traffic().connections).toBe(0));
  });
});

describe('half-closed connections', () => {
  test('a server that has ended its side after a whole answer is not written to again', async () => {
    await using server = await startGoodServer();
    await using probe = probeFor(taskFor(server.url));
    await probe.exchange();
    server.sockets[0]!.end();
    await eventually(() => expect(probe.client.traffic().connections).toBe(0));
    expect((await probe.exchange()).events).toEqual(['connected', 'written', 'head 200', 'answered']);
  });

  test('a server that ends its side before it answers has not answered', async () => {
    await using server = await startRawServer({
      onConnection: (socket) => void socket.end(),
      onRequest: ({ socket }) => void socket.write(okResponse()),
    });
    await using probe = probeFor(taskFor(server.url));
    expect((await probe.exchange()).kind).toMatch(/closed|reset/);
  });
});

test('connections that share a buffer do not share bytes', async () => {
  await using server = await startRawServer({
    onRequest: ({ socket, connection }) => {
      const bytes = Buffer.from(okResponse(`${connection}`.repeat(20_000)));
      const step = (from: number): void => {
        if (from >= bytes.length) return;
        socket.write(bytes.subarray(from, from + 997), () => setImmediate(() => step(from + 997)));
      };
      step(0);
    },
  });
  const client = createHttp1Client(taskFor(server.url), { keepBody: true, maxBodyBytes: 1_000_000 });
  const probes = Array.from({ length: 8 }, () => new Probe(client));
  const outcomes = await Promise.all(probes.map((probe) => probe.exchange()));
  expect(outcomes.map(({ body }) => body).sort()).toEqual(
    Array.from({ length: 8 }, (_, i) => `${i + 1}`.repeat(20_000)),
  );
  await client.close();
});

test.each([
  ['auto', false, 'http1'],
  ['auto', true, 'undici'],
  ['undici', false, 'undici'],
  ['http1', false, 'http1'],
  ['http2', false, 'http2'],
] as const)('client %s with redirects followed %s is %s', (client, follow, chosen) => {
  const { spec } = taskForClient('undici')('http://127.0.0.1:9', { client, redirects: { follow } });
  expect(clientOf(spec)).toBe(chosen);
});
