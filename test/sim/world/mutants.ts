import './globals.ts';
import { EtcdSeat } from '../../../src/cluster/etcd-seat.ts';
import { RenewedLease } from '../../../src/cluster/lease.ts';
import { PermitHolder } from '../../../src/cluster/permit.ts';
import { nowMs } from '../../../src/lib/clock.ts';
import { OwnerState } from '../../../src/stress/owner-state.ts';
import { Results } from '../../../src/stress/results.ts';
import { fractionOf } from '../../../src/stress/shares.ts';
import { RunControl } from '../../../src/stress/run-control.ts';
import { StoredRun } from '../../../src/stress/stored-run.ts';
import { Strays } from '../../../src/stress/strays.ts';
import { Work } from '../../../src/stress/work.ts';
import { World, type Mutants, type Outcome } from './world.ts';

/** A mistake in the production code or in a server, and what has to notice it. */
export interface Mutant {
  name: string;
  /** Any of these invariants. */
  breaks: readonly string[];
  /** The first seed that is tried. */
  seed: number;
  world?: Mutants;
  /** Puts the mistake into the production code. @returns what takes it out again */
  patch?: () => () => void;
}

export const MUTANTS: readonly Mutant[] = [
  { name: 'the database has no fence', breaks: ['S2'], seed: 100, world: { sql: { noFence: true } } },
  { name: 'a repeated sample is added', breaks: ['S4'], seed: 1, world: { sql: { addsOnDuplicate: true } } },
  {
    name: 'a permit counts from the arrival of the echo',
    breaks: ['S9', 'S7'],
    seed: 20,
    patch: () =>
      replace(PermitHolder.prototype, 'echoed', (original) => {
        return function (this: PermitHolder) {
          original.call(this, nowMs());
        };
      }),
  },
  {
    name: 'a lease counts for one second too long',
    breaks: ['S6', 'S9', 'S7'],
    seed: 1,
    patch: () =>
      replace(RenewedLease.prototype, 'validUntilMs', (original) => {
        return function (this: RenewedLease) {
          return original.call(this) + 1_000;
        };
      }),
  },
  {
    name: 'a share moves when the stream of its owner closes',
    breaks: ['S7'],
    seed: 1,
    world: {
      standing: (told, { nodeId }, context) => {
        const member = context.members().find(({ node }) => node.nodeId === nodeId);
        return told === 'suspect' && member?.connected === false ? 'gone' : told;
      },
    },
  },
  {
    name: 'a silent port counts as a closed one',
    breaks: ['S7'],
    seed: 1,
    world: { probe: (found) => (found === 'unknown' ? 'refused' : found) },
  },
  {
    name: 'a raise is sent before the lowering is acknowledged',
    breaks: ['S7'],
    seed: 118,
    patch: () =>
      replace(OwnerState.prototype, 'commanded', (original) => {
        return function (this: OwnerState, told, atMs) {
          original.call(this, told, atMs);
          this.most = fractionOf(told.share);
        };
      }),
  },
  {
    name: 'a sample is acknowledged before it is committed',
    breaks: ['S5'],
    seed: 1,
    patch: () =>
      replace(StoredRun.prototype, 'queued', () => {
        return function (this: StoredRun, key: Parameters<StoredRun['queued']>[0]) {
          this.stored(key);
        };
      }),
  },
  {
    name: 'nothing is sent again',
    breaks: ['L3', 'L2'],
    seed: 1,
    patch: () => replace(Results.prototype, 'sendAgain', () => () => undefined),
  },
  {
    name: 'a worker that has what is no longer its own keeps its permit',
    breaks: ['S7'],
    seed: 10,
    patch: () => {
      const undo = [
        replace(Strays.prototype, 'withhold', () => () => undefined),
        replace(Strays.prototype, 'hello', (original) => {
          return function (this: Strays, ref: Parameters<Strays['hello']>[0]) {
            original.call(this, ref, []);
          };
        }),
      ];
      return () => undo.forEach((each) => each());
    },
  },
  {
    name: 'a sentinel counts its own vote for two',
    breaks: ['S10'],
    seed: 1,
    world: {
      view: (told, nodeId) => {
        const own = told.sentinels.find((sentinel) => sentinel.nodeId === nodeId);
        const other = told.sentinels.findIndex((sentinel) => sentinel.nodeId !== nodeId);
        return own === undefined ? told : { ...told, sentinels: told.sentinels.map((s, i) => (i === other ? own : s)) };
      },
    },
  },
  {
    name: 'a sentinel knows of no other',
    breaks: ['S10'],
    seed: 1,
    world: {
      view: (told, nodeId) => ({ ...told, sentinels: told.sentinels.filter((each) => each.nodeId === nodeId) }),
    },
  },
  {
    name: 'a vote is not taken back',
    breaks: ['S10'],
    seed: 72,
    patch: () =>
      replace(EtcdSeat.prototype, 'vote', (original) => {
        return async function (this: EtcdSeat, vote: Parameters<EtcdSeat['vote']>[0]) {
          if (vote !== null) await original.call(this, vote);
        };
      }),
  },
  {
    name: 'nobody leads a failover',
    breaks: ['L4'],
    seed: 1,
    patch: () => replace(EtcdSeat.prototype, 'nominate', () => () => Promise.resolve(false)),
  },
  { name: 'a write of a run comes late, and is taken', breaks: ['S8'], seed: 1, world: { sql: { lateWrites: true } } },
  {
    name: 'assignments that come late are taken, whatever has become of their run',
    breaks: ['L3', 'S7'],
    seed: 887,
    world: { sql: { noRunGuard: true } },
  },
  {
    name: 'a master asks only once what the user wants',
    breaks: ['S8'],
    seed: 1,
    patch: () =>
      replace(RunControl.prototype, 'refresh', (original) => {
        return function (this: RunControl, run: RunControl['run'], reload: boolean) {
          return original.call(this, { ...run, wanted: this.run.wanted }, reload);
        };
      }),
  },
  {
    name: 'a ramp is taken for a jump',
    breaks: ['S7'],
    seed: 1,
    patch: () =>
      replace(Work.prototype, 'retune', (original) => {
        return function (this: Work, message: Parameters<Work['retune']>[0]) {
          const segments = message.plan.segments.map((segment) => ({ ...segment, from: segment.to }));
          return original.call(this, { ...message, plan: { ...message.plan, segments } });
        };
      }),
  },
  {
    name: 'the hits of a worker that has ended are given to others again',
    breaks: ['S7'],
    seed: 1,
    patch: () =>
      replace(RunControl.prototype, 'sample', () => {
        return function (this: RunControl, ...[assignment, sample]: Parameters<RunControl['sample']>) {
          this.live.add(assignment, sample);
        };
      }),
  },
  {
    name: 'what an earlier process left on disk is not sent',
    breaks: ['L3'],
    seed: 1,
    patch: () =>
      replace(Results, 'of', (original) => {
        return function (found: Parameters<typeof original>[0], options: Parameters<typeof original>[1]) {
          const results = original.call(Results, found, options);
          results.flush = () => true;
          return results;
        };
      }),
  },
  {
    name: 'a new master believes that nobody loads what it has not heard of',
    breaks: ['S7'],
    seed: 1,
    world: {
      standing: (told, { nodeId }, context) => {
        const member = context.members().find(({ node }) => node.nodeId === nodeId);
        const isUnheard = member?.connected !== true && (member?.infoAtMs ?? -Infinity) === -Infinity;
        return told === 'suspect' && isUnheard ? 'gone' : told;
      },
    },
  },
];

/** Plays seeds until one of them notices the mistake. @returns null: none of so many did */
export async function hunt(mutant: Mutant, seeds: number): Promise<Outcome | null> {
  const undo = mutant.patch?.() ?? (() => undefined);
  try {
    for (let seed = mutant.seed; seed < mutant.seed + seeds; seed++) {
      const outcome = await new World(seed, { mutants: mutant.world ?? {} }).play();
      if (outcome.violations.length > 0) return outcome;
    }
    return null;
  } finally {
    undo();
  }
}

function replace<T extends object, K extends keyof T>(on: T, name: K, make: (original: T[K]) => T[K]): () => void {
  const original = on[name];
  on[name] = make(original);
  return () => {
    on[name] = original;
  };
}
