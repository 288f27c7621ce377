import type { Writable } from 'node:stream';
import { formatCount, formatMs, formatRate, plural } from '../lib/format.ts';
import type { TaskSpec } from '../task/spec.ts';
import type { Second } from '../report/builder.ts';
import { elapsed, formatErrors, isEmptyRest, perSecond, type View } from './second.ts';

/** For standard error that is no terminal: one plain line for each second, with the numbers of that second. */
export class LineView implements View {
  readonly #out: Writable;
  readonly #isOpen: boolean;

  constructor(out: Writable, task: TaskSpec) {
    this.#out = out;
    this.#isOpen = task.load.model === 'open';
  }

  second(second: Second): void {
    if (!isEmptyRest(second)) this.#out.write(`${formatLine(second, this.#isOpen)}\n`);
  }

  note(text: string): void {
    this.#out.write(`${text}\n`);
  }

  end(): void {
    // Every line is complete.
  }
}

export function formatLine({ sample, row, verdict }: Second, isOpen: boolean): string {
  const sent = formatRate(perSecond(row.started, row));
  const parts = [
    elapsed(row),
    isOpen ? `asked ${formatRate(row.target)}, sent ${sent}` : `${plural(usersOf(row), 'user')}, sent ${sent}`,
    `in flight ${formatCount(row.inFlight)}`,
  ];
  if (isOpen) parts.push(`response ${formatPair(row.responseP50Ms, row.responseP99Ms)}`);
  parts.push(`service ${formatPair(row.serviceP50Ms, row.serviceP99Ms)}`);
  const errors = formatErrors(sample.errors);
  parts.push(`failed ${formatCount(row.notOk)}${errors === '' ? '' : ` (${errors})`}`);
  if (isOpen) parts.push(`dropped ${formatCount(row.dropped)}`);
  if (row.queued > 0) parts.push(`queued ${formatCount(row.queued)}`);
  if (verdict.verdict !== 'VALID') parts.push(`so far ${verdict.verdict}: ${verdict.reasons[0]!.code}`);
  return parts.join(' | ');
}

/** At the end of a run they have gone: then those that were asked for. */
function usersOf({ users, target }: Second['row']): number {
  return Math.max(users, Math.round(target));
}

/** `p50 1.2 ms p99 3.4 ms`; a dash when nothing was answered. */
export function formatPair(p50Ms: number | null, p99Ms: number | null): string {
  return p50Ms === null || p99Ms === null ? 'p50 – p99 –' : `p50 ${formatMs(p50Ms)} p99 ${formatMs(p99Ms)}`;
}
