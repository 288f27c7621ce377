import { afterEach, beforeEach, expect, test } from 'vitest';
import { nowMs } from '../../src/lib/clock.ts';
import { startTarget, type Target } from '../../src/load/target/server.ts';
import { WHOLE, type Share } from '../../src/task/plan.ts';
import { taskFor } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { HandMaster, KEY } from './support/hand-master.ts';

let target: Target;
let master: HandMaster;

beforeEach(async () => {
  target = await startTarget();
  master = new HandMaster(target.url);
});
afterEach(async () => {
  await master.stop();
  await target.close();
});

/** How an assignment ended, once it has. */
async function ending() {
  return eventually(() => {
    const [stopped] = master.of('stopped');
    if (stopped === undefined) throw new Error('it goes on');
    return stopped;
  }, 20_000);
}

test('an assignment is carried out to its end, each hit is in a sample, and it is forgotten once all is stored', async () => {
  master.assign(100, 2);
  await eventually(() => expect(master.of('assignAck')).toMatchObject([{ ...KEY, version: 1, error: null }]));
  expect(master.worker.running()).toBe(1);
  expect(target.stats().received).toBe(0);
  const { finalSeq, incarnation, why } = await ending();
  expect({ finalSeq, incarnation, why }).toEqual({ finalSeq: master.samples().length, incarnation: 3, why: '' });
  expect(master.counts()).toMatchObject({ scheduled: 200, ok: target.stats().received });
  expect(master.samples().map(({ seq }) => seq)).toEqual(master.samples().map((_, i) => i + 1));
  expect(master.worker.running()).toBe(0);
  await eventually(() => expect(master.worker.hello()).toEqual({ running: [], spilled: [] }));
});

test('the same assignment said again changes nothing and is answered again', async () => {
  const message = master.assign(100, 2);
  master.say(message);
  await eventually(() => expect(master.of('assignAck')).toHaveLength(2));
  await ending();
  expect(master.counts().scheduled).toBe(200);
  expect(target.stats().received).toBe(master.counts().ok);
});

test('what was not acknowledged is kept, told in Hello, and sent again to the next master', async () => {
  master.isStoring = false;
  master.assign(100, 2);
  await eventually(() => expect(master.samples().length).toBeGreaterThan(0), 20_000);
  master.lose();
  await eventually(() => {
    const [entry] = master.worker.hello().running;
    expect(entry).toMatchObject({ ...KEY, version: 1, epoch: 1, incarnation: 3, ackedSeq: 0 });
    expect(entry!.finalSeq).toBe(entry!.lastSeq);
  }, 20_000);
  const [{ lastSeq }] = master.worker.hello().running as unknown as [{ lastSeq: number }];
  master.heard.length = 0;
  master.reconnect();
  expect(master.samples().map(({ seq }) => seq)).toEqual(Array.from({ length: lastSeq }, (_, i) => i + 1));
  expect(master.of('stopped')).toMatchObject([{ finalSeq: lastSeq }]);
  expect(master.counts()).toMatchObject({ scheduled: 200, ok: target.stats().received });
  master.acknowledge();
  expect(master.worker.hello().running).toEqual([]);
});

test('an acknowledgement for another incarnation, or without the end, lets nothing be forgotten', async () => {
  master.isStoring = false;
  master.assign(50, 1);
  const { finalSeq } = await ending();
  master.say({ type: 'ack', ...KEY, incarnation: 2, upTo: finalSeq, final: true });
  expect(master.worker.hello().running).toMatchObject([{ ackedSeq: 0 }]);
  master.say({ type: 'ack', ...KEY, incarnation: 3, upTo: finalSeq, final: false });
  expect(master.worker.hello().running).toMatchObject([{ ackedSeq: finalSeq }]);
});

test('without a permit not a hit is sent; what was due is dropped for that reason, and with one it goes on', async () => {
  master.assign(100, 5);
  await eventually(() => expect(target.stats().received).toBeGreaterThan(50), 20_000);
  master.permitUntil(nowMs());
  await eventually(() => expect(master.samples().some(({ counts }) => counts.dropped['no-permit'] > 0)).toBe(true));
  const { received } = target.stats();
  const before = master.samples().length;
  await eventually(() => expect(master.samples().length).toBeGreaterThan(before));
  expect(target.stats().received).toBe(received);
  master.permitUntil(Infinity);
  await eventually(() => expect(target.stats().received).toBeGreaterThan(received));
  await ending();
  const { scheduled, ok, dropped } = master.counts();
  expect(scheduled).toBe(500);
  expect(dropped['no-permit']).toBeGreaterThan(0);
  expect(ok).toBe(target.stats().received);
});

