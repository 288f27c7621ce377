import { setImmediate as turn } from 'node:timers/promises';
import { decodeSample } from '../task/sample-codec.ts';
import { mergeSamples } from '../task/merge.ts';
import type { Sample } from '../task/sample.ts';
import { ofShare } from './moved.ts';
import type { RunRecord, SampleRecord, TaskStore } from './ports.ts';

/** One second of a run as it is stored; each sample tells of its own share. */
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
  store: Pick<TaskStore, 'samples' | 'assignments'>,
  runId: bigint,
  fromSecond: number,
  toSecond = Infinity,
): AsyncGenerator<StoredSecond> {
  const records = new Map((await store.assignments(runId)).map((record) => [record.number, record]));
  const partOf = (record: SampleRecord): StoredSecond['parts'][number] => {
    return { record, sample: ofShare(decodeSample(record.data), records.get(record.assignment)) };
  };
  for (let from = fromSecond; from < toSecond;) {
    const page = await store.samples(runId, from, toSecond);
    if (page.length === 0) return;
    for (const [second, samples] of Map.groupBy(page, (record) => record.second)) {
      yield { second, parts: samples.map(partOf) };
      from = second + 1;
      await turn();
    }
  }
}

/** The same, each second merged over all workers. @param onSecond sees it before */
export async function* mergedSeconds(
  store: Pick<TaskStore, 'samples' | 'assignments'>,
  runId: bigint,
  fromSecond: number,
  toSecond = Infinity,
  onSecond: (second: StoredSecond) => void = () => undefined,
): AsyncGenerator<Sample> {
  for await (const stored of readSeconds(store, runId, fromSecond, toSecond)) {
    onSecond(stored);
    const { second, parts } = stored;
    yield mergeSamples(
      parts.map(({ sample }) => sample),
      second + 1,
    );
  }
}

/** Where hits are limited: how many each assignment has made, as its stored samples say. */
export async function scheduledOf(
  store: Pick<TaskStore, 'samples' | 'assignments'>,
  run: RunRecord,
): Promise<Map<number, number>> {
  const scheduled = new Map<number, number>();
  if (run.plan === null || run.task.spec.load.hits === null) return scheduled;
  for await (const { parts } of readSeconds(store, run.id, 0)) {
    for (const { record, sample } of parts) {
      scheduled.set(record.assignment, (scheduled.get(record.assignment) ?? 0) + sample.counts.scheduled);
    }
  }
  return scheduled;
}
