import { describe, expect, it } from 'vitest';
import type { NodeInfo } from '../../src/cluster/ports.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCluster } from './support/cluster.ts';

const LONG = { rate: 600, duration: '600s' };

function infoOf(part: Partial<NodeInfo>): NodeInfo {
  const memory = { memory: 0.5, memoryTotalBytes: 8e9, memoryFreeBytes: 4e9 };
  return { cpu: 0.5, cores: 4, ...memory, loopLagP99Ms: 1, capacity: null, running: 0, ...part };
}

describe('a placement', () => {
  it('chooses the least loaded nodes, as many as it may', async () => {
    await using cluster = await FakeCluster.start('a', 'b', 'c', 'd');
    cluster.change('a', { info: infoOf({ cpu: 0.9 }) });
    cluster.change('b', { info: infoOf({ cpu: 0.1, memory: 0.7 }) });
    cluster.change('c', { info: infoOf({ cpu: 0.1, memory: 0.2 }) });
    cluster.change('d', { info: infoOf({ cpu: 0.3 }) });
    const run = await cluster.start(LONG, { maxNodes: 2 });
    await cluster.reaches(run, 'RUNNING');
    expect(cluster.loads().sort()).toEqual(['b 300/600', 'c 300/600']);
    // Of the next best.
    cluster.worker('c')!.kill('gone');
    await eventually(() => expect(cluster.loads().sort()).toEqual(['b 300/600', 'd 300/600']));
  });

  it('takes only nodes with its labels, and waits for one', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    cluster.add('c', { labels: { zone: 'x', disk: 'ssd' } });
    const run = await cluster.start(LONG, { labels: { zone: 'x' } });
    await cluster.reaches(run, 'RUNNING');
    expect(cluster.loads()).toEqual(['c 600/600']);
    const other = await cluster.start(LONG, { labels: { zone: 'x', disk: 'hdd' } });
    const short = await cluster.reaches(other, 'SHORT_OF_WORKERS');
    expect(short.reason).toBe('expected a connected worker with zone=x, disk=hdd, found none');
    cluster.add('d', { labels: { zone: 'x', disk: 'hdd' } });
    await cluster.reaches(other, 'RUNNING');
    expect(cluster.worker('d')!.loading.map(({ runId }) => runId)).toContain(other.id);
  });

  it.each([{ rate: 10 }, { users: 10 }])(
    'of %j narrows when it is less than there are nodes, and widens again',
    async (load) => {
      await using cluster = await FakeCluster.start('a', 'b');
      const run = await cluster.start({ ...load, duration: '600s' });
      await cluster.reaches(run, 'RUNNING');
      expect(cluster.loads()).toEqual(['a 5/10', 'b 5/10']);
      await cluster.api.retuneRun(run.taskId, 1, { target: 1, rampMs: 0 }, null);
      await eventually(() => expect(cluster.loads()).toEqual(['a 1/1']));
      await cluster.api.retuneRun(run.taskId, 1, { target: 10, rampMs: 0 }, null);
      await eventually(() => expect(cluster.loads().sort()).toEqual(['a 5/10', 'b 5/10']));
      await cluster.reaches(run, 'RUNNING');
    },
  );

  it('weighted divides by what each node may still take beside other runs', async () => {
    await using cluster = await FakeCluster.start('a', 'b');
    cluster.change('a', { info: infoOf({ capacity: 600 }) });
    cluster.change('b', { info: infoOf({ capacity: 1200 }) });
    const first = await cluster.start({ rate: 900, duration: '600s' }, { strategy: 'weighted' });
    await cluster.reaches(first, 'RUNNING');
    expect(cluster.loads()).toEqual(['a 300/900', 'b 600/900']);
    const second = await cluster.start({ rate: 1000, duration: '600s' }, { strategy: 'weighted' });
    const short = await cluster.reaches(second, 'SHORT_OF_WORKERS');
    expect(short.reason).toBe('expected workers for 1000/s, found capacity for 900/s');
    const shareOf = (nodeId: string) =>
      cluster
        .worker(nodeId)!
        .loading.filter(({ runId }) => runId === second.id)
        .map(({ share }) => share.weight);
    expect([...shareOf('a'), ...shareOf('b')]).toEqual([300, 600]);
    await cluster.api.stopRun(first.taskId, 1);
    await cluster.reaches(first, 'DONE', 'CANCELLED');
    await cluster.reaches(second, 'RUNNING');
    const [a, b] = [...shareOf('a'), ...shareOf('b')];
    expect(a! + b!).toBe(1000);
    expect(a).toBeLessThanOrEqual(600);
  });

  it('that a person wrote wrongly fails its run, and no other', async () => {
    await using cluster = await FakeCluster.start('a');
    const run = await cluster.start(LONG);
    await cluster.byHand(
      `INSERT INTO task (spec, placement, start_requested)
       SELECT spec, '{"strategy": "best"}', 1 FROM task WHERE id = ${run.taskId}`,
    );
    const wrong = await eventually(async () => await cluster.api.getRun(run.taskId + 1n, 1));
    const failed = await cluster.reaches(wrong, 'FAILED');
    expect(failed.reason).toBe('placement.strategy: expected one of even, least-loaded, weighted, found "best"');
    await cluster.reaches(run, 'RUNNING');
  });
});
