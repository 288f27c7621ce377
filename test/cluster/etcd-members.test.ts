import { expect, test } from 'vitest';
import { EtcdCoordinator } from '../../src/cluster/etcd.ts';
import { EtcdMembers } from '../../src/cluster/etcd-members.ts';
import { SILENT } from '../../src/lib/log.ts';
import { nodeNamed } from '../conformance/coordinator.ts';
import { ETCD_MISSING, startEtcds } from '../support/etcd.ts';

test('a member that did not answer is left out while another one is there, and asked again when it answers or none does', () => {
  const members = new EtcdMembers(['a', 'b']);
  const resting = () => ['a', 'b'].map((host) => members.isResting(host));
  expect([members.next(), members.next(), members.next()]).toEqual(['a', 'b', 'a']);
  members.failed('a');
  expect(resting()).toEqual([true, false]);
  expect([members.next(), members.next()]).toEqual(['b', 'b']);
  members.failed('b');
  expect(resting()).toEqual([false, false]);
  expect(new Set([members.next(), members.next()])).toEqual(new Set(['a', 'b']));
  members.answered('a');
  expect(resting()).toEqual([false, true]);
});

test.skipIf(ETCD_MISSING !== null).each(['kill', 'freeze'] as const)(
  'with one of three members gone (%s), only the first call that meets it fails',
  async (how) => {
    const etcds = await startEtcds(3);
    const hosts = etcds.map(({ host }) => host);
    const options = { hosts, cluster: 'members', tls: null, user: null, password: null, log: SILENT };
    await using coordinator = EtcdCoordinator.connect(options);
    try {
      await coordinator.readTerm();
      // Not the leader: what is tried here is not how soon etcd elects another one.
      const states = await Promise.all(etcds.map((etcd) => etcd.isLeader()));
      const gone = etcds[states.indexOf(false)]!;
      if (how === 'kill') await gone.kill();
      else gone.freeze();
      let failures = 0;
      for (let i = 0; i < 40; i++) await coordinator.readTerm().catch(() => failures++);
      expect(failures).toBeLessThanOrEqual(1);
      // All that makes a master, in a row.
      const registration = await coordinator.register(nodeNamed('a'), 5_000);
      const signal = AbortSignal.timeout(20_000);
      const lock = await coordinator.campaign(registration.node, { leaseTtlMs: 5_000, deadlineMs: 5_000, signal });
      expect(await lock!.establish(1)).toBe(true);
      await lock!.release();
      await registration.release();
    } finally {
      for (const etcd of etcds) etcd.thaw();
      await Promise.all(etcds.map((etcd) => etcd[Symbol.asyncDispose]()));
    }
  },
  120_000,
);
