import { readFileSync } from 'node:fs';

/** Cumulative CPU time of the whole node, in clock ticks. */
export interface CpuTimes {
  busy: number;
  total: number;
}

/**
 * Reads the `cpu` line of /proc/stat (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal. What idle and
 * iowait do not cover is busy; guest time is already part of user.
 *
 * @returns null when the text has no such line
 */
export function parseProcStat(text: string): CpuTimes | null {
  const line = /^cpu +(.*)$/m.exec(text);
  const ticks = line?.[1]?.split(' ').slice(0, 8).map(Number);
  if (ticks === undefined || ticks.length < 4 || ticks.some(Number.isNaN)) return null;
  const total = ticks.reduce((a, b) => a + b, 0);
  return { busy: total - ticks[3]! - (ticks[4] ?? 0), total };
}

/** How busy the whole node is, everything that runs on it included. */
export class NodeCpu {
  readonly #read: () => string;
  #last: CpuTimes | null;

  /** @param read gives the text of /proc/stat; may throw where there is none */
  constructor(read = () => readFileSync('/proc/stat', 'utf8')) {
    this.#read = read;
    this.#last = this.#times();
  }

  /** Busy part of the time since the last call (at first: since the start), 0 to 1; null when it is not to be had. */
  sample(): number | null {
    const last = this.#last;
    const now = this.#times();
    this.#last = now;
    if (last === null || now === null || now.total <= last.total) return null;
    return Math.min(1, Math.max(0, (now.busy - last.busy) / (now.total - last.total)));
  }

  #times(): CpuTimes | null {
    try {
      return parseProcStat(this.#read());
    } catch {
      return null;
    }
  }
}
