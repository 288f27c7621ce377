import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { LEADERLESS_MS, LEADERLESS_WITHOUT_LEADER_MS, LEASE_TTL_MS, type Fault } from '../fault.ts';
import type { Scene } from '../scene.ts';

/** Cut for longer than a lease, and some time. */
const LONG_MS = LEASE_TTL_MS + 3_000;
const SHORT_MS = 1_000;
/** Starting etcd takes this long on a busy machine. */
const START_MS = 5_000;

/** The master alone loses etcd. */
function masterWithoutEtcd(how: 'stall' | 'refuse', ms: number): Fault {
  const isLong = ms > LEASE_TTL_MS;
  return {
    name: `F4 ${how} between the master and etcd for ${ms / 1_000} s: ${isLong ? 'it steps down before another one leads' : 'it stays master'}`,
    seconds: ms / 1_000 + 20,
    async act(scene) {
      const { nodeId, term } = await scene.master();
      scene.cut(nodeId, 'etcd', how);
      await sleep(ms);
      // The one that is cut off would not hear of it.
      if (isLong) await scene.master(term, 'w1');
      await scene.mend();
      if (!isLong) expect(await scene.master()).toEqual({ nodeId, term });
    },
    expects: ({ reigns }) => expect(reigns.length).toBeGreaterThanOrEqual(isLong ? 2 : 1),
  };
}

/** All lose etcd; the plan goes on without them, and they with it. */
function withoutEtcd(how: 'kill' | 'freeze', seconds: number): Fault {
  const did = how === 'kill' ? `killed and started again after ${seconds} s` : `frozen for ${seconds} s`;
  const isLong = seconds * 1_000 > LEASE_TTL_MS / 2;
  return {
    name: `F7 etcd is ${did}: nothing is lost, and all goes on by itself`,
    seconds: seconds + 30,
    leaderlessMs: seconds * 1_000 + START_MS + LEADERLESS_WITHOUT_LEADER_MS,
    pauses: isLong,
    async act(scene) {
      await scene.without('etcd', how, () => sleep(seconds * 1_000));
      await scene.master();
    },
    expects({ hits, spans }) {
      const back = spans.find(({ subject }) => subject === 'etcd')!.toMs;
      expect(hits.at(-1)!.atMs).toBeGreaterThan(back + LEADERLESS_MS);
    },
  };
}

/** Nobody can be elected while etcd refuses every put, but leases are renewed. */
async function fillEtcd({ cluster: { etcd } }: Scene): Promise<void> {
  const value = btoa('x'.repeat(512 * 1024));
  for (let i = 0; ; i++) {
    try {
      await etcd.ask('kv/put', { key: btoa(`/filler/${i}`), value });
    } catch (error) {
      expect(String(error)).toMatch(/space exceeded/i);
      return;
    }
  }
}

async function emptyEtcd({ cluster: { etcd } }: Scene): Promise<void> {
  await etcd.delete('/filler/');
  const { header } = (await etcd.ask('kv/range', { key: btoa('none') })) as { header: { revision: string } };
  await etcd.ask('kv/compaction', { revision: header.revision, physical: true });
  await etcd.ask('maintenance/defragment', {});
  const { header: status } = (await etcd.ask('maintenance/status', {})) as { header: { member_id: string } };
  await etcd.ask('maintenance/alarm', { action: 'DEACTIVATE', memberID: status.member_id, alarm: 'NOSPACE' });
}

/** Each connection to etcd is reset soon after it stands, a little later each time: so also right after a watch was made. */
async function cutWatches(scene: Scene): Promise<void> {
  for (let i = 0; i < 30; i++) {
    for (const nodeId of Object.keys(scene.nodes)) scene.cut(nodeId, 'etcd', 'drop');
    await sleep(10 + i * 7);
  }
}

async function leader({ cluster }: Scene): Promise<(typeof cluster.etcds)[number]> {
  for (const etcd of cluster.etcds) if (await etcd.isLeader()) return etcd;
  throw new Error('no member of etcd leads');
}

