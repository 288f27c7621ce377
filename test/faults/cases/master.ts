import { setTimeout as sleep } from 'node:timers/promises';
import { longestGapMs } from '../../e2e/target-log.ts';
import { LEASE_TTL_MS, NOISE_MS, THREE_LEADERS, type Fault } from '../fault.ts';
import type { Findings } from '../findings.ts';
import { expect } from 'vitest';
import { randomFrom } from '../random.ts';
import { moved } from './worker.ts';
import type { Scene } from '../scene.ts';

/** Some time to come to rest. */
const REST_S = 8;

/** The load never stops for longer than a busy machine stops anything. */
function expectNoGap({ hits, isStarved }: Findings): void {
  if (isStarved) return;
  expect(longestGapMs(hits, hits[0]!.atMs, hits.at(-1)!.atMs)).toBeLessThan(NOISE_MS / 3);
}

/** A master is killed at a random instant of its second, again and again; the killed one comes back meanwhile. */
export function killMasters(times: number): Fault {
  return {
    name: `F1 SIGKILL of the master, ${times} times, at a random phase: no gap in the load, not a hit lost or counted twice`,
    nodes: THREE_LEADERS,
    seconds: times * 13 + REST_S,
    async act(scene) {
      const random = randomFrom(scene.fault.name);
      for (let i = 0; i < times; i++) {
        await sleep(random() * 1_000);
        const { nodeId, term } = await scene.master();
        await scene.kill(nodeId);
        await scene.master(term);
        await scene.restart(nodeId);
      }
    },
    expects(findings) {
      expect(findings.reigns.length).toBeGreaterThanOrEqual(times + 1);
      expectNoGap(findings);
    },
  };
}

/** Three nodes of all roles: the one that dies leads and loads. */
export const KILL_LOADING_MASTER: Fault = {
  name: 'F1 SIGKILL of a master that loads itself: the others load on, its share moves, and what it had not yet sent is named',
  nodes: { w1: {}, w2: {}, w3: {} },
  seconds: 30,
  // Whoever is master.
  unknown: ['w1', 'w2', 'w3'],
  async act(scene) {
    const { nodeId, term } = await scene.master();
    await scene.kill(nodeId);
    await scene.master(term);
    await moved(scene, nodeId);
  },
  expects(findings) {
    expect(findings.run.state).toBe('DONE_INCOMPLETE');
    expectNoGap(findings);
  },
};

/** It wakes up again; whether it is still master then depends on how long that was. */
export function freezeMaster(seconds: number): Fault {
  const isDeposed = seconds * 1_000 > LEASE_TTL_MS;
  return {
    name: `F2 SIGSTOP of the master for ${seconds} s: ${isDeposed ? 'another one leads, and the woken one changes nothing' : 'the load goes on'}`,
    seconds: seconds + 8 + REST_S,
    async act(scene) {
      const { nodeId, term } = await scene.master();
      scene.freeze(nodeId);
      await sleep(seconds * 1_000);
      // Woken when it is no longer alone, or at once when nobody could have taken its place.
      if (isDeposed) await scene.master(term);
      scene.thaw(nodeId);
      await scene.master();
    },
    expects(findings) {
      if (isDeposed) expect(findings.reigns.length).toBeGreaterThanOrEqual(2);
      expectNoGap(findings);
    },
  };
}

/** The fence is locked, as a slow disk would do it, so that the master's next write waits in MySQL; there it is frozen. */
async function freezeInWrite(scene: Scene, isHeld: boolean): Promise<void> {
  const { nodeId, term } = await scene.master();
  const connection = await scene.cluster.mariadb.connect('gostress');
  try {
    await connection.query('start transaction');
    await connection.query('select term from fence where id = 1 for update');
    await waitingWrite(scene);
    scene.freeze(nodeId);
    // With the lock held on, the raise of the next master finds it and the waiting write.
    if (isHeld) await sleep(LEASE_TTL_MS);
  } finally {
    await connection.query('rollback');
    await connection.end();
  }
  await scene.master(term);
  scene.thaw(nodeId);
}

async function waitingWrite({ cluster }: Scene): Promise<void> {
  const sql = `select count(*) as n from information_schema.processlist where info like '%join fence%' and info not like '%processlist%'`;
  const end = performance.now() + 10_000;
  for (;;) {
    const [row] = await cluster.mariadb.query(sql);
    if (Number(row?.n) > 0) return;
    if (performance.now() > end) throw new Error('no write of the master waited for the fence');
    await sleep(5);
  }
}

export const FREEZE_IN_WRITE: readonly Fault[] = [
  {
    name: 'F3 the master is frozen while its write waits for the fence; the write goes through, and nothing after it',
    seconds: 25,
    act: (scene) => freezeInWrite(scene, false),
  },
  {
    name: 'F3 the master is frozen while its write waits for the fence, and the fence stays locked until the lease is over',
    seconds: 35,
    leaderlessMs: 20_000,
    act: (scene) => freezeInWrite(scene, true),
  },
];
