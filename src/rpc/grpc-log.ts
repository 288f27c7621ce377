import { setLogger } from '@grpc/grpc-js';
import type { Log } from '../lib/log.ts';

/**
 * What grpc-js writes to standard error goes to the log, of the whole process: it has one logger. At `debug`, since what failed is
 * also told to whoever asked for it.
 */
export function logGrpc(log: Log): void {
  const say = (...words: unknown[]): void => log.debug({ part: 'grpc-js' }, words.map(String).join(' '));
  setLogger({ error: say, info: say, debug: say });
}
