import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ClusterClient } from '../../../src/rpc/client.ts';
import { TestCluster } from '../../e2e/cluster.ts';
import { spawnCommand } from '../../support/cli.ts';
import { usageOf } from '../lib/proc.ts';
import { newTask, QUIET, reached, stopped } from './runs.ts';
import type { SimEnd } from './sim-workers.ts';

const SIM = fileURLToPath(new URL('./sim-workers.ts', import.meta.url));
/** Of each worker, as its samples tell. */
const RATE = 1_000;
/** From RUNNING until the window begins: code is compiled, and the burst of assignments is over. */
const WARMUP_MS = 5_000;
const SIM_LIFE_MS = 300_000;

export interface WorkersRow extends Omit<SimEnd, 'samples'> {
  workers: number;
  /** From the first Hello to the last Welcome, records in etcd included. */
  connectMs: number;
  /** From the StartTask call until all workers have acknowledged their assignments. */
  startMs: number;
  /** Busy cores in the window, by process. */
  cores: Record<'master' | 'workers' | 'mariadb' | 'etcd', number>;
  /** Peak resident memory of the master, since its start. */
  masterPeakMegabytes: number;
  samplesSent: number;
  samplesAcked: number;
  sampleBytes: number;
  endState: string;
}

/** What a master needs for so many workers, each with a sample a second; it is no worker itself. */
export async function manyWorkers(workers: number, seconds: number): Promise<WorkersRow> {
  const master = { env: { ...QUIET.env, GOSTRESS_ROLES: 'candidate' } };
  await using cluster = await TestCluster.start({ master });
  const { etcd, mariadb, address } = cluster;
  using client = ClusterClient.connect(address, { deadlineMs: 60_000 });
  const beganMs = performance.now();
  await using sim = spawnCommand(process.execPath, [SIM, address, String(workers), etcd.host], {
    timeoutMs: SIM_LIFE_MS,
  });
  await sim.waitFor('stdout', /connected/);
  const connectMs = performance.now() - beganMs;
  const task = await newTask(client, 'http://127.0.0.1:9/', RATE * workers);
  const startedAtMs = performance.now();
  const { name } = await client.startTask(task);
  await reached(client, name, 'RUNNING');
  const startMs = performance.now() - startedAtMs;
  await sleep(WARMUP_MS);
  const pids = { master: cluster.node('master').pid, workers: sim.child.pid!, mariadb: mariadb.pid, etcd: etcd.pid };
  const from = usages(pids);
  await sleep(seconds * 1_000);
  const to = usages(pids);
  const lasted = (to.atMs - from.atMs) / 1_000;
  const coresOf = (name: keyof typeof pids): number => (to[name].cpuSeconds - from[name].cpuSeconds) / lasted;
  const endState = await stopped(client, name);
  sim.child.kill('SIGTERM');
  const { stdout } = await sim.ended;
  const { samples, ...told } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as SimEnd;
  return {
    workers,
    connectMs,
    startMs,
    cores: {
      master: coresOf('master'),
      workers: coresOf('workers'),
      mariadb: coresOf('mariadb'),
      etcd: coresOf('etcd'),
    },
    masterPeakMegabytes: to.master.peakBytes / 1e6,
    samplesSent: samples.sent,
    samplesAcked: samples.acked,
    sampleBytes: samples.bytes / samples.sent,
    ...told,
    endState,
  };
}

function usages(pids: Record<keyof WorkersRow['cores'], number>) {
  const [master, workers, mariadb, etcd] = [pids.master, pids.workers, pids.mariadb, pids.etcd].map(usageOf);
  return { atMs: performance.now(), master: master!, workers: workers!, mariadb: mariadb!, etcd: etcd! };
}
