import { formatCount, formatMs } from '../lib/format.ts';
import { PERCENTILES } from './schema.ts';
import type { AllScheduledSummary, BoundedMs, LatencySummary, Report } from './schema.ts';
import { formatBoundedMs } from './slos.ts';
import { formatTable, type Block } from './table.ts';

const NONE = '–';

/** One column of the table of latencies. */
interface Column {
  basis: 'response' | 'service';
  of: string;
  summary: LatencySummary | AllScheduledSummary | null;
}

/** Statistics down, what they are of across: both latencies, ok and failed apart. */
export function latencyBlock({ latencies, health }: Report): Block {
  const { hasSchedule, allScheduled, responseOk, responseFailed, serviceOk, serviceFailed } = latencies;
  const ok: Column[] = [
    { basis: 'response', of: 'ok', summary: responseOk },
    { basis: 'service', of: 'ok', summary: serviceOk },
  ];
  const failed: Column[] = [
    { basis: 'response', of: 'failed', summary: responseFailed },
    { basis: 'service', of: 'failed', summary: serviceFailed },
  ];
  const shown = [...ok, ...(failed.some(({ summary }) => summary !== null) ? failed : [])];
  const columns: Column[] = hasSchedule
    ? [
        { basis: 'response', of: 'all scheduled', summary: allScheduled },
        ...shown.filter(({ basis }) => basis === 'response'),
        ...shown.filter(({ basis }) => basis === 'service'),
      ]
    : [
        { basis: 'service', of: 'all started', summary: allScheduled },
        ...shown.filter(({ basis }) => basis === 'service'),
      ];
  const delays = `p99 ${formatMs(health.loopDelayP99MaxMs)}, max ${formatMs(health.loopDelayMaxMs)}`;
  return {
    title: 'Latencies',
    lines: [
      ...formatTable(tableOf(columns), ['left', ...columns.map(() => 'right' as const)]),
      ...notes(latencies),
      `uncertainty: answers may have been read late by the loop delay (worst second), ${delays}`,
    ],
  };
}

/** Of new connections and heads, and the generator's own lateness. */
export function phasesBlock({ lateness, phases }: Report): Block {
  const named: [string, LatencySummary | null][] = [
    ['lateness', lateness],
    ['dns', phases.dns],
    ['connect', phases.connect],
    ['tls', phases.tls],
    ['first byte', phases.firstByte],
  ];
  const rows = named.flatMap(([name, summary]) => {
    if (summary === null) return [];
    const { percentilesMs, meanMs, maxMs } = summary;
    const times = [percentilesMs.p50, percentilesMs.p90, percentilesMs.p99, maxMs, meanMs].map(formatMs);
    return [[name, ...times, formatCount(summary.count)]];
  });
  const header = ['', 'p50', 'p90', 'p99', 'max', 'mean', 'count'];
  return { title: 'Phases', lines: rows.length === 0 ? [] : formatTable([header, ...rows], phaseAlign) };
}

const phaseAlign = ['left', 'right', 'right', 'right', 'right', 'right', 'right'] as const;

function tableOf(columns: readonly Column[]): string[][] {
  const row = (name: string, cell: (summary: NonNullable<Column['summary']>) => BoundedMs | null): string[] => [
    name,
    ...columns.map(({ summary }) => formatCell(summary === null ? null : cell(summary))),
  ];
  return [
    ['', ...columns.map(({ basis }) => basis)],
    ['', ...columns.map(({ of }) => of)],
    ...PERCENTILES.map((name) => row(name, ({ percentilesMs }) => percentilesMs[name])),
    row('max', ({ maxMs }) => maxMs),
    row('min', ({ minMs }) => minMs),
    row('mean', ({ meanMs }) => meanMs),
    row('stddev', ({ stddevMs }) => stddevMs),
    ['hits', ...columns.map(({ summary }) => (summary === null ? NONE : formatCount(summary.count)))],
  ];
}

function formatCell(value: BoundedMs | null): string {
  return value === null ? NONE : formatBoundedMs(value);
}

function notes({ hasSchedule, allScheduled }: Report['latencies']): string[] {
  const unanswered = allScheduled?.unanswered ?? 0;
  const infinite =
    unanswered === 0
      ? []
      : [`${formatCount(unanswered)} hits without an answer count as infinite: ≥ where it falls on one`];
  return hasSchedule
    ? ['response: from the scheduled instant; service: from the actual start', ...infinite]
    : ['no schedule: response time = service time', ...infinite];
}
