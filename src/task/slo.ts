import { parseDuration } from '../lib/duration.ts';
import { errorMessage, invalid } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { nearest } from '../lib/suggest.ts';
import { parseRate } from './rate.ts';

/** A service level objective, judged at the end of a run over all hits after the warm-up. It holds when `metric op limit`. */
export interface Slo {
  /** As the user wrote it. */
  text: string;
  metric: SloMetric;
  op: SloOperator;
  /** Latency: milliseconds. Errors, dropped and checks: a share, 0 to 1. Rate: hits per second. */
  limit: number;
}

export type SloMetric =
  | LatencyMetric
  /** Share of the scheduled hits that did not end ok. */
  | { kind: 'errors' }
  /** Hits per second that ended ok. */
  | { kind: 'rate' }
  /** Share of all checks of answers that passed, the implied status check with them. */
  | { kind: 'checks' }
  /** Share of the scheduled hits that were dropped. */
  | { kind: 'dropped' };

/**
 * `response`: from the scheduled instant, over all scheduled hits. `service`: from the actual start, over answered hits.
 * `percent` is above 0 and below 100.
 */
export type LatencyMetric = { kind: 'latency'; basis: 'response' | 'service' } & (
  { stat: 'percentile'; percent: number } | { stat: 'max' } | { stat: 'mean' }
);

export type SloOperator = '<' | '<=' | '>' | '>=';

const SLO = /^([a-z][a-z0-9.]*)\s*(<=|>=|<|>)\s*([^\s<>=]+)(?:\s+(.+))?$/i;
const KNOWN_METRICS = [
  'p50',
  'p75',
  'p90',
  'p95',
  'p99',
  'p99.9',
  'p99.99',
  'max',
  'mean',
  'errors',
  'rate',
  'dropped',
  'checks',
];

/**
 * Reads `METRIC OP VALUE`. Metrics: `pN` with 0 < N < 100, `max`, `mean` (response time; `service.` before them means service
 * time) with a duration; `errors`, `dropped`, `checks` with a percentage; `rate` with hits per second. Operators: < <= > >=.
 *
 * @throws CodedError INVALID_INPUT
 */
export function parseSlo(text: string): Slo {
  const [, name, op, value, rest] = SLO.exec(text.trim()) ?? [];
  if (name === undefined || op === undefined || value === undefined) {
    throw invalid(`expected an SLO like "p99 < 200ms", "errors < 1%" or "rate > 950", found ${show(text)}`);
  }
  if (rest !== undefined && /^(over|for)\b/.test(rest)) {
    throw invalid(
      `expected an SLO without a window, found ${show(text)}: "${rest}" is not supported yet, an SLO is judged over the whole run`,
    );
  }
  if (rest !== undefined)
    throw invalid(`expected the end of the SLO after "${value}", found ${show(rest)} in ${show(text)}`);
  const metric = parseMetric(name, text);
  return { text: text.trim(), metric, op: op as SloOperator, limit: parseLimit(metric, value, text) };
}

function parseMetric(name: string, text: string): SloMetric {
  if (name === 'errors' || name === 'rate' || name === 'dropped' || name === 'checks') return { kind: name };
  const service = name.startsWith('service.');
  const latency = { kind: 'latency', basis: service ? 'service' : 'response' } as const;
  const stat = service ? name.slice('service.'.length) : name;
  if (stat === 'max' || stat === 'mean') return { ...latency, stat };
  const percent = /^p\d+(\.\d+)?$/.test(stat) ? Number(stat.slice(1)) : NaN;
  if (percent > 0 && percent < 100) return { ...latency, stat: 'percentile', percent };
  if (!Number.isNaN(percent))
    throw invalid(`expected a percentile above p0 and below p100, found "${stat}" in ${show(text)}`);
  const meant = nearest(stat, KNOWN_METRICS);
  const hint = meant === null ? '' : `; did you mean "${meant}"?`;
  throw invalid(
    `expected p50, p99.9, …, max, mean (also service.p99, …), errors, rate, dropped or checks, found "${name}" in ${show(text)}${hint}`,
  );
}

function parseLimit(metric: SloMetric, value: string, text: string): number {
  switch (metric.kind) {
    case 'latency':
      return within(text, () => parseDuration(value));
    case 'rate':
      return value === '0' ? 0 : within(text, () => parseRate(value));
    case 'errors':
    case 'dropped':
    case 'checks': {
      const percent = /^\d+(\.\d+)?%$/.test(value) ? Number(value.slice(0, -1)) : NaN;
      if (!(percent <= 100)) throw invalid(`expected a share from 0% to 100%, found "${value}" in ${show(text)}`);
      return percent / 100;
    }
  }
}

function within(text: string, parse: () => number): number {
  try {
    return parse();
  } catch (error) {
    throw invalid(`${errorMessage(error)} (in ${show(text)})`, error);
  }
}
