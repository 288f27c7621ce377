import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../src/lib/errors.ts';
import { SILENT } from '../../src/lib/log.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { Ledger, type LedgerOptions } from '../../src/stress/ledger.ts';
import type { RunRecord, SampleRecord, StressToWorker, TaskStore } from '../../src/stress/ports.ts';
import { encodeSample, sampleDigest } from '../../src/task/sample-codec.ts';
import { eventually } from '../support/eventually.ts';
import { healthySecond, sampleOf, type SamplePart } from '../support/samples.ts';
import { assignmentOf, HOLDER, startedRun } from '../support/store-records.ts';

const WORKER = { nodeId: 'worker-1', incarnation: HOLDER.incarnation };
const OPEN_MS = 20_000;

let folder: string;
let store: Store;
let person: DatabaseSync;
let run: RunRecord;
let stopped: AbortController;
let running: Promise<void>[];
let acks: Extract<StressToWorker, { type: 'ack' }>[];
let problems: string[];
let told: number[];
let fenced: number;
/** Rows in the store when each acknowledgement was sent. */
let rowsAtAck: number[];
let isOutboxFull: boolean;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gostress-ledger-'));
  store = openSqliteStore({ folder, log: SILENT });
  await store.migrate();
  person = new DatabaseSync(path.join(folder, 'gostress.sqlite'), { timeout: 5_000 });
  run = await startedRun(store);
  await store.tasks.putAssignments(1, run, [assignmentOf(run), assignmentOf(run, { number: 2 })]);
  stopped = new AbortController();
  [running, acks, problems, told, rowsAtAck] = [[], [], [], [], []];
  fenced = 0;
  isOutboxFull = false;
});

afterEach(async () => {
  stopped.abort();
  await Promise.all(running);
  person.close();
  await store.close();
  await rm(folder, { recursive: true });
});

function open(part: Partial<LedgerOptions> = {}): Ledger {
  const ledger = new Ledger({
    term: 1,
    store: store.tasks,
    send: (_, ack) => {
      if (isOutboxFull) return false;
      acks.push(ack);
      rowsAtAck.push(rows());
      return true;
    },
    onSample: (_, { seq }) => told.push(seq),
    onStored: () => undefined,
    onFenced: () => fenced++,
    onProblem: ({ assignment }, text) => problems.push(`${assignment}: ${text}`),
    log: SILENT,
    ...part,
  });
  running.push(ledger.run(stopped.signal));
  return ledger;
}

function rows(): number {
  return Number(person.prepare('SELECT count(*) AS n FROM sample').get()!['n']);
}

function recordOf(seq: number, part: SamplePart = {}): SampleRecord {
  const sample = healthySecond(seq - 1, 10, 1_000, { seq, ...part });
  const data = encodeSample(sample);
  const { second } = sample;
  const key = { runId: run.id, assignment: 1, incarnation: HOLDER.incarnation };
  return { ...key, seq, second, digest: sampleDigest(data), data };
}

function give(ledger: Ledger, samples: readonly SampleRecord[], assignment = 1): void {
  const key = { runId: run.id, assignment, incarnation: HOLDER.incarnation };
  ledger.accept(WORKER, { type: 'samples', ...key, samples });
}

const last = () => acks.at(-1)?.upTo;
const records = (...seqs: number[]) => seqs.map((seq) => recordOf(seq));

