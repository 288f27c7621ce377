import { inside, loaded } from './globals.ts';
import { mount, SimDisk } from './disk.ts';
import type { CoordinatorView, MasterContext, NodeRef, Role } from '../../../src/cluster/ports.ts';
import { DEFAULT_TIMINGS } from '../../../src/cluster/timings.ts';
import { nowMs } from '../../../src/lib/clock.ts';
import type { LogFields } from '../../../src/lib/log.ts';
import { Spill } from '../../../src/stress/spill.ts';
import { FINAL_STATES } from '../../../src/task/status.ts';
import { Dice, SimClock, SimProcess } from './clock.ts';
import { SimEtcd, type Change } from './etcd.ts';
import { planFaults } from './faults.ts';
import { DRIFT, Host, logOf } from './host.ts';
import { Judge, type Standing } from './judge.ts';
import { SimNetwork } from './network.ts';
import type { PortState } from '../../../src/cluster/port-probe.ts';
import { SimSql, type SqlMutants } from './sql.ts';
import { planUsers } from './users.ts';

loaded();

/** What is done wrong on purpose, to see that it is noticed. */
export interface Mutants {
  sql?: SqlMutants;
  /** What a node takes for what etcd told it. */
  view?: (told: CoordinatorView, nodeId: string) => CoordinatorView;
  /** What a look at a port is taken for. */
  probe?: (found: PortState) => PortState;
  /** What the master's driver believes of a process, instead of what the kit says. */
  standing?: (told: Standing, ref: NodeRef, context: MasterContext) => Standing;
}

export interface Outcome {
  seed: number;
  violations: readonly string[];
  events: number;
  simulatedMs: number;
  /** What happened, one line each; only with `trace`. */
  lines: readonly string[];
  /** How long there was no master after the last one was killed, with sentinels and without any other trouble; null: that was not so. */
  followedMs: number | null;
  /** The same for the same seed, always. */
  fingerprint: string;
}

export const HEALED_MS = 50_000;
/** Of all results that wait on one disk: some hundred. */
const SPILL_BYTES = 64 * 1024;
/** What is to come after the healing comes within this time. */
const PATIENCE_MS = 240_000;
/** A killed master is followed once more, when nothing else befalls the cluster any more: by sentinels, if there are any. */
const CALM_MS = HEALED_MS + 30_000;
const AFTER_CALM_MS = 4_000;

/** A cluster of whole nodes on one simulated clock; the seed decides everything. */
export class World {
  readonly clock = new SimClock();
  readonly dice: Dice;
  readonly network: SimNetwork;
  readonly etcd: SimEtcd;
  readonly sql: SimSql;
  readonly judge: Judge;
  readonly mutants: Mutants;
  readonly hosts = new Map<string, Host>();
  /** Of hosts that have one, by name. */
  readonly disks = new Map<string, SimDisk>();
  /** Earlier starts. */
  readonly former: Host[] = [];
  /** `name incarnation` of processes that were killed while they worked. */
  readonly killed = new Set<string>();
  readonly moving: 'strict' | 'fast';
  /** Something is about to be written into etcd: for faults that wait for it. */
  onCommit: (changes: readonly Change[]) => void = () => undefined;
  /** etcd has lost its data. */
  wasWiped = false;
  /** etcd ended leases before their time: until then their holders may believe in them. */
  believedUntilMs = -Infinity;
  readonly #seed: number;
  readonly #roles: ReadonlyMap<string, readonly Role[]>;
  readonly #lines: string[] | null;
  #hash = 0;

