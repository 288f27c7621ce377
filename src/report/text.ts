import { formatBytes, formatCount, formatMs, plural, formatRate, formatShare } from '../lib/format.ts';
import { defaultMethod } from '../task/defaults.ts';
import type { Report } from './schema.ts';
import { cut, formatTable, oneLine, painter, type Block, type Paint } from './table.ts';
import { formatBoundedMs } from './slos.ts';
import { latencyBlock, phasesBlock } from './text-latency.ts';
import { requestsBlock } from './text-requests.ts';

export interface TextOptions {
  color: boolean;
  /** Columns of the terminal: long texts of errors are cut there; tables and sentences are not. */
  width: number;
}

/** The summary for people: every block of the report, ends with a line break. */
export function formatReport(report: Report, { color, width }: TextOptions): string {
  const paint = painter(color);
  const blocks: Block[] = [
    requestsBlock(report),
    latencyBlock(report),
    phasesBlock(report),
    statusBlock(report),
    errorsBlock(report, width),
    checksBlock(report, paint),
    trafficBlock(report),
    { title: 'Accounting', lines: [...report.accounting.lines, ...(report.cluster?.lines ?? [])] },
    generatorBlock(report),
    verdictBlock(report, paint),
    slosBlock(report, paint),
  ];
  const texts = blocks.map(({ title, lines }) =>
    [paint('bold', title), ...(lines.length === 0 ? ['none'] : lines).map((line) => `  ${line}`)].join('\n'),
  );
  return `${[headlineText(report, paint), ...texts].join('\n\n')}\n`;
}

function headlineText({ createdBy, task, plan, run, headline, latencies }: Report, paint: Paint): string {
  const answered = `${formatCount(headline.answered)} of ${formatCount(headline.scheduled)}`;
  const started =
    headline.askedPerSecond === null
      ? `closed, at most ${plural(headline.usersMax ?? 0, 'user')}; started ${formatRate(headline.startedPerSecond)}`
      : `started ${formatRate(headline.startedPerSecond)} of ${formatRate(headline.askedPerSecond)} asked`;
  const workers = run.workers === null ? '' : `${plural(run.workers, 'worker')}, `;
  const threads = run.threads === null ? '' : `${plural(run.threads, 'thread')}, `;
  const method = task.request.method ?? defaultMethod(task.request.body !== undefined);
  const how = run.stop.kind === 'running' ? 'and goes on' : run.stop.kind;
  const stop = how === 'completed' ? how : `${how}: ${oneLine(run.stop.reason)}`;
  return [
    `GoStress ${createdBy.version}: ${oneLine(`${method} ${task.request.url}`)}`,
    paint('dim', `${plan.model}: ${plan.text}`),
    ...(plan.retuned === null ? [] : [paint('dim', `changed to: ${plan.retuned}`)]),
    paint(
      'dim',
      `${run.client}, ${workers}${threads}Node ${run.nodeVersion}; ran ${formatMs(run.durationMs)}, ${stop}`,
    ),
    '',
    paint('bold', `${answered} scheduled hits answered (${formatShare(headline.answeredShare)})`),
    ...percentilesText(latencies),
    `${started}; answered ${formatRate(headline.answeredPerSecond)}, ok ${formatRate(headline.okPerSecond)}`,
  ].join('\n');
}

function percentilesText({ hasSchedule, allScheduled }: Report['latencies']): string[] {
  if (allScheduled === null) return [];
  const { p50, p99, 'p99.9': p999 } = allScheduled.percentilesMs;
  const of = hasSchedule ? 'response time over all scheduled' : 'service time over all started';
  return [`${of}: p50 ${formatBoundedMs(p50)}, p99 ${formatBoundedMs(p99)}, p99.9 ${formatBoundedMs(p999)}`];
}

function statusBlock({ statusCodes }: Report): Block {
  const total = Object.values(statusCodes).reduce((a, b) => a + b, 0);
  const rows = Object.entries(statusCodes).map(([status, n]) => [status, formatCount(n), formatShare(n / total)]);
  return { title: 'Status codes', lines: formatTable(rows, ['left', 'right', 'right']) };
}

