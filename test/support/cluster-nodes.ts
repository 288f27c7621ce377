import type { Fence, NodeInfo, NodeRecord, NodeRef, Nomination } from '../../src/cluster/ports.ts';
import { timingsWith, type Timings } from '../../src/cluster/timings.ts';

/** About ten times as fast as the defaults, and with room for a busy machine. */
export const QUICK: Timings = timingsWith(
  {
    leaseTtlMs: 1_000,
    marginMs: 50,
    campaignMs: 1_000,
    rankStepMs: 20,
    fenceRetryMs: 200,
    pingMs: 25,
    heartbeatMs: 50,
    nodeInfoMs: 100,
    permitMs: 600,
    permitOnLeaseMs: 4_000,
    abortAfterMs: 5_000,
    suspectAfterMs: 500,
    silenceMs: 1_000,
    welcomeMs: 1_000,
    sentinelTtlMs: 1_000,
    sentinelProbeMs: 50,
    sentinelProbeDeadlineMs: 150,
    downAfterMs: 300,
    termSettleMs: 300,
    nomineeMs: 500,
    tiltMs: 500,
    probeEveryMs: 20,
    probeDeadlineMs: 250,
    retryMinMs: 10,
    retryMaxMs: 100,
    driverStopMs: 2_000,
    drainMs: 5_000,
  },
  100,
);

export function record(change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    nodeId: 'w1',
    incarnation: 1,
    address: '127.0.0.1:1',
    roles: ['worker'],
    priority: 100,
    labels: {},
    seq: 1,
    version: '0.0.0',
    ...change,
  };
}

export function nominationOf(nodeId: string, change: Partial<Nomination> = {}): Nomination {
  return { forTerm: 1, nodeId, reason: 'of a test', by: 's1', votes: [], candidates: [], ...change };
}

export const INFO: NodeInfo = {
  cpu: 0.1,
  cores: 2,
  memory: 0.5,
  memoryTotalBytes: 1000,
  memoryFreeBytes: 500,
  loopLagP99Ms: 1,
  capacity: null,
  running: 0,
};

/** What the store does, for clusters that live no longer than a test. */
export class MemoryFence implements Fence {
  #term = 0;
  #holder: NodeRef | null = null;

  read(): ReturnType<Fence['read']> {
    return Promise.resolve({ term: this.#term, holder: this.#holder });
  }

  raise(term: number, holder: NodeRef): Promise<boolean> {
    if (term <= this.#term) return Promise.resolve(false);
    this.#term = term;
    this.#holder = holder;
    return Promise.resolve(true);
  }
}
