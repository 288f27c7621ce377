import type { NodeOptions } from '../support/node-process.ts';
import type { Findings } from './findings.ts';
import type { Scene } from './scene.ts';

export type Nodes = Readonly<Record<string, Partial<NodeOptions>>>;

/** Only generates load, or only leads: so that a fault hits one of both. */
export const WORKER = { env: { GOSTRESS_ROLES: 'worker' } };
export const CANDIDATE = { env: { GOSTRESS_ROLES: 'candidate' } };
export const TWO_LEADERS: Nodes = { m1: CANDIDATE, m2: CANDIDATE, w1: WORKER, w2: WORKER, w3: WORKER };
export const THREE_LEADERS: Nodes = { ...TWO_LEADERS, m3: CANDIDATE };

/** What happens to a cluster while a task runs, and what may come of it. All else that is judged holds after every fault. */
export interface Fault {
  /** Begins with its number: `F7 etcd is killed …`. */
  name: string;
  /** What it needs and is not here; then it is skipped. Default: null. */
  missing?: string | null;
  /** Before anything is started, and after all is gone. */
  before?(): Promise<void> | void;
  after?(): void;
  /** Default: TWO_LEADERS. */
  nodes?: Nodes;
  /** Default: 1. */
  etcdMembers?: number;
  etcdArgs?: readonly string[];
  mariadbArgs?: readonly string[];
  /** Hits per second over all workers. Default: 300. */
  rate?: number;
  /** Of the plan: what the act takes, and some seconds to come to rest. */
  seconds: number;
  /** Happens when the load is steady. All that was cut, frozen or stopped is healed after it. */
  act(scene: Scene): Promise<void>;
  /** Workers that are killed: what they had counted and not yet sent nobody knows, and the report must say so. Default: none. */
  unknown?: readonly string[];
  /** No longer than this is there no master, milliseconds. Default: LEADERLESS_MS. */
  leaderlessMs?: number;
  /** The workers have no permit for some time, so hits of the plan are left out. Default: false. */
  pauses?: boolean;
  /** Beyond what always holds. */
  expects?(findings: Findings): void;
}

/** Numbers of the design, milliseconds; the nodes run with their default timings. */
export const LEASE_TTL_MS = 5_000;
export const PERMIT_MS = 2_000;
export const PERMIT_ON_LEASE_MS = 30_000;
/** A master's loop that stood still so long steps down. */
export const STALL_MS = LEASE_TTL_MS / 2;
/** From the death of a master to the next one, without sentinels; and with the leader of etcd gone too. */
export const LEADERLESS_MS = 8_100;
export const LEADERLESS_WITHOUT_LEADER_MS = 11_400;
/** After a fence could not be raised. */
export const FENCE_RETRY_MS = 10_000;
/** A call of the API ends by then. */
export const CALL_MS = 10_000;

/**
 * What this machine may add to any of them: tests share its cores with whatever else runs there. Whoever is not run for so long is
 * late by so much, whatever the design says.
 */
export const NOISE_MS = 3_000;
/** The same for a target, within a second: it answers at once what came meanwhile. */
export const HELD_UP_MS = 100;
