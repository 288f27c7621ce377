import { describe, expect, it } from 'vitest';
import type { RunRecord } from '../../src/stress/ports.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCluster, okPerSecond } from './support/cluster.ts';
import type { FakeWorker } from './support/worker.ts';

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

/** A run of `a` and `b` that has ended without all results of `b`, which still has them. */
async function endedWithout(cluster: FakeCluster): Promise<{ run: RunRecord; b: FakeWorker; before: number }> {
  const started = await cluster.start({ rate: 100, duration: '600s' });
  await cluster.underWay(started);
  const b = cluster.worker('b')!;
  await eventually(async () => expect(await cluster.store.tasks.lastSecond(started.id)).toBeGreaterThanOrEqual(1));
  b.isolate();
  b.stand('gone');
  const made = b.made.length;
  await eventually(() => expect(b.made.length).toBeGreaterThan(made));
  await cluster.api.stopRun(started.taskId, 1);
  const run = await cluster.reaches(started, 'DONE_INCOMPLETE');
  expect(run.reason).toMatch(/^of assignment 2 \(nodes\/b\) what came after its sample \d+ is unknown$/);
  expect(run.revision).toBe(0);
  expect((await cluster.api.getRunReport(run.taskId, 1)).complete).toBe(false);
  return { run, b, before: sum((await okPerSecond(cluster.api, run)).map(([, ok]) => ok)) };
}

/** All that was made is in the report now, once, and its worker has nothing left to send. */
async function isWholeNow(cluster: FakeCluster, run: RunRecord, before: number): Promise<void> {
  await eventually(async () => {
    const made = sum(cluster.workers.flatMap((worker) => worker.made.map(({ counts }) => counts.ok)));
    expect(made).toBeGreaterThan(before);
    expect(sum((await okPerSecond(cluster.api, run)).map(([, ok]) => ok))).toBe(made);
    expect((await cluster.api.getRunReport(run.taskId, 1)).complete).toBe(true);
    expect((await cluster.run(run)).revision).toBeGreaterThan(0);
    expect(cluster.workers.flatMap((worker) => [...worker.works.keys()])).toEqual([]);
  });
  expect((await cluster.run(run)).state).toBe('DONE_INCOMPLETE');
}

describe('results that come after the end', () => {
  it('are stored, raise the revision and make the report complete', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const { run, b, before } = await endedWithout(cluster);
    b.connect();
    await isWholeNow(cluster, run, before);
    const { revision } = await cluster.run(run);
    // What comes again changes nothing.
    await cluster.elect();
    expect((await cluster.api.getRunReport(run.taskId, 1)).complete).toBe(true);
    expect((await cluster.run(run)).revision).toBe(revision);
  });

  it('come to another master too', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const { run, b, before } = await endedWithout(cluster);
    await cluster.elect();
    b.connect();
    await isWholeNow(cluster, run, before);
  });

  it('wait for a store that does not answer', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const { run, b, before } = await endedWithout(cluster);
    cluster.loseAnswerOf = 'reviseRun';
    b.connect();
    await isWholeNow(cluster, run, before);
    await eventually(() => expect(cluster.loseAnswerOf).toBeNull());
  });

  it('of a task that was deleted are forgotten by their worker', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const { run, b } = await endedWithout(cluster);
    await cluster.api.deleteTask(run.taskId);
    b.connect();
    await eventually(() => expect(b.works.size).toBe(0));
    expect(await cluster.store.tasks.samples(run.id, 0, Infinity)).toEqual([]);
  });
});
