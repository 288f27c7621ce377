import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SILENT } from '../../src/lib/log.ts';
import type { SampleRecord } from '../../src/stress/ports.ts';
import { encodeFrame, frameAt, type Frame } from '../../src/stress/spill-frames.ts';
import { Spill, SpillFull, type Found } from '../../src/stress/spill.ts';
import { sampleRecord } from '../support/store-records.ts';
import { eventually } from '../support/eventually.ts';

const RUN = { id: 2n ** 60n + 1n };
const KEY = { runId: RUN.id, assignment: 1, incarnation: sampleRecord(RUN, 1).incarnation };
const END: Frame = { kind: 'end', end: { ...KEY, finalSeq: 3, why: 'das Ende – fin' } };
const MAX_BYTES = 4_000_000;

let folder: string;
let opened: Spill[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gostress-spill-'));
  opened = [];
});
afterEach(async () => {
  await close();
  await rm(folder, { recursive: true });
});

async function open(maxBytes = MAX_BYTES): Promise<Spill> {
  const spill = await Spill.open({ folder, maxBytes, log: SILENT });
  opened.push(spill);
  return spill;
}

async function close(): Promise<void> {
  for (const spill of opened.splice(0)) await spill[Symbol.asyncDispose]();
}

/** As a process does that comes after this one. */
async function reopen(): Promise<Spill> {
  await close();
  return open();
}

function frameOf(record: SampleRecord): Frame {
  return { kind: 'sample', record };
}

function frames(...seqs: number[]): Frame[] {
  return seqs.map((seq) => frameOf(sampleRecord(RUN, seq)));
}

function large(seq: number): Frame {
  return frameOf(sampleRecord(RUN, seq, { data: Buffer.alloc(600_000, seq) }));
}

async function files(): Promise<string[]> {
  return (await readdir(folder)).sort();
}

async function onlyFile(): Promise<string> {
  const names = await files();
  expect(names).toHaveLength(1);
  return path.join(folder, names[0]!);
}

function seqsOf(found: Found | undefined): number[] {
  return (found?.samples ?? []).map(({ seq }) => seq);
}

/** Bytes compare by content, whatever class holds them. */
function plain({ digest, data, ...rest }: SampleRecord): object {
  return { ...rest, digest: Buffer.from(digest), data: Buffer.from(data) };
}

describe('a frame', () => {
  test.each([
    ['a sample', frames(7)[0]!],
    ['a sample without data', frameOf(sampleRecord(RUN, 2, { data: Buffer.alloc(0) }))],
    ['an end', END],
    ['an end of nothing', { kind: 'end', end: { ...KEY, finalSeq: 0, why: '' } } as const],
  ])('of %s is read as it was written, and none of its beginnings is one', (_, frame) => {
    const bytes = encodeFrame(frame);
    expect(frameAt(bytes, 0)).toEqual({ frame, at: 0, length: bytes.length });
    for (let length = 0; length < bytes.length; length++) expect(frameAt(bytes.subarray(0, length), 0)).toBeNull();
  });

  test('with any one bit changed is none', () => {
    const bytes = encodeFrame(frames(7)[0]!);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(frameAt(changed, 0)?.length, `bit ${bit}`).not.toBe(bytes.length);
    }
  });
});

