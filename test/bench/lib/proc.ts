import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** USER_HZ, the unit of times in /proc: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const MAX_OUTPUT_BYTES = 4_000_000;

export interface Command {
  argv: readonly string[];
  stdin?: string;
}

/** The first executable of this name on PATH. */
export function onPath(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not in this one.
    }
  }
  return null;
}

/** First line with a digit that the command prints; some tools print their version and exit with 1. */
export function versionLine(argv: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(argv[0]!, argv.slice(1), { encoding: 'utf8', timeout: 20_000 });
  if (status !== 0 && stdout === '') return '?';
  const line = `${stdout}\n${stderr}`.split('\n').find((text) => /\d/.test(text));
  return line?.trim().slice(0, 80) ?? '?';
}

export interface Cores {
  target: number;
  generator: number;
}

/** A core each for target and generator; null without a second core or without taskset: then nothing is pinned. */
export function chooseCores(): Cores | null {
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const allowed = list.split(',').flatMap((range) => {
    const [from = NaN, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  const [target, generator] = allowed;
  if (target === undefined || generator === undefined || onPath('taskset') === null) return null;
  return { target, generator };
}

export function pin(core: number | undefined): string[] {
  return core === undefined ? [] : ['taskset', '-c', String(core)];
}

/** A command that gives what follows it this many descriptors; empty when it has them, null when they cannot be had. */
export function descriptors(count: number): string[] | null {
  const [, soft = '0', hard = '0'] =
    /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  const enough = (limit: string): boolean => limit === 'unlimited' || Number(limit) >= count;
  if (enough(soft)) return [];
  const wrapper = ['prlimit', `--nofile=${count}:${enough(hard) ? hard : count}`];
  const works = onPath('prlimit') !== null && spawnSync(wrapper[0]!, [wrapper[1]!, 'true']).status === 0;
  return works ? wrapper : null;
}

const running = new Set<Process>();

/** Kills what was started and is still there; for the end of the program, however it ends. */
export function killAll(): void {
  for (const process of running) process.kill();
}

/** A child process and its descendants. */
export class Process {
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  stdout = '';
  stderr = '';
  exitCode: number | null = null;
  hasEnded = false;
  readonly #child: ChildProcess;

  constructor(command: Command) {
    const [file, ...args] = command.argv as [string, ...string[]];
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.pid = this.#child.pid ?? 0;
    this.#child.stdin!.on('error', () => undefined);
    this.#child.stdin!.end(command.stdin ?? '');
    this.#child.stdout!.on('data', (part: Buffer) => (this.stdout = keep(this.stdout, part)));
    this.#child.stderr!.on('data', (part: Buffer) => (this.stderr = keep(this.stderr, part)));
    running.add(this);
    this.#child.once('error', (error) => (this.stderr += error.message));
    this.ended = once(this.#child, 'close').then(
      ([code]) => this.#finish(code as number | null),
      () => this.#finish(null),
    );
  }

  /** Waits for the end, at most so long; then kills. Returns whether it ended by itself. */
  async end(withinMs: number): Promise<boolean> {
    const timer = setTimeout(() => this.kill(), withinMs);
    const byItself = new Promise<boolean>((resolve) => void this.ended.then(() => resolve(this.exitCode !== null)));
    const result = await byItself;
    clearTimeout(timer);
    return result;
  }

  terminate(): void {
    this.#child.kill('SIGTERM');
  }

  kill(): void {
    for (const pid of this.hasEnded ? [] : treeOf(this.pid).reverse()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  #finish(code: number | null): void {
    this.exitCode = code;
    this.hasEnded = true;
    running.delete(this);
  }
}

function keep(text: string, part: Buffer): string {
  return text.length < MAX_OUTPUT_BYTES ? text + part.toString() : text;
}

export interface Usage {
  /** User and system time of the process, its descendants, and those of them that have ended. */
  cpuSeconds: number;
  /** Sum of the peaks of resident memory (VmHWM). */
  peakBytes: number;
}

/** What a process tree has used so far; zero when it is gone. */
export function usageOf(pid: number): Usage {
  const usage = { cpuSeconds: 0, peakBytes: 0 };
  for (const member of treeOf(pid)) {
    // Fields 14 to 17 of proc(5): utime, stime, cutime, cstime.
    const ticks = statFields(member)?.slice(11, 15).map(Number) ?? [];
    usage.cpuSeconds += ticks.reduce((a, b) => a + b, 0) / TICKS_PER_SECOND;
    usage.peakBytes += statusBytes(member, 'VmHWM');
  }
  return usage;
}

/**
 * How long the main thread of a process was ready to run and another had its core (schedstat of proc(5)), seconds so far; the half
 * microsecond that each waking takes is in it.
 */
export function waitedSeconds(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e9;
  } catch {
    // A kernel without it, or the process is gone.
    return NaN;
  }
}

/** Resident memory of one process; zero when it is gone. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, 'VmRSS');
}

function statusBytes(pid: number, name: 'VmHWM' | 'VmRSS'): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** CPU time of the whole machine so far, without interrupts (which are in the time of some process, or of none), seconds. */
export function machineCpuSeconds(): number {
  // The first line of /proc/stat: user, nice, system, …
  const [user = 0, nice = 0, system = 0] = readFileSync('/proc/stat', 'utf8').split(/\s+/).slice(1, 4).map(Number);
  return (user + nice + system) / TICKS_PER_SECOND;
}

/** The fields of /proc/PID/stat from the third one on (the second, the name, may have spaces). */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** The process and its descendants, parents first; none for what is not a process of ours (0 and -1 mean many to kill(2)). */
function treeOf(root: number): number[] {
  if (root <= 1) return [];
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const parent = Number.isInteger(pid) ? Number(statFields(pid)?.[1]) : NaN;
    if (!Number.isNaN(parent)) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}
