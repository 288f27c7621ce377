import { availableParallelism, cpus, release } from 'node:os';
import { machineCpuSeconds, usageOf } from './proc.ts';

/** What a benchmark ran on. */
export const MACHINE = {
  cpu: cpus()[0]?.model ?? '?',
  availableCores: availableParallelism(),
  kernel: release(),
  node: process.version,
};

export function machineText(): string {
  const { cpu, availableCores, kernel, node } = MACHINE;
  return `${cpu}, ${availableCores} cores, Linux ${kernel}, Node ${node}`;
}

/** More of it than this is too much. */
const DISTURBED_CORES = 0.1;

/** Adds the cores that neither this process used meanwhile nor what it started: what disturbed the work. */
export async function watched<T>(work: () => Promise<T>): Promise<T & { foreignCores: number }> {
  const used = () => ({ atMs: performance.now(), cpu: machineCpuSeconds() - usageOf(process.pid).cpuSeconds });
  const from = used();
  const result = await work();
  const to = used();
  return { ...result, foreignCores: Math.max(0, (to.cpu - from.cpu) / ((to.atMs - from.atMs) / 1e3)) };
}

export function foreignText(foreignCores: number): string {
  return `Other processes used ${foreignCores.toFixed(2)} cores${foreignCores > DISTURBED_CORES ? ': DISTURBED' : ''}.`;
}

/** The value below which a share (percent) of the values lie; NaN of none. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? NaN;
}
