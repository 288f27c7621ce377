/** What garbage collection cost an isolate (a thread) in a while. */
export interface Collected {
  /** From the first of the collections to the last. */
  seconds: number;
  collections: number;
  allocatedBytes: number;
  /** In which the thread stood still. */
  pausedMs: number;
}

/** `[pid:isolate] 1234 ms: Scavenge 12.3 (20.1) -> 10.2 (20.1) MB, …, 1.23 / 0.00 ms …`: a line of `node --trace-gc`. */
const LINE =
  /^\[\d+:(0x[0-9a-f]+)\] +([\d.]+) ms: .+? ([\d.]+) \([\d.]+\) -> ([\d.]+) \([\d.]+\) MB.*?, ([\d.]+) \/ [\d.]+ ms/;

/**
 * Reads what `node --trace-gc` printed: what was allocated between two collections is what the heap grew by.
 *
 * @param fromMs of the isolate's life; collections before do not count
 * @returns by isolate, those with fewer than two collections left out
 */
export function collected(output: string, fromMs: number): Collected[] {
  const isolates = new Map<string, { firstMs: number; afterMb: number; sum: Collected }>();
  for (const line of output.split('\n')) {
    const [, isolate, ...numbers] = LINE.exec(line) ?? [];
    const [atMs = NaN, beforeMb = NaN, afterMb = NaN, pausedMs = NaN] = numbers.map(Number);
    if (isolate === undefined || atMs < fromMs) continue;
    const known = isolates.get(isolate);
    if (known === undefined) {
      const sum = { seconds: 0, collections: 0, allocatedBytes: 0, pausedMs: 0 };
      isolates.set(isolate, { firstMs: atMs, afterMb, sum });
      continue;
    }
    known.sum.seconds = (atMs - known.firstMs) / 1e3;
    known.sum.collections += 1;
    known.sum.allocatedBytes += (beforeMb - known.afterMb) * 2 ** 20;
    known.sum.pausedMs += pausedMs;
    known.afterMb = afterMb;
  }
  return [...isolates.values()].map(({ sum }) => sum).filter(({ collections }) => collections > 0);
}
