import { once } from 'node:events';
import type { ServerOptions } from 'node:https';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createClient } from '../../src/load/clients.ts';
import { makeCertificates } from '../support/certificates.ts';
import { CLIENTS, HTTP1_CLIENTS, taskForClient, type TaskChanges } from '../support/engine.ts';
import { probeFor } from '../support/exchange.ts';
import { okResponse, startRawServer } from '../support/raw-server.ts';
import { startTlsServer, type TlsServer } from '../support/tls-server.ts';

const certificates = makeCertificates();

const trusting = (changes: TaskChanges = {}): TaskChanges => ({
  ...changes,
  pem: { ca: certificates.ca, ...changes.pem },
});

describe.each(CLIENTS)('%s', (client) => {
  const taskFor = taskForClient(client);
  const start = (options: ServerOptions): Promise<TlsServer> => startTlsServer(options, { http2: client === 'http2' });

  describe('TLS', () => {
    test('a certificate of the given CA is accepted, and the phases of the connection are told', async () => {
      await using server = await start(certificates.server);
      await using probe = probeFor(taskFor(`https://localhost:${server.port}/`, trusting()));
      const first = await probe.exchange();
      expect(first).toMatchObject({ kind: 'answered', body: 'secret' });
      expect(first.events).toEqual(['connected', 'written', 'head 200', 'answered']);
      expect((await probe.exchange()).events).not.toContain('connected');
      const [phases] = probe.phases;
      expect(phases!.dnsMs).toBeGreaterThan(0);
      expect(phases!.connectMs).toBeGreaterThan(0);
      expect(phases!.tlsMs).toBeGreaterThan(0);
      expect(server.seen[0]!.serverName).toBe('localhost');
    });

    test('a certificate of an unknown CA fails as tls, before anything is written', async () => {
      await using server = await start(certificates.server);
      await using probe = probeFor(taskFor(`https://localhost:${server.port}/`));
      const outcome = await probe.exchange();
      expect(outcome).toMatchObject({ kind: 'tls', events: ['failed'] });
      expect(outcome.message).toContain('certificate');
      expect((await probe.exchange()).kind).toBe('tls');
      expect(server.seen).toEqual([]);
    });

    test('without verification any certificate is good', async () => {
      await using server = await start(certificates.named);
      await using probe = probeFor(taskFor(`https://localhost:${server.port}/`, { tls: { verify: false } }));
      expect(await probe.exchange()).toMatchObject({ kind: 'answered', body: 'secret' });
    });

    test("a certificate for another host fails as tls, each time, and not for the task's own server name", async () => {
      await using server = await start(certificates.named);
      const url = `https://127.0.0.1:${server.port}/`;
      await using wrong = probeFor(taskFor(url, trusting()));
      expect(await wrong.exchange()).toMatchObject({
        kind: 'tls',
        message: expect.stringContaining('altnames') as string,
      });
      expect(await wrong.exchange()).toMatchObject({ kind: 'tls', events: ['failed'] });
      await using right = probeFor(taskFor(url, trusting({ tls: { serverName: 'shop.example' } })));
      expect(await right.exchange()).toMatchObject({ kind: 'answered' });
      expect(server.seen).toEqual([{ serverName: 'shop.example', client: undefined }]);
    });

    test('an address is verified against the addresses of the certificate, without SNI', async () => {
      await using server = await start(certificates.server);
      await using probe = probeFor(taskFor(`https://127.0.0.1:${server.port}/`, trusting()));
      expect(await probe.exchange()).toMatchObject({ kind: 'answered' });
      expect(server.seen[0]!.serverName).toBe(false);
    });

    test("the Host header does not change SNI, nor the connection's reuse", async () => {
      await using server = await start(certificates.server);
      const request = { headers: [{ name: 'Host', value: 'shop.example' }] };
      await using probe = probeFor(taskFor(`https://localhost:${server.port}/`, trusting({ request })));
      for (let i = 0; i < 3; i++) expect(await probe.exchange()).toMatchObject({ kind: 'answered' });
      expect(server.seen.map((s) => s.serverName)).toEqual(['localhost', 'localhost', 'localhost']);
      expect(probe.counts.connected).toBe(1);
    });

    test.each([
      ['TLSv1.2', 'tls'],
      // The handshake is over for the client when this server has seen that it has no certificate; of its alert undici sees
      // the end of the connection alone.
      ['TLSv1.3', client === 'undici' ? 'closed' : 'tls'],
    ] as const)('a server that wants a client certificate (%s) and gets none: %s', async (maxVersion, errorClass) => {
      const options = {
        ...certificates.server,
        ca: certificates.ca,
        requestCert: true,
        rejectUnauthorized: true,
        maxVersion,
      };
      await using server = await start(options);
      const url = `https://localhost:${server.port}/`;
      await using without = probeFor(taskFor(url, trusting()));
      expect((await without.exchange()).kind).toBe(errorClass);
      await using withClient = probeFor(taskFor(url, trusting({ pem: certificates.client })));
      expect(await withClient.exchange()).toMatchObject({ kind: 'answered' });
      expect(server.seen).toEqual([{ serverName: 'localhost', client: 'client' }]);
    });

    test('a connect timeout of more than setTimeout can count (25 days) does not fire at once', async () => {
      const answerLate: ServerOptions['SNICallback'] = (_name, answer) => void setTimeout(() => answer(null), 50);
      await using server = await start({ ...certificates.server, SNICallback: answerLate });
      const task = taskFor(`https://localhost:${server.port}/`, trusting({ timeouts: { connectMs: 2 ** 31 } }));
      await using probe = probeFor(task);
      expect(await probe.exchange()).toMatchObject({ kind: 'answered', body: 'secret' });
    });

    test('a server that does not speak TLS', async () => {
      await using server = await startRawServer({
        onRequest: () => undefined,
        onConnection: (socket) => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      });
      await using probe = probeFor(taskFor(`https://127.0.0.1:${server.port}/`, trusting()));
      const outcome = await probe.exchange();
      expect(outcome).toMatchObject({ kind: 'tls', events: ['failed'] });
      expect(outcome.message).toBe('wrong version number');
    });

    test.each([
      ['closes', 'tls'],
      ['resets', 'reset'],
    ])('a server that %s in the handshake: %s', async (how, errorClass) => {
      const server = createTcpServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => (how === 'closes' ? socket.end() : socket.resetAndDestroy()));
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      await using probe = probeFor(taskFor(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`));
      expect(await probe.exchange()).toMatchObject({ kind: errorClass, events: ['failed'] });
      server.close();
    });

    test('a handshake that never ends is a connect timeout that names it', async () => {
      await using server = await startRawServer({ onRequest: () => undefined });
      const task = taskFor(`https://127.0.0.1:${server.port}/`, trusting({ timeouts: { connectMs: 100 } }));
      await using probe = probeFor(task);
      const outcome = await probe.exchange();
      expect(outcome).toMatchObject({ kind: 'connect-timeout', events: ['failed'] });
      expect(outcome.message).toBe('no connection within 100 ms: it was still in the TLS handshake');
    });

    test('certificates that cannot be read are refused before any load, without showing them', () => {
      const task = taskFor('https://127.0.0.1:9/', { pem: { cert: 'canary', key: 'canary' } });
      const create = () => createClient(task, { keepBody: false, maxBodyBytes: 0 });
      expect(create).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
      expect(create).not.toThrow('canary');
    });
  });
});

describe.each(HTTP1_CLIENTS)('%s', (client) => {
  const taskFor = taskForClient(client);

  test('bytes are those of HTTP, without TLS', async () => {
    const response = okResponse('x'.repeat(1000));
    await using server = await startTlsServer(certificates.server);
    await using probe = probeFor(taskFor(`https://127.0.0.1:${server.port}/`, trusting()));
    await probe.exchange();
    const { bytesOut, bytesIn } = probe.client.traffic();
    expect(bytesOut).toBe(`GET / HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\nconnection: keep-alive\r\n\r\n`.length);
    expect(bytesIn).toBeLessThan(response.length);
    await probe.client.close();
    expect(probe.client.traffic()).toEqual({ bytesOut, bytesIn, connectionsOpened: 1, connections: 0 });
  });

  test("the client's certificate is for the task's own origin, not for those that redirects lead to", async () => {
    const options = { ...certificates.server, ca: certificates.ca, requestCert: true, rejectUnauthorized: false };
    const homeLocations: Record<string, string> = {};
    const otherLocations: Record<string, string> = {};
    await using home = await startTlsServer(options, { locations: homeLocations });
    await using other = await startTlsServer(options, { locations: otherLocations });
    homeLocations['/away'] = `https://localhost:${other.port}/back`;
    otherLocations['/back'] = `https://localhost:${home.port}/end`;
    const changes = trusting({
      pem: certificates.client,
      redirects: { follow: true },
      connections: { reuse: false },
    });
    await using probe = probeFor(taskFor(`https://localhost:${home.port}/away`, changes));
    expect(await probe.exchange()).toMatchObject({ kind: 'answered', body: 'secret' });
    expect(home.seen.map(({ client }) => client)).toEqual(['client', 'client']);
    expect(other.seen).toEqual([{ serverName: 'localhost', client: undefined }]);
  });
});

describe('http2', () => {
  const taskFor = taskForClient('http2');

  test.each([
    ['agrees to HTTP/1.1 alone', { ALPNProtocols: ['http/1.1'] }, /no application protocol/],
    [
      'knows nothing of ALPN',
      { ALPNProtocols: [] },
      /^expected the server to agree to HTTP\/2 \(ALPN h2\), found no protocol$/,
    ],
  ])('a server that %s fails as tls, before anything is written', async (_name, alpn, message) => {
    await using server = await startTlsServer({ ...certificates.server, ...alpn });
    await using probe = probeFor(taskFor(`https://localhost:${server.port}/`, trusting()));
    for (let i = 0; i < 2; i++) {
      const outcome = await probe.exchange();
      expect(outcome).toMatchObject({ kind: 'tls', events: ['failed'] });
      expect(outcome.message).toMatch(message);
    }
    expect(server.seen).toEqual([]);
  });

  test('a server that would rather speak HTTP/1.1 is asked for HTTP/2', async () => {
    const options = { ...certificates.server, allowHTTP1: true, ALPNProtocols: ['http/1.1', 'h2'] };
    await using server = await startTlsServer(options, { http2: true });
    await using probe = probeFor(taskFor(`https://localhost:${server.port}/`, trusting()));
    expect(await probe.exchange()).toMatchObject({ kind: 'answered', body: 'secret' });
  });

  test('bytes are those of HTTP, without TLS', async () => {
    await using server = await startTlsServer(certificates.server, { http2: true });
    await using probe = probeFor(taskFor(`https://127.0.0.1:${server.port}/`, trusting()));
    await probe.exchange();
    const first = probe.client.traffic();
    // The preface, SETTINGS, WINDOW_UPDATE, the acknowledgement of the server's SETTINGS, and a head of at most 60 bytes.
    expect(first.bytesOut).toBeGreaterThan(24 + 27 + 13 + 9 + 9);
    expect(first.bytesOut).toBeLessThan(24 + 27 + 13 + 9 + 69);
    await probe.client.close();
    expect(probe.client.traffic()).toMatchObject({ connectionsOpened: 1, connections: 0 });
  });
});
