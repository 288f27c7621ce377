import { setImmediate as turn } from 'node:timers/promises';
import { decodeSample } from '../task/sample-codec.ts';
import { mergeSamples } from '../task/merge.ts';
import type { Sample } from '../task/sample.ts';
import type { SampleRecord, TaskStore } from './ports.ts';

/** One second of a run as it is stored. */
export interface StoredSecond {
  second: number;
  parts: readonly { record: SampleRecord; sample: Sample }[];
}

/**
 * The stored seconds of a run in their order, those in which nothing is stored left out. Reads page by page, and lets the process do
 * other things between two seconds: one of a thousand workers is tens of milliseconds of work.
 *
 * @param toSecond the first one that is not wanted
 * @throws CodedError UNAVAILABLE; RangeError when a sample is malformed
 */
export async function* readSeconds(
  store: Pick<TaskStore, 'samples'>,
  runId: bigint,
  fromSecond: number,
  toSecond = Infinity,
): AsyncGenerator<StoredSecond> {
  for (let from = fromSecond; from < toSecond;) {
    const page = await store.samples(runId, from, toSecond);
    if (page.length === 0) return;
    for (const [second, records] of Map.groupBy(page, (record) => record.second)) {
      yield { second, parts: records.map((record) => ({ record, sample: decodeSample(record.data) })) };
      from = second + 1;
      await turn();
    }
  }
}

/** The same, each second merged over all workers. */
export async function* mergedSeconds(
  store: Pick<TaskStore, 'samples'>,
  runId: bigint,
  fromSecond: number,
  toSecond = Infinity,
): AsyncGenerator<Sample> {
  for await (const { second, parts } of readSeconds(store, runId, fromSecond, toSecond)) {
    yield mergeSamples(
      parts.map(({ sample }) => sample),
      second + 1,
    );
  }
}
