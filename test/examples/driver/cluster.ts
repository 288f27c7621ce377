/** Three nodes within this process; one of them dies while it counts. Prints what the master's driver found. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { loadDriver, servePackage } from '../../../src/cluster/load-driver.ts';
import { MemoryHub } from '../../../src/cluster/memory.ts';
import { Node } from '../../../src/cluster/node.ts';
import type { Log } from '../../../src/lib/log.ts';
import { LinkNetwork } from '../../support/cluster-links.ts';
import { MemoryFence, QUICK } from '../../support/cluster-nodes.ts';

servePackage(new URL('../../../src/app/index.ts', import.meta.url).href);
const drivers = await loadDriver(`${import.meta.dirname}/primes.js`);

const hub = new MemoryHub();
const fence = new MemoryFence();
const network = new LinkNetwork();
const over = new AbortController();
const counted = Promise.withResolvers<object>();

const nothing = () => undefined;
const log: Log = {
  debug: nothing,
  info: (fields, text) => {
    if (text === 'counted') counted.resolve(fields);
  },
  warn: nothing,
  error: (fields, text) => console.error(text, fields),
  child: () => log,
};

async function start(nodeId: string, roles: ('worker' | 'candidate')[]) {
  const port = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(port, 'listening');
  const address = `127.0.0.1:${(port.address() as AddressInfo).port}`;
  const node = new Node({
    node: { nodeId, address, roles, priority: 100, labels: {}, version: '0.0.0' },
    coordinator: hub.coordinator(),
    fence,
    dial: (to, handlers) => network.dialAs(nodeId, to, handlers),
    probe: network.probe,
    quorum: 1,
    drivers,
    timings: QUICK,
    capacity: null,
    log,
  });
  network.listen(address, node.accept, () => node.answer());
  const ended = node.run(over.signal).finally(() => port.close());
  return { node, address, port, ended };
}

const master = await start('a', ['worker', 'candidate']);
const victim = await start('b', ['worker']);
const other = await start('c', ['worker']);

// As SIGKILL would: its port is closed, its streams are broken, in the middle of its work.
while ((master.node.members().find(({ node }) => node.nodeId === 'b')?.info?.running ?? 0) === 0) {
  await new Promise((resolve) => setTimeout(resolve, 5));
}
victim.port.close();
network.kill(victim.address, 'b');

console.log(JSON.stringify(await counted.promise));
over.abort();
await Promise.all([master, victim, other].map(({ ended }) => ended));
