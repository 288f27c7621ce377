/**
 * A monotonic clock that all threads of a process share. `performance.now()` counts from the start of its own
 * thread, so each thread adds the distance to the process-wide `process.hrtime` once, when this module loads.
 */
const ATTEMPTS = 20;

/** The distance, from the attempt that was interrupted least: its two readings are the closest together. */
function measureOffsetMs(): number {
  let offsetMs = 0;
  let closestMs = Infinity;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = performance.now();
    const shared = Number(process.hrtime.bigint()) / 1e6;
    const after = performance.now();
    if (after - before >= closestMs) continue;
    closestMs = after - before;
    offsetMs = shared - (before + after) / 2;
  }
  return offsetMs;
}

const offsetMs = measureOffsetMs();

/** The longest delay that `setTimeout` can take; a longer one would fire at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Milliseconds (with a fraction) since an arbitrary instant, the same instant in every thread of this process. */
export function nowMs(): number {
  return performance.now() + offsetMs;
}
