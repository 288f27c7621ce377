import type { Writable } from 'node:stream';
import { Histogram } from '../lib/histogram.ts';
import { addStatusCodes } from '../task/merge.ts';
import type { Second } from '../report/builder.ts';
import { elapsed, isEmptyRest, perSecond, type View } from './second.ts';

const COLUMNS = [
  { title: 'time', width: 6 },
  { title: 'in flight', width: 9 },
  { title: 'ok', width: 9 },
  { title: 'failed', width: 9 },
  { title: 'rate/s', width: 10 },
  { title: 'max ms', width: 9 },
  { title: 'min ms', width: 9 },
  { title: 'avg ms', width: 9 },
  { title: 'bytes in', width: 11 },
  { title: 'bytes/s', width: 11 },
  { title: 'status codes', width: 0 },
] as const;

/**
 * The table of go-stress-testing: a row for each second, on a terminal or not. Unlike there a row has the numbers of its
 * own second; those of the whole run are in the last row.
 */
export class TableView implements View {
  readonly #out: Writable;
  readonly #total = { ok: 0, failed: 0, answered: 0, durationMs: 0, bytesIn: 0 };
  readonly #latency = new Histogram();
  readonly #statusCodes: Record<string, number> = {};
  #hasHeader = false;

  constructor(out: Writable) {
    this.#out = out;
  }

  second(second: Second): void {
    if (isEmptyRest(second)) return;
    const { sample, row, latency } = second;
    if (!this.#hasHeader) {
      this.#hasHeader = true;
      this.#out.write(`${cells(COLUMNS.map(({ title }) => title))}\n${rule()}\n`);
    }
    this.#add(sample.statusCodes, row, sample.counts.answered, latency);
    this.#line([
      elapsed(row),
      String(row.inFlight),
      String(row.ok),
      String(row.notOk),
      perSecond(sample.counts.answered, row).toFixed(2),
      ...latencies(latency),
      String(row.bytesIn),
      perSecond(row.bytesIn, row).toFixed(0),
      formatCodes(sample.statusCodes),
    ]);
  }

  note(text: string): void {
    this.#out.write(`${text}\n`);
  }

  end(): void {
    if (!this.#hasHeader) return;
    const { ok, failed, answered, bytesIn } = this.#total;
    this.#out.write(`${rule()}\n`);
    this.#line([
      'all',
      '',
      String(ok),
      String(failed),
      perSecond(answered, this.#total).toFixed(2),
      ...latencies(this.#latency),
      String(bytesIn),
      perSecond(bytesIn, this.#total).toFixed(0),
      formatCodes(this.#statusCodes),
    ]);
  }

  #add(statusCodes: Record<string, number>, row: Second['row'], answered: number, latency: Histogram): void {
    this.#total.ok += row.ok;
    this.#total.failed += row.notOk;
    this.#total.answered += answered;
    this.#total.durationMs += row.durationMs;
    this.#total.bytesIn += row.bytesIn;
    this.#latency.merge(latency);
    addStatusCodes(this.#statusCodes, statusCodes);
  }

  #line(texts: readonly string[]): void {
    this.#out.write(`${cells(texts)}\n`);
  }
}

function cells(texts: readonly string[]): string {
  return texts.map((text, i) => text.padStart(COLUMNS[i]!.width)).join('│');
}

function rule(): string {
  return COLUMNS.map(({ title, width }) => '─'.repeat(Math.max(width, title.length))).join('┼');
}

/** Highest, lowest and mean, ms; empty cells when nothing was answered. */
function latencies(latency: Histogram): string[] {
  if (latency.count === 0) return ['', '', ''];
  return [latency.maxUs, latency.minUs, latency.meanUs].map((us) => (us / 1000).toFixed(2));
}

/** `200:120;503:3` */
function formatCodes(statusCodes: Readonly<Record<string, number>>): string {
  return Object.entries(statusCodes)
    .map(([code, count]) => `${code}:${count}`)
    .join(';');
}
