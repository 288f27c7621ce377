import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { MISSING } from '../../e2e/cluster.ts';
import { portsOf } from '../../e2e/target-log.ts';
import {
  HELD_UP_MS,
  LEASE_TTL_MS,
  NOISE_MS,
  PERMIT_MS,
  PERMIT_ON_LEASE_MS,
  TWO_LEADERS,
  WORKER,
  type Fault,
} from '../fault.ts';
import type { Findings } from '../findings.ts';
import type { Scene } from '../scene.ts';

/** Its port is tried every 100 ms, the next pass is soon, and those who get its share begin at once. */
const MOVED_BY_PORT_MS = 1_000;
/** By then all that is missing is missing. */
const WATCHED_MS = 6_000;

/** Its key is gone after a lease, its permit 2 s after the last echo; then its share has moved. */
const MOVED_MS = LEASE_TTL_MS + PERMIT_MS + NOISE_MS;

/** The whole load is with others. */
export async function moved(scene: Scene, nodeId: string, deadlineMs = MOVED_MS): Promise<void> {
  await eventually(async () => {
    const shares = await scene.cluster.shares(scene.run);
    expect(shares.map(({ node }) => node)).not.toContain(`nodes/${nodeId}`);
    expect(shares.reduce((sum, { target }) => sum + target, 0)).toBe(scene.rate);
  }, deadlineMs);
}

/** Everybody has a share again. */
async function whole(scene: Scene, nodeId: string): Promise<void> {
  await eventually(async () => {
    const shares = await scene.cluster.shares(scene.run);
    expect(shares.map(({ node }) => node)).toContain(`nodes/${nodeId}`);
  }, 20_000);
}

function expectUnknownIsNamed({ run, report }: Findings): void {
  expect(run.state).toBe('DONE_INCOMPLETE');
  expect(run.reason).toMatch(/of assignment \d+ \(nodes\/w1\) (what came after its sample \d+|nothing)/);
  expect(report.complete).toBe(false);
}

/** The share moves when the port of the dead process refuses: of all hits after, the target misses those of its share in a second. */
function expectWhole({ hits, rate, workers, spans, noiseMs, isStarved }: Findings): void {
  if (isStarved) return;
  const killedMs = spans.find(({ what }) => what === 'kill')!.fromMs;
  const untilMs = killedMs + WATCHED_MS;
  const lateMs = HELD_UP_MS + noiseMs(killedMs, untilMs + 1_000);
  const missing = (rate * WATCHED_MS) / 1_000 - hits.filter(({ atMs }) => atMs >= killedMs && atMs < untilMs).length;
  expect(missing).toBeLessThanOrEqual(((rate / workers.length) * MOVED_BY_PORT_MS + rate * lateMs) / 1_000);
}

/** Hits of a woken worker on connections that it had before it was frozen, after what it had written then was answered. */
function expectSilent({ hits }: Findings, ports: ReadonlySet<number>, frozenAtMs: number): void {
  const own = hits.filter(({ port }) => ports.has(port));
  expect(own.length).toBeGreaterThan(0);
  expect(own.filter(({ atMs }) => atMs > frozenAtMs + NOISE_MS / 3)).toEqual([]);
}

/** Frozen for longer than any permit, so that its share moves; then awake again. */
function freezeWorker(): Fault {
  let ports: ReadonlySet<number> = new Set();
  let frozenAtMs = 0;
  return {
    name: 'F11 SIGSTOP of a worker: its share moves when its permit is over, and nothing comes from it after SIGCONT',
    seconds: 30,
    async act(scene) {
      frozenAtMs = Date.now();
      scene.freeze('w1');
      ports = portsOf(scene.node('w1').pid);
      await moved(scene, 'w1');
      await sleep(2_000);
      scene.thaw('w1');
      await sleep(3_000);
    },
    expects: (findings) => expectSilent(findings, ports, frozenAtMs),
  };
}

/** Room for a few results, where a worker keeps those that wait for the database. */
const SMALL_DISK = path.join(tmpdir(), `gostress-small-disk-${process.pid}`);

/** CAP_SYS_ADMIN (capabilities(7)). */
function mayMount(): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> 21n) & 1n) === 1n;
}

function fillDisk(): Fault {
  return {
    name: 'F11 the disk of a worker is full while MySQL is frozen for 15 s: its results wait in memory, and nothing is lost',
    missing: MISSING ?? (mayMount() ? null : 'the right to mount a small disk'),
    before() {
      mkdirSync(SMALL_DISK);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', SMALL_DISK]);
    },
    after() {
      execFileSync('umount', [SMALL_DISK]);
      rmdirSync(SMALL_DISK);
    },
    nodes: { ...TWO_LEADERS, w1: { ...WORKER, folder: path.join(SMALL_DISK, 'data') } },
    seconds: 35,
    act: (scene) => scene.without('mysql', 'freeze', () => sleep(15_000)),
    expects({ logs }) {
      const own = logs.filter(({ nodeId }) => nodeId === 'w1').flatMap(({ lines }) => lines);
      expect(own).toContainEqual(
        expect.objectContaining({ error: expect.stringContaining('no space is left') as unknown }),
      );
    },
  };
}

