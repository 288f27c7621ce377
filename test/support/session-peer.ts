/**
 * One end of a worker stream in a process of its own, which can be frozen and killed.
 * `worker ADDRESS KEEPALIVE_MS` dials and says Hello; `master KEEPALIVE_MS` prints its address, and answers each Hello with
 * Welcome. Both print what happens, a line each.
 */
import { SILENT } from '../../src/lib/log.ts';
import { createDialer } from '../../src/rpc/session-client.ts';
import { helloOf, startSessionServer } from './session.ts';

const [role, ...args] = process.argv.slice(2);
const keepaliveMs = Number(args.at(-1));
const keepalive = { timeMs: keepaliveMs, timeoutMs: keepaliveMs };

if (role === 'worker') {
  const link = createDialer({ log: SILENT, keepalive })(args[0]!, {
    message: (message) => console.log(message.type),
    closed: ({ kind, why }) => console.log(`closed ${kind} ${why}`),
  });
  link.send(helloOf('peer'));
} else {
  const server = await startSessionServer(
    (link) => ({
      message: ({ type }) => {
        console.log(type);
        if (type === 'hello') link.send({ term: 1, type: 'welcome', heartbeatMs: 500 });
      },
      closed: ({ kind, why }) => console.log(`closed ${kind} ${why}`),
    }),
    keepalive,
  );
  console.log(`address ${server.address}`);
}
