import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { DEFAULT_PLACEMENT } from '../../src/stress/ports.ts';
import type { AssignmentRecord, RunRecord, SampleRecord } from '../../src/stress/ports.ts';
import type { Store } from '../../src/store/store.ts';
import { prepareTask } from '../../src/task/prepare.ts';
import { parseTask, type TaskInput } from '../../src/task/schema.ts';
import type { PreparedTask } from '../../src/task/spec.ts';

export const HOLDER = { nodeId: 'a', incarnation: 1_750_000_000_123 };

export async function preparedTask(input: Partial<TaskInput> = {}): Promise<PreparedTask> {
  const spec = { request: { url: 'http://127.0.0.1/' }, load: { rate: 600, duration: '60s' }, ...input };
  return prepareTask(parseTask(spec), '');
}

/** Raises the fence to term 1, where it is not yet. */
export async function startedRun(store: Store, input: Partial<TaskInput> = {}): Promise<RunRecord> {
  await store.fence.raise(1, HOLDER);
  const task = await store.tasks.createTask(await preparedTask(input), DEFAULT_PLACEMENT, null);
  return (await store.tasks.startRun(task.id, null))!.run;
}

export function assignmentOf(run: RunRecord, part: Partial<AssignmentRecord> = {}): AssignmentRecord {
  return {
    runId: run.id,
    number: 1,
    nodeId: 'worker-1',
    incarnation: HOLDER.incarnation,
    version: 1,
    epoch: 1,
    share: { weight: 1, of: 3, phase: 0 },
    hits: null,
    maxInFlight: 100,
    maxQueue: 100,
    state: 'ASSIGNED',
    finalSeq: null,
    lostByMs: null,
    ...part,
  };
}

export function sampleRecord(run: { id: bigint }, seq: number, part: Partial<SampleRecord> = {}): SampleRecord {
  const data = part.data ?? Buffer.from(`sample ${seq}`);
  const digest = createHash('sha256').update(data).digest().subarray(0, 16);
  const key = { runId: run.id, assignment: 1, incarnation: HOLDER.incarnation, seq, second: seq - 1 };
  return { ...key, digest, data, ...part };
}

export function seqs(run: { id: bigint }, from: number, to: number, part: Partial<SampleRecord> = {}): SampleRecord[] {
  return Array.from({ length: to - from + 1 }, (_, i) => sampleRecord(run, from + i, part));
}

/** What the store's README tells people to write by hand, in its order. */
export async function readmeStatements(): Promise<string[]> {
  const text = await readFile(new URL('../../src/store/README.md', import.meta.url), 'utf8');
  return [...text.matchAll(/^```sql\n([^]*?)\n```$/gm)].map((match) => match[1]!);
}
