import { KEYS } from '../../../src/cluster/etcd-records.ts';
import { inside } from './globals.ts';
import type { World } from './world.ts';

/** Faults begin and end within this time; then all is healed. */
const FAULTS_MS = [1_000, 45_000] as const;

/** A fault that lasts for a while. */
type Fault = (world: World, untilMs: number) => void;

const FAULTS: readonly [weight: number, longestMs: number, fault: Fault][] = [
  [3, 15_000, killed],
  [3, 20_000, frozen],
  [2, 20_000, (world, untilMs) => cutOff(world, untilMs, [hostOf(world), 'etcd'])],
  [2, 15_000, (world, untilMs) => cutOff(world, untilMs, [hostOf(world), 'sql'])],
  [3, 20_000, (world, untilMs) => cutOff(world, untilMs, [hostOf(world), hostOf(world)])],
  [2, 20_000, isolated],
  [1, 12_000, (world, untilMs) => serverGone(world, untilMs, 'etcd')],
  [1, 12_000, (world, untilMs) => serverGone(world, untilMs, 'sql')],
  [3, 15_000, caught],
  [2, 1, lost],
  [1, 20_000, diskFull],
  [4, 1, spilling],
  [1.5, 15_000, voted],
  [2, 6_000, unseen],
  [1, 1, handedOver],
  [0.3, 10_000, inhibited],
  [2, 15_000, lossy],
  [2, 15_000, slow],
  [1, 15_000, lateExpiry],
  [1, 1, wallJump],
  [1, 1, drained],
  [0.5, 1, (world) => world.endLeases(false)],
  [0.3, 1, (world) => world.endLeases(true)],
];

/** Up to nine faults, each with its beginning and its end. */
export function planFaults(world: World): void {
  const { dice, clock } = world;
  const [firstMs, lastMs] = FAULTS_MS;
  const count = Math.floor(dice.between(1, 10));
  for (let i = 0; i < count; i++) {
    const [, longestMs, fault] = choose(world);
    const beginMs = dice.between(firstMs, lastMs - 1_000);
    // Short ones too, though long ones do more.
    const forMs = 100 * (longestMs / 100) ** Math.sqrt(dice.next());
    clock.at(beginMs, null, () => fault(world, Math.min(lastMs, beginMs + forMs)));
  }
}

function choose({ dice }: World): (typeof FAULTS)[number] {
  let at = dice.between(
    0,
    FAULTS.reduce((sum, [weight]) => sum + weight, 0),
  );
  return FAULTS.find(([weight]) => (at -= weight) < 0) ?? FAULTS[0]!;
}

/** The master more often than others. */
function hostOf(world: World): string {
  return world.dice.chance(0.4) ? masterOf(world) : world.dice.pick(world.names);
}

function masterOf(world: World): string {
  return [...world.hosts.values()].find((host) => host.leads)?.name ?? world.dice.pick(world.names);
}

function killed(world: World, untilMs: number, name = hostOf(world)): void {
  world.kill(name);
  world.clock.at(untilMs, null, () => world.restart(name));
}

/** The next division of the load is written, and just then its master is killed, frozen or cut off. */
function caught(world: World, untilMs: number): void {
  const { sql, dice, clock } = world;
  const fault = dice.pick([killed, frozen, isolated]);
  const longMs = untilMs - clock.nowMs;
  sql.onDivision = () => {
    sql.onDivision = () => undefined;
    if (clock.nowMs > FAULTS_MS[1]) return;
    // Before its answer, or while it sends what it has decided.
    clock.after(dice.between(0, 20), null, () => fault(world, clock.nowMs + Math.min(longMs, 10_000), masterOf(world)));
  };
}

/** Some sentinels do not see the master, which is well. */
function unseen(world: World, untilMs: number): void {
  const master = masterOf(world);
  for (const name of world.withRole('sentinel')) {
    if (world.dice.chance(0.7)) cutOff(world, untilMs, [name, master]);
  }
}

/** A sentinel has just voted, and is killed, frozen, cut off or slow; and the master may answer again. */
function voted(world: World, untilMs: number): void {
  const { dice, clock } = world;
  const fault = dice.pick([killed, frozen, isolated, slowed]);
  const isRevived = dice.chance(0.5);
  const longMs = untilMs - clock.nowMs;
  world.onCommit = (changes) => {
    const vote = changes.find((change) => 'put' in change && change.put.startsWith(KEYS.votes));
    if (vote === undefined || !('put' in vote)) return;
    world.onCommit = () => undefined;
    if (clock.nowMs > FAULTS_MS[1]) return;
    const forMs = Math.min(longMs, 10_000);
    clock.after(dice.between(0, 20), null, () => {
      fault(world, clock.nowMs + forMs, vote.put.split('/').at(-1));
      if (isRevived) revived(world, clock.nowMs + forMs);
    });
  };
}

/** Who is taken for down is not any more, and an operator may see that it is left in peace. */
function revived(world: World, untilMs: number): void {
  const name = world.etcd.established?.nodeId;
  if (name === undefined) return;
  world.thaw(name);
  for (const other of [...world.names, 'etcd', 'sql']) {
    world.cut(name, other, false);
    world.cut(other, name, false);
  }
  if (world.dice.chance(0.3)) inhibited(world, untilMs);
}