describe('the ledger', () => {
  it(
    'acknowledges after the commit, and not before',
    async () => {
      const ledger = open();
      await ledger.open(run.id);
      person.exec('BEGIN IMMEDIATE');
      give(ledger, records(1, 2));
      await eventually(() => expect(told).toEqual([1, 2]));
      // The calls that come after it have been refused: it had its time to be stored.
      await expect(
        store.tasks.addEvent({ wallMs: 1, term: 1, nodeId: '', kind: 'k', subject: '', text: '' }),
      ).rejects.toThrow(/does not answer/);
      expect(acks).toEqual([]);
      person.exec('ROLLBACK');
      await eventually(() => expect(last()).toBe(2));
      expect(rowsAtAck).toEqual([2]);
      expect(acks[0]).toMatchObject({ runId: run.id, assignment: 1, incarnation: HOLDER.incarnation, final: false });
    },
    OPEN_MS,
  );

  it('writes again what it does not know to be stored, and it is stored once', async () => {
    let calls = 0;
    const putSamples: TaskStore['putSamples'] = async (term, samples) => {
      const put = await store.tasks.putSamples(term, samples);
      if (++calls === 1) throw new CodedError('UNAVAILABLE', 'the answer is lost');
      return put;
    };
    const tasks = store.tasks;
    const ledger = open({
      store: { putSamples, storedUpTo: (id) => tasks.storedUpTo(id), assignments: (id) => tasks.assignments(id) },
    });
    give(ledger, records(1, 2, 3));
    await eventually(() => expect(last()).toBe(3));
    expect(calls).toBe(2);
    expect(rows()).toBe(3);
    expect(told).toEqual([1, 2, 3]);
  });

  it('of a term that is over stores and acknowledges nothing', async () => {
    const ledger = open();
    await store.fence.raise(2, { nodeId: 'b', incarnation: 1 });
    give(ledger, records(1));
    await eventually(() => expect(fenced).toBeGreaterThan(0));
    expect(rows()).toBe(0);
    expect(acks).toEqual([]);
  });

  it('acknowledges again what comes again, in any order, and stores it once', async () => {
    const ledger = open();
    give(ledger, records(3, 1));
    await eventually(() => expect(last()).toBe(1));
    give(ledger, records(1, 3));
    give(ledger, records(2, 3, 4));
    await eventually(() => expect(last()).toBe(4));
    const before = acks.length;
    give(ledger, records(1, 2, 3, 4));
    expect(acks).toHaveLength(before + 1);
    expect(last()).toBe(4);
    expect(rows()).toBe(4);
    expect(told).toEqual([3, 1, 2, 4]);
  });

  it('takes what waits for the outbox of a worker up again, until its process is gone', async () => {
    const ledger = open();
    isOutboxFull = true;
    give(ledger, records(1));
    await eventually(() => expect(rows()).toBe(1));
    await eventually(() => {
      isOutboxFull = false;
      ledger.ackAgain();
      isOutboxFull = true;
      expect(last()).toBe(1);
    });
    give(ledger, records(2));
    await eventually(() => expect(ledger.storedUpTo(recordOf(2))).toBe(2));
    ledger.forget(WORKER);
    isOutboxFull = false;
    ledger.ackAgain();
    expect(acks).toHaveLength(1);
  });

  it('knows what a former master has stored', async () => {
    await store.tasks.putSamples(1, records(1, 2, 3));
    const ledger = open();
    await ledger.open(run.id);
    expect(ledger.storedUpTo(recordOf(1))).toBe(3);
    give(ledger, records(2, 3, 4));
    await eventually(() => expect(last()).toBe(4));
    expect(told).toEqual([4]);
  });

  it('counts another content under a stored key never, and records it', async () => {
    await store.tasks.putSamples(1, records(1));
    const { data } = records(1)[0]!;
    const ledger = open({ store: { ...emptyReads(), putSamples: (...put) => store.tasks.putSamples(...put) } });
    give(ledger, [recordOf(1, { counts: { ok: 99 } })]);
    await eventually(() => expect(last()).toBe(1));
    expect(Buffer.from((await store.tasks.samples(run.id, 0, 9))[0]!.data).equals(data)).toBe(true);
    const [event] = await store.tasks.events({ after: null, limit: 1 });
    expect(event).toMatchObject({ kind: 'sample.conflict', subject: `tasks/${run.taskId}/runs/1` });
  });

  it('refuses what is no sample, tells it once, and takes the others', async () => {
    const ledger = open();
    const cut = recordOf(2).data.slice(0, -1);
    const broken = encodeSample(sampleOf({ seq: 4, second: 3, histograms: { responseOk: Uint8Array.of(9, 9, 9) } }));
    give(ledger, [
      recordOf(1),
      { ...recordOf(2), data: cut, digest: sampleDigest(cut) },
      { ...recordOf(3), digest: recordOf(1).digest },
      { ...recordOf(4), data: broken, digest: sampleDigest(broken) },
      { ...recordOf(5), second: 77 },
      recordOf(6),
    ]);
    give(ledger, [{ ...recordOf(4), data: broken, digest: sampleDigest(broken) }], 2);
    await eventually(() => expect(rows()).toBe(2));
    expect(last()).toBe(1);
    expect(problems).toEqual([
      expect.stringMatching(/^1: sample 2 cannot be read: /),
      expect.stringMatching(/^2: sample 4 cannot be read: .*histogram/),
    ]);
  });

  it('refuses what comes after the final sample', async () => {
    const ledger = open();
    await ledger.open(run.id);
    ledger.setFinal(recordOf(1), 2);
    give(ledger, records(1, 2, 3));
    await eventually(() => expect(acks.at(-1)).toMatchObject({ upTo: 2, final: true }));
    expect(rows()).toBe(2);
    expect(problems).toEqual(['1: expected no sample after the final one, found 3']);
  });

  it('lets a worker forget what belongs to nothing', async () => {
    const ledger = open();
    give(ledger, records(1, 2), 9);
    await eventually(() => expect(acks).toMatchObject([{ assignment: 9, upTo: 2, final: true }]));
    expect(rows()).toBe(0);
    expect(problems).toEqual([expect.stringContaining('9: of an assignment that does not exist')]);
  });

  it('keeps no more than its limit while the store stands still; the rest is taken when it comes again', async () => {
    const ledger = open();
    await ledger.open(run.id);
    const large = 'x'.repeat(1_000_000);
    const errors = { other: { count: 1, examples: [large] } };
    const many = Array.from({ length: 80 }, (_, i) => recordOf(i + 1, { errors }));
    person.exec('BEGIN IMMEDIATE');
    for (const record of many) give(ledger, [record]);
    expect(told.length).toBeGreaterThan(50);
    expect(told.length * large.length).toBeLessThanOrEqual(66 * 1024 * 1024);
    person.exec('ROLLBACK');
    await eventually(() => expect(last()).toBe(told.length), OPEN_MS);
    for (const record of many) give(ledger, [record]);
    await eventually(() => expect(last()).toBe(80), OPEN_MS);
    expect(rows()).toBe(80);
  }, 60_000);

  it('keeps the runs in mind that are looked after, and of others the latest', async () => {
    const read: bigint[] = [];
    const { tasks } = store;
    const ledger = open({
      store: {
        storedUpTo: (id) => {
          read.push(id);
          return tasks.storedUpTo(id);
        },
        assignments: (id) => tasks.assignments(id),
        putSamples: (...put) => tasks.putSamples(...put),
      },
    });
    await ledger.keep(run.id);
    const others = Array.from({ length: 250 }, (_, i) => run.id + 1n + BigInt(i));
    for (const id of others) await ledger.open(id);
    read.length = 0;
    await Promise.all([run.id, others[0]!, others.at(-1)!].map((id) => ledger.open(id)));
    expect(read).toEqual([others[0]]);
    ledger.close(run.id);
    await ledger.open(run.id);
    expect(read).toEqual([others[0], run.id]);
  });
});

/** As if nothing was stored: the ledger then has to write, and the store tells. */
function emptyReads(): Pick<TaskStore, 'storedUpTo' | 'assignments'> {
  return { storedUpTo: () => Promise.resolve([]), assignments: (id) => store.tasks.assignments(id) };
}
