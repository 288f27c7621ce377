import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { createLog, SILENT } from '../../src/lib/log.ts';
import { Channel } from '../../src/rpc/channel.ts';
import { fromStatus } from '../../src/rpc/errors.ts';
import { startRpcServer } from '../../src/rpc/server.ts';
import { freePort } from '../support/ports.ts';

const OPTIONS = { nodeId: 'a', api: () => null, master: () => null };

async function failureAt(address: string): Promise<string> {
  using channel = new Channel(address);
  const error: unknown = await channel.unary('/x/y', Buffer.alloc(0), 5_000, null).catch((each: unknown) => each);
  return fromStatus(error, address, 5_000).message;
}

test('why a node cannot be reached is told in plain words', async () => {
  const closed = `127.0.0.1:${await freePort()}`;
  expect(await failureAt(closed)).toBe(`cannot reach ${closed}: connect ECONNREFUSED ${closed}`);
  const unknown = 'no-such-host.invalid:1';
  expect(await failureAt(unknown)).toBe(`cannot reach ${unknown}: the host name cannot be resolved`);
  const mute = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const address = `127.0.0.1:${(mute.address() as AddressInfo).port}`;
  expect(await failureAt(address)).toBe(`cannot reach ${address}: Failed to connect`);
  mute.close();
});

test('a port that is taken is told once, and what gRPC says of it goes to the log', async () => {
  const lines: string[] = [];
  const log = createLog({
    level: 'debug',
    format: 'json',
    out: { write: (line: string) => lines.push(line) },
    secrets: [],
    fields: {},
  });
  const toConsole = vi.spyOn(console, 'error');
  const first = await startRpcServer({ listen: '127.0.0.1:0', ...OPTIONS, log: SILENT });
  try {
    await expect(startRpcServer({ listen: first.address, ...OPTIONS, log })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: `cannot listen on ${first.address}: listen EADDRINUSE: address already in use ${first.address}`,
    });
    expect(toConsole).not.toHaveBeenCalled();
    expect(lines.map((line) => JSON.parse(line) as object)).toContainEqual(
      expect.objectContaining({ level: 'debug', part: 'grpc-js', msg: 'No address added out of total 1 resolved' }),
    );
  } finally {
    toConsole.mockRestore();
    await first.close(100);
  }
});
