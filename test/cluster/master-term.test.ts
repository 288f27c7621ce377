import { afterEach, beforeEach, expect, test } from 'vitest';
import { MasterTerm } from '../../src/cluster/master-term.ts';
import { MemoryHub } from '../../src/cluster/memory.ts';
import type { MemberEvent, NodeRecord, ToWorker } from '../../src/cluster/ports.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { SILENT } from '../../src/lib/log.ts';
import { linkPair } from '../support/cluster-links.ts';
import { QUICK, record } from '../support/cluster-nodes.ts';
import { eventually } from '../support/eventually.ts';

let over: AbortController;
beforeEach(() => (over = new AbortController()));
afterEach(() => over.abort(new Error('the test is over')));

const MASTER = record({ nodeId: 'm' });

/** A term with one worker that was echoed and then says nothing more. @param shown who is master for the coordinator, which has no record */
async function silentWorker(shown: { node: NodeRecord; term: number } | null) {
  const events: MemberEvent[] = [];
  const mastership = {
    term: 5,
    reasons: { term: 5, nodeId: 'm', how: 'by rank' as const, nomination: null, ranked: ['m'] },
    signal: over.signal,
    validUntilMs: () => Infinity,
    mayAct: () => true,
    stepDown: () => over.abort(new Error('stepped down')),
    handOver: () => Promise.resolve(false),
    release: () => Promise.resolve(),
  };
  const view = { master: shown, nodes: [], nomination: null, sentinels: [], inhibit: null };
  const driver = {
    run: (context: { onMember(listener: (event: MemberEvent) => void): unknown; signal: AbortSignal }) => {
      context.onMember((event) => void events.push(event));
      return new Promise<void>((resolve) => over.signal.addEventListener('abort', () => resolve()));
    },
  };
  const term = new MasterTerm({
    mastership,
    node: MASTER,
    coordinator: Object.assign(new MemoryHub().coordinator(), { read: () => Promise.resolve(view) }),
    probe: () => Promise.reject(new Error('nobody is probed')),
    probePort: () => Promise.resolve('open'),
    quorum: 1,
    timings: QUICK,
    drivers: new Map([['a', driver]]),
    addressOf: () => null,
    onNewerTerm: () => undefined,
    successor: () => null,
    log: SILENT,
  });
  const ended = term.run();
  const { master, worker } = linkPair();
  const heard: ToWorker[] = [];
  worker.handlers = { message: (message) => void heard.push(message), closed: () => undefined };
  master.handlers = term.accept(master, 'test');
  worker.send({ type: 'hello', node: record({ nodeId: 'w' }), maxTerm: 0, drivers: ['a'], state: {} });
  worker.send({ type: 'ping', clockMs: nowMs() });
  // Nothing more comes out of it, and no record of it stands.
  await eventually(() => expect(heard.some((m) => m.type === 'heartbeat' && m.echoMs !== null)).toBe(true));
  worker.stalled = true;
  const stalledAtMs = nowMs();
  await eventually(() => expect(events.some(({ member }) => member.standing === 'gone')).toBe(true));
  return { worker, heard, ended, goneAfterMs: nowMs() - stalledAtMs };
}

test('a worker that was said to be gone while its stream was open is sent away, and its late ping is not echoed', async () => {
  const { worker, heard, ended } = await silentWorker({ node: MASTER, term: 5 });
  await eventually(() => expect(heard.at(-1)).toMatchObject({ type: 'goAway' }));
  const count = heard.length;
  worker.stalled = false;
  worker.send({ type: 'ping', clockMs: nowMs() });
  worker.pump();
  await new Promise((resolve) => setTimeout(resolve, 3 * QUICK.heartbeatMs));
  expect(heard.slice(count).filter(({ type }) => type === 'heartbeat')).toEqual([]);
  over.abort(new Error('the test is over'));
  await ended;
});

test('that no record of a worker stands proves nothing when that of the master does not stand either', async () => {
  const shown = await silentWorker({ node: MASTER, term: 5 });
  const { goneAfterMs } = await silentWorker(null);
  expect(shown.goneAfterMs).toBeLessThan(goneAfterMs);
  // Not before any permit is over: to the millisecond or so of the last echo.
  expect(goneAfterMs).toBeGreaterThan(QUICK.permitOnLeaseMs - 2 * QUICK.heartbeatMs);
});
