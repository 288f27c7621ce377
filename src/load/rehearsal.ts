import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { nowMs } from '../lib/clock.ts';
import type { Assignment } from '../task/assignment.ts';
import { compilePlan, WHOLE } from '../task/plan.ts';
import { Attack } from './attack.ts';

const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
const REHEARSAL_MS = 250;
/** Hits per second, or users. */
const TARGETS = { open: 2_000, closed: 4 };

/**
 * Runs the engine's own code for a moment against a listener in this very thread, before the run: so the code is
 * compiled when the first hit is due. Cold, hits of the first second were up to 6 ms late, warm 1 ms.
 * The task's target is not touched and nothing of it is counted.
 */
export async function rehearse(assignment: Assignment): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', () => socket.write(ANSWER));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await using attack = new Attack({
      assignment: rehearsalOf(assignment, server.address() as AddressInfo),
      permit: null,
      zeroAtMs: nowMs(),
      fromMs: 0,
      onSample: () => undefined,
    });
    await attack.run();
  } finally {
    server.close();
  }
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
        connections: { max: null, reuse: true },
        checks: [],
      },
      body: null,
      tls: { ca: null, cert: null, key: null },
    },
    plan: compilePlan(model, [{ durationMs: REHEARSAL_MS, target: TARGETS[model], shape: 'constant' }]),
    share: WHOLE,
    hits: null,
    maxInFlight: TARGETS.closed,
    maxQueue: 0,
  };
}
