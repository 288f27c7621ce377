import { Client, type Dispatcher } from 'undici';

/**
 * The reference for the cost of our own engine: the least that a closed loop over undici's `dispatch` can do. One client per
 * connection, the next request when the last one is answered; nothing is measured but the count.
 *
 *     node undici-bare.ts URL CONNECTIONS SECONDS
 */
const [url = '', connections = '50', seconds = '5'] = process.argv.slice(2);
const { origin, pathname, search } = new URL(url);
const options: Dispatcher.DispatchOptions = { origin, path: pathname + search, method: 'GET' };
const clients = Array.from({ length: Number(connections) }, () => new Client(origin, { pipelining: 1 }));

let running = true;
let answered = 0;
let failed = 0;

function loop(client: Client): void {
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => undefined,
    onResponseStart: () => undefined,
    onResponseData: () => undefined,
    onResponseEnd: () => {
      answered += 1;
      if (running) client.dispatch(options, handler);
    },
    onResponseError: () => {
      failed += 1;
      if (running) setTimeout(() => client.dispatch(options, handler), 10);
    },
  };
  client.dispatch(options, handler);
}

clients.forEach(loop);
setTimeout(
  () => {
    running = false;
    void Promise.all(clients.map((client) => client.close())).then(() => {
      process.stdout.write(`${JSON.stringify({ answered, failed })}\n`);
    });
  },
  Number(seconds) * 1e3,
);
