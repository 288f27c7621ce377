import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { NginxTarget } from '../support/nginx-target.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { MISSING, TestCluster } from './cluster.ts';

const WORKER = { env: { GOSTRESS_ROLES: 'worker' } };
const CANDIDATE = { env: { GOSTRESS_ROLES: 'candidate' } };
const NODES = { m1: CANDIDATE, w1: WORKER, w2: WORKER };
const RATE = 400;

/** Bytes of the results that a node has on disk. */
async function spilledBytes({ folder, nodeId }: NodeProcess): Promise<number> {
  const own = path.join(folder, 'spill', 'gostress', nodeId);
  const names = (await readdir(own)).filter((name) => name.endsWith('.spill'));
  const sizes = await Promise.all(names.map(async (name) => (await stat(path.join(own, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

describe.skipIf(MISSING !== null)(`results while the database does not answer (needs ${MISSING ?? 'nothing'})`, () => {
  let cluster: TestCluster;
  let target: NginxTarget;

  beforeAll(async () => {
    target = await NginxTarget.start();
  }, 60_000);
  afterAll(() => target[Symbol.asyncDispose]());
  beforeEach(async () => {
    cluster = await TestCluster.start(NODES);
  }, 180_000);
  afterEach(async () => {
    cluster.mariadb.thaw();
    await cluster[Symbol.asyncDispose]();
  });

  async function startLoad(seconds: number): Promise<string> {
    const load = { rate_per_second: RATE, duration: `${seconds}s` };
    const name = await cluster.start({ task: { request: { url: target.url }, load } });
    await cluster.reach(name, 'RUNNING');
    await sleep(2_000);
    return name;
  }

  async function spilled(nodeId: string, bytes: number): Promise<void> {
    await eventually(async () => expect(await spilledBytes(cluster.node(nodeId))).toBeGreaterThan(bytes), 30_000);
  }

  test('MySQL frozen for 15 s: results wait on disk, and all are in the report afterwards, each once', async () => {
    const before = await target.count();
    const name = await startLoad(30);
    const frozenAtMs = Date.now();
    cluster.mariadb.freeze();
    await Promise.all(['w1', 'w2'].map((nodeId) => spilled(nodeId, 1_000)));
    await sleep(frozenAtMs + 15_000 - Date.now());
    cluster.mariadb.thaw();
    expect(await cluster.finish(name, 90_000)).toMatchObject({ state: 'DONE' });
    const { complete, counts, cluster: known } = await cluster.report(name);
    expect({ complete, unknown: known.unknown, mayHaveStarted: known.mayHaveStarted }).toEqual({
      complete: true,
      unknown: [],
      mayHaveStarted: 0,
    });
    expect(counts).toMatchObject({ unknown: 0, failed: 0, ok: (await target.count()) - before });
    expect(counts.scheduled).toBe(RATE * 30);
    expect(known.lines[0]).toMatch(/^nothing is unknown/);
    for (const nodeId of ['w1', 'w2']) {
      await eventually(async () => expect(await spilledBytes(cluster.node(nodeId))).toBe(0));
    }
  }, 180_000);

  test('SIGKILL of a worker whose results wait on disk: the next process brings them, and the rest is bounded', async () => {
    const before = await target.count();
    const name = await startLoad(35);
    cluster.mariadb.freeze();
    await spilled('w1', 4_000);
    const { port, folder } = cluster.node('w1');
    await cluster.node('w1').kill();
    const restarted = await cluster.add('w1', { ...WORKER, port, folder });
    cluster.mariadb.thaw();
    const run = await cluster.finish(name, 120_000);
    expect(run.state).toBe('DONE_INCOMPLETE');
    const said = await eventually(() => {
      const line = restarted.log().find(({ msg }) => msg === 'results of an earlier process are stored');
      if (line === undefined) throw new Error('they are not stored yet');
      return line as { assignment: number; storedUpTo: number };
    });
    const { complete, counts, cluster: known } = await cluster.report(name);
    expect(complete).toBe(false);
    // It was killed after its fifth second, all but the latest of which were on disk.
    expect(known.unknown).toMatchObject([{ node: 'nodes/w1', assignment: said.assignment, afterSeq: said.storedUpTo }]);
    expect(said.storedUpTo).toBeGreaterThanOrEqual(5);
    const { fromMs, untilMs } = known.unknown[0]!;
    expect(untilMs! - fromMs).toBeLessThan(6_000);
    const seen = (await target.count()) - before;
    expect(seen).toBeGreaterThanOrEqual(counts.answered);
    expect(seen).toBeLessThanOrEqual(counts.answered + counts.unknown + known.mayHaveStarted!);
    expect(known.mayHaveStarted).toBeLessThanOrEqual((RATE / 2) * 6 + 1);
    expect(await spilledBytes(restarted)).toBe(0);
  }, 240_000);
});
