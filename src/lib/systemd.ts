import { execFile } from 'node:child_process';
import { LONGEST_TIMER_MS } from './clock.ts';
import { CodedError, errorMessage } from './errors.ts';

/**
 * What a service of `Type=notify` tells systemd (sd_notify(3)). Node has no datagram sockets of the unix family, so
 * systemd's own `systemd-notify` sends it; its unit needs `NotifyAccess=all`, since the sender is a child.
 */
export interface ServiceState {
  /** The service serves, or it begins to stop. */
  phase?: 'ready' | 'stopping';
  /** One line for `systemctl status`. */
  status?: string;
  /** A sign of life for `WatchdogSec=`. */
  watchdog?: true;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** systemd-notify waits 5 s at most for systemd to have read the message. */
const DEADLINE_MS = 6_000;
/** Signs of life within the time that systemd allows. */
const SIGNS_PER_TIMEOUT = 3;

/**
 * Resolves when systemd has it, or at once when the process was not started by systemd (no `NOTIFY_SOCKET`).
 *
 * @returns whether systemd was told
 * @throws CodedError UNAVAILABLE when it could not be told
 */
export async function notifySystemd(state: ServiceState, env: Environment = process.env): Promise<boolean> {
  if (!env.NOTIFY_SOCKET) return false;
  const variables = [
    state.phase === 'ready' && 'READY=1',
    state.phase === 'stopping' && 'STOPPING=1',
    state.status !== undefined && `STATUS=${state.status.replace(/\p{Cc}+/gu, ' ')}`,
    state.watchdog && 'WATCHDOG=1',
  ].filter((variable) => typeof variable === 'string');
  await new Promise<void>((resolve, reject) => {
    execFile('systemd-notify', variables, { env, timeout: DEADLINE_MS, killSignal: 'SIGKILL' }, (error, _, stderr) => {
      if (error === null) resolve();
      else reject(failure(error, stderr.trim()));
    });
  });
  return true;
}

function failure(error: Error, said: string): CodedError {
  const why = said === '' ? errorMessage(error) : said;
  return new CodedError('UNAVAILABLE', `systemd could not be told: systemd-notify: ${why}`, { cause: error });
}

/**
 * Gives signs of life, three in the time that `WatchdogSec=` of the unit allows, until it is disposed of; does nothing when
 * systemd expects none of this process. A blocked main loop gives none, and systemd acts.
 *
 * @param onError a sign that could not be given; the next one is tried all the same
 */
export function startWatchdog(onError: (error: unknown) => void, env: Environment = process.env): Disposable {
  const everyMs = watchdogEveryMs(env);
  if (everyMs === null) return { [Symbol.dispose]: () => undefined };
  let isSending = false;
  const timer = setInterval(() => {
    if (isSending) return;
    isSending = true;
    void notifySystemd({ watchdog: true }, env)
      .catch(onError)
      .finally(() => (isSending = false));
  }, everyMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** null: systemd expects nothing. The command may have started this process in place of itself, for a newer Node. */
function watchdogEveryMs(env: Environment): number | null {
  const timeoutUs = Number(env.WATCHDOG_USEC ?? 0);
  const isForUs = env.WATCHDOG_PID === undefined || [process.pid, process.ppid].includes(Number(env.WATCHDOG_PID));
  if (!(timeoutUs > 0) || !isForUs) return null;
  return Math.max(1, Math.min(timeoutUs / 1000 / SIGNS_PER_TIMEOUT, LONGEST_TIMER_MS));
}
