import { once } from 'node:events';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { nowMs } from '../lib/clock.ts';
import type { Assignment } from '../task/assignment.ts';
import { clientOf } from '../task/client.ts';
import { compilePlan, WHOLE } from '../task/plan.ts';
import { Attack } from './attack.ts';

/** With the fields that servers send: the parser meets little in the run that it has not met here. */
const ANSWER = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: rehearsal\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\n' +
    'Content-Length: 2\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nok',
);
/**
 * Of one attack alone V8 takes for constant what belongs to it (its closures, the shapes of its objects), and throws the code
 * away when the run's own attack comes.
 */
const ATTACKS = 8;
/** Run time in which each attack lasts: the end of a second lies within. */
const FROM_MS = 975;
const TO_MS = 1_025;
/** Each begins so much later: a run waits for its first hit on a timer, too. */
const AHEAD_MS = 3;
/** Hits per second, or users. Not a whole number, as the instants of the run need not be. */
const TARGETS = { open: 4_000.5, closed: 4 };

/**
 * Runs the engine's own code for a moment against a listener in this very thread, before the run: so the code is
 * compiled when the first hit is due. Cold, hits of the first second were up to 6 ms late; after one long attack, compilation
 * for the run's own still made lateness p99 at 1 000/s 1 ms on one core, after several 0.2 ms.
 * The task's target is not touched and nothing of it is counted.
 */
export async function rehearse(original: Assignment): Promise<void> {
  const server = clientOf(original.task.spec) === 'http2' ? http2Listener() : http1Listener();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const assignment = rehearsalOf(original, server.address() as AddressInfo);
    for (let k = 0; k < ATTACKS; k++) {
      await using attack = new Attack({
        // As the thread gets its own: objects that were sent have shapes of their own.
        assignment: structuredClone(assignment),
        permit: null,
        zeroAtMs: nowMs() - FROM_MS + AHEAD_MS,
        fromMs: FROM_MS,
        onSample: () => undefined,
      });
      await attack.run();
    }
  } finally {
    server.close();
  }
}

function http1Listener(): Server {
  return createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', () => socket.write(ANSWER));
  });
}

function http2Listener(): Server {
  return createHttp2Server((_, response) => {
    response.setHeader('content-type', 'text/plain');
    response.end('ok');
  });
}

function rehearsalOf(assignment: Assignment, { port }: AddressInfo): Assignment {
  const { spec } = assignment.task;
  const { model } = assignment.plan;
  return {
    ...assignment,
    task: {
      spec: {
        ...spec,
        request: { method: 'GET', url: `http://127.0.0.1:${port}/`, headers: [], body: null },
        load: { ...spec.load, warmupMs: 0, thinkTimeMs: 0, graceMs: 1_000 },
        connections: { ...spec.connections, max: null, reuse: true },
        checks: [],
      },
      body: null,
      tls: { ca: null, cert: null, key: null },
    },
    plan: compilePlan(model, [{ durationMs: TO_MS, target: TARGETS[model], shape: 'constant' }]),
    share: WHOLE,
    hits: null,
    maxInFlight: TARGETS.closed,
    maxQueue: 0,
  };
}
