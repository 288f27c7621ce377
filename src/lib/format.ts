/**
 * Numbers as people read them: thousands apart by a space, a unit with every value, about three significant digits.
 * For eyes only; what machines read carries plain numbers with the unit in the field's name.
 */

/** `4 980`; a fraction is rounded away. */
export function formatCount(count: number): string {
  return decimal(count, 0);
}

/** `1 user`, `1 000 users`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** `1 000/s`, `999.4/s`, `0.5/s`. */
export function formatRate(perSecond: number): string {
  return `${trimmed(perSecond, perSecond >= 1000 ? 0 : perSecond >= 10 ? 1 : 2)}/s`;
}

/** `0 µs`, `850 µs`, `1.23 ms`, `61.2 s`; from 100 s on in hours, minutes and whole seconds: `1m40s`, `2h0m1s`. */
export function formatMs(ms: number): string {
  if (ms === 0) return '0 µs';
  if (roundsBelow(ms * 1000, 1000)) return `${threeDigits(ms * 1000)} µs`;
  if (roundsBelow(ms, 1000)) return `${threeDigits(ms)} ms`;
  if (roundsBelow(ms / 1000, 100)) return `${threeDigits(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${seconds % 60}s`;
  return `${decimal(Math.floor(minutes / 60), 0)}h${minutes % 60}m${seconds % 60}s`;
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** In units of 1000: `512 B`, `1.95 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (!roundsBelow(value, 1000) && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? formatCount(value) : threeDigits(value)} ${BYTE_UNITS[unit]!}`;
}

/**
 * A share (0 to 1) in percent: `50 %`, `99.98 %`, `0.12 %`. What is not all never reads `100 %`, and what is not
 * nothing never `0 %`.
 */
export function formatShare(share: number): string {
  const percent = share * 100;
  if (percent > 0 && percent < 0.01) return '< 0.01 %';
  if (percent < 100 && percent > 99.99) return '99.99 %';
  return `${trimmed(percent, percent < 10 || percent > 99 ? 2 : 1)} %`;
}

const BARS = '▁▂▃▄▅▆▇█';

/** The last `width` values as bars between 0 and the largest of them; null is a gap. */
export function sparkline(values: readonly (number | null)[], width: number): string {
  const shown = width > 0 ? values.slice(-width) : [];
  const largest = Math.max(0, ...shown.map((value) => value ?? 0));
  return shown.map((value) => (value === null ? ' ' : bar(value, largest))).join('');
}

function bar(value: number, largest: number): string {
  const height = largest > 0 ? Math.ceil((Math.max(0, value) / largest) * BARS.length) : 0;
  return BARS[Math.max(1, height) - 1]!;
}

function threeDigits(value: number): string {
  return decimal(value, digitsAfterPoint(value));
}

function digitsAfterPoint(value: number): number {
  if (Number(value.toFixed(2)) < 10) return 2;
  return Number(value.toFixed(1)) < 100 ? 1 : 0;
}

function roundsBelow(value: number, limit: number): boolean {
  return Number(value.toFixed(digitsAfterPoint(value))) < limit;
}

/** Without trailing zeros after the point. */
function trimmed(value: number, digits: number): string {
  return decimal(value, digits).replace(/(\.\d*?)0+$/, (_, kept: string) => (kept === '.' ? '' : kept));
}

function decimal(value: number, digits: number): string {
  const [whole = '', fraction] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ' ');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}