function errorsBlock({ errors, counts }: Report, width: number): Block {
  const rows = Object.entries(errors)
    .sort(([, a], [, b]) => b.count - a.count)
    .flatMap(([errorClass, { count, examples }]) => {
      const [first = '', ...others] = examples.map(oneLine);
      const share = formatShare(counts.scheduled > 0 ? count / counts.scheduled : 0);
      return [[errorClass, formatCount(count), share, first], ...others.map((example) => ['', '', '', example])];
    });
  const lines = formatTable(rows, ['left', 'right', 'right', 'left']);
  return { title: 'Errors', lines: lines.map((line) => cut(line, width - 2)) };
}

function checksBlock({ checks }: Report, paint: Paint): Block {
  const entries = Object.entries(checks);
  const rows = entries.map(([label, { passed, failed }]) => {
    const share = passed + failed > 0 ? formatShare(passed / (passed + failed)) : '–';
    return [oneLine(label), `${formatCount(passed)} passed`, `${formatCount(failed)} failed`, share];
  });
  const lines = formatTable(rows, ['left', 'right', 'right', 'right']);
  return { title: 'Checks', lines: lines.map((line, i) => (entries[i]![1].failed > 0 ? paint('red', line) : line)) };
}

function trafficBlock({ traffic, counts }: Report): Block {
  const perHit = (bytes: number): string =>
    counts.written > 0 ? formatBytes(Math.round(bytes / counts.written)) : '–';
  const rows = [
    [
      'in',
      formatBytes(traffic.bytesIn),
      `${formatBytes(traffic.bytesInPerSecond)}/s`,
      `${perHit(traffic.bytesIn)} a hit`,
    ],
    [
      'out',
      formatBytes(traffic.bytesOut),
      `${formatBytes(traffic.bytesOutPerSecond)}/s`,
      `${perHit(traffic.bytesOut)} a hit`,
    ],
  ];
  const opened = `${formatCount(traffic.connectionsOpened)} opened, at most ${formatCount(traffic.connectionsMax)} at the end of a second`;
  return {
    title: 'Bytes and connections',
    lines: [
      ...formatTable(rows, ['left', 'right', 'right', 'right']),
      `connections  ${opened}`,
      `redirects    ${formatCount(counts.redirects)} followed`,
    ],
  };
}

function generatorBlock({ health }: Report): Block {
  const perCpu =
    health.startedPerCpuSecond === null ? '' : `, ${formatCount(health.startedPerCpuSecond)} hits per CPU-second`;
  const node = health.nodeCpuMax === null ? '' : `, whole machine at most ${formatShare(health.nodeCpuMax)}`;
  return {
    title: 'Generator',
    lines: [
      `busiest thread at most ${formatShare(health.utilisationMax)} busy${node}`,
      `CPU time ${health.cpuSeconds.toFixed(2)} s${perCpu}`,
      `garbage collection ${formatMs(health.gcTotalMs)} in all, longest pause ${formatMs(health.gcMaxMs)}`,
    ],
  };
}

function verdictBlock({ verdict: { verdict, reasons } }: Report, paint: Paint): Block {
  const tones = { VALID: 'green', DEGRADED: 'yellow', INVALID: 'red' } as const;
  const meaning = {
    VALID: "the generator kept up: these numbers are the target's",
    DEGRADED: 'read these numbers with care',
    INVALID: "do not trust these numbers: they are not the target's",
  };
  const lines = reasons.map(({ level, code, text }) => `${paint(tones[level], level)} ${code}: ${text}`);
  return { title: 'Verdict', lines: [`${paint(tones[verdict], verdict)}: ${meaning[verdict]}`, ...lines] };
}

function slosBlock({ slos }: Report, paint: Paint): Block {
  const rows = slos.map(({ text, pass, found }) => [pass ? 'pass' : 'FAIL', text, `found ${found}`]);
  const lines = formatTable(rows, ['left', 'left', 'left']);
  return { title: 'SLOs', lines: lines.map((line, i) => paint(slos[i]!.pass ? 'green' : 'red', line)) };
}