export const WORKERS: readonly Fault[] = [
  {
    name: 'F11 SIGKILL of a worker: its share is with the others, and what it had not yet sent is named as unknown',
    seconds: 15,
    unknown: ['w1'],
    async act(scene) {
      await scene.kill('w1');
      await moved(scene, 'w1');
      await sleep(3_000);
    },
    expects(findings) {
      expectUnknownIsNamed(findings);
      expectWhole(findings);
    },
  },
  {
    name: 'F11 SIGKILL of a worker that is started again at once: it gets a share as a new incarnation',
    seconds: 20,
    unknown: ['w1'],
    async act(scene) {
      await scene.kill('w1');
      await scene.restart('w1');
      await moved(scene, 'w1').catch(() => undefined);
      await whole(scene, 'w1');
    },
    expects: expectUnknownIsNamed,
  },
  {
    name: 'F11 SIGSTOP of a worker for 1 s: it goes on, and what was overdue is dropped',
    seconds: 12,
    act: (scene) => scene.freezeFor('w1', 1_000),
  },
  freezeWorker(),
  fillDisk(),
  {
    name: 'F11 SIGSTOP of a worker and SIGKILL of the master: the next master waits for it before it moves its share',
    seconds: 40,
    async act(scene) {
      const { nodeId, term } = await scene.master();
      scene.freeze('w1');
      await scene.kill(nodeId);
      await scene.master(term);
      await moved(scene, 'w1', MOVED_MS + LEASE_TTL_MS);
      scene.thaw('w1');
      await scene.restart(nodeId);
    },
  },
];

/** For longer than a permit without a lease, and shorter than one with a lease. */
const CUT_MS = 8_000;

/** One worker is cut off from some of its peers, each time in one of the ways of a network. */
export const NETWORK: readonly Fault[] = [
  ...(['stall', 'refuse'] as const).flatMap((how): Fault[] => [
    {
      name: `F6 ${how} between a worker and the master only: its lease keeps its permit, and it loads on`,
      seconds: 25,
      async act(scene) {
        scene.cut('w1', 'master', how);
        await sleep(CUT_MS);
        await scene.mend();
      },
      expects({ hitsOf, spans, isStarved }) {
        if (isStarved) return;
        const { fromMs, toMs } = spans.find(({ what }) => what === 'cut')!;
        const during = hitsOf('w1').filter(({ atMs }) => atMs >= fromMs && atMs < toMs).length;
        expect(during).toBeGreaterThan(((100 * CUT_MS) / 1_000) * 0.8);
      },
    },
    {
      name: `F6 ${how} between a worker and etcd only: its master keeps its permit, and it loads on`,
      seconds: 25,
      async act(scene) {
        scene.cut('w1', 'etcd', how);
        await sleep(CUT_MS);
        await scene.mend();
      },
    },
    {
      name: `F6 ${how} between a worker and both: it stops with its permit, its share moves, and it comes back`,
      seconds: 35,
      async act(scene) {
        scene.cut('w1', 'master', how);
        scene.cut('w1', 'etcd', how);
        await moved(scene, 'w1');
        await sleep(2_000);
        await scene.mend();
        await whole(scene, 'w1');
      },
    },
  ]),
  {
    name: 'F6 dropped connections of a worker, five times: all are dialled again',
    seconds: 20,
    async act(scene) {
      for (let i = 0; i < 5; i++) {
        scene.cut('w1', 'master', 'drop');
        scene.cut('w1', 'etcd', 'drop');
        await sleep(1_000);
      }
    },
  },
  {
    name: 'F6 a stop while a worker is cut off from the master: it ends no later than its permit',
    seconds: 90,
    async act(scene) {
      scene.cut('w1', 'master', 'stall');
      await sleep(1_000);
      // Not by way of the one that is cut off.
      await scene.cluster.call('TaskService/StopRun', { name: scene.run }, scene.node('w2').address);
      await sleep(PERMIT_ON_LEASE_MS + NOISE_MS);
      await scene.mend();
      await eventually(async () => expect((await scene.cluster.report(scene.run)).complete).toBe(true), 30_000);
    },
    pauses: true,
    // The run is closed without what it has; that comes later, all of it.
    unknown: ['w1'],
    expects({ hits, hitsOf, report, spans }) {
      expect(report.counts.started).toBe(hits.length);
      const { fromMs } = spans.find(({ what }) => what === 'cut')!;
      expect(hitsOf('w1').at(-1)!.atMs - fromMs).toBeLessThan(PERMIT_ON_LEASE_MS + NOISE_MS / 3);
    },
  },
];