describe('the spill file', () => {
  test('gives back what was written, to this process and to the next', async () => {
    const spill = await open();
    expect(spill.found).toEqual([]);
    const places = await spill.append(frames(1, 2, 3));
    await spill.append([END]);
    const read = await spill.read([places[2]!, places[0]!]);
    expect(read.map(plain)).toEqual([3, 1].map((seq) => plain(sampleRecord(RUN, seq))));
    const next = await reopen();
    expect(next.found).toMatchObject([{ key: KEY, end: { told: END.end } }]);
    expect(seqsOf(next.found[0])).toEqual([1, 2, 3]);
    const again = await next.read(next.found[0]!.samples.map(({ place }) => place));
    expect(again.map(plain)).toEqual([1, 2, 3].map((seq) => plain(sampleRecord(RUN, seq))));
  });

  test('tells assignments and processes apart, and knows an end without samples', async () => {
    const other = { ...sampleRecord(RUN, 5), incarnation: KEY.incarnation + 1 };
    await (
      await open()
    ).append([...frames(1), frameOf(other), { kind: 'end', end: { ...KEY, assignment: 2, finalSeq: 9, why: '' } }]);
    const { found } = await reopen();
    expect(
      found.map(({ key, samples, end }) => [
        key.assignment,
        key.incarnation - KEY.incarnation,
        samples.length,
        end?.told.finalSeq,
      ]),
    ).toEqual([
      [1, 0, 1, undefined],
      [1, 1, 1, undefined],
      [2, 0, 0, 9],
    ]);
  });

  test('gives its space back when all of a file is released, and goes on in a new one', async () => {
    const spill = await open();
    const places = [...(await spill.append(frames(1, 2))), ...(await spill.append([END]))];
    expect(spill.bytes).toBe((await stat(await onlyFile())).size);
    for (const place of places) spill.release(place);
    expect(spill.bytes).toBe(0);
    await eventually(async () => expect(await files()).toEqual([]));
    await spill.append(frames(3));
    expect(seqsOf((await reopen()).found[0])).toEqual([3]);
  });

  test('deletes what is released while the rest stays: it has more than one file', async () => {
    const spill = await open();
    const places = [];
    for (let seq = 1; seq <= 5; seq++) places.push(...(await spill.append([large(seq)])));
    expect((await files()).length).toBeGreaterThan(1);
    const { bytes } = spill;
    for (const place of places.slice(0, 3)) spill.release(place);
    expect(spill.bytes).toBeLessThanOrEqual(bytes - 1_200_000);
    expect(seqsOf((await reopen()).found[0])).toContain(5);
  });

  test('takes no more than it may hold, and more again after something was released', async () => {
    const spill = await open();
    const places = [];
    for (let seq = 1; seq <= 6; seq++) places.push(...(await spill.append([large(seq)])));
    await expect(spill.append([large(7)])).rejects.toThrow(SpillFull);
    for (const place of places) spill.release(place);
    await spill.append([large(7)]);
    expect(seqsOf((await reopen()).found[0])).toEqual([7]);
  });

  test('killed at any byte of a write, it has every frame before that one, and nothing of it', async () => {
    await (await open()).append(frames(1, 2));
    await close();
    const file = await onlyFile();
    const whole = await readFile(file);
    const torn = encodeFrame(frames(3)[0]!);
    for (let length = 0; length < torn.length; length += 7) {
      await writeFile(file, Buffer.concat([whole, torn.subarray(0, length)]));
      const spill = await open();
      expect(seqsOf(spill.found[0]), `${length} bytes of the next one`).toEqual([1, 2]);
      await close();
      expect((await stat(file)).size).toBe(whole.length);
    }
  });

  test('killed before its first frame was whole, it is nothing, and is deleted', async () => {
    await (await open()).append(frames(1));
    await close();
    const file = await onlyFile();
    for (const length of [0, 5, 17, 30]) {
      await truncate(file, Math.min(length, (await stat(file)).size));
      if (length > 17) await appendFile(file, 'no frame');
      expect((await open()).found).toEqual([]);
      await close();
      await eventually(async () => expect(await files()).toEqual([]));
      await writeFile(file, 'GoStress spill 1\n'.slice(0, length));
    }
  });

  test('what follows a frame that the disk has spoiled is cut off in that file; other files are read', async () => {
    const spill = await open();
    await spill.append([large(1), large(2)]);
    await spill.append([large(3), large(4)]);
    await close();
    const names = await files();
    expect(names).toHaveLength(2);
    const first = await readFile(path.join(folder, names[0]!));
    first[700_000]! ^= 1;
    await writeFile(path.join(folder, names[0]!), first);
    expect(seqsOf((await open()).found[0])).toEqual([1, 3, 4]);
  });

  test('a folder that cannot be used is named', async () => {
    const file = path.join(folder, 'file');
    await writeFile(file, '');
    await expect(Spill.open({ folder: file, maxBytes: MAX_BYTES, log: SILENT })).rejects.toThrow(
      `cannot use the folder ${file}`,
    );
  });
});
