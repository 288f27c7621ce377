import { setTimeout as sleep } from 'node:timers/promises';

/** Repeats the assertion until it holds; after the deadline its last failure is thrown. */
export async function eventually<T>(assertion: () => T | Promise<T>, deadlineMs = 15_000): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() >= end) throw error;
    }
    await sleep(10);
  }
}
