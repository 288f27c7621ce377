import { describe, expect, it } from 'vitest';
import type { RunRecord } from '../../src/stress/ports.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCluster, okPerSecond, type PlainReport } from './support/cluster.ts';
import type { FakeWork, FakeWorker } from './support/worker.ts';

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

  it('are known by their end alone, when all samples were here before', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const { run, b } = await endedWithout(cluster);
    const [work] = [...b.works.values()];
    const [record] = (await cluster.store.tasks.assignments(run.id)).filter(({ nodeId }) => nodeId === 'b');
    const { upTo } = (await cluster.store.tasks.storedUpTo(run.id)).find(
      ({ assignment }) => assignment === record!.number,
    )!;
    Object.assign(work!, { unacked: [], lastSeq: upTo, finalSeq: upTo });
    b.connect();
    await eventually(async () => {
      expect((await cluster.api.getRunReport(run.taskId, 1)).complete).toBe(true);
      expect((await cluster.run(run)).revision).toBe(1);
    });
  });
});

describe('results that a killed process left on disk', () => {
  /** `b` is killed with results that nobody has; the node starts again and has them from its disk. */
  async function restarted(cluster: FakeCluster, run: RunRecord) {
    const b = cluster.worker('b')!;
    await eventually(async () => expect(await cluster.store.tasks.lastSecond(run.id)).toBeGreaterThanOrEqual(1));
    b.isolate();
    const made = b.made.length;
    await eventually(() => expect(b.made.length).toBeGreaterThan(made));
    const [{ assignment, unacked, lastSeq }] = [...b.works.values()] as [FakeWork];
    const held = { key: { runId: run.id, assignment, incarnation: 1 }, samples: [...unacked], lastSeq };
    b.kill('gone');
    const next = cluster.add('b', { incarnation: 2, seq: 99 });
    return { held, next, sent: b.made };
  }

  function bring(
    cluster: FakeCluster,
    { ref }: FakeWorker,
    { key, samples, lastSeq }: Awaited<ReturnType<typeof restarted>>['held'],
    isEnded: boolean,
  ): void {
    for (const listener of cluster.master!.hello) listener(ref, { running: [], spilled: [{ ...key, lastSeq }] });
    for (const listener of cluster.master!.message) {
      listener(ref, { type: 'samples', ...key, samples });
      if (isEnded) listener(ref, { type: 'stopped', ...key, finalSeq: lastSeq, why: 'the node was stopped' });
    }
  }

  it('are taken from its next process while the run goes on; with its end nothing is unknown', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start({ rate: 100, duration: '600s' });
    await cluster.underWay(run);
    const { held, next } = await restarted(cluster, run);
    await eventually(async () => {
      const lost = (await cluster.store.tasks.assignments(run.id)).find(({ state }) => state === 'LOST');
      expect(lost).toMatchObject({ nodeId: 'b', incarnation: 1 });
      expect(lost!.lostByMs).toBeGreaterThan(held.samples.at(-1)!.second * 1000);
    });
    bring(cluster, next, held, true);
    await eventually(() =>
      expect(next.acks).toContainEqual(expect.objectContaining({ ...held.key, upTo: held.lastSeq, final: true })),
    );
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
    const { complete, report } = await cluster.api.getRunReport(run.taskId, 1);
    expect(complete).toBe(true);
    const { seconds, account } = report as unknown as PlainReport;
    expect(account).toMatchObject({ isComplete: true, unknown: [] });
    const made = sum(cluster.workers.flatMap((worker) => worker.made.map(({ counts }) => counts.ok)));
    expect(sum(seconds.map(({ counts }) => counts.ok))).toBe(made);
  });

  it('are taken when the run is over too; what they do not hold stays unknown, with less of it', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start({ rate: 100, duration: '600s' });
    await cluster.underWay(run);
    const { held, next } = await restarted(cluster, run);
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE_INCOMPLETE');
    const accountNow = async () =>
      ((await cluster.api.getRunReport(run.taskId, 1)).report as unknown as PlainReport).account;
    const first = await accountNow();
    bring(cluster, next, held, false);
    await eventually(async () => expect((await cluster.run(run)).revision).toBe(1));
    const then = await accountNow();
    expect(then.unknown).toMatchObject([{ nodeId: 'b', afterSeq: held.lastSeq }]);
    expect(then.mayHaveStarted).toBeLessThan(first.mayHaveStarted!);
    expect(then.isComplete).toBe(false);
    expect(next.acks).toContainEqual(expect.objectContaining({ ...held.key, upTo: held.lastSeq }));
  });
});
