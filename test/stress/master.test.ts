import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Histogram } from '../../src/lib/histogram.ts';
import type { RunRecord } from '../../src/stress/ports.ts';
import { mergeSamples } from '../../src/task/merge.ts';
import type { Sample } from '../../src/task/sample.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCluster, watchAll, type PlainReport } from './support/cluster.ts';

const LONG = { rate: 600, duration: '600s' };

/** Of all samples together: hits, and their response times. */
function unionOf(samples: readonly Sample[]): { ok: number; times: string } {
  const histogram = new Histogram();
  for (const { histograms } of samples) if (histograms.responseOk) histogram.mergeEncoded(histograms.responseOk);
  const ok = samples.reduce((sum, { counts }) => sum + counts.ok, 0);
  return { ok, times: Buffer.from(histogram.encode()).toString('hex') };
}

async function reported(cluster: FakeCluster, run: RunRecord): Promise<Sample[]> {
  const { report } = await cluster.api.getRunReport(run.taskId, run.number);
  return (report as unknown as PlainReport).seconds;
}

describe('a run', () => {
  it('is divided, runs to the end of its plan, and its report is the union of what all workers made', async () => {
    await using cluster = await FakeCluster.start('a', 'b', 'c');
    const run = await cluster.start({ rate: 601, duration: '3s' });
    await cluster.reaches(run, 'RUNNING');
    expect(cluster.loads()).toEqual(['a 201/601', 'b 200/601', 'c 200/601']);
    expect((await cluster.api.getRunReport(run.taskId, run.number)).complete).toBe(false);
    const done = await cluster.reaches(run, 'DONE');
    expect(done.endedWallMs).toBeGreaterThan(done.startedWallMs!);
    const made = cluster.workers.flatMap((worker) => worker.made);
    const seconds = await reported(cluster, run);
    expect(seconds.map(({ second, counts }) => [second, counts.ok])).toEqual([
      [0, 601],
      [1, 601],
      [2, 601],
    ]);
    expect(unionOf(seconds)).toEqual(unionOf(made));
    expect(seconds).toEqual(
      [0, 1, 2].map((second) =>
        mergeSamples(
          made.filter((sample) => sample.second === second),
          second + 1,
        ),
      ),
    );
    expect((await cluster.api.getRunReport(run.taskId, run.number)).complete).toBe(true);
  });

  it('leaves nothing behind within a second of its end', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    // At rest each of its loops has one, but for moments.
    let before = 0;
    for (let i = 0; i < 20; i++) {
      before = Math.max(before, timers());
      await sleep(10);
    }
    const run = await cluster.start(LONG);
    const watched = watchAll(cluster.api, run);
    await cluster.underWay(run);
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
    const endedMs = performance.now();
    await eventually(async () => {
      expect((await cluster.api.status()).runs).toEqual([]);
      expect(cluster.workers.flatMap((worker) => [...worker.works.values()])).toEqual([]);
      expect(timers()).toBeLessThanOrEqual(before);
    });
    expect((await watched).at(-1)!.final).toBe(true);
    expect(performance.now() - endedMs).toBeLessThan(1_000);
    expect((await cluster.api.listRuns({ taskId: run.taskId, limit: 9, before: null, states: [] })).items).toHaveLength(
      1,
    );
    expect(await reported(cluster, run)).not.toEqual([]);
  });

  it('begins when the API says so, and not with the next look at the store', async () => {
    await using cluster = await FakeCluster.start('a');
    const tookMs: number[] = [];
    for (let i = 0; i < 5; i++) {
      const sentMs = performance.now();
      await cluster.start(LONG);
      await eventually(() => expect(cluster.worker('a')!.works.size).toBe(i + 1));
      tookMs.push(performance.now() - sentMs);
    }
    // By the look once a second it would be half a second.
    expect(tookMs.sort((a, b) => a - b)[2]).toBeLessThan(150);
  });

  it('is watched second by second, from any second on, and ends with a final update', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start({ rate: 10, duration: '3s' });
    const live = await watchAll(cluster.api, run);
    expect(live.flatMap(({ sample }) => (sample === null ? [] : [[sample.second, sample.counts.ok]]))).toEqual([
      [0, 10],
      [1, 10],
      [2, 10],
    ]);
    expect(live.some(({ shares }) => shares.length === 2)).toBe(true);
    expect(live.map(({ final }) => final)).toEqual([...live.slice(1).map(() => false), true]);
    expect(live.at(-1)!.run.state).toBe('DONE');
    const again = await watchAll(cluster.api, run, 1);
    expect(again.flatMap(({ sample }) => sample?.second ?? [])).toEqual([1, 2]);
    expect(again.at(-1)!.final).toBe(true);
  });

  it('is retuned: the shares sum to the new rate, and the answer comes when all have applied it', async () => {
    await using cluster = await FakeCluster.start('a', 'b', 'c');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    const up = await cluster.api.retuneRun(run.taskId, 1, { target: 1000, rampMs: 0 }, run.wanted.version);
    expect(up.run.state).toBe('RUNNING');
    expect(up.shares.map(({ share }) => share.weight)).toEqual([334, 333, 333]);
    expect(cluster.loads()).toEqual(['a 334/1000', 'b 333/1000', 'c 333/1000']);
    const down = await cluster.api.retuneRun(run.taskId, 1, { target: 301, rampMs: 0 }, up.run.wanted.version);
    expect(down.shares.map(({ share }) => share.weight).reduce((a, b) => a + b)).toBe(301);
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
  });

  it('is paused and goes on, without a loss of its shares', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start({ rate: 100, duration: '600s' });
    await cluster.reaches(run, 'RUNNING');
    const paused = await cluster.api.pauseRun(run.taskId, 1);
    expect(paused.state).toBe('PAUSED');
    expect(cluster.worker('a')!.loading[0]!.plan.segments.at(-1)).toMatchObject({ from: 0, to: 0 });
    const resumed = await cluster.api.resumeRun(run.taskId, 1);
    expect(resumed.state).toBe('RUNNING');
    expect(cluster.worker('b')!.loading[0]!.plan.segments.at(-1)).toMatchObject({ from: 100, to: 100 });
    expect(cluster.loads()).toEqual(['a 50/100', 'b 50/100']);
  });

  it('does what a person writes into its row, and ends so', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    await cluster.byHand('UPDATE run SET wanted_target = 1000');
    await eventually(() => expect(cluster.loads()).toEqual(['a 500/1000', 'b 500/1000']));
    expect((await cluster.run(run)).wanted.version).toBe(run.wanted.version);
    await cluster.byHand("UPDATE run SET wanted_state = 'STOPPED'");
    await cluster.reaches(run, 'DONE');
  });

  it('ends when its hits are used up, whoever had them', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start({ rate: 100, hits: 150 });
    await cluster.reaches(run, 'RUNNING');
    cluster.worker('b')!.kill('gone');
    await cluster.reaches(run, 'DONE_INCOMPLETE');
    const { ok } = unionOf(await reported(cluster, run));
    expect(ok).toBe(150);
  });

  it('fails with the reason when every worker refuses it', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    for (const worker of cluster.workers) worker.refusal = 'tls.cert: no such file';
    const failed = await cluster.reaches(await cluster.start(LONG), 'FAILED');
    expect(failed.reason).toBe('tls.cert: no such file');
    expect(cluster.loads()).toEqual([]);
  });

  it('waits for a worker, and is cancelled when it is stopped before one comes', async () => {
    await using cluster = await FakeCluster.start();
    const run = await cluster.start(LONG);
    const short = await cluster.reaches(run, 'SHORT_OF_WORKERS');
    expect(short.reason).toBe('expected a connected worker, found none');
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'CANCELLED');
    const second = await cluster.api.startTask(run.taskId, null);
    await cluster.reaches(second, 'SHORT_OF_WORKERS');
    cluster.add('a');
    await cluster.reaches(second, 'RUNNING');
    expect(cluster.loads()).toEqual(['a 600/600']);
  });
});

