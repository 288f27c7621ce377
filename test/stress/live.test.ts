import { expect, test } from 'vitest';
import { LiveRun } from '../../src/stress/live.ts';
import { mergeSamples } from '../../src/task/merge.ts';
import { answeredCounts, histogramOf, sampleOf } from '../support/samples.ts';

const WORKERS = 180;

test('a second of many workers is what all of them have told, merged as they came', () => {
  const parts = Array.from({ length: WORKERS }, (_, worker) => {
    const histograms = { serviceOk: histogramOf([1_000 + 10 * worker, 3] as const) };
    return sampleOf({ seq: 1, second: 0, target: 3, counts: answeredCounts(3), statusCodes: { '200': 3 }, histograms });
  });
  const live = new LiveRun();
  live.begin(0);
  const assignments = parts.map((_, worker) => worker);
  parts.forEach((part, worker) => {
    live.publish(assignments, 1_000);
    expect(live.get(0)).toBeUndefined();
    live.add(worker, part);
  });
  live.publish(assignments, 1_000);
  expect(live.get(0)).toEqual(mergeSamples(parts, 1));
  expect(live.get(0)!.counts.ok).toBe(3 * WORKERS);
});
