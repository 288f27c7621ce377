import { crc32 } from 'node:zlib';
import type { SampleRecord } from './ports.ts';
import type { SampleKey } from './stored-run.ts';

/** How an assignment ended: `finalSeq` is the number of its last sample. */
export interface SpilledEnd extends SampleKey {
  finalSeq: number;
  why: string;
}

export type Frame = { kind: 'sample'; record: SampleRecord } | { kind: 'end'; end: SpilledEnd };

/**
 * A spill file is a line that says what it is, and frames after it, numbers big endian:
 *
 *     length of the body (4 bytes) · CRC-32 of the body (4) · body
 *     body: kind (1) · run (8) · assignment (8) · incarnation (8) · seq (8), and then
 *       of a sample (kind 1): second (8) · digest (16) · data
 *       of an end (kind 2, seq is the final one): why, UTF-8
 */
export const FILE_HEAD = Buffer.from('GoStress spill 1\n');

const HEAD_BYTES = 8;
const KEY_BYTES = 33;
const DIGEST_BYTES = 16;
const SAMPLE_AT = KEY_BYTES + 8 + DIGEST_BYTES;
const KINDS = ['sample', 'end'] as const;

export function encodeFrame(frame: Frame): Buffer {
  const body = frame.kind === 'sample' ? sampleBody(frame.record) : endBody(frame.end);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(body.length, 0);
  head.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([head, body]);
}

/** What is at a place; `length` is that of the whole frame. */
export interface FrameAt {
  frame: Frame;
  at: number;
  length: number;
}

/** The frame that begins here; null: it is not whole. */
export function frameAt(bytes: Buffer, at: number): FrameAt | null {
  if (at + HEAD_BYTES > bytes.length) return null;
  const length = HEAD_BYTES + bytes.readUInt32BE(at);
  if (at + length > bytes.length) return null;
  const body = bytes.subarray(at + HEAD_BYTES, at + length);
  if (crc32(body) !== bytes.readUInt32BE(at + 4)) return null;
  const frame = decodeBody(body);
  return frame === null ? null : { frame, at, length };
}

function sampleBody({ seq, second, digest, data, ...key }: SampleRecord): Buffer {
  const head = Buffer.alloc(SAMPLE_AT);
  writeKey(head, 'sample', key, seq);
  head.writeBigUInt64BE(BigInt(second), KEY_BYTES);
  head.set(digest, KEY_BYTES + 8);
  return Buffer.concat([head, data]);
}

function endBody({ finalSeq, why, ...key }: SpilledEnd): Buffer {
  const head = Buffer.alloc(KEY_BYTES);
  writeKey(head, 'end', key, finalSeq);
  return Buffer.concat([head, Buffer.from(why)]);
}

function writeKey(body: Buffer, kind: Frame['kind'], { runId, assignment, incarnation }: SampleKey, seq: number): void {
  body.writeUInt8(KINDS.indexOf(kind) + 1, 0);
  for (const [i, number] of [runId, assignment, incarnation, seq].entries()) {
    body.writeBigUInt64BE(BigInt(number), 1 + i * 8);
  }
}

/** null: it is none that this version writes. */
function decodeBody(body: Buffer): Frame | null {
  const kind = KINDS[(body[0] ?? 0) - 1];
  if (kind === undefined || body.length < (kind === 'sample' ? SAMPLE_AT : KEY_BYTES)) return null;
  const number = (i: number) => body.readBigUInt64BE(1 + i * 8);
  const key = { runId: number(0), assignment: Number(number(1)), incarnation: Number(number(2)) };
  const seq = Number(number(3));
  if (kind === 'end') return { kind, end: { ...key, finalSeq: seq, why: body.toString('utf8', KEY_BYTES) } };
  const second = Number(body.readBigUInt64BE(KEY_BYTES));
  const digest = body.subarray(KEY_BYTES + 8, SAMPLE_AT);
  return { kind, record: { ...key, seq, second, digest, data: body.subarray(SAMPLE_AT) } };
}