  constructor(seed: number, { mutants = {}, trace = false }: { mutants?: Mutants; trace?: boolean } = {}) {
    this.#seed = seed;
    this.#lines = trace ? [] : null;
    this.mutants = mutants;
    this.dice = new Dice(seed);
    this.network = new SimNetwork(this.clock, this.dice);
    this.etcd = new SimEtcd(this.clock, this.dice);
    this.sql = new SimSql(mutants.sql ?? {});
    this.judge = new Judge(this);
    this.sql.onWrite = (term, what) => this.judge.wrote(term, what);
    this.sql.onState = (run, state) => this.judge.runs.state(run, state);
    this.sql.onPlan = (run, plan) => this.judge.runs.planned(run, plan);
    this.sql.onLost = (record, known) => this.judge.runs.lost(record, known);
    this.network.onProbed = (from, address, answer) => this.judge.probed(from, address, answer);
    this.etcd.onCommit = (changes) => {
      this.judge.commit(changes);
      this.onCommit(changes);
    };
    this.#roles = rolesOf(this.dice);
    this.moving = this.dice.chance(0.85) ? 'strict' : 'fast';
    if (this.dice.chance(0.8)) {
      for (const name of this.withRole('worker')) this.disks.set(name, new SimDisk(this.clock, this.dice));
    }
  }

