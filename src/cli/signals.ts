const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Signals within this time count as one: a terminal sends Ctrl-C to every process of its group, and a wrapper like
 * npm passes its own on.
 */
const SAME_KEYSTROKE_MS = 150;

/**
 * Calls `first` at the first SIGINT or SIGTERM and `again` at each later one, in the place of what they do by
 * default, until it is disposed of.
 */
export function onSignals(first: (signal: string) => void, again: (signal: string) => void): Disposable {
  let countedMs: number | null = null;
  const hear = (signal: string): void => {
    const before = countedMs;
    const nowMs = performance.now();
    if (before !== null && nowMs - before <= SAME_KEYSTROKE_MS) return;
    countedMs = nowMs;
    if (before === null) first(signal);
    else again(signal);
  };
  for (const signal of SIGNALS) process.on(signal, hear);
  return {
    [Symbol.dispose]() {
      for (const signal of SIGNALS) process.off(signal, hear);
    },
  };
}
