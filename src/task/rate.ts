import { parseDuration } from '../lib/duration.ts';
import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';

const RATE = /^(\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:\/(.+))?$/i;

/**
 * Hits per second (may be a fraction, more than 0) of a rate: `600` and `600/s` are the same, `30/m` and `30/1m` are 0.5.
 *
 * @throws CodedError INVALID_INPUT
 */
export function parseRate(text: string): number {
  const [, hits, period = 's'] = RATE.exec(text) ?? [];
  const ratePerSecond = Number(hits) / (periodMs(period) / 1000);
  if (!(ratePerSecond > 0 && ratePerSecond < Infinity)) {
    throw new CodedError(
      'INVALID_INPUT',
      `expected a rate above 0 like "600", "600/s" or "30/1m", found ${show(text)}`,
    );
  }
  return ratePerSecond;
}

/** The exact rate in a form that `parseRate` gives back. */
export function formatRate(ratePerSecond: number): string {
  return `${ratePerSecond}/s`;
}

/** NaN when it is not a period. */
function periodMs(period: string): number {
  try {
    return parseDuration(/^\d/.test(period) ? period : `1${period}`);
  } catch {
    return NaN;
  }
}
