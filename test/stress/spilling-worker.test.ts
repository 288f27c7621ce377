import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLog, SILENT } from '../../src/lib/log.ts';
import { settledWithin } from '../../src/lib/wait.ts';
import { startTarget, type Target } from '../../src/load/target/server.ts';
import { Spill } from '../../src/stress/spill.ts';
import { eventually } from '../support/eventually.ts';
import { HandMaster, KEY, type HandMasterOptions } from './support/hand-master.ts';

let target: Target;
let folder: string;
let open: AsyncDisposableStack;
let said: string;

beforeEach(async () => {
  target = await startTarget();
  folder = await mkdtemp(path.join(tmpdir(), 'gostress-spilling-'));
  open = new AsyncDisposableStack();
  said = '';
});
afterEach(async () => {
  await open.disposeAsync();
  await target.close();
  await rm(folder, { recursive: true });
  await rm(`${folder}-killed`, { recursive: true, force: true });
});

const LOG = createLog({
  level: 'info',
  format: 'json',
  out: { write: (line) => (said += line) },
  secrets: [],
  fields: {},
});

/** A worker on the folder, as each process of a node is one. */
async function begin(incarnation: number, onBufferFull: 'pause' | 'drop' = 'pause', at = folder) {
  const spill = open.use(await Spill.open({ folder: at, maxBytes: 4_000_000, log: SILENT }));
  const options: HandMasterOptions = { incarnation, log: LOG, worker: { spill, onBufferFull } };
  const master = new HandMaster(target.url, options);
  open.defer(() => master.stop());
  return { master, spill };
}

/** As long as samples stay in memory, and then some. */
const SPILLED_MS = 30_000;

async function spilled(spill: Spill, bytes = 1): Promise<void> {
  await eventually(() => expect(spill.bytes).toBeGreaterThanOrEqual(bytes), SPILLED_MS);
}

/** The files as they are at this moment: what a kill leaves behind. */
function whatAKillLeaves(): string {
  const copy = `${folder}-killed`;
  execFileSync('cp', ['-r', folder, copy]);
  return copy;
}

test('what waits for five seconds goes to disk, comes back in order when the master stores again, and leaves no file', async () => {
  const { master, spill } = await begin(3);
  master.isStoring = false;
  master.assign(50, 8);
  await spilled(spill);
  await eventually(() => expect(master.of('stopped')).toHaveLength(1), SPILLED_MS);
  const { finalSeq } = master.of('stopped')[0]!;
  master.heard.length = 0;
  master.reconnect();
  await eventually(() => expect(master.samples()).toHaveLength(finalSeq), SPILLED_MS);
  expect(master.samples().map(({ seq }) => seq)).toEqual(Array.from({ length: finalSeq }, (_, i) => i + 1));
  expect(master.counts()).toMatchObject({ scheduled: 400, ok: target.stats().received, unmeasured: 0 });
  await eventually(() => expect(master.of('stopped')).toMatchObject([{ finalSeq }]));
  master.acknowledge();
  expect(spill.bytes).toBe(0);
  await eventually(async () => expect(await readdir(folder)).toEqual([]));
  expect(master.worker.hello()).toEqual({ running: [], spilled: [] });
}, 60_000);

test('a process that is killed leaves what was on disk to the next one, which names it, sends it, and deletes it', async () => {
  const { master, spill } = await begin(3);
  master.isStoring = false;
  master.assign(50, 60);
  await spilled(spill, 5_000);
  const copy = whatAKillLeaves();
  const made = master.samples();
  await master.stop();
  const { master: next, spill: nextSpill } = await begin(4, 'pause', copy);
  next.isStoring = false;
  const [told] = next.worker.hello().spilled;
  expect(told).toMatchObject({ ...KEY, incarnation: 3 });
  expect(told!.lastSeq).toBeGreaterThanOrEqual(5);
  await eventually(() => expect(next.samples()).toHaveLength(told!.lastSeq));
  expect(next.samples()).toEqual(made.slice(0, told!.lastSeq));
  expect(next.of('stopped')).toEqual([]);
  next.say({ type: 'ack', ...KEY, incarnation: 3, upTo: told!.lastSeq, final: false });
  expect(next.worker.hello().spilled).toEqual([]);
  expect(nextSpill.bytes).toBe(0);
  expect(next.worker.running()).toBe(0);
}, 60_000);

