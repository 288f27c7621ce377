import { CodedError } from './errors.ts';
import { show } from './show.ts';

/** Number and unit pairs from the largest unit down; µ is accepted as U+00B5 (micro sign) and U+03BC (mu). */
const DURATION = (() => {
  const number = String.raw`(\d+(?:\.\d+)?)`;
  const parts = ['h', 'm', 's', 'ms', '[uµμ]s'].map((unit) => `(?:${number}${unit})?`);
  return new RegExp(`^${parts.join('')}$`);
})();
const UNIT_MS = [3_600_000, 60_000, 1000, 1, 0.001];

/** Above this many milliseconds (104 days) a double does not hold every nanosecond any more. */
const MAX_EXACT_MS = Number.MAX_SAFE_INTEGER / 1e6;

/**
 * Milliseconds of a duration like `30s`, `1m30s`, `1.5s`, `250ms`, `100us`: numbers with the units h, m, s, ms, us (µs), each
 * at most once and the larger first; rounded to a nanosecond. A bare number has no unit and is refused, except `0`.
 *
 * @throws CodedError INVALID_INPUT
 */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  const parts = text === '' ? null : DURATION.exec(text);
  const ms = parts === null ? NaN : UNIT_MS.reduce((sum, unitMs, i) => sum + Number(parts[i + 1] ?? 0) * unitMs, 0);
  if (!Number.isFinite(ms)) {
    const hint = /^\d+(\.\d+)?$/.test(text) ? `: a number needs a unit, e.g. "${text}s"` : '';
    throw new CodedError('INVALID_INPUT', `expected a duration like "30s" or "1m30s", found ${show(text)}${hint}`);
  }
  return ms < MAX_EXACT_MS ? Math.round(ms * 1e6) / 1e6 : ms;
}

/**
 * The duration as people write it, exact to the nanosecond: `1h30m`, `1m30s`, `1.5s`, `250ms`, `0.5us`, `0s`.
 * `parseDuration` gives back what went in.
 *
 * @param ms a finite number of milliseconds, not negative
 * @throws RangeError when it is not
 */
export function formatDuration(ms: number): string {
  if (!(ms >= 0 && ms < Infinity)) throw new RangeError(`formatDuration: expected milliseconds from 0 on, found ${ms}`);
  const ns = Math.round(ms * 1e6);
  if (ns === 0) return '0s';
  if (ns < 1e6) return `${decimal(ns, 3)}us`;
  if (ns < 1e9) return `${decimal(ns, 6)}ms`;
  const minutes = Math.floor(ms / 60_000);
  const secondsNs = Math.round((ms - minutes * 60_000) * 1e6);
  const parts = [
    [Math.floor(minutes / 60), 'h'],
    [minutes % 60, 'm'],
    [decimal(secondsNs, 9), 's'],
  ] as const;
  return parts.map(([value, unit]) => (Number(value) === 0 ? '' : `${value}${unit}`)).join('');
}

/** `value / 10^digits` in decimal, without trailing zeros. */
function decimal(value: number, digits: number): string {
  const text = String(value).padStart(digits + 1, '0');
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`.replace(/\.?0+$/, '');
}
