import { setLogger } from '@grpc/grpc-js';
import type { Log } from '../lib/log.ts';

/** Texts of grpc-js in which the reason is wrapped up; the group is the reason. */
const WRAPPED: readonly RegExp[] = [
  // `Last error: Failed to connect (2026-11-25T17:21:29.701Z)`
  /^No connection established\. Last error: (?:Error: )?([^]*?)(?: \([\dT:.-]+Z\))?\. Resolution note: [^]*$/,
  /^No address added out of total \d+ resolved errors: \[([^\]]*)/,
];
const UNRESOLVED = /^Name resolution failed for target /;

/** Why a connection could not be made, or a port not be opened, in fewer words than grpc-js has for it. */
export function plainReason(details: string): string {
  if (UNRESOLVED.test(details)) return 'the host name cannot be resolved';
  for (const pattern of WRAPPED) {
    const reason = pattern.exec(details)?.[1];
    if (reason !== undefined) return reason;
  }
  return details;
}

/**
 * What grpc-js writes to standard error goes to the log, of the whole process: it has one logger. At `debug`, since what failed is
 * also told to whoever asked for it.
 */
export function logGrpc(log: Log): void {
  const say = (...words: unknown[]): void => log.debug({ part: 'grpc-js' }, words.map(String).join(' '));
  setLogger({ error: say, info: say, debug: say });
}
