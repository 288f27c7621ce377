import { setTimeout as sleep } from 'node:timers/promises';
import { machineCpuSeconds, Process, usageOf, waitedSeconds, type Command } from './proc.ts';

/** A run is told to last so much longer than the window: its warm-up before it, and two seconds after it. */
export const WARMUP_MS = 1_500;
export const AFTER_MS = 2_000;
const FIRST_REQUEST_TIMEOUT_MS = 20_000;
const END_TIMEOUT_MS = 20_000;
const POLL_MS = 50;

/** What was seen of one run of one generator. */
export interface Window {
  /** Of the count given, over the window. */
  requestsPerSecond: number;
  requestsPerCpuSecond: number;
  cores: number;
  /** Cores that neither generator nor target used, but others: what disturbed the measurement. */
  foreignCores: number;
  /** Part of the window in which the target's main thread waited for its core. */
  targetWaited: number;
  peakBytes: number;
  stdout: string;
  /** What went wrong, when the numbers stand nevertheless. */
  note: string | null;
}

/** What the generator is run against. */
export interface Judge {
  pid: number;
  /** Requests that the target has seen; its own calls do not count. */
  count: () => Promise<number>;
  /** false: `count` is called only until the first request, so that the target is not disturbed in the window. */
  countsInWindow: boolean;
  /** Called when the window begins. */
  windowBegins?: () => Promise<void>;
}

/**
 * Runs a generator and measures it in a window that begins WARMUP_MS after the target has seen its first request, so that
 * start-up and warming of the code are nobody's cost.
 *
 * @throws Error when the generator sends nothing, or ends before the window does
 */
export async function measure(command: Command, windowMs: number, judge: Judge): Promise<Window> {
  const before = await judge.count();
  const process = new Process(command);
  try {
    const deadline = performance.now() + FIRST_REQUEST_TIMEOUT_MS;
    while ((await judge.count()) <= before) {
      if (process.hasEnded || performance.now() > deadline) throw new Error(`sent nothing: ${lastLine(process)}`);
      await sleep(POLL_MS);
    }
    await sleep(WARMUP_MS);
    await judge.windowBegins?.();
    const from = await snapshot(process.pid, judge);
    await sleep(windowMs);
    const to = await snapshot(process.pid, judge);
    if (process.hasEnded) throw new Error(`ended before the window did: ${lastLine(process)}`);
    const byItself = await process.end(AFTER_MS + END_TIMEOUT_MS);
    const requests = to.requests - from.requests;
    const cpuSeconds = to.cpuSeconds - from.cpuSeconds;
    const seconds = (to.atMs - from.atMs) / 1e3;
    return {
      requestsPerSecond: requests / seconds,
      requestsPerCpuSecond: requests / cpuSeconds,
      cores: cpuSeconds / seconds,
      foreignCores: Math.max(0, to.othersCpuSeconds - from.othersCpuSeconds) / seconds,
      targetWaited: (to.targetWaitedSeconds - from.targetWaitedSeconds) / seconds,
      peakBytes: to.peakBytes,
      stdout: process.stdout,
      note: !byItself ? 'killed: it did not end' : process.exitCode === 0 ? null : `exit code ${process.exitCode}`,
    };
  } finally {
    process.kill();
    await process.ended;
  }
}

async function snapshot(pid: number, judge: Judge) {
  const requests = judge.countsInWindow ? await judge.count() : NaN;
  const usage = usageOf(pid);
  const othersCpuSeconds = machineCpuSeconds() - usage.cpuSeconds - usageOf(judge.pid).cpuSeconds;
  const targetWaitedSeconds = waitedSeconds(judge.pid);
  return { atMs: performance.now(), requests, othersCpuSeconds, targetWaitedSeconds, ...usage };
}

/** The last line that names an error, or else the last line. */
function lastLine({ stderr }: Process): string {
  const lines = stderr.trim().split('\n');
  return (lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '').trim().slice(0, 200);
}