  /** Whose node has the role. */
  withRole(role: Role): readonly string[] {
    return this.names.filter((name) => this.#roles.get(name)!.includes(role));
  }

  /** Plays it to its end, or to the first violation. */
  async play(): Promise<Outcome> {
    let place = 0;
    for (const [name] of this.#roles) {
      place += 1;
      const at = place;
      this.clock.at(this.dice.between(0, 500), null, () => this.#start(name, at));
    }
    this.clock.at(100, null, () => this.#checkClocks());
    planUsers(this);
    planFaults(this);
    this.clock.at(HEALED_MS, null, () => this.heal());
    const look = () => this.judge.look();
    const isBroken = () => this.judge.violations.length > 0;
    if (this.withRole('sentinel').length > 0) this.clock.at(CALM_MS, null, () => this.#killInCalm());
    await this.clock.run(CALM_MS + AFTER_CALM_MS, look, isBroken);
    for (let more = 0; more < PATIENCE_MS && !this.#isQuiet() && !isBroken(); more += 1_000) {
      await this.clock.run(this.clock.nowMs + 1_000, look, isBroken);
    }
    if (!isBroken()) this.judge.end();
    const { events, nowMs: simulatedMs } = this.clock;
    for (const host of this.hosts.values()) host.process.kill();
    const fingerprint = (this.#hash >>> 0).toString(16).padStart(8, '0');
    const { violations, followedMs } = this.judge;
    return { seed: this.#seed, violations, events, simulatedMs, followedMs, lines: this.#lines ?? [], fingerprint };
  }

  say(who: string, text: string, fields: LogFields): void {
    const atMs = this.clock.nowMs;
    for (const part of [String(atMs), who, text]) {
      for (let i = 0; i < part.length; i++) this.#hash = (Math.imul(this.#hash, 31) + part.charCodeAt(i)) | 0;
    }
    if (this.#lines === null) return;
    const rest = Object.entries(fields).map(([key, value]) => `${key}=${textOf(value)}`);
    this.#lines.push(`${(atMs / 1000).toFixed(4).padStart(9)} ${who.padEnd(5)} ${text} ${rest.join(' ')}`);
  }

  /** No lease ended in etcd while its holder may believe in it. */
  get isEtcdHonest(): boolean {
    return this.clock.nowMs > this.believedUntilMs;
  }

  // --- What befalls it ---------------------------------------------------------------------------------------------

  get names(): readonly string[] {
    return [...this.#roles.keys()];
  }

  kill(name: string): void {
    const host = this.hosts.get(name);
    if (host === undefined || host.process.isDead) return;
    this.say('fault', `${name} is killed`, {});
    this.lose(host);
    host.process.kill();
    this.network.changed();
  }

  /** What a process has not written down goes with it. */
  lose(host: Host): void {
    if (host.isIdle) return;
    this.killed.add(`${host.name} ${host.record.incarnation}`);
    const disk = this.disks.get(host.name);
    if (disk !== undefined) this.judge.kept(host, disk);
  }

  restart(name: string): void {
    const host = this.hosts.get(name);
    if (host?.process.isDead !== true) return;
    this.say('fault', `${name} starts again`, {});
    this.#start(name, this.names.indexOf(name) + 1);
  }

  freeze(name: string): void {
    this.say('fault', `${name} is frozen`, {});
    this.hosts.get(name)?.process.freeze();
    this.network.changed();
  }

  thaw(name: string): void {
    this.say('fault', `${name} goes on`, {});
    this.hosts.get(name)?.process.thaw();
    this.network.changed();
  }

  cut(a: string, b: string, isCut: boolean): void {
    this.say('fault', `${a} and ${b} ${isCut ? 'are cut off from each other' : 'hear each other again'}`, {});
    if (isCut) this.network.trouble.cut.add(`${a} ${b}`);
    else this.network.trouble.cut.delete(`${a} ${b}`);
    this.network.changed();
  }

  /** The master is killed while all others are well. */
  #killInCalm(): void {
    const host = [...this.hosts.values()].find(({ leads }) => leads);
    if (host?.isIdle !== true) return;
    this.judge.killedInCalm(host);
    this.kill(host.name);
  }

  /** All leases end before their time: the one fault that takes the floor from under them. */
  endLeases(isWiped: boolean): void {
    this.say('fault', isWiped ? 'etcd has lost its data' : 'etcd ends all leases', {});
    this.believedUntilMs = this.clock.nowMs + DEFAULT_TIMINGS.leaseTtlMs;
    this.wasWiped ||= isWiped;
    if (isWiped) this.etcd.wipe();
    else this.etcd.expireAll();
  }

  heal(): void {
    this.say('fault', 'all is healed', {});
    Object.assign(this.network.trouble, { loss: 0, lagMs: 0 });
    this.network.trouble.cut.clear();
    this.network.trouble.lagMsOf.clear();
    this.etcd.lateExpiryMs = 0;
    for (const disk of this.disks.values()) disk.isFull = false;
    this.network.changed();
    for (const name of this.names) {
      this.hosts.get(name)?.process.thaw();
      this.restart(name);
    }
    this.network.changed();
  }

  #start(name: string, place: number): void {
    const { clock, dice, disks } = this;
    const process = new SimProcess(name, clock, dice, 1 + dice.between(-DRIFT, DRIFT));
    const disk = disks.get(name);
    if (disk !== undefined) mount(process, disk);
    const options = { folder: `/sim/${name}`, maxBytes: SPILL_BYTES, log: logOf(this, name) };
    const opening = inside.run(process, () => (disk === undefined ? Promise.resolve(null) : Spill.open(options)));
    void opening.then((spill) => {
      const former = this.hosts.get(name);
      if (former !== undefined) this.former.push(former);
      this.hosts.set(name, new Host(this, process, place, this.#roles.get(name)!, spill));
    });
  }

  #isQuiet(): boolean {
    const runs = [...this.sql.runs.values()];
    const isMaster = [...this.hosts.values()].some((host) => host.leads);
    const isIdle = [...this.hosts.values()].every((host) => host.isIdle);
    return isMaster && isIdle && runs.every(({ state }) => FINAL_STATES.has(state));
  }

  /** Whoever imports something of `src` before `globals.ts` has clocks that no seed decides. */
  #checkClocks(): void {
    const { process } = [...this.hosts.values()][0] ?? {};
    if (process !== undefined && inside.run(process, nowMs) !== process.monotonicMs()) {
      throw new Error('lib/clock was loaded before the simulation: its clocks are not simulated');
    }
  }
}

/** Three to five hosts, of which at least two may become master and two work; no sentinel, one, or three, there or beside them. */
function rolesOf(dice: Dice): Map<string, readonly Role[]> {
  const count = 3 + Math.floor(dice.between(0, 3));
  const roles = new Map<string, readonly Role[]>();
  for (let i = 1; i <= count; i++) {
    const isBoth = dice.chance(0.5);
    const one: Role = i <= 2 ? 'candidate' : 'worker';
    roles.set(`n${i}`, isBoth || (i === 2 && count === 3) ? ['candidate', 'worker'] : [one]);
  }
  const sentinels = dice.chance(0.6) ? dice.pick([1, 3]) : 0;
  for (let i = 1; i <= sentinels; i++) {
    const beside = dice.chance(0.5) ? roles.get(`n${i}`) : undefined;
    if (beside === undefined) roles.set(`s${i}`, ['sentinel']);
    else roles.set(`n${i}`, [...beside, 'sentinel']);
  }
  return roles;
}

function textOf(value: unknown): string {
  if (value instanceof Error) return `"${value.message}"`;
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}
