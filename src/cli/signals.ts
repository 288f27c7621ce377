const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Signals within this time count as one: a terminal sends Ctrl-C to every process of its group, and a wrapper like
 * npm passes its own on.
 */
const SAME_KEYSTROKE_MS = 150;

type Listener = (signal: string) => void;

export interface Signals extends Disposable {
  /**
   * The work is over and its report is being written, which its reader can hold up for ever: from now on the first signal
   * of all is told of, and one more ends the process as it would by default.
   */
  finish(tell: (text: string) => void): void;
}

/**
 * Calls `first` at the first SIGINT or SIGTERM and `again` at each later one, in the place of what they do by
 * default, until it is disposed of.
 */
export function onSignals(first: Listener, again: Listener): Signals {
  let heard = { first, again };
  let countedMs: number | null = null;
  const hear = (signal: NodeJS.Signals): void => {
    const before = countedMs;
    const nowMs = performance.now();
    if (before !== null && nowMs - before <= SAME_KEYSTROKE_MS) return;
    countedMs = nowMs;
    if (before === null) heard.first(signal);
    else heard.again(signal);
  };
  const release = (): void => {
    for (const signal of SIGNALS) process.off(signal, hear);
  };
  for (const signal of SIGNALS) process.on(signal, hear);
  return {
    finish(tell) {
      heard = {
        first: (signal) => tell(`${signal}: the report is being written; once more gives it up`),
        again: (signal) => {
          release();
          process.kill(process.pid, signal);
        },
      };
    },
    [Symbol.dispose]: release,
  };
}