/** One of three members is gone, the leader; the two others elect another one. */
function withoutLeader(how: 'kill' | 'freeze', isMasterKilled: boolean): Fault {
  const did = how === 'kill' ? 'killed' : 'frozen for 12 s';
  return {
    name: `F9 the leader of three members of etcd is ${did}${isMasterKilled ? ', and the master with it' : ''}`,
    etcdMembers: 3,
    seconds: 40,
    leaderlessMs: LEADERLESS_WITHOUT_LEADER_MS,
    async act(scene) {
      const gone = await leader(scene);
      const { nodeId, term } = await scene.master();
      if (how === 'kill') await gone.kill();
      else gone.freeze();
      try {
        if (isMasterKilled) {
          await scene.kill(nodeId);
          await scene.master(term);
        } else await sleep(12_000);
      } finally {
        if (how === 'kill') await gone.start();
        else gone.thaw();
      }
      if (isMasterKilled) await scene.restart(nodeId);
      await scene.master();
    },
  };
}

export const MASTER_WITHOUT_ETCD: readonly Fault[] = [
  ...(['stall', 'refuse'] as const).flatMap((how) => [SHORT_MS, LONG_MS].map((ms) => masterWithoutEtcd(how, ms))),
  {
    name: 'F4 dropped connections between the master and etcd, five times: it stays master',
    seconds: 15,
    async act(scene) {
      const { nodeId, term } = await scene.master();
      for (let i = 0; i < 5; i++) {
        scene.cut(nodeId, 'etcd', 'drop');
        await sleep(500);
      }
      expect(await scene.master()).toEqual({ nodeId, term });
    },
  },
  {
    name: 'F4 a delay of 100 ms each way between the master and etcd: it stays master',
    seconds: 20,
    async act(scene) {
      const { nodeId, term } = await scene.master();
      scene.delay(nodeId, 'etcd', 100);
      await sleep(LONG_MS);
      expect(await scene.master()).toEqual({ nodeId, term });
    },
  },
];

export const ETCD_GONE: readonly Fault[] = [
  ...[0, 1, 10, 60].map((seconds) => withoutEtcd('kill', seconds)),
  withoutEtcd('freeze', 10),
  {
    name: 'F7 etcd loses all its data: the terms go on where the fence stands',
    seconds: 40,
    leaderlessMs: START_MS + LEADERLESS_WITHOUT_LEADER_MS,
    pauses: true,
    async act(scene) {
      const { term } = await scene.master();
      scene.recorder.begin('wipe', 'etcd');
      await scene.cluster.etcd.wipe();
      scene.recorder.end('wipe', 'etcd');
      await scene.master(term);
    },
  },
];

export const ETCD_FULL: readonly Fault[] = [
  {
    name: 'F8 etcd is full and refuses every put: the master stays, the load goes on; killed, it is followed when there is room',
    etcdArgs: ['--quota-backend-bytes', String(16 * 1024 * 1024)],
    seconds: 50,
    leaderlessMs: 12_000 + LEADERLESS_WITHOUT_LEADER_MS,
    async act(scene) {
      const { nodeId, term } = await scene.master();
      await fillEtcd(scene);
      await sleep(LONG_MS);
      expect(await scene.master()).toEqual({ nodeId, term });
      await scene.kill(nodeId);
      await sleep(LONG_MS);
      await emptyEtcd(scene);
      await scene.master(term);
    },
  },
];

export const ETCD_MEMBERS: readonly Fault[] = (['kill', 'freeze'] as const).flatMap((how) =>
  [false, true].map((isMasterKilled) => withoutLeader(how, isMasterKilled)),
);

export const WATCHES: readonly Fault[] = [
  {
    name: 'F15 watches are cut right after they were made, and then the master is killed: the workers find the next one',
    seconds: 35,
    async act(scene) {
      const { nodeId, term } = await scene.master();
      await cutWatches(scene);
      await scene.kill(nodeId);
      await scene.master(term);
      await scene.restart(nodeId);
      await sleep(5_000);
    },
    expects({ logs, reigns }) {
      const { term } = reigns.at(-1)!;
      for (const { nodeId, lines } of logs.filter((log) => log.nodeId.startsWith('w'))) {
        const terms = lines.filter(({ msg }) => msg === 'connected to the master').map((line) => line.term);
        expect(terms, nodeId).toContain(term);
      }
    },
  },
];