test('a node that must leave writes what nobody has stored to disk; the next process tells the end too, and drains when all is stored', async () => {
  const { master } = await begin(3);
  master.assign(50, 60);
  await eventually(() => expect(target.stats().received).toBeGreaterThan(10), 20_000);
  master.isStoring = false;
  master.lose();
  await master.stop();
  await open.disposeAsync();
  open = new AsyncDisposableStack();
  const { master: next } = await begin(4);
  await eventually(() => expect(next.of('stopped')).toHaveLength(1));
  const { finalSeq, why } = next.of('stopped')[0]!;
  expect(next.of('stopped')[0]).toMatchObject({ ...KEY, incarnation: 3 });
  expect(why).toBe('the test is over');
  expect(next.samples().at(-1)!.seq).toBe(finalSeq);
  next.say({ type: 'ack', ...KEY, incarnation: 3, upTo: finalSeq, final: false });
  expect(next.worker.hello().spilled, 'its end is not stored yet').toHaveLength(1);
  // Found by the simulation: it left at once, and its disk may never come back.
  next.drain();
  expect(await settledWithin(next.ended, 500), 'it leaves before all is stored').toBe(false);
  next.say({ type: 'ack', ...KEY, incarnation: 3, upTo: finalSeq, final: true });
  expect(next.worker.hello().spilled).toEqual([]);
  await next.ended;
}, 60_000);

/** No file of this process may get larger: to it, the disk is full. */
function fillTheDisk(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`]);
}

test('a full disk pauses the load, says why, and the load goes on when there is room; nothing is lost', async () => {
  const { master, spill } = await begin(3);
  master.isStoring = false;
  master.assign(100, 25);
  fillTheDisk(2_000);
  try {
    await eventually(() => expect(said).toContain('no room for more results: the load pauses'), SPILLED_MS);
    expect(said).toContain('the disk takes no more');
    const paused = master.samples().length;
    await eventually(() => expect(master.samples().length).toBeGreaterThan(paused + 2));
    const { received } = target.stats();
    await eventually(() => expect(master.samples().length).toBeGreaterThan(paused + 3));
    expect(target.stats().received).toBe(received);
    expect(master.samples().at(-1)).toMatchObject({ heldMs: 1000, counts: { scheduled: 0 } });
    fillTheDisk('unlimited');
    await eventually(() => expect(target.stats().received).toBeGreaterThan(received), SPILLED_MS);
  } finally {
    fillTheDisk('unlimited');
  }
  expect(said).toContain('room for results again: the load goes on');
  await spilled(spill);
  master.isStoring = true;
  master.reconnect();
  await eventually(() => expect(master.worker.hello().running).toEqual([]), SPILLED_MS);
  expect(master.counts()).toMatchObject({ ok: target.stats().received, unmeasured: 0 });
}, 90_000);

test('onBufferFull: drop goes on without room; latencies are given up, and every hit is still counted', async () => {
  const { master } = await begin(3, 'drop');
  master.isStoring = false;
  master.assign(100, 14);
  fillTheDisk(2_000);
  try {
    await eventually(() => expect(said).toContain('latencies are given up, hits are still counted'), SPILLED_MS);
    await eventually(() => expect(master.of('stopped')).toHaveLength(1), SPILLED_MS);
  } finally {
    fillTheDisk('unlimited');
  }
  master.isStoring = true;
  master.reconnect();
  await eventually(() => expect(master.worker.hello().running).toEqual([]), SPILLED_MS);
  const { scheduled, ok, answered, unmeasured } = master.counts();
  expect({ scheduled, ok }).toEqual({ scheduled: 1400, ok: target.stats().received });
  expect(unmeasured).toBeGreaterThan(0);
  expect(unmeasured).toBeLessThan(answered);
  for (const { counts, histograms } of master.samples()) {
    const isLost = counts.unmeasured > 0;
    expect(Object.keys(histograms).length > 0).toBe(!isLost && counts.scheduled > 0);
  }
}, 60_000);
