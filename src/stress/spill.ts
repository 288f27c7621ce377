import { mkdir, open, readdir, readFile, truncate, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { CodedError, errorMessage, systemReason } from '../lib/errors.ts';
import { formatBytes } from '../lib/format.ts';
import type { Log } from '../lib/log.ts';
import type { SampleRecord } from './ports.ts';
import { encodeFrame, FILE_HEAD, frameAt, type Frame, type FrameAt, type SpilledEnd } from './spill-frames.ts';
import { keyOf, type SampleKey } from './stored-run.ts';

const SUFFIX = '.spill';
/** Space is given back file by file, so there are many of them. */
const MIN_FILE_BYTES = 1024 * 1024;
const MOST_FILES = 64;

export interface SpillOptions {
  /** Of this node alone; made when it is not there. */
  folder: string;
  /** Of all its files together. */
  maxBytes: number;
  onClosed?: () => void;
  log: Log;
}

interface SpillFile {
  path: string;
  handle: FileHandle;
  size: number;
  /** Frames that are still needed. */
  live: number;
}

/** Where a frame lies. */
export interface Place {
  readonly file: SpillFile;
  readonly at: number;
  readonly length: number;
}

/** Results of an earlier process of this node. */
export interface Found {
  key: SampleKey;
  /** In the order of `seq`; those that are left out were acknowledged, unless the disk has lost them. */
  samples: { seq: number; place: Place }[];
  /** null: it was killed before the assignment ended, or before that was written. */
  end: { told: SpilledEnd; place: Place } | null;
}

/** The files are as large as they may be. */
export class SpillFull extends Error {}

/**
 * Results on disk: files that are only appended to, and deleted when nothing in them is needed any more. What is written
 * survives the end of the process, not that of the machine: nothing is synced. A frame that is not whole ends a file.
 */
export class Spill implements AsyncDisposable {
  readonly maxBytes: number;
  readonly found: readonly Found[];
  readonly #folder: string;
  readonly #log: Log;
  readonly #onClosed: () => void;
  readonly #files: Set<SpillFile>;
  readonly #deleting = new Set<Promise<void>>();
  #current: SpillFile | null = null;
  #bytes: number;
  #nextNumber: number;

  private constructor({ folder, maxBytes, log, onClosed }: SpillOptions, { files, found, nextNumber }: Recovered) {
    this.maxBytes = maxBytes;
    this.found = found;
    this.#folder = folder;
    this.#log = log;
    this.#onClosed = onClosed ?? (() => undefined);
    this.#files = new Set(files);
    this.#bytes = files.reduce((sum, { size }) => sum + size, 0);
    this.#nextNumber = nextNumber;
    for (const file of files) if (file.live === 0) this.#delete(file);
  }

  /** @throws CodedError INVALID_INPUT when the folder cannot be used */
  static async open(options: SpillOptions): Promise<Spill> {
    try {
      // Error messages of the target may hold secrets of tasks.
      await mkdir(options.folder, { recursive: true, mode: 0o700 });
      return new Spill(options, await recover(options));
    } catch (error) {
      const problem = `cannot use the folder ${options.folder}: ${systemReason(error)}`;
      throw new CodedError('INVALID_INPUT', problem, { cause: error });
    }
  }

  /** Of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Writes frames one after another; one call at a time. What a failed write left is cut off.
   *
   * @returns their places, in their order
   * @throws SpillFull; Error of the system, like ENOSPC
   */
  async append(frames: readonly Frame[]): Promise<Place[]> {
    const encoded = frames.map(encodeFrame);
    const bytes = Buffer.concat(encoded);
    if (this.#bytes + bytes.length > this.maxBytes) {
      throw new SpillFull(`results of ${formatBytes(this.maxBytes)} wait on disk, which is as much as may`);
    }
    const file = await this.#fileToAppend();
    file.live += frames.length;
    try {
      await writeAll(file.handle, bytes, file.size);
    } catch (error) {
      await this.#giveUp(file, frames.length);
      throw error;
    }
    let at = file.size;
    file.size += bytes.length;
    this.#bytes += bytes.length;
    return encoded.map(({ length }) => {
      at += length;
      return { file, at: at - length, length };
    });
  }

  /** @throws Error when a frame cannot be read, or is not what was written */
  async read(places: readonly Place[]): Promise<SampleRecord[]> {
    return Promise.all(
      places.map(async ({ file, at, length }) => {
        const { buffer } = await file.handle.read(Buffer.alloc(length), 0, length, at);
        const found = frameAt(buffer, 0);
        if (found?.frame.kind !== 'sample') throw new Error(`${file.path}: expected a sample at ${at}, found none`);
        return found.frame.record;
      }),
    );
  }

  /** It is not needed any more. */
  release({ file }: Place): void {
    this.#release(file, 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#deleting);
    await Promise.all([...this.#files].map(({ handle }) => handle.close()));
    this.#files.clear();
    this.#onClosed();
  }

  async #fileToAppend(): Promise<SpillFile> {
    const most = Math.max(MIN_FILE_BYTES, this.maxBytes / MOST_FILES);
    if (this.#current !== null && this.#current.size < most) return this.#current;
    const name = `${String(this.#nextNumber).padStart(12, '0')}${SUFFIX}`;
    const file: SpillFile = { path: path.join(this.#folder, name), handle: null!, size: 0, live: 0 };
    file.handle = await open(file.path, 'wx+', 0o600);
    this.#nextNumber += 1;
    this.#files.add(file);
    try {
      await writeAll(file.handle, FILE_HEAD, 0);
    } catch (error) {
      this.#delete(file);
      throw error;
    }
    file.size = FILE_HEAD.length;
    this.#bytes += file.size;
    this.#current = file;
    return file;
  }

  /** After a failed write: a later one shall not follow half a frame. */
  async #giveUp(file: SpillFile, frames: number): Promise<void> {
    await file.handle.truncate(file.size).catch(() => {
      if (this.#current === file) this.#current = null;
    });
    this.#release(file, frames);
  }

  #release(file: SpillFile, frames: number): void {
    file.live -= frames;
    if (file.live === 0) this.#delete(file);
  }

  #delete(file: SpillFile): void {
    if (!this.#files.delete(file)) return;
    if (this.#current === file) this.#current = null;
    this.#bytes -= file.size;
    const deleting = Promise.all([file.handle.close(), unlink(file.path)]).then(
      () => undefined,
      (error: unknown) => this.#log.warn({ file: file.path, error: errorMessage(error) }, 'a spill file stays behind'),
    );
    this.#deleting.add(deleting);
    void deleting.then(() => this.#deleting.delete(deleting));
  }
}

interface Recovered {
  files: SpillFile[];
  found: Found[];
  nextNumber: number;
}

/** Reads what earlier processes left, file by file in the order in which they were written. */
async function recover({ folder, log }: SpillOptions): Promise<Recovered> {
  const names = (await readdir(folder)).filter((name) => /^\d{12}\.spill$/.test(name)).sort();
  const found = new Map<string, Found>();
  const files: SpillFile[] = [];
  for (const name of names) {
    const file = path.join(folder, name);
    const bytes = await readFile(file);
    const isOurs = bytes.subarray(0, FILE_HEAD.length).equals(FILE_HEAD);
    const frames = isOurs ? [...framesOf(bytes)] : [];
    const end = frames.reduce((_, { at, length }) => at + length, isOurs ? FILE_HEAD.length : 0);
    if (end < bytes.length) {
      log.warn({ file, kept: end, cutOff: bytes.length - end }, 'a spill file ends in the middle of a sample: cut off');
      await truncate(file, end);
    }
    const spilled: SpillFile = { path: file, handle: await open(file, 'r+'), size: end, live: 0 };
    for (const frame of frames) take(found, frame, spilled);
    files.push(spilled);
  }
  const nextNumber = names.length === 0 ? 1 : Number(names.at(-1)!.slice(0, -SUFFIX.length)) + 1;
  const all = [...found.values()].filter(({ samples, end }) => samples.length > 0 || end !== null);
  return { files, found: all, nextNumber };
}

function* framesOf(bytes: Buffer): Generator<FrameAt> {
  for (let at = FILE_HEAD.length; ;) {
    const found = frameAt(bytes, at);
    if (found === null) return;
    yield found;
    at += found.length;
  }
}

function take(all: Map<string, Found>, { frame, at, length }: FrameAt, file: SpillFile): void {
  const { runId, assignment, incarnation } = frame.kind === 'sample' ? frame.record : frame.end;
  const key = { runId, assignment, incarnation };
  const name = keyOf(key);
  const found: Found = all.get(name) ?? { key, samples: [], end: null };
  all.set(name, found);
  const place = { file, at, length };
  if (frame.kind === 'end') {
    if (found.end !== null) return;
    found.end = { told: frame.end, place };
  } else {
    const { seq } = frame.record;
    if (seq <= (found.samples.at(-1)?.seq ?? 0)) return;
    found.samples.push({ seq, place });
  }
  file.live += 1;
}

/** A write may take less than all. */
async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
