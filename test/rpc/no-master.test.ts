import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { SILENT } from '../../src/lib/log.ts';
import { Channel } from '../../src/rpc/channel.ts';
import { isServiceError } from '../../src/rpc/errors.ts';
import { startRpcServer, type MasterAddress, type RpcServer, type RpcServerOptions } from '../../src/rpc/server.ts';
import { ApiClient } from '../support/api.ts';
import { runCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';

const servers: RpcServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close(100);
});

async function start(options: Partial<RpcServerOptions>): Promise<string> {
  const server = await startRpcServer({
    listen: '127.0.0.1:0',
    nodeId: 'a',
    api: () => null,
    master: () => null,
    log: SILENT,
    ...options,
  });
  servers.push(server);
  return server.address;
}

/** An empty request. */
async function ask(address: string, method: string, hop: string | null = null): Promise<Buffer | string> {
  using channel = new Channel(address);
  try {
    return await channel.unary(`/gostress.v1.${method}`, Buffer.alloc(0), 5_000, hop);
  } catch (error) {
    return isServiceError(error) ? error.details : String(error);
  }
}

const PROBLEM = 'etcd does not answer';
const KNOWN = { master: null, term: 7, members: [], sentinels: [], quorum: 1, inhibit: null, runs: [] };

test('while there is no master the answer says so, and names what keeps a node from knowing of one', async () => {
  const electing = await start({});
  expect(await ask(electing, 'TaskService/ListTasks')).toBe('no master is elected now: try again in some seconds');
  const blind = await start({ problem: () => PROBLEM });
  expect(await ask(blind, 'TaskService/ListTasks')).toBe(`no master is known now: ${PROBLEM}`);
  expect(await ask(blind, 'TaskService/ListTasks', 'b')).toBe(`no master is known now: ${PROBLEM}`);
});

test('a master that is not there is named, with what keeps a node from knowing of a newer one', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const found = await ask(
    await start({ master: () => ({ nodeId: 'm', address, term: 3 }), problem: () => PROBLEM }),
    'TaskService/ListTasks',
  );
  expect(found).toContain(`the master (node m at ${address}, term 3) cannot be reached: `);
  expect(found).toContain(`; whether there is a newer one is not known: ${PROBLEM}`);
});

test('a call to a master that does not answer ends when a newer one is known, of whatever kind it is', async () => {
  const sockets: Socket[] = [];
  await using mute = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
  using accepted = new DisposableStack();
  accepted.defer(() => sockets.forEach((socket) => socket.destroy()));
  mute.listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const older: MasterAddress = { nodeId: 'm', address: `127.0.0.1:${(mute.address() as AddressInfo).port}`, term: 3 };
  let master = older;
  const address = await start({ master: () => master });
  using channel = new Channel(address);
  const unary = ask(address, 'TaskService/ListTasks');
  const stream = channel.stream(
    '/gostress.v1.ClusterService/WatchEvents',
    Buffer.alloc(0),
    new AbortController().signal,
    null,
  );
  const streamed = stream.next().then(
    () => 'an answer',
    (error: unknown) => (isServiceError(error) ? error.details : String(error)),
  );
  await eventually(() => expect(sockets.length).toBeGreaterThan(0));
  master = { nodeId: 'n', address: '127.0.0.1:1', term: 4 };
  const told = `node n at 127.0.0.1:1, term 4 has replaced node m at ${older.address}, term 3 while this call was under way`;
  expect(await unary).toContain(told);
  expect(await streamed).toContain(told);
});

test('GetCluster tells what the node knows, and why it knows no runs, also when the node that was the master is it no longer', async () => {
  const former = await start({ nodeId: 'm', problem: () => PROBLEM });
  for (const master of [null, { nodeId: 'm', address: former, term: 7 }]) {
    using client = new ApiClient(await start({ master: () => master, problem: () => PROBLEM, known: () => KNOWN }), [
      'gostress/v1/cluster.proto',
    ]);
    const runsUnknownWhy = `no master is known now: ${PROBLEM}`;
    expect(await client.call('GetCluster')).toMatchObject({ term: '7', master: null, runs: [], runsUnknownWhy });
  }
});

test('gostress status says that active runs are not known, and why', async () => {
  const address = await start({ problem: () => PROBLEM, known: () => KNOWN });
  const { code, stdout } = await runCli(['status', '--cluster', address]);
  expect(stdout).toMatch(/^master: +none$/m);
  expect(stdout).toContain(`active runs: not known (no master is known now: ${PROBLEM})\n`);
  expect(stdout).not.toContain('no active run');
  expect(code).toBe(0);
});