describe('a share', () => {
  it('strict: stays with a suspect, and moves when its worker surely has stopped', async () => {
    await using cluster = await FakeCluster.start('a', 'b', 'c');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    const c = cluster.worker('c')!;
    c.kill('suspect');
    // A retune shows that the master has looked, and has left the share of the suspect as it is.
    void cluster.api.retuneRun(run.taskId, 1, { target: 900, rampMs: 0 }, null);
    await eventually(() => expect(cluster.loads()).toEqual(['a 300/900', 'b 300/900']));
    c.stand('gone');
    await eventually(() => expect(cluster.loads()).toEqual(['a 450/900', 'b 450/900']));
    await cluster.reaches(run, 'RUNNING');
    await cluster.api.stopRun(run.taskId, 1);
    const ended = await cluster.reaches(run, 'DONE_INCOMPLETE');
    expect(ended.reason).toContain('of assignment 3 (nodes/c)');
  });

  it('fast: moves from a suspect, which gets no permit until it has stopped', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start(LONG, { moving: 'fast' });
    await cluster.underWay(run);
    const b = cluster.worker('b')!;
    b.isolate();
    await eventually(() => expect(cluster.worker('a')!.loading[0]!.share.weight).toBe(600));
    expect(cluster.master!.permits.get('b')).toBe(false);
    expect(b.loading).toHaveLength(1);
    b.connect();
    await eventually(() => expect(cluster.history).toContain('stop b'));
    await eventually(() => expect(cluster.master!.permits.get('b')).toBe(true));
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
  });

  it('of a worker that leaves is lowered first, then the others are raised, then it stops; nothing is lost', async () => {
    await using cluster = await FakeCluster.start('a', 'b', 'c');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    cluster.history.length = 0;
    cluster.change('c', { leaving: true });
    await eventually(() => expect(cluster.loads()).toEqual(['a 300/600', 'b 300/600']));
    expect(cluster.history).toEqual(['retune c 1/600', 'retune a 300/600', 'retune b 300/600', 'stop c']);
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
  });

  it('goes to a node that joins once it has settled: it makes ready, the others are lowered, and it begins', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    cluster.history.length = 0;
    cluster.add('d');
    await eventually(() => expect(cluster.loads()).toEqual(['a 200/600', 'b 200/600', 'd 200/600']));
    expect(cluster.history).toEqual(['assign d 1/600', 'retune a 200/600', 'retune b 200/600', 'retune d 200/600']);
    await cluster.reaches(run, 'RUNNING');
    const events = await cluster.store.tasks.events({ after: null, limit: 100 });
    const kinds = new Set(events.map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(['master.elected', 'master.reasons', 'node.joined', 'run.state', 'share.moved']);
  });

  it('of a worker that was drained is not given back to it', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    expect((await cluster.api.drainNode('b')).draining).toBe(true);
    await eventually(() => expect(cluster.loads()).toEqual(['a 600/600']));
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
    await expect(cluster.api.drainNode('x')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('another master', () => {
  it('takes up what runs: nothing is sent that need not be, and no sample is lost or doubled', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start({ rate: 100, duration: '6s' });
    await cluster.reaches(run, 'RUNNING');
    await eventually(() => expect(cluster.worker('a')!.made.length).toBeGreaterThan(1));
    cluster.history.length = 0;
    const first = cluster.master!;
    await cluster.elect();
    const watched = watchAll(cluster.api, run, 1);
    await cluster.reaches(run, 'DONE');
    expect(cluster.history).toEqual([]);
    const seconds = await reported(cluster, run);
    expect(seconds.map(({ second, counts }) => [second, counts.ok])).toEqual([0, 1, 2, 3, 4, 5].map((s) => [s, 100]));
    expect(
      (await watched).flatMap(({ sample }) => (sample === null ? [] : [[sample.second, sample.counts.ok]])),
    ).toEqual([1, 2, 3, 4, 5].map((second) => [second, 100]));
    await first.ended;
  });

  it('fences the former one, which steps down and has changed nothing', async () => {
    await using cluster = await FakeCluster.start('a');
    const first = cluster.master!;
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    await cluster.elect();
    const { version } = await eventually(async () => {
      const now = await cluster.run(run);
      expect((await cluster.api.status()).runs).toHaveLength(1);
      return now;
    });
    await cluster.store.tasks.setWanted(run.id, { ...run.wanted, target: 700 }, null);
    await eventually(() => expect(first.stepDowns.join()).toContain('newer term'));
    await first.ended;
    expect(first.driver.api).toBeNull();
    await eventually(() => expect(cluster.loads()).toEqual(['a 700/700']));
    expect((await cluster.run(run)).version).toBeGreaterThan(version);
  });

  it('makes a worker stop what nobody wants any more, before it gets a permit', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    const b = cluster.worker('b')!;
    b.isolate();
    b.stand('gone');
    await eventually(() => expect(cluster.worker('a')!.loading[0]!.share.weight).toBe(600));
    b.mute = true;
    await cluster.elect();
    b.connect();
    await eventually(() => expect(cluster.history.filter((said) => said === 'stop b')).toHaveLength(1));
    expect(cluster.master!.permits.get('b')).toBe(false);
    b.mute = false;
    b.connect();
    await eventually(() => expect(cluster.master!.permits.get('b')).toBe(true));
    // What it made while it was alone counts: the run is whole.
    await cluster.api.stopRun(run.taskId, 1);
    await cluster.reaches(run, 'DONE');
  });

  it('goes on with a retune that the former one had stored and not sent', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    const run = await cluster.start(LONG);
    await cluster.underWay(run);
    cluster.worker('b')!.isolate();
    void cluster.api.retuneRun(run.taskId, 1, { target: 300, rampMs: 0 }, null).catch(() => undefined);
    await eventually(() => expect(cluster.worker('a')!.loading[0]!.share.of).toBe(300));
    expect(cluster.worker('b')!.loading[0]!.share.of).toBe(600);
    await cluster.elect();
    await eventually(() => expect(cluster.loads()).toEqual(['a 150/300', 'b 150/300']));
    await cluster.reaches(run, 'RUNNING');
  });

  it('goes on after the store did not answer', async () => {
    await using cluster = await FakeCluster.start('a');
    const run = await cluster.start({ rate: 10, duration: '4s' });
    await cluster.reaches(run, 'RUNNING');
    using database = cluster.person();
    await eventually(() => database.exec('BEGIN IMMEDIATE'));
    await eventually(() => expect(cluster.worker('a')!.made.length).toBeGreaterThan(2));
    database.exec('ROLLBACK');
    await cluster.reaches(run, 'DONE');
    expect(unionOf(await reported(cluster, run)).ok).toBe(40);
  });
});

