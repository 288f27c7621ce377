import { FAULTS_MS, type World } from './world.ts';

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
  [2, 15_000, lossy],
  [2, 15_000, slow],
  [1, 15_000, lateExpiry],
  [1, 1, wallJump],
  [1, 10_000, drained],
  [0.5, 1, earlyExpiry],
  [0.3, 1, wiped],
];

/** Up to six faults, each with its beginning and its end. */
export function planFaults(world: World): void {
  const { dice, clock } = world;
  const [firstMs, lastMs] = FAULTS_MS;
  const count = Math.floor(dice.between(1, 7));
  for (let i = 0; i < count; i++) {
    const [, longestMs, fault] = choose(world);
    const beginMs = dice.between(firstMs, lastMs - 1_000);
    // Short ones as often as long ones.
    const forMs = 100 * (longestMs / 100) ** dice.next();
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
  const master = [...world.hosts.values()].find((host) => host.leads);
  return master !== undefined && world.dice.chance(0.4) ? master.name : world.dice.pick(world.names);
}

function killed(world: World, untilMs: number): void {
  const name = hostOf(world);
  world.kill(name);
  world.clock.at(untilMs, null, () => world.restart(name));
}

function frozen(world: World, untilMs: number): void {
  const name = hostOf(world);
  world.freeze(name);
  world.clock.at(untilMs, null, () => world.thaw(name));
}

function cutOff(world: World, untilMs: number, [a, b]: readonly [string, string]): void {
  if (a === b) return;
  world.cut(a, b, true);
  world.clock.at(untilMs, null, () => world.cut(a, b, false));
}

function isolated(world: World, untilMs: number): void {
  const name = hostOf(world);
  for (const other of ['etcd', 'sql', ...world.names]) cutOff(world, untilMs, [name, other]);
}

function serverGone(world: World, untilMs: number, server: string): void {
  for (const name of world.names) cutOff(world, untilMs, [name, server]);
}

function lossy({ network, dice, clock }: World, untilMs: number): void {
  network.trouble.loss = dice.between(0.02, 0.3);
  clock.at(untilMs, null, () => (network.trouble.loss = 0));
}

function slow({ network, dice, clock }: World, untilMs: number): void {
  network.trouble.lagMs = dice.between(20, 2_500);
  clock.at(untilMs, null, () => (network.trouble.lagMs = 0));
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
function drained(world: World, untilMs: number): void {
  const name = hostOf(world);
  const host = world.hosts.get(name);
  if (host === undefined || host.process.isDead) return;
  world.say('fault', `${name} is drained`, {});
  host.drain();
  world.clock.at(untilMs, null, () => world.restart(name));
}

function earlyExpiry(world: World): void {
  world.say('fault', 'etcd ends all leases', {});
  world.isEtcdHonest = false;
  world.etcd.expireAll();
}

function wiped(world: World): void {
  world.say('fault', 'etcd has lost its data', {});
  world.isEtcdHonest = false;
  world.etcd.wipe();
}
