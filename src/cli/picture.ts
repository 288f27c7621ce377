import { formatDuration } from '../lib/duration.ts';
import { formatCount, formatMs, formatRate, formatShare, sparkline } from '../lib/format.ts';
import { maskUrl } from '../lib/mask.ts';
import type { Second } from '../report/builder.ts';
import { describeLoad } from '../report/plan-text.ts';
import { cut, oneLine, painter, type Paint } from '../report/table.ts';
import type { Verdict } from '../report/verdict.ts';
import { addErrors } from '../task/merge.ts';
import { compilePlan, planEndMs } from '../task/plan.ts';
import type { Sample } from '../task/sample.ts';
import type { TaskSpec } from '../task/spec.ts';
import { formatPair } from './lines.ts';
import { formatErrors, perSecond } from './second.ts';

/** Seconds that the sparklines go back. */
const HISTORY_SECONDS = 30;
const MIN_SHOWN_MS = 500;
const MAX_BAR_WIDTH = 40;
const LABEL_WIDTH = 11;
const NUMBERS_WIDTH = 36;

/** What the live view shows, as text: numbers of the last second, `failed` and `dropped` of the run so far. */
export class LivePicture {
  readonly #task: TaskSpec;
  readonly #paint: Paint;
  readonly #endMs: number;
  readonly #rates: number[] = [];
  readonly #p99sMs: (number | null)[] = [];
  readonly #total = { scheduled: 0, failed: 0, dropped: 0 };
  readonly #errors: Sample['errors'] = {};
  #last: Second | null = null;

  constructor(task: TaskSpec, color: boolean) {
    this.#task = task;
    this.#paint = painter(color);
    this.#endMs = planEndMs(compilePlan(task.load.model, task.load.stages));
  }

  add(second: Second): void {
    const { sample, row } = second;
    // The rest of a second at the end of a run says nothing of rates and latencies.
    if (this.#last === null || row.durationMs >= MIN_SHOWN_MS) {
      this.#last = second;
      pushShort(this.#rates, perSecond(row.started, row));
      pushShort(this.#p99sMs, row.responseP99Ms ?? row.serviceP99Ms);
    }
    this.#total.scheduled += row.scheduled;
    this.#total.failed += row.notOk;
    this.#total.dropped += row.dropped;
    addErrors(this.#errors, sample.errors);
  }

  /** @param width columns of the terminal; every line is cut there, so that none wraps */
  draw(width: number): string {
    const { request, load } = this.#task;
    const title = cut(oneLine(`${request.method} ${maskUrl(request.url)}: ${describeLoad(load)}`), width);
    if (this.#last === null) return title;
    const { row, verdict } = this.#last;
    const lines = [title, this.#progress(row, width), ...this.#rows(row).map((line) => cut(line, width))];
    return [...lines, this.#losses(width), ...this.#verdict(verdict, width)].join('\n');
  }

  /** The bar is at what is nearer to its end: the plan's time or the hits. */
  #progress(row: Second['row'], width: number): string {
    const { hits } = this.#task.load;
    const elapsedMs = row.second * 1000 + row.durationMs;
    const { scheduled } = this.#total;
    const part = Math.min(1, Math.max(elapsedMs / this.#endMs, hits === null ? 0 : scheduled / hits));
    const ofTime = this.#endMs === Infinity ? '' : ` of ${formatDuration(this.#endMs)}`;
    const ofHits = hits === null ? '' : `, ${formatCount(scheduled)} of ${formatCount(hits)} hits`;
    const text = ` ${Math.round(elapsedMs / 1000)}s${ofTime}${ofHits}`;
    const cells = Math.max(0, Math.min(MAX_BAR_WIDTH, width - text.length));
    const filled = Math.round(part * cells);
    return cut(`${'█'.repeat(filled)}${'░'.repeat(cells - filled)}${text}`, width);
  }

  #rows(row: Second['row']): string[] {
    const isOpen = this.#task.load.model === 'open';
    const sent = `${formatRate(perSecond(row.started, row))} sent`;
    const rate = isOpen ? `${formatRate(row.target)} asked, ${sent}` : `${formatCount(row.users)} users, ${sent}`;
    const response = isOpen ? [line('response', formatPair(row.responseP50Ms, row.responseP99Ms))] : [];
    const queued = row.queued > 0 ? `, ${formatCount(row.queued)} queued` : '';
    const p99Ms = row.responseP99Ms ?? row.serviceP99Ms;
    return [
      line('rate', rate, sparkline(this.#rates, HISTORY_SECONDS)),
      ...response,
      line('service', formatPair(row.serviceP50Ms, row.serviceP99Ms)),
      line('p99', p99Ms === null ? '–' : formatMs(p99Ms), sparkline(this.#p99sMs, HISTORY_SECONDS)),
      line('in flight', `${formatCount(row.inFlight)}${queued}, ${formatCount(row.connections)} connections`),
    ];
  }

  #losses(width: number): string {
    const { failed, dropped, scheduled } = this.#total;
    const errors = formatErrors(this.#errors);
    const drops = `dropped ${formatCount(dropped)} (${formatShare(scheduled > 0 ? dropped / scheduled : 0)})`;
    const fails = `${formatCount(failed)}${errors === '' ? '' : ` (${errors})`}`;
    const all = this.#task.load.model === 'open' ? `${fails}, ${drops}` : fails;
    const text = cut(line('failed', all), width);
    return failed + dropped > 0 ? this.#paint('red', text) : text;
  }

  #verdict({ verdict, reasons }: Verdict, width: number): string[] {
    if (verdict === 'VALID') return [];
    return reasons.map(({ level, text }) => {
      return this.#paint(level === 'INVALID' ? 'red' : 'yellow', cut(line(level, text), width));
    });
  }
}

function line(label: string, text: string, graph = ''): string {
  return `${label.padEnd(LABEL_WIDTH)}${graph === '' ? text : `${text.padEnd(NUMBERS_WIDTH)} ${graph}`}`;
}

/** Keeps the newest values only. */
function pushShort<T>(values: T[], value: T): void {
  values.push(value);
  if (values.length > HISTORY_SECONDS) values.shift();
}
