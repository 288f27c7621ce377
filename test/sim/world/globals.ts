/**
 * The clocks, timers and dice of Node, for code that runs within a simulated process: to be imported before anything of
 * `src`. Outside of a simulated process all are as they were.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { syncBuiltinESMExports } from 'node:module';
import timersPromises from 'node:timers/promises';

/** What a simulated process has instead of the machine's. */
export interface Machine {
  monotonicMs(): number;
  wallMs(): number;
  random(): number;
  /** Runs in the process after the time by its own clock, unless cancelled. */
  after(ms: number, act: () => void): { cancel(): void };
}

export const inside = new AsyncLocalStorage<Machine>();

const real = { setTimeout, setInterval, clearTimeout, clearInterval, random: Math.random, date: Date.now };
const realNow = performance.now.bind(performance);
const realHrtime = process.hrtime.bigint.bind(process.hrtime);
const realTimeout = AbortSignal.timeout.bind(AbortSignal);
/** Resolves when all that was ready has run. */
export const settled = (): Promise<void> => new Promise((resolve) => realImmediate(resolve));
const realImmediate = setImmediate;

/** While modules load the clocks stand at 0, so that `lib/clock` measures a distance of exactly 0 between them. */
let isLoading = true;
export function loaded(): void {
  isLoading = false;
}

class Timer {
  #pending: { cancel(): void } | null = null;
  constructor(machine: Machine, ms: number, act: () => void, again: boolean) {
    const delayMs = ms >= 1 && ms < 2 ** 31 ? ms : 1;
    const arm = (): void => {
      this.#pending = machine.after(delayMs, () => {
        this.#pending = null;
        if (again) arm();
        act();
      });
    };
    arm();
  }
  cancel(): void {
    this.#pending?.cancel();
    this.#pending = null;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

type Act = (...args: unknown[]) => void;

function timers(again: boolean, otherwise: (act: Act, ms?: number, ...args: unknown[]) => unknown) {
  return (act: Act, ms?: number, ...args: unknown[]): unknown => {
    const machine = inside.getStore();
    if (machine === undefined) return otherwise(act, ms, ...args);
    return new Timer(machine, ms ?? 0, () => act(...args), again);
  };
}

function clear(otherwise: (timer: never) => void) {
  return (timer: unknown): void => {
    if (timer instanceof Timer) timer.cancel();
    else otherwise(timer as never);
  };
}

Object.assign(globalThis, {
  setTimeout: timers(false, real.setTimeout),
  setInterval: timers(true, real.setInterval),
  clearTimeout: clear(real.clearTimeout),
  clearInterval: clear(real.clearInterval),
  setImmediate: (act: Act, ...args: unknown[]): unknown =>
    inside.getStore() === undefined ? realImmediate(act, ...args) : setTimeout(act, 0, ...args),
});
const realTurn = timersPromises.setImmediate.bind(timersPromises);
timersPromises.setImmediate = <T>(value?: T): Promise<T> =>
  inside.getStore() === undefined
    ? realTurn(value)
    : new Promise((resolve) => setTimeout(() => resolve(value as T), 0));
syncBuiltinESMExports();
Math.random = () => inside.getStore()?.random() ?? real.random();
Date.now = () => inside.getStore()?.wallMs() ?? real.date();
performance.now = () => inside.getStore()?.monotonicMs() ?? (isLoading ? 0 : realNow());
process.hrtime.bigint = () => (isLoading ? 0n : realHrtime());
AbortSignal.timeout = (ms) => {
  const machine = inside.getStore();
  if (machine === undefined) return realTimeout(ms);
  const over = new AbortController();
  machine.after(ms, () => over.abort(new DOMException('the time is over', 'TimeoutError')));
  return over.signal;
};
