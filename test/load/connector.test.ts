import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Connector, endpointOf, type DialListener, type Endpoint } from '../../src/load/connector.ts';
import type { Failure } from '../../src/load/error-class.ts';
import { taskFor } from '../support/engine.ts';
import { probeFor } from '../support/exchange.ts';
import { okResponse, startRawServer } from '../support/raw-server.ts';

interface Dialled {
  socket: Socket;
  dnsMs: number;
  connectMs: number;
  tlsMs: number;
}

function dial(connector: Connector, endpoint: Endpoint): Promise<Dialled | Failure> {
  return new Promise((resolve) => {
    const listener: DialListener = {
      dialled: (socket, dnsMs, connectMs, tlsMs) => resolve({ socket, dnsMs, connectMs, tlsMs }),
      dialFailed: resolve,
    };
    connector.dial(endpoint, listener);
  });
}

test.each([
  ['http://h/', { tls: false, host: 'h', port: 80 }],
  ['https://h/', { tls: true, host: 'h', port: 443 }],
  ['http://h:8080/', { tls: false, host: 'h', port: 8080 }],
  ['https://[::1]:8443/', { tls: true, host: '::1', port: 8443 }],
])('the endpoint of %s', (url, endpoint) => {
  expect(endpointOf(new URL(url))).toEqual(endpoint);
});

test('an address has no DNS phase, a name has one', async () => {
  await using server = await startRawServer({ onRequest: () => undefined });
  const connector = new Connector(taskFor(server.url));
  const byAddress = (await dial(connector, { tls: false, host: '127.0.0.1', port: server.port })) as Dialled;
  expect(byAddress).toMatchObject({ dnsMs: 0, tlsMs: 0 });
  expect(byAddress.connectMs).toBeGreaterThan(0);
  // localhost may be ::1 first, where nobody listens: the other address is tried too.
  const byName = (await dial(connector, { tls: false, host: 'localhost', port: server.port })) as Dialled;
  expect(byName.dnsMs).toBeGreaterThan(0);
  expect(byName.connectMs).toBeGreaterThan(0);
  expect(byName.socket.remoteAddress).toBe('127.0.0.1');
  byAddress.socket.destroy();
  byName.socket.destroy();
});

test('a refused connection says to where', async () => {
  const server = await startRawServer({ onRequest: () => undefined });
  await server.close();
  const connector = new Connector(taskFor(server.url));
  expect(await dial(connector, { tls: false, host: '127.0.0.1', port: server.port })).toEqual({
    errorClass: 'connect-refused',
    message: `connect ECONNREFUSED 127.0.0.1:${server.port}`,
  });
  expect(await dial(connector, { tls: false, host: 'localhost', port: server.port })).toMatchObject({
    errorClass: 'connect-refused',
  });
});

test('a name that does not exist is a failure of dns', async () => {
  await using probe = probeFor(taskFor('http://no-such-host.invalid/'));
  const outcome = await probe.exchange();
  expect(outcome).toMatchObject({ kind: 'dns', events: ['failed'] });
  expect(outcome.message).toMatch(/^getaddrinfo (ENOTFOUND|EAI_AGAIN) no-such-host\.invalid$/);
});

test('a host that does not answer is a connect timeout after connectMs', async () => {
  // A listener that accepts nothing: when its queue is full, the kernel drops the SYNs, as a silent firewall does.
  const script = `require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
    process.stdout.write(String(this.address().port)); process.kill(process.pid, 'SIGSTOP'); })`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  const url = `http://127.0.0.1:${port.toString()}/`;
  const connector = new Connector(taskFor(url, { timeouts: { connectMs: 200 } }));
  const sockets: Socket[] = [];
  let failure: Failure | null = null;
  while (failure === null && sockets.length < 100) {
    const result = await dial(connector, endpointOf(new URL(url)));
    if ('socket' in result) sockets.push(result.socket);
    else failure = result;
  }
  for (const socket of sockets) socket.destroy();
  child.kill('SIGKILL');
  expect(failure).toEqual({
    errorClass: 'connect-timeout',
    message: 'no connection within 200 ms: it was still in the TCP connect',
  });
});

test('a dial that was cancelled tells nothing and leaves no connection', async () => {
  await using server = await startRawServer({ onRequest: ({ socket }) => void socket.write(okResponse()) });
  const connector = new Connector(taskFor(server.url));
  const endpoint = { tls: false, host: '127.0.0.1', port: server.port };
  const heard: string[] = [];
  const listener = { dialled: () => heard.push('dialled'), dialFailed: () => heard.push('failed') };
  connector.dial(endpoint, listener).cancel();
  const later = (await dial(connector, endpoint)) as Dialled;
  later.socket.destroy();
  await once(later.socket, 'close');
  expect(heard).toEqual([]);
});

test('no file descriptor left is a failure of this machine, not of the target', async () => {
  await using server = await startRawServer({ onRequest: () => undefined });
  const script = `
    import { Connector } from ${JSON.stringify(new URL('../../src/load/connector.ts', import.meta.url).href)};
    const task = JSON.parse(process.argv[1]);
    const connector = new Connector(task);
    const sockets = [];
    const next = () => connector.dial({ tls: false, host: '127.0.0.1', port: ${server.port} }, {
      dialled: (socket) => { sockets.push(socket); next(); },
      dialFailed: (failure) => { process.stdout.write(JSON.stringify(failure)); process.exit(); },
    });
    next();`;
  const node = `ulimit -n 64; exec "$0" "$@"`;
  const child = spawn('sh', [
    '-c',
    node,
    process.execPath,
    '--input-type=module',
    '-e',
    script,
    JSON.stringify(taskFor(server.url)),
  ]);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  expect(JSON.parse(output)).toEqual({
    errorClass: 'descriptors-exhausted',
    message: `connect EMFILE 127.0.0.1:${server.port}`,
  });
});
