import type { Histogram } from '../lib/histogram.ts';
import { formatMs, formatRate, formatShare } from '../lib/format.ts';
import type { CheckCount } from '../task/sample.ts';
import type { LatencyMetric, Slo, SloOperator } from '../task/slo.ts';
import { leastOfUnansweredMs, percentileOfAll, type AllScheduled } from './latency.ts';
import type { BoundedMs, SloResult } from './schema.ts';

/** What SLOs are judged on: the hits after the warm-up. */
export interface SloEvidence {
  scheduled: number;
  ok: number;
  dropped: number;
  okPerSecond: number;
  /** By the check's label; warm-up included, as checks are not told apart by it. */
  checks: Readonly<Record<string, CheckCount>>;
  /** Response time over all scheduled hits. */
  response: AllScheduled;
  /** Service time of the answered hits. */
  service: Histogram;
}

/**
 * Judges one objective. A hit without an answer has an infinite response time, so it misses `<` and meets `>`. Where
 * there is nothing to judge, the objective is missed: it was not shown to hold.
 */
export function judgeSlo(slo: Slo, evidence: SloEvidence): SloResult {
  const found = findMetric(slo, evidence);
  if (found === null) return { text: slo.text, pass: false, found: 'nothing to judge', value: null };
  const value = typeof found.value === 'number' ? found.value : Infinity;
  return {
    text: slo.text,
    pass: COMPARE[slo.op](value, slo.limit),
    found: found.text,
    value: value === Infinity ? null : value,
  };
}

const COMPARE: Record<SloOperator, (value: number, limit: number) => boolean> = {
  '<': (value, limit) => value < limit,
  '<=': (value, limit) => value <= limit,
  '>': (value, limit) => value > limit,
  '>=': (value, limit) => value >= limit,
};

function findMetric({ metric }: Slo, evidence: SloEvidence): { value: BoundedMs; text: string } | null {
  if (metric.kind === 'rate') return { value: evidence.okPerSecond, text: formatRate(evidence.okPerSecond) };
  if (metric.kind === 'checks') return passedShare(Object.values(evidence.checks));
  if (evidence.scheduled === 0) return null;
  if (metric.kind === 'latency') {
    const value = metric.basis === 'response' ? ofAll(metric, evidence.response) : ofAnswered(metric, evidence.service);
    return value === null ? null : { value, text: foundText(value) };
  }
  const part = metric.kind === 'errors' ? evidence.scheduled - evidence.ok : evidence.dropped;
  const share = part / evidence.scheduled;
  return { value: share, text: formatShare(share) };
}

function passedShare(checks: readonly CheckCount[]): { value: number; text: string } | null {
  const passed = checks.reduce((sum, check) => sum + check.passed, 0);
  const judged = checks.reduce((sum, check) => sum + check.passed + check.failed, 0);
  return judged === 0 ? null : { value: passed / judged, text: formatShare(passed / judged) };
}

function ofAll(metric: LatencyMetric, all: AllScheduled): BoundedMs | null {
  if (all.answered.count + all.unanswered === 0) return null;
  if (metric.stat === 'percentile') return percentileOfAll(all, metric.percent);
  if (all.unanswered > 0) return { atLeastMs: leastOfUnansweredMs(all, all.answered.count + all.unanswered) };
  return (metric.stat === 'max' ? all.answered.maxUs : all.answered.meanUs) / 1000;
}

function ofAnswered(metric: LatencyMetric, answered: Histogram): number | null {
  if (answered.count === 0) return null;
  if (metric.stat === 'percentile') return answered.percentile(metric.percent) / 1000;
  return (metric.stat === 'max' ? answered.maxUs : answered.meanUs) / 1000;
}

/** Says why `≥ 30 ms` misses `< 100ms`. */
function foundText(value: BoundedMs): string {
  if (typeof value === 'number') return formatMs(value);
  return value.atLeastMs === 0 ? 'no answer' : `no answer (${formatBoundedMs(value)})`;
}

/** `12.3 ms`; `≥ 2.00 s` when it falls on a hit without an answer, `unanswered` when none was answered at all. */
export function formatBoundedMs(value: BoundedMs): string {
  if (typeof value === 'number') return formatMs(value);
  return value.atLeastMs === 0 ? 'unanswered' : `≥ ${formatMs(value.atLeastMs)}`;
}
