import type { Second } from '../report/builder.ts';
import type { SeriesRow } from '../report/schema.ts';
import type { ErrorClass, Sample } from '../task/sample.ts';

/** Shows a run while it runs; everything on standard error. */
export interface View {
  second(second: Second): void;
  /** A sentence that stays. */
  note(text: string): void;
  /** The run has ended: nothing more is shown. */
  end(): void;
}

/** The rest of a second after a run's end in which nothing happened any more: no news. */
export function isEmptyRest({ row, sample }: Second): boolean {
  const { counts } = sample;
  return row.durationMs < 1000 && row.second > 0 && counts.scheduled + counts.ok + counts.failed + counts.aborted === 0;
}

/** Hits a second of a count in this second. */
export function perSecond(count: number, { durationMs }: Pick<SeriesRow, 'durationMs'>): number {
  return durationMs > 0 ? (count * 1000) / durationMs : 0;
}

/** Time since the start of the run at the end of this second, which may be shorter: `3s`, `3.02s`. */
export function elapsed({ second, durationMs }: SeriesRow): string {
  return `${Number((second + durationMs / 1000).toFixed(2))}s`;
}

/** `reset 12, status 3`, the most first; empty when there are none. */
export function formatErrors(errors: Sample['errors']): string {
  return (Object.entries(errors) as [ErrorClass, { count: number }][])
    .sort(([, a], [, b]) => b.count - a.count)
    .map(([errorClass, { count }]) => `${errorClass} ${count}`)
    .join(', ');
}
