import { readFileSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { nowMs } from '../lib/clock.ts';
import { NodeCpu } from '../lib/cpu.ts';
import type { NodeInfo } from './ports.ts';

export interface MemoryState {
  totalBytes: number;
  /** What programs could get without swapping, caches that can be given up included. */
  freeBytes: number;
}

/** MemTotal and MemAvailable of /proc/meminfo (proc(5)), which gives KiB. @returns null when the text has not both */
export function parseMeminfo(text: string): MemoryState | null {
  const [totalBytes, freeBytes] = ['MemTotal', 'MemAvailable'].map(
    (name) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024,
  ) as [number, number];
  return totalBytes > 0 && freeBytes >= 0 ? { totalBytes, freeBytes } : null;
}

/** Of the machine, or of the container if that may use less. */
export function readMemory(read = () => readFileSync('/proc/meminfo', 'utf8')): MemoryState {
  const machine = fromProc(read) ?? { totalBytes: totalmem(), freeBytes: freemem() };
  const limitBytes = process.constrainedMemory();
  if (!(limitBytes > 0 && limitBytes < machine.totalBytes)) return machine;
  return { totalBytes: limitBytes, freeBytes: Math.min(machine.freeBytes, process.availableMemory(), limitBytes) };
}

function fromProc(read: () => string): MemoryState | null {
  try {
    return parseMeminfo(read());
  } catch {
    return null;
  }
}

export interface NodeInfoOptions {
  /** Hits per second that the operator allows; null: no limit. */
  capacity: number | null;
  /** Pieces of work running now, over all drivers. */
  running: () => number;
}

/** `latest` measures anew after this time: over a shorter one CPU and delay say little. */
const FRESH_MS = 500;
/** A timer of this grain measures the loop; its own period is not delay. */
const LOOP_RESOLUTION_MS = 10;

/** How the node fares, each time since the last time. Measures the loop of the thread that made it until it is disposed. */
export class NodeInfoSampler implements Disposable {
  readonly #options: NodeInfoOptions;
  readonly #cpu = new NodeCpu();
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  #lastCpu = 0;
  #last: NodeInfo | null = null;
  #lastAtMs = 0;

  constructor(options: NodeInfoOptions) {
    this.#options = options;
    this.#loop.enable();
  }

  /** For several who ask: what is running is as of now, the rest may be half a second old. */
  latest(): NodeInfo {
    if (this.#last === null || nowMs() - this.#lastAtMs >= FRESH_MS) {
      this.#last = this.sample();
      this.#lastAtMs = nowMs();
    }
    return { ...this.#last, running: this.#options.running() };
  }

  sample(): NodeInfo {
    this.#lastCpu = this.#cpu.sample() ?? this.#lastCpu;
    const { totalBytes, freeBytes } = readMemory();
    const delayMs = this.#loop.count === 0 ? 0 : this.#loop.percentile(99) / 1e6 - LOOP_RESOLUTION_MS;
    this.#loop.reset();
    return {
      cpu: this.#lastCpu,
      cores: availableParallelism(),
      memory: Math.min(1, Math.max(0, 1 - freeBytes / totalBytes)),
      memoryTotalBytes: totalBytes,
      memoryFreeBytes: freeBytes,
      loopLagP99Ms: Math.max(0, delayMs),
      capacity: this.#options.capacity,
      running: this.#options.running(),
    };
  }

  [Symbol.dispose](): void {
    this.#loop.disable();
  }
}

export type Sampler = Pick<NodeInfoSampler, 'latest' | typeof Symbol.dispose>;
export type CreateSampler = (options: NodeInfoOptions) => Sampler;

export const createSampler: CreateSampler = (options) => new NodeInfoSampler(options);
