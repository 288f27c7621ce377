import { describe, expect, test } from 'vitest';
import { taskFor, type TaskChanges } from '../support/engine.ts';
import { probeFor } from '../support/exchange.ts';
import { okResponse, startRawServer, type RawRequest } from '../support/raw-server.ts';

const redirect = (status: number, location: string) =>
  `HTTP/1.1 ${status} X\r\nLocation: ${location}\r\nContent-Length: 4\r\n\r\nmove`;

/** Answers /to/STATUS/LOCATION with that redirect, and everything else with 200. */
function site({ socket, head }: RawRequest): void {
  const [, status, location] = /^\S+ \/to\/(\d+)\/(\S+)/.exec(head) ?? [];
  socket.write(status === undefined ? okResponse('arrived') : redirect(Number(status), decodeURIComponent(location!)));
}

const to = (status: number, location: string) => `/to/${status}/${encodeURIComponent(location)}`;
const following = (changes: TaskChanges = {}): TaskChanges => ({ redirects: { follow: true }, ...changes });
const requestLine = (head: string) => head.split('\r\n', 1)[0]!.replace(' HTTP/1.1', '');

describe('redirects', () => {
  test('are the answer when they are not to be followed', async () => {
    await using server = await startRawServer({ onRequest: site });
    await using probe = probeFor(taskFor(server.url + to(302, '/new')));
    expect(await probe.exchange()).toMatchObject({
      kind: 'answered',
      status: 302,
      body: 'move',
      events: ['connected', 'written', 'head 302', 'answered'],
    });
    expect(server.heads).toHaveLength(1);
  });

  test('are followed on the same connection, each counted, and only the last head is told', async () => {
    await using server = await startRawServer({ onRequest: site });
    await using probe = probeFor(taskFor(server.url + to(301, to(302, to(307, '/end'))), following()));
    expect(await probe.exchange()).toMatchObject({
      kind: 'answered',
      status: 200,
      body: 'arrived',
      bodyBytes: 7,
      events: ['connected', 'written', 'redirected', 'redirected', 'redirected', 'head 200', 'answered'],
    });
    expect(server.connections).toBe(1);
    expect(server.heads).toHaveLength(4);
    expect((await probe.exchange()).events.slice(0, 2)).toEqual(['written', 'redirected']);
  });

  test.each([
    [301, 'GET', 'GET'],
    [301, 'POST', 'GET'],
    [301, 'PUT', 'PUT body'],
    [302, 'POST', 'GET'],
    [302, 'DELETE', 'DELETE body'],
    [303, 'POST', 'GET'],
    [303, 'PUT', 'GET'],
    [303, 'HEAD', 'HEAD'],
    [307, 'POST', 'POST body'],
    [308, 'POST', 'POST body'],
    [308, 'HEAD', 'HEAD'],
  ])('%i after %s: %s', async (status, method, then) => {
    const bodies: string[] = [];
    await using server = await startRawServer({
      onRequest: (request) => {
        bodies.push(request.body.toString());
        if (request.head.startsWith('HEAD')) {
          const response = /\/to\//.test(request.head) ? redirect(status, '/new') : okResponse('arrived');
          request.socket.write(response.split('\r\n\r\n')[0]! + '\r\n\r\n');
        } else site(request);
      },
    });
    const hasBody = method !== 'GET' && method !== 'HEAD';
    const changes = following({
      request: {
        method,
        headers: [
          { name: 'Content-Type', value: 'text/x' },
          { name: 'X-Kept', value: '1' },
        ],
      },
      ...(hasBody ? { body: 'body' } : {}),
    });
    await using probe = probeFor(taskFor(server.url + to(status, '/new'), changes));
    expect(await probe.exchange()).toMatchObject({ kind: 'answered', status: 200 });
    const [newMethod, body = ''] = then.split(' ');
    expect(requestLine(server.heads[1]!)).toBe(`${newMethod!} /new`);
    expect(bodies[1]).toBe(body);
    expect(server.heads[1]).toContain('X-Kept: 1');
    expect(/content-type/i.test(server.heads[1]!)).toBe(!(hasBody && body === ''));
  });

  test.each([
    ['/a/b?c=1', '/to/302/x', '/a/b?c=1'],
    ['?q', '/to/302/%3Fq', '/to/302/%3Fq?q'],
    ['/ü', '/to/302/%2Fü', '/%C3%BC'],
    ['/frag#part', '/to/302/x', '/frag'],
  ])('the Location %s is resolved against the URL that was asked for', async (location, path, expected) => {
    let first = true;
    await using server = await startRawServer({
      onRequest: ({ socket }) => {
        socket.write(Buffer.from(first ? redirect(302, location) : okResponse()));
        first = false;
      },
    });
    await using probe = probeFor(taskFor(server.url + path, following()));
    expect(await probe.exchange()).toMatchObject({ kind: 'answered', status: 200 });
    expect(requestLine(server.heads[1]!)).toBe(`GET ${expected}`);
  });

  const secrets = [
    { name: 'Authorization', value: 'Bearer canary' },
    { name: 'cookie', value: 'session=canary' },
    { name: 'Host', value: 'canary.example' },
    { name: 'X-Other', value: 'kept' },
  ];

  test('Authorization, Cookie and Host go along to the same origin', async () => {
    await using server = await startRawServer({ onRequest: site });
    await using probe = probeFor(taskFor(server.url + to(302, '/new'), following({ request: { headers: secrets } })));
    await probe.exchange();
    expect(server.heads[1]!.match(/canary/g)).toHaveLength(3);
  });

  test('and are dropped for good on the way to another one', async () => {
    await using server = await startRawServer({ onRequest: site });
    await using other = await startRawServer({ onRequest: site });
    const path = to(302, other.url + to(302, `${server.url}/back`));
    await using probe = probeFor(taskFor(server.url + path, following({ request: { headers: secrets } })));
    expect(await probe.exchange()).toMatchObject({
      kind: 'answered',
      events: ['connected', 'written', 'connected', 'redirected', 'redirected', 'head 200', 'answered'],
    });
    for (const head of [other.heads[0]!, server.heads[1]!]) {
      expect(head).not.toContain('canary');
      expect(head).toContain('X-Other: kept');
    }
    expect(other.heads[0]).toContain(`host: 127.0.0.1:${other.port}`);
  });

  test('user and password of the URL are dropped too, and those of a Location are not used', async () => {
    await using server = await startRawServer({ onRequest: site });
    await using other = await startRawServer({ onRequest: site });
    const path = to(302, other.url.replace('//', '//x:y@'));
    await using probe = probeFor(taskFor(server.url.replace('//', '//u:p@') + path, following()));
    await probe.exchange();
    expect(server.heads[0]).toContain('Authorization: Basic');
    expect(other.heads[0]).not.toMatch(/authorization/i);
  });

  test('each origin has its own connection, which is kept', async () => {
    await using server = await startRawServer({ onRequest: site });
    await using other = await startRawServer({ onRequest: site });
    await using probe = probeFor(taskFor(server.url + to(302, `${other.url}/new`), following()));
    for (let i = 0; i < 5; i++) await probe.exchange();
    expect([server.connections, other.connections]).toEqual([1, 1]);
    expect(probe.client.traffic()).toMatchObject({ connections: 2, connectionsOpened: 2 });
  });

  test('a slot keeps connections to a few origins only', async () => {
    const servers = await Promise.all(Array.from({ length: 6 }, () => startRawServer({ onRequest: site })));
    let path = '/end';
    for (const server of servers.slice(1).reverse()) path = to(302, server.url + path);
    await using probe = probeFor(taskFor(servers[0]!.url + path, following()));
    for (let i = 0; i < 3; i++) expect(await probe.exchange()).toMatchObject({ kind: 'answered', status: 200 });
    await expect.poll(() => probe.client.traffic().connections).toBe(4);
    expect(servers[0]!.connections).toBe(1);
    expect(probe.counts).toMatchObject({ written: 3, redirected: 15 });
    for (const server of servers) await server.close();
  });

  test('one more than allowed fails, and the connection is still good', async () => {
    await using server = await startRawServer({
      onRequest: ({ socket, head }) =>
        void socket.write(head.startsWith('GET /loop') ? redirect(302, '/loop') : okResponse()),
    });
    await using probe = probeFor(taskFor(`${server.url}/loop`, { redirects: { follow: true, max: 3 } }));
    for (let i = 0; i < 2; i++) {
      expect(await probe.exchange()).toMatchObject({ kind: 'redirect', message: 'more than 3 redirects' });
    }
    expect(server.heads).toHaveLength(8);
    expect(probe.counts).toMatchObject({ connected: 1, written: 2, redirected: 6 });
  });

  test.each(['ftp://127.0.0.1/', 'http://', 'javascript:alert(1)'])('to %s fails', async (location) => {
    await using server = await startRawServer({
      onRequest: ({ socket }) => void socket.write(redirect(302, location)),
    });
    await using probe = probeFor(taskFor(server.url, following()));
    expect((await probe.exchange()).kind).toBe('redirect');
    expect(server.heads).toHaveLength(1);
  });

  test.each([
    ['without a Location', 'HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n', 302],
    ['300', redirect(300, '/new'), 300],
    ['304', 'HTTP/1.1 304 X\r\nLocation: /new\r\n\r\n', 304],
  ])('%s is the answer, also when redirects are followed', async (_name, response, status) => {
    await using server = await startRawServer({ onRequest: ({ socket }) => void socket.write(response) });
    await using probe = probeFor(taskFor(server.url, following()));
    expect(await probe.exchange()).toMatchObject({ kind: 'answered', status });
  });

  test('a failure after a redirect is the failure of the exchange', async () => {
    await using server = await startRawServer({
      onRequest: (request) => (request.request === 1 ? site(request) : void request.socket.resetAndDestroy()),
    });
    await using probe = probeFor(taskFor(server.url + to(302, '/new'), following()));
    expect(await probe.exchange()).toMatchObject({
      kind: 'reset',
      events: ['connected', 'written', 'redirected', 'failed'],
    });
  });

  test('abort ends an exchange that is being redirected', async () => {
    await using server = await startRawServer({
      onRequest: (request) => {
        if (request.request === 1) site(request);
      },
    });
    await using probe = probeFor(taskFor(server.url + to(302, '/new'), following()));
    probe.send();
    await probe.until(() => probe.counts.redirected === 1);
    probe.connection.abort('total-timeout', 'too long');
    expect(probe.outcomes).toMatchObject([{ kind: 'total-timeout' }]);
  });

  test('with a new connection per hit, each step has its own', async () => {
    await using server = await startRawServer({ onRequest: site });
    const changes = following({ connections: { reuse: false } });
    await using probe = probeFor(taskFor(server.url + to(302, '/new'), changes));
    expect((await probe.exchange()).events).toEqual([
      'connected',
      'written',
      'connected',
      'redirected',
      'head 200',
      'answered',
    ]);
    expect(server.connections).toBe(2);
  });
});
