import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { FakeCluster, okPerSecond, watchAll } from './support/cluster.ts';

const LONG = { rate: 600, duration: '600s' };
const HOUR_MS = 3_600_000;

describe('a master whose write was carried out, and the answer lost', () => {
  it.each(['putAssignments', 'updateRun'] as const)('begins the run: %s', async (call) => {
    await using cluster = await FakeCluster.start('a', 'b');
    cluster.loseAnswerOf = call;
    const run = await cluster.start({ rate: 100, duration: '2s' });
    await cluster.reaches(run, 'RUNNING');
    expect(cluster.loseAnswerOf).toBeNull();
    expect(cluster.loads()).toEqual(['a 50/100', 'b 50/100']);
    await cluster.reaches(run, 'DONE');
    expect(await okPerSecond(cluster.api, run)).toEqual([
      [0, 100],
      [1, 100],
    ]);
  });

  it.each(['putAssignments', 'updateRun'] as const)('retunes it, and gives shares to who joins: %s', async (call) => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    cluster.loseAnswerOf = call;
    const { shares } = await cluster.api.retuneRun(run.taskId, 1, { target: 901, rampMs: 0 }, null);
    expect(cluster.loseAnswerOf).toBeNull();
    expect(shares.map(({ share }) => share.weight)).toEqual([451, 450]);
    cluster.loseAnswerOf = call;
    cluster.add('d');
    await eventually(() => expect(cluster.loads()).toEqual(['a 301/901', 'b 300/901', 'd 300/901']));
    await cluster.reaches(run, 'RUNNING');
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
  });

  it('takes a share away from a worker: it gets no permit until it has stopped', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start(LONG, { moving: 'fast' });
    await cluster.underWay(run);
    const b = cluster.worker('b')!;
    cluster.loseAnswerOf = 'putAssignments';
    b.isolate();
    await eventually(() => expect(cluster.worker('a')!.loading[0]!.share.weight).toBe(600));
    expect(cluster.loseAnswerOf).toBeNull();
    expect(cluster.master!.permits.get('b')).toBe(false);
    b.connect();
    await eventually(() => expect(cluster.master!.permits.get('b')).toBe(true));
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
  });

  // Found by the simulation: its share was given to others while it had a permit again.
  it('writes off the share of a worker that is back meanwhile: it gets no permit until it has stopped', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    const b = cluster.worker('b')!;
    const permit = () => cluster.master!.permits.get('b');
    b.mute = true;
    let isPermitted = permit();
    cluster.loseAnswerOf = 'putAssignments';
    cluster.whileItWaits = () => {
      b.connect();
      isPermitted = permit();
    };
    b.isolate();
    b.stand('gone');
    await eventually(() => expect(cluster.history).toContain('stop b'));
    expect(isPermitted).toBe(false);
    expect(permit()).toBe(false);
    b.mute = false;
    await eventually(() => expect(permit()).toBe(true));
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
  });
});

describe('another master whose wall clock is an hour', () => {
  it.each([
    ['ahead', -HOUR_MS],
    ['behind', HOUR_MS],
  ])('%s goes on where the workers are', async (_, shiftMs) => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start({ rate: 100, duration: '5s' });
    await cluster.underWay(run);
    await cluster.byHand(`UPDATE run SET started_ms = started_ms + (${shiftMs})`);
    cluster.history.length = 0;
    await cluster.elect();
    await cluster.reaches(run, 'DONE');
    expect(cluster.history).toEqual([]);
    expect(await okPerSecond(cluster.api, run)).toEqual([0, 1, 2, 3, 4].map((second) => [second, 100]));
  });

  it('ahead judges nothing before it has heard of who has a share', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    await cluster.byHand(`UPDATE run SET started_ms = started_ms - ${HOUR_MS}`);
    cluster.add('c');
    for (const nodeId of ['a', 'b']) cluster.worker(nodeId)!.isolate();
    await cluster.elect('c');
    const watched = watchAll(cluster.api, run, 0);
    await eventually(async () => expect((await cluster.api.status()).runs[0]?.run.state).toBe('RUNNING'));
    await cluster.api.retuneRun(run.taskId, 1, { target: 300, rampMs: 0 }, null);
    // It was looked at again and again meanwhile.
    expect(cluster.worker('c')!.works.size).toBe(0);
    expect((await cluster.run(run)).state).toBe('RUNNING');
    cluster.worker('a')!.connect();
    await eventually(() => expect(cluster.worker('a')!.loading[0]!.share).toMatchObject({ weight: 150, of: 300 }));
    cluster.worker('b')!.connect();
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
    expect((await watched).at(-1)!.final).toBe(true);
  });

  it('behind goes on after the last stored second when nobody is left', async () => {
    await using cluster = await FakeCluster.start('a');
    const run = await cluster.start({ rate: 100, duration: '6s' });
    await cluster.underWay(run);
    const a = cluster.worker('a')!;
    await eventually(async () => expect(await cluster.store.tasks.lastSecond(run.id)).toBe(1));
    a.kill('gone');
    await cluster.byHand(`UPDATE run SET started_ms = started_ms + ${HOUR_MS}`);
    await cluster.elect();
    cluster.add('b');
    await cluster.reaches(run, 'DONE_INCOMPLETE');
    const seconds = await okPerSecond(cluster.api, run);
    expect(seconds.filter(([, ok]) => ok > 100)).toEqual([]);
    expect(seconds.at(-1)).toEqual([5, 100]);
  });
});
