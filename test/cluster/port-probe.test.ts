import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { probePort } from '../../src/cluster/port-probe.ts';

test('a port that somebody listens on is open, and refuses once it is closed', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(await probePort(`127.0.0.1:${port}`, 10_000)).toBe('open');
  server.close();
  await once(server, 'close');
  expect(await probePort(`127.0.0.1:${port}`, 10_000)).toBe('refused');
  expect(await probePort(`localhost:${port}`, 10_000)).toBe('refused');
});

test('a name that nobody knows and an address that is none prove nothing', async () => {
  expect(await probePort('nobody.invalid:7', 50)).toBe('unknown');
  expect(await probePort('127.0.0.1', 50)).toBe('unknown');
  expect(await probePort('[::1]:99999', 50)).toBe('unknown');
});
