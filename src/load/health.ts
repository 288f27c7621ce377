import { PerformanceObserver, performance, type EventLoopUtilization } from 'node:perf_hooks';
import { rankOf } from '../lib/histogram.ts';
import type { EngineHealth } from '../task/sample.ts';

/** Timers fire up to this late on an idle loop: they count in whole milliseconds. */
const TIMER_GRAIN_MS = 1.2;

/** Watches how the own engine thread fares: the evidence of the verdict. One value a second. */
export class HealthProbe implements Disposable {
  readonly #polledMs: () => number;
  readonly #gc: PerformanceObserver;
  #loop: EventLoopUtilization = performance.eventLoopUtilization();
  #cpu = process.threadCpuUsage();
  #lastPolledMs = 0;
  #delaysMs: number[] = [];
  #gcMaxMs = 0;
  #gcTotalMs = 0;

  /** @param polledMs time that the thread has spent polling so far, ms: busy by the event loop's measure, idle by ours */
  constructor(polledMs: () => number) {
    this.#polledMs = polledMs;
    this.#gc = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) {
        this.#gcTotalMs += duration;
        this.#gcMaxMs = Math.max(this.#gcMaxMs, duration);
      }
    });
    this.#gc.observe({ entryTypes: ['gc'] });
  }

  /** A timer that was set to fire `expectedMs` after its start fired after `actualMs`. */
  timerFired(expectedMs: number, actualMs: number): void {
    this.#delaysMs.push(Math.max(0, actualMs - expectedMs - TIMER_GRAIN_MS));
  }

  /** What happened since the last call. */
  take(): EngineHealth {
    const loop = performance.eventLoopUtilization();
    const activeMs = loop.active - this.#loop.active;
    const totalMs = activeMs + loop.idle - this.#loop.idle;
    const polledMs = this.#polledMs();
    const busyMs = Math.max(0, activeMs - (polledMs - this.#lastPolledMs));
    const cpu = process.threadCpuUsage();
    const delays = this.#delaysMs.sort((a, b) => a - b);
    const health: EngineHealth = {
      utilisation: totalMs > 0 ? Math.min(1, busyMs / totalMs) : 0,
      loopDelayP99Ms: delays[rankOf(99, delays.length) - 1] ?? 0,
      loopDelayMaxMs: delays.at(-1) ?? 0,
      gcMaxMs: this.#gcMaxMs,
      gcTotalMs: this.#gcTotalMs,
      cpuSeconds: (cpu.user + cpu.system - this.#cpu.user - this.#cpu.system) / 1e6,
    };
    this.#loop = loop;
    this.#cpu = cpu;
    this.#lastPolledMs = polledMs;
    this.#delaysMs = [];
    this.#gcMaxMs = this.#gcTotalMs = 0;
    return health;
  }

  [Symbol.dispose](): void {
    this.#gc.disconnect();
  }
}
