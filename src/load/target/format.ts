import type { Pacing } from './arrivals.ts';
import type { TargetStats } from './counters.ts';

/** What `gostress target` prints at its end: a few lines, no line break at the end. */
export function formatTargetStats(stats: TargetStats): string {
  const lines = [
    `requests   ${whole(stats.received)} received, ${whole(stats.answered)} answered in ${stats.seconds.toFixed(1)} s`,
  ];
  const statuses = entries(stats.byStatus);
  if (statuses !== '') lines.push(`statuses   ${statuses}`);
  const spoilt = entries(stats.spoilt);
  if (spoilt !== '') lines.push(`spoilt     ${spoilt}`);
  lines.push(
    `traffic    ${whole(stats.connectionsOpened)} connections opened, ${whole(stats.connections)} open; ` +
      `${whole(stats.bytesIn)} bytes in, ${whole(stats.bytesOut)} bytes out`,
  );
  if (stats.latencyMs !== null) lines.push(latencyLine(stats.latencyMs));
  if (stats.pacing !== null) lines.push(...pacingLines(stats.pacing));
  if (stats.arrivals.missed > 0) {
    lines.push(
      `           of the first ${whole(stats.arrivals.kept)} arrivals; ${whole(stats.arrivals.missed)} more were not kept`,
    );
  }
  return lines.join('\n');
}

function latencyLine({ p50, p90, p99, 'p99.9': p999, max }: NonNullable<TargetStats['latencyMs']>): string {
  const of = `p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, p99.9 ${ms(p999)}, max ${ms(max)}`;
  return `latency    from a request's arrival to its answer: ${of}`;
}

function pacingLines(pacing: Pacing): string[] {
  const { p50, p90, p99, max } = pacing.strayMs;
  const line = pacing.rateGiven ? `${rate(pacing.ratePerSecond)} asked for` : 'its mean rate';
  const lines = [
    `arrivals   ${rate(pacing.meanRatePerSecond)} on average; stray from the line of ${line}: ` +
      `p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, max ${ms(max)}`,
  ];
  const worst = pacing.worstSecond;
  if (worst !== null) {
    const sign = worst.deviationPercent < 0 ? '' : '+';
    lines.push(
      `           worst of ${pacing.perSecond.length} whole seconds: second ${worst.second} with ${whole(worst.count)} ` +
        `(${sign}${worst.deviationPercent.toFixed(2)} %)`,
    );
  }
  return lines;
}

function entries(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name}: ${whole(count)}`)
    .join(', ');
}

function whole(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
}

function rate(perSecond: number): string {
  return `${perSecond.toFixed(perSecond < 100 ? 2 : 1)}/s`;
}

function ms(value: number): string {
  return `${value.toFixed(3)} ms`;
}
