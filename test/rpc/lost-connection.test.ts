import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { ClusterClient } from '../../src/rpc/client.ts';

test('a call that the server resets without a status has lost its connection: no internal error, and a watch is opened again', async () => {
  const server = createServer();
  let calls = 0;
  server.on('stream', (stream) => {
    calls++;
    stream.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    using client = ClusterClient.connect(address, { deadlineMs: 5_000 });
    await expect(client.getCluster()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(`lost the connection to ${address}`) as string,
    });
    expect(calls).toBe(1);
  } finally {
    server.close();
  }
});
