import type { Fault } from '../fault.ts';
import { CALLS } from './calls.ts';
import { ETCD_FULL, ETCD_GONE, ETCD_MEMBERS, MASTER_WITHOUT_ETCD, WATCHES } from './etcd.ts';
import { BUSY, CLOCKS } from './machine.ts';
import { FREEZE_IN_WRITE, freezeMaster, KILL_LOADING_MASTER, killMasters } from './master.ts';
import { MYSQL } from './mysql.ts';
import { SENTINELS } from './sentinels.ts';
import { NETWORK, WORKERS } from './worker.ts';

/** All, by their numbers. */
export const ALL: readonly Fault[] = [
  killMasters(20), // F1
  KILL_LOADING_MASTER,
  ...[1, 3, 8, 20].map(freezeMaster), // F2
  ...FREEZE_IN_WRITE, // F3
  ...MASTER_WITHOUT_ETCD, // F4
  ...NETWORK, // F6
  ...ETCD_GONE, // F7
  ...ETCD_FULL, // F8
  ...ETCD_MEMBERS, // F9
  ...MYSQL, // F10
  ...WORKERS, // F11
  ...SENTINELS, // F5, F12
  ...BUSY, // F13
  ...CLOCKS, // F14
  ...WATCHES, // F15
  ...CALLS, // F16
];

/** The most telling ones, within five minutes: in `npm test`, and alone with `npm run test:faults -- short`. */
export const SHORT: readonly Fault[] = [
  killMasters(2),
  KILL_LOADING_MASTER,
  freezeMaster(8),
  ...named('F6 stall between a worker and both'),
  ...named('F11 SIGKILL of a worker: '),
  ...named('F11 SIGSTOP of a worker: '),
];

function named(begin: string): Fault[] {
  const found = ALL.filter(({ name }) => name.startsWith(begin));
  if (found.length !== 1)
    throw new Error(`expected one fault whose name begins with "${begin}", found ${found.length}`);
  return found;
}
