import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ClusterClient } from '../../../src/rpc/client.ts';
import type { RunMessage } from '../../../src/rpc/messages.ts';
import { TestCluster } from '../../e2e/cluster.ts';
import { spawnCommand } from '../../support/cli.ts';
import { residentBytes, usageOf } from '../lib/proc.ts';
import { newTask, QUIET, reached, stopped } from './runs.ts';
import { WINDOW, type SimEnd } from './sim-end.ts';

const SIM = fileURLToPath(new URL('./sim-workers.ts', import.meta.url));
/** Of each worker, as its samples tell. */
const RATE = 1_000;
/** From RUNNING until the window begins: code is compiled, and the burst of assignments is over. */
const WARMUP_MS = 5_000;
/** What comes before and after the window. */
const AROUND_SECONDS = 180;
const MEMORY_EVERY_MS = 60_000;

export interface WorkersRow extends Omit<SimEnd, 'samples'> {
  workers: number;
  /** At once, each on its part of the workers. */
  runs: number;
  /** From the first Hello to the last Welcome, records in etcd included. */
  connectMs: number;
  /** From the first StartTask call until all workers of all runs have acknowledged their assignments. */
  startMs: number;
  /** Busy cores in the window, by process. */
  cores: Record<'master' | 'workers' | 'mariadb' | 'etcd', number>;
  /** Peak resident memory of the master, since its start. */
  masterPeakMegabytes: number;
  /** Its resident memory at the begin of the window and after each minute of it. */
  masterMegabytes: number[];
  samplesSent: number;
  samplesAcked: number;
  sampleBytes: number;
  endState: string;
}

/** What a master needs for so many workers, each with a sample a second; it is no worker itself. */
export async function manyWorkers(workers: number, runs: number, seconds: number): Promise<WorkersRow> {
  const lasts = seconds + AROUND_SECONDS;
  const master = { env: { ...QUIET.env, GOSTRESS_ROLES: 'candidate' } };
  await using cluster = await TestCluster.start({ master });
  const { etcd, mariadb, address } = cluster;
  using client = ClusterClient.connect(address, { deadlineMs: 60_000 });
  const beganMs = performance.now();
  await using sim = spawnCommand(process.execPath, [SIM, address, String(workers), etcd.host], {
    timeoutMs: lasts * 1_000,
  });
  await sim.waitFor('stdout', /connected/);
  const connectMs = performance.now() - beganMs;
  const options = { lasts, maxNodes: Math.floor(workers / runs) };
  const tasks: string[] = [];
  for (let run = 0; run < runs; run++) {
    tasks.push(await newTask(client, 'http://127.0.0.1:9/', (RATE * workers) / runs, options));
  }
  const startedAtMs = performance.now();
  const started: RunMessage[] = [];
  for (const task of tasks) {
    started.push(await client.startTask(task));
    // Nobody starts all in the same instant: their seconds begin one after another.
    await sleep(1_000 / runs);
  }
  for (const { name } of started) await reached(client, name, 'RUNNING');
  const startMs = performance.now() - startedAtMs;
  await sleep(WARMUP_MS);
  const pids = { master: cluster.node('master').pid, workers: sim.child.pid!, mariadb: mariadb.pid, etcd: etcd.pid };
  const from = usages(pids);
  sim.child.kill(WINDOW);
  const masterMegabytes = await memoryOver(pids.master, seconds);
  sim.child.kill(WINDOW);
  const to = usages(pids);
  const lasted = (to.atMs - from.atMs) / 1_000;
  const coresOf = (name: keyof typeof pids): number => (to[name].cpuSeconds - from[name].cpuSeconds) / lasted;
  const endStates = new Set<string>();
  for (const { name } of started) endStates.add(await stopped(client, name));
  sim.child.kill('SIGTERM');
  const { stdout } = await sim.ended;
  const { samples, ...told } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as SimEnd;
  return {
    workers,
    runs,
    connectMs,
    startMs,
    cores: {
      master: coresOf('master'),
      workers: coresOf('workers'),
      mariadb: coresOf('mariadb'),
      etcd: coresOf('etcd'),
    },
    masterPeakMegabytes: to.master.peakBytes / 1e6,
    masterMegabytes,
    samplesSent: samples.sent,
    samplesAcked: samples.acked,
    sampleBytes: samples.bytes / samples.sent,
    ...told,
    endState: [...endStates].join(', '),
  };
}

/** Lets the window pass. */
async function memoryOver(pid: number, seconds: number): Promise<number[]> {
  const megabytes = [residentBytes(pid) / 1e6];
  const endMs = performance.now() + seconds * 1_000;
  for (;;) {
    const leftMs = endMs - performance.now();
    await sleep(Math.min(leftMs, MEMORY_EVERY_MS));
    if (leftMs < MEMORY_EVERY_MS) return megabytes;
    megabytes.push(residentBytes(pid) / 1e6);
  }
}

function usages(pids: Record<keyof WorkersRow['cores'], number>) {
  const [master, workers, mariadb, etcd] = [pids.master, pids.workers, pids.mariadb, pids.etcd].map(usageOf);
  return { atMs: performance.now(), master: master!, workers: workers!, mariadb: mariadb!, etcd: etcd! };
}
