import { createHash } from 'node:crypto';
import { emptyHealth, emptyTraffic } from './merge.ts';
import {
  emptyCounts,
  HISTOGRAMS,
  type CheckCount,
  type ErrorCount,
  type HistogramName,
  type Sample,
} from './sample.ts';

/**
 * A sample as it travels and is stored, never changed after it was made:
 *
 *     version (1 byte: 1) · length of the head (4 bytes, big endian) · head (JSON, UTF-8) · histograms, one after another
 *
 * The head is the sample without its zeros, with the status codes as a list of pairs; under `histograms` it has the length in bytes of each,
 * in the order in which they follow. Each histogram is in the form of `Histogram.encode`.
 */
const VERSION = 1;
const HEAD_AT = 5;
/** A head has some hundred bytes; error examples make it longer. */
const MAX_HEAD_BYTES = 1_048_576;
const DIGEST_BYTES = 16;

type Head = Omit<Sample, 'histograms' | 'statusCodes'> & {
  histograms?: Partial<Record<HistogramName, number>>;
  statusCodes: [status: string, count: number][];
};

export function encodeSample(sample: Sample): Uint8Array {
  const names = HISTOGRAMS.filter((name) => sample.histograms[name] !== undefined);
  const lengths = Object.fromEntries(names.map((name) => [name, sample.histograms[name]!.length]));
  const statusCodes = Object.entries(sample.statusCodes);
  const head = Buffer.from(JSON.stringify({ ...sample, statusCodes, histograms: lengths }, leaveOutZeros));
  const bytes = Buffer.alloc(HEAD_AT + head.length + names.reduce((sum, name) => sum + lengths[name]!, 0));
  bytes.writeUInt8(VERSION, 0);
  bytes.writeUInt32BE(head.length, 1);
  head.copy(bytes, HEAD_AT);
  let at = HEAD_AT + head.length;
  for (const name of names) {
    bytes.set(sample.histograms[name]!, at);
    at += lengths[name]!;
  }
  return bytes;
}

/** @throws RangeError when the bytes are not a sample; a histogram is not looked into */
export function decodeSample(bytes: Uint8Array): Sample {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { head, end } = readHead(buffer);
  const histograms: Sample['histograms'] = {};
  let at = end;
  for (const name of HISTOGRAMS) {
    const length = head.histograms?.[name];
    if (length === undefined) continue;
    if (!Number.isSafeInteger(length) || length < 0 || at + length > buffer.length) {
      throw malformed(`${buffer.length - at} bytes for the histogram ${name} of ${String(length)}`);
    }
    // Its own bytes: it may outlive the message that it came with.
    histograms[name] = Uint8Array.from(buffer.subarray(at, at + length));
    at += length;
  }
  if (at !== buffer.length) throw malformed(`${buffer.length - at} bytes after its end`);
  return { ...complete(head), histograms };
}

/** SHA-256 of a sample's bytes, the first 16. */
export function sampleDigest(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest().subarray(0, DIGEST_BYTES);
}

function readHead(buffer: Buffer): { head: Partial<Head>; end: number } {
  if (buffer.length < HEAD_AT) throw malformed(`${buffer.length} bytes`);
  const version = buffer.readUInt8(0);
  if (version !== VERSION) throw malformed(`version ${version}`);
  const end = HEAD_AT + buffer.readUInt32BE(1);
  if (end > buffer.length || end > MAX_HEAD_BYTES) throw malformed(`a head of ${end - HEAD_AT} bytes`);
  let head: unknown;
  try {
    head = JSON.parse(buffer.toString('utf8', HEAD_AT, end));
  } catch (error) {
    throw new RangeError('sample: expected a head in JSON', { cause: error });
  }
  if (typeof head !== 'object' || head === null || Array.isArray(head)) throw malformed('a head that is no map');
  return { head, end };
}

/** Puts in what was left out. */
function complete(head: Partial<Head>): Sample {
  const counts = (part: Partial<Sample['counts']> | undefined): Sample['counts'] => {
    const empty = emptyCounts();
    return { ...empty, ...part, dropped: { ...empty.dropped, ...part?.dropped } };
  };
  const sample: Sample = {
    seq: 0,
    second: 0,
    durationMs: 0,
    target: 0,
    queued: 0,
    inFlight: 0,
    connections: 0,
    users: 0,
    ...head,
    counts: counts(head.counts),
    warmup: counts(head.warmup),
    traffic: { ...emptyTraffic(), ...head.traffic },
    statusCodes: Object.fromEntries(head.statusCodes ?? []),
    errors: completeEach<ErrorCount>(head.errors, () => ({ count: 0, examples: [] })),
    checks: completeEach<CheckCount>(head.checks, () => ({ passed: 0, failed: 0 })),
    histograms: {},
    health: { ...emptyHealth(), ...head.health },
  };
  checkNumbers(sample, 'sample');
  return sample;
}

function completeEach<T extends object>(
  map: Readonly<Record<string, T>> | undefined,
  empty: () => T,
): Record<string, T> {
  return Object.fromEntries(Object.entries(map ?? {}).map(([key, value]) => [key, { ...empty(), ...value }]));
}

/** Every leaf is a finite number, but for the examples of errors. */
function checkNumbers(value: unknown, path: string): void {
  if (typeof value === 'number' && Number.isFinite(value)) return;
  if (typeof value !== 'object' || value === null) throw malformed(`${JSON.stringify(value)} as ${path}`);
  for (const [key, part] of Object.entries(value)) {
    if (key !== 'examples') checkNumbers(part, `${path}.${key}`);
    else if (!Array.isArray(part) || part.some((text) => typeof text !== 'string'))
      throw malformed(`no texts as ${path}.${key}`);
  }
}

/** An item of a list stays where it is, and a histogram of no bytes is there. */
function leaveOutZeros(this: unknown, key: string, value: unknown): unknown {
  const isListed = Array.isArray(this) || HISTOGRAMS.includes(key as HistogramName);
  return value === 0 && !isListed ? undefined : value;
}

function malformed(found: string): RangeError {
  return new RangeError(`sample: expected the bytes of a sample, found ${found}`);
}