describe('the API says what is wrong', () => {
  it('with what is asked for', async () => {
    await using cluster = await FakeCluster.start('a');
    const { api } = cluster;
    await expect(api.getTask(99n)).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'tasks/99: there is none' });
    await expect(api.getRun(1n, 1)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'tasks/1/runs/1: there is none',
    });
    await expect(api.startTask(99n, null)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const run = await cluster.start(LONG);
    await expect(api.startTask(run.taskId, null)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(
        /^tasks\/1: expected no active run, found tasks\/1\/runs\/1 \([A-Z]+\)$/,
      ) as string,
    });
    await expect(api.deleteTask(run.taskId)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'tasks/1: expected no active run, found tasks/1/runs/1',
    });
    await cluster.reaches(run, 'RUNNING');
    await expect(api.retuneRun(run.taskId, 1, { target: 5, rampMs: 0 }, 77)).rejects.toMatchObject({
      code: 'ABORTED',
      message: 'tasks/1/runs/1: expected version 77, found 1; read it again',
    });
    await expect(api.retuneRun(run.taskId, 1, { target: 0, rampMs: 0 }, null)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('use PauseRun') as string,
    });
    const task = await api.getTask(run.taskId);
    await expect(api.updateTask(task.id, task.version + 1, (current) => current)).rejects.toMatchObject({
      code: 'ABORTED',
    });
    const placement = { ...task.placement, strategy: 'best' };
    await expect(api.createTask(task.task, placement, null)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await api.stopRun(run.taskId, 1);
    const done = await cluster.reaches(run, 'DONE', 'CANCELLED');
    expect(await api.stopRun(run.taskId, 1)).toMatchObject({ id: done.id, state: done.state });
    await expect(api.pauseRun(run.taskId, 1)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await api.deleteTask(run.taskId);
    await expect(api.getTask(run.taskId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('and tells of events and members while they happen', async () => {
    await using cluster = await FakeCluster.start('a');
    const ended = new AbortController();
    const heard: string[] = [];
    const watching = (async () => {
      for await (const event of cluster.api.watchEvents(0n, ended.signal)) {
        heard.push('id' in event ? event.kind : `member ${event.kind} ${event.member.node.nodeId}`);
      }
    })();
    await eventually(() => expect(heard).toContain('master.elected'));
    cluster.add('b');
    await eventually(() => expect(heard).toContain('member added b'));
    await eventually(() => expect(heard).toContain('node.joined'));
    ended.abort();
    await watching;
  });
});
