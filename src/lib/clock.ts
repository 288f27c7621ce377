/**
 * A monotonic clock that all threads of a process share. `performance.now()` counts from the start of its own
 * thread, so each thread adds the distance to the process-wide `process.hrtime` once, when this module loads.
 */
const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds (with a fraction) since an arbitrary instant, the same instant in every thread of this process. */
export function nowMs(): number {
  return performance.now() + offsetMs;
}