test('what had no permit for too long is given up, and its samples are kept', async () => {
  master.assign(100, 60);
  await eventually(() => expect(target.stats().received).toBeGreaterThan(10), 20_000);
  master.permitUntil(nowMs());
  expect((await ending()).why).toBe('no permit for 4 s');
  expect(master.counts().ok).toBe(target.stats().received);
});

test('shares of one plan, begun in its middle, add up to every hit of the rest', async () => {
  const third = (phase: number): Share => ({ weight: 1, of: 3, phase });
  for (const phase of [0, 1, 2]) {
    master.assign(300, 3, { assignment: phase + 1, share: third(phase), planOffsetMs: 1_000 });
  }
  await eventually(() => expect(master.of('stopped')).toHaveLength(3), 20_000);
  const scheduled = [1, 2, 3].map((assignment) => master.counts(assignment).scheduled);
  expect(scheduled.reduce((a, b) => a + b, 0)).toBe(600);
  expect(Math.max(...scheduled) - Math.min(...scheduled)).toBeLessThanOrEqual(1);
  const loaded = master.samples(1).filter(({ counts }) => counts.scheduled > 0);
  expect(loaded.map(({ second }) => second)).toEqual([1, 2]);
});

test('a retune is answered once the engine has it; an older version changes nothing', async () => {
  const { plan } = master.assign(100, 60);
  await eventually(() => expect(target.stats().received).toBeGreaterThan(10), 20_000);
  const rest = { ...KEY, epoch: 2, plan, maxInFlight: 1_000, maxQueue: 0 };
  master.say({ type: 'retune', ...rest, version: 3, share: { weight: 1, of: 2, phase: 0 } });
  master.say({ type: 'retune', ...rest, version: 2, share: WHOLE });
  await eventually(() => {
    expect(master.of('retuneAck').map(({ version, error }) => [version, error])).toEqual([
      [3, null],
      [2, null],
    ]);
  });
  expect(master.worker.hello().running).toMatchObject([{ version: 3, epoch: 2, share: { weight: 1, of: 2 } }]);
  const from = master.samples().length;
  await eventually(() => expect(master.samples().length).toBeGreaterThanOrEqual(from + 3));
  expect(master.samples().at(-1)!.counts.scheduled).toBe(50);
});

test('stop ends it in good order; said again, or of what is not known, it is answered again', async () => {
  master.isStoring = false;
  master.assign(100, 60);
  await eventually(() => expect(target.stats().received).toBeGreaterThan(10), 20_000);
  const stop = { type: 'stop', version: 1, graceMs: 5_000, why: 'the user wants it' } as const;
  master.say({ ...stop, ...KEY });
  expect(await ending()).toMatchObject({ why: 'the user wants it', finalSeq: master.samples().length });
  expect(master.counts()).toMatchObject({ ok: target.stats().received, aborted: 0 });
  master.say({ ...stop, ...KEY });
  expect(master.of('stopped')).toHaveLength(2);
  master.say({ ...stop, ...KEY, assignment: 9 });
  expect(master.of('stopped').at(-1)).toMatchObject({ assignment: 9, finalSeq: 0 });
});

test('a task that cannot be carried out here is refused with the reason', async () => {
  const task = taskFor(target.url, { pem: { cert: 'no certificate', key: 'no key' } });
  master.assign(100, 1, {
    task: { ...task, spec: { ...task.spec, request: { ...task.spec.request, url: 'https://127.0.0.1/' } } },
  });
  await eventually(() => expect(master.of('assignAck')).toHaveLength(1));
  expect(master.of('assignAck')[0]!.error).toMatch(/PEM|certificate/);
  expect(master.worker.running()).toBe(0);
});

test('a node that drains takes nothing new, loads until its master stops it, and leaves when all is stored', async () => {
  master.assign(100, 60);
  await eventually(() => expect(target.stats().received).toBeGreaterThan(10), 20_000);
  master.drain();
  master.assign(100, 60, { assignment: 2 });
  expect(master.of('assignAck').at(-1)).toMatchObject({ assignment: 2, error: 'this node drains' });
  const { received } = target.stats();
  await eventually(() => expect(target.stats().received).toBeGreaterThan(received + 10));
  master.say({ type: 'stop', ...KEY, version: 1, graceMs: 5_000, why: 'it moves' });
  await master.ended;
  expect(master.counts().ok).toBe(target.stats().received);
});

test('a node that must leave now gives its hits up and still sends what it has counted', async () => {
  master.assign(100, 60);
  await eventually(() => expect(target.stats().received).toBeGreaterThan(10), 20_000);
  await master.stop();
  const { ok, aborted } = master.counts();
  expect(ok + aborted).toBeGreaterThanOrEqual(target.stats().received);
  expect(master.of('stopped')).toMatchObject([{ why: 'the test is over', finalSeq: master.samples().length }]);
});