/** An operator wants another master. */
function handedOver(world: World): void {
  const host = world.hosts.get(masterOf(world));
  if (host?.leads !== true || host.control === null) return;
  world.say('user', `wants another master than ${host.name}`, {});
  inside.run(host.process, () => host.control!.handOver(null, 'the operator wants it')).catch(() => undefined);
}

/** An operator pauses automatic failover for a while. */
function inhibited(world: World, untilMs: number): void {
  const pause = (reason: string | null): void => {
    const host = world.hosts.get(masterOf(world));
    if (host?.leads !== true || host.control === null) return;
    world.say('user', reason === null ? 'resumes failover' : 'pauses failover', {});
    inside.run(host.process, () => host.control!.inhibit(reason)).catch(() => undefined);
  };
  pause('the operator wants it');
  world.clock.at(untilMs, null, () => pause(null));
}

/** Of all hosts, or of some. */
function diskFull({ disks, dice, clock }: World, untilMs: number): void {
  for (const disk of disks.values()) if (dice.chance(0.6)) disk.isFull = true;
  clock.at(untilMs, null, () => {
    for (const disk of disks.values()) disk.isFull = false;
  });
}

/** The database is gone for so long that results go to disk; that is full, or a worker is killed while it writes or soon after. */
function spilling(world: World): void {
  const { disks, dice, clock } = world;
  const untilMs = Math.min(FAULTS_MS[1], clock.nowMs + dice.between(6_500, 14_000));
  serverGone(world, untilMs, 'sql');
  if (dice.chance(0.3)) return diskFull(world, untilMs);
  for (const [name, disk] of disks) {
    if (dice.chance(0.3)) continue;
    disk.onWrite = () => {
      disk.onWrite = () => undefined;
      if (clock.nowMs > FAULTS_MS[1]) return;
      clock.after(dice.between(0, 2_000), null, () => killed(world, clock.nowMs + 1_000, name));
    };
  }
}

/** A worker is cut off until its share is written off; while the master waits for the answer of that, the worker is back. */
function lost(world: World): void {
  const { sql, network, dice, clock } = world;
  const name = dice.pick(world.withRole('worker'));
  const others = ['etcd', 'sql', ...world.names].filter((other) => other !== name);
  for (const other of others) world.cut(name, other, true);
  const back = (): void => others.forEach((other) => world.cut(name, other, false));
  const before = sql.onDivision;
  sql.onDivision = (records) => {
    if (!records.some(({ nodeId, state }) => nodeId === name && state === 'LOST')) return before(records);
    sql.onDivision = before;
    // At times more than a call waits: then the statement comes after its caller has given it up.
    network.trouble.lagMsOf.set('sql', dice.pick([2_900, 5_000]));
    clock.after(2_500, null, () => network.trouble.lagMsOf.delete('sql'));
    back();
  };
  clock.at(FAULTS_MS[1], null, back);
}

function frozen(world: World, untilMs: number, name = hostOf(world)): void {
  world.freeze(name);
  world.clock.at(untilMs, null, () => world.thaw(name));
}

function cutOff(world: World, untilMs: number, [a, b]: readonly [string, string]): void {
  if (a === b) return;
  world.cut(a, b, true);
  world.clock.at(untilMs, null, () => world.cut(a, b, false));
}

function isolated(world: World, untilMs: number, name = hostOf(world)): void {
  for (const other of ['etcd', 'sql', ...world.names]) cutOff(world, untilMs, [name, other]);
}

function serverGone(world: World, untilMs: number, server: string): void {
  for (const name of world.names) cutOff(world, untilMs, [name, server]);
}

function lossy({ network, dice, clock }: World, untilMs: number): void {
  network.trouble.loss = dice.between(0.02, 0.3);
  clock.at(untilMs, null, () => (network.trouble.loss = 0));
}

function slow(world: World, untilMs: number): void {
  if (world.dice.chance(0.3)) return slowed(world, untilMs);
  const { network, dice, clock } = world;
  network.trouble.lagMs = dice.between(20, 2_500);
  clock.at(untilMs, null, () => (network.trouble.lagMs = 0));
}

/** As `slow`, but of one host. */
function slowed(world: World, untilMs: number, name = hostOf(world)): void {
  const { network, dice, clock } = world;
  network.trouble.lagMsOf.set(name, dice.between(20, 2_500));
  clock.at(untilMs, null, () => network.trouble.lagMsOf.delete(name));
}

function lateExpiry({ etcd, dice, clock }: World, untilMs: number): void {
  etcd.lateExpiryMs = dice.between(100, 5_000);
  clock.at(untilMs, null, () => (etcd.lateExpiryMs = 0));
}

function wallJump(world: World): void {
  const process = world.hosts.get(hostOf(world))?.process;
  if (process !== undefined) process.wallJumpMs += world.dice.between(-1, 1) * 3_600_000;
}

/** It hands over and leaves, and is started again. */
function drained(world: World): void {
  const name = hostOf(world);
  const host = world.hosts.get(name);
  if (host === undefined || host.process.isDead) return;
  world.say('fault', `${name} is drained`, {});
  host.drain();
}
