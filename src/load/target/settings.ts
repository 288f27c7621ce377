import { parseDuration } from '../../lib/duration.ts';
import { CodedError } from '../../lib/errors.ts';
import { show } from '../../lib/show.ts';
import { parseSize } from '../../lib/size.ts';
import { exponential, normal, type Random } from './random.ts';

/** What may be set for the whole server and, by query, for one request; in the grammar of the README. */
export const SETTING_NAMES = ['status', 'latency', 'pause', 'size', 'slow', 'error'] as const;
export type SettingName = (typeof SETTING_NAMES)[number];

/** How an answer is spoilt. */
const FAILURES = [
  /** The connection is reset (RST) instead of an answer. */
  'reset',
  /** The connection is closed (FIN) instead of an answer. */
  'close',
  /** Bytes that are not HTTP, then close. */
  'garbage',
  /** The head and half of the body it announced, then close. */
  'truncate',
  /** No answer, and the connection stays open. */
  'stall',
] as const;
export type Failure = (typeof FAILURES)[number];

export interface Settings {
  /** Draws a status; null: what the path says. */
  status: (() => number) | null;
  /** Draws the time from the request's arrival to its answer, ms; null: at once. */
  latencyMs: (() => number) | null;
  /** What arrives in the first `lastMs` of each `everyMs` waits until these are over, and then for its latency; null: nothing does. */
  pause: { lastMs: number; everyMs: number } | null;
  /** Length of the body; null: what the path says. */
  sizeBytes: number | null;
  /** Time over which the body is sent. */
  slowMs: number;
  /** Draws how this answer fails, or null for a good one. */
  failure: (() => Failure | null) | null;
}

const MAX_SIZE_BYTES = 64 * 1024 * 1024;
const MAX_DURATION_MS = 600_000;
/** The 99th percentile of the standard normal distribution. */
const NORMAL_P99 = 2.326347874;

/** Nothing is set. */
export const UNTOUCHED: Settings = {
  status: null,
  latencyMs: null,
  pause: null,
  sizeBytes: null,
  slowMs: 0,
  failure: null,
};

/**
 * Reads settings from their texts; what is not given is taken from `base`.
 * @throws CodedError INVALID_INPUT with every wrong one: its name, what was expected, what was found
 */
export function parseSettings(
  texts: Partial<Record<SettingName, string | undefined>>,
  random: Random,
  base: Settings = UNTOUCHED,
): Settings {
  const settings = { ...base };
  const problems: string[] = [];
  const read = (name: SettingName, expected: string, use: (text: string) => void): void => {
    const text = texts[name];
    if (text === undefined) return;
    try {
      use(text);
    } catch {
      problems.push(`${name}: expected ${expected}, found ${show(text)}`);
    }
  };
  read('status', 'a status from 200 to 599 or shares like 200:0.9,503:0.1', (text) => {
    settings.status = chooser(parseShares(text, statusOf), random);
  });
  read('latency', 'a duration (10ms), uniform:A-B, normal:MEAN,STDDEV, exp:MEAN or lognormal:MEDIAN,P99', (text) => {
    settings.latencyMs = parseLatency(text, random);
  });
  read('pause', 'a duration and how often it comes, like 200ms/2s; 0: never', (text) => {
    settings.pause = parsePause(text);
  });
  read('size', 'a size from 0 to 64MiB, like 512, 10KB or 1MiB', (text) => {
    settings.sizeBytes = sizeBytes(text);
  });
  read('slow', 'a duration up to 10m, like 1s', (text) => {
    settings.slowMs = durationMs(text);
  });
  read(
    'error',
    `none, or one of ${FAILURES.join(', ')}, each with a share of all requests, like reset:0.01`,
    (text) => {
      settings.failure = parseFailure(text, random);
    },
  );
  if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
  return settings;
}

/** @throws RangeError, as all parsers below; the caller says what was expected */
function statusOf(text: string): number {
  if (!/^[2-5]\d\d$/.test(text)) throw new RangeError('not a status');
  return Number(text);
}

function parseLatency(text: string, random: Random): (() => number) | null {
  const colon = text.indexOf(':');
  if (colon < 0) {
    const ms = durationMs(text);
    return ms === 0 ? null : () => ms;
  }
  const kind = text.slice(0, colon);
  const [a, b, ...more] = text
    .slice(colon + 1)
    .split(kind === 'uniform' ? '-' : ',')
    .map(durationMs);
  if (a === undefined || more.length > 0 || (b === undefined) !== (kind === 'exp')) throw new RangeError('parameters');
  return bounded(distribution(kind, a, b ?? 0, random));
}

function parsePause(text: string): Settings['pause'] {
  const [lastMs = NaN, everyMs = NaN, ...more] = text.split('/').map(durationMs);
  if (lastMs === 0) return null;
  if (more.length > 0 || !(lastMs < everyMs)) throw new RangeError('pause');
  return { lastMs, everyMs };
}

function distribution(kind: string, a: number, b: number, random: Random): () => number {
  switch (kind) {
    case 'uniform':
      if (b < a) throw new RangeError('order');
      return () => a + (b - a) * random();
    case 'normal':
      return () => a + b * normal(random);
    case 'exp':
      return () => a * exponential(random);
    case 'lognormal': {
      if (a === 0 || b < a) throw new RangeError('order');
      const sigma = Math.log(b / a) / NORMAL_P99;
      return () => a * Math.exp(sigma * normal(random));
    }
    default:
      throw new RangeError('kind');
  }
}

function bounded(draw: () => number): () => number {
  return () => Math.min(Math.max(0, draw()), MAX_DURATION_MS);
}

function durationMs(text: string): number {
  const ms = parseDuration(text);
  if (!(ms >= 0 && ms <= MAX_DURATION_MS)) throw new RangeError('duration');
  return ms;
}

function sizeBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes > MAX_SIZE_BYTES) throw new RangeError('size');
  return bytes;
}

function parseFailure(text: string, random: Random): (() => Failure | null) | null {
  if (text === 'none') return null;
  const shares: Share<Failure | null>[] = parseShares(text, (name) => {
    const failure = FAILURES.find((known) => known === name);
    if (failure === undefined) throw new RangeError('failure');
    return failure;
  });
  const sum = shares.reduce((total, { share }) => total + share, 0);
  if (sum > 1 + 1e-9) throw new RangeError('shares');
  return chooser([...shares, { value: null, share: Math.max(0, 1 - sum) }], random);
}

interface Share<T> {
  value: T;
  share: number;
}

/** `value` or `value:share`, comma-separated; a share left out is 1. */
function parseShares<T>(text: string, valueOf: (text: string) => T): Share<T>[] {
  return text.split(',').map((item) => {
    const [value = '', share = '1', ...more] = item.split(':');
    if (more.length > 0 || !/^\d*\.?\d+$/.test(share)) throw new RangeError('share');
    return { value: valueOf(value), share: Number(share) };
  });
}

/** Draws values in proportion to their shares. */
function chooser<T>(shares: readonly Share<T>[], random: Random): () => T {
  const sum = shares.reduce((total, { share }) => total + share, 0);
  if (!(sum > 0)) throw new RangeError('shares');
  const possible = shares.filter(({ share }) => share > 0);
  const last = possible[possible.length - 1]!;
  if (possible.length === 1) return () => last.value;
  return () => {
    let rest = random() * sum;
    for (const { value, share } of possible) {
      rest -= share;
      if (rest < 0) return value;
    }
    return last.value;
  };
}
