/**
 * The disk of each host, in memory: what a simulated process does with files below `/sim/`, by `node:fs/promises`. To be
 * imported before anything of `src`.
 */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { Dice, SimClock, SimProcess } from './clock.ts';
import { inside } from './globals.ts';

/** A write takes so long, and is half done until then. */
const WRITE_MS = [0.1, 3] as const;

/** Outlives the processes of its host. */
export class SimDisk {
  readonly files = new Map<string, Buffer>();
  isFull = false;
  /** Something was written: for faults that wait for it. */
  onWrite: () => void = () => undefined;
  readonly #clock: SimClock;
  readonly #dice: Dice;

  constructor(clock: SimClock, dice: Dice) {
    this.#clock = clock;
    this.#dice = dice;
  }

  /** Resolves in the running process, if it lives by then. @throws Error ENOSPC */
  async write(path: string, bytes: Buffer, position: number): Promise<number> {
    const process = inside.getStore() as SimProcess;
    const half = this.isFull ? 0 : Math.ceil(bytes.length / 2);
    this.#put(path, bytes.subarray(0, half), position);
    await new Promise<void>((resolve) => {
      this.#clock.after(this.#dice.between(...WRITE_MS), process, resolve);
    });
    if (this.isFull) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    this.#put(path, bytes.subarray(half), position + half);
    this.onWrite();
    return bytes.length;
  }

  truncate(path: string, length: number): void {
    this.files.set(path, Buffer.from(this.files.get(path)!.subarray(0, length)));
  }

  #put(path: string, bytes: Buffer, position: number): void {
    const old = this.files.get(path);
    // Deleted meanwhile, as far as its folder knows.
    if (old === undefined) return;
    const file = Buffer.alloc(Math.max(old.length, position + bytes.length));
    old.copy(file);
    bytes.copy(file, position);
    this.files.set(path, file);
  }
}

const disks = new WeakMap<SimProcess, SimDisk>();

/** From now on this is the disk of the process. */
export function mount(process: SimProcess, disk: SimDisk): void {
  disks.set(process, disk);
}

/** An open file. */
class Handle {
  readonly #disk: SimDisk;
  readonly #path: string;

  constructor(disk: SimDisk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  async write(bytes: Buffer, from: number, length: number, position: number): Promise<{ bytesWritten: number }> {
    return { bytesWritten: await this.#disk.write(this.#path, bytes.subarray(from, from + length), position) };
  }

  read(into: Buffer, at: number, length: number, position: number): Promise<{ buffer: Buffer }> {
    this.#disk.files.get(this.#path)?.copy(into, at, position, position + length);
    return Promise.resolve({ buffer: into });
  }

  truncate(length: number): Promise<void> {
    this.#disk.truncate(this.#path, length);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

type Calls = Record<string, (disk: SimDisk, path: string, argument: never) => unknown>;
const calls = {
  mkdir: () => undefined,
  readdir: ({ files }, folder) =>
    [...files.keys()].filter((path) => path.startsWith(`${folder}/`)).map((path) => path.slice(folder.length + 1)),
  readFile: ({ files }, path) => files.get(path),
  truncate: (disk, path, length: number) => disk.truncate(path, length),
  unlink: ({ files }, path) => void files.delete(path),
  open: (disk, path, flags: string) => {
    if (flags.startsWith('w')) disk.files.set(path, Buffer.alloc(0));
    return new Handle(disk, path);
  },
} satisfies Calls;

for (const [name, call] of Object.entries(calls as Calls)) {
  const all = fs as unknown as Record<string, (...args: unknown[]) => unknown>;
  const real = all[name]!.bind(fs);
  all[name] = (path, ...rest) => {
    const disk = disks.get(inside.getStore() as SimProcess);
    if (disk === undefined || typeof path !== 'string' || !path.startsWith('/sim/')) return real(path, ...rest);
    return Promise.resolve(call(disk, path, rest[0] as never));
  };
}
syncBuiltinESMExports();
