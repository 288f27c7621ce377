import { formatCount, formatShare } from '../lib/format.ts';
import type { Counts } from '../task/sample.ts';
import { droppedOf } from './accounting.ts';
import type { Report } from './schema.ts';
import { formatTable, type Block } from './table.ts';

/** Hits after the warm-up by what became of them, the warm-up beside them when there was one. */
export function requestsBlock({ counts, warmup, drops, plan }: Report): Block {
  const hasWarmup = warmup.scheduled > 0;
  const scheduled = counts.scheduled - warmup.scheduled;
  const rows = KINDS.filter(({ always, of }) => always.includes(plan.model) || of(counts) > 0).map(({ name, of }) => {
    const measured = of(counts) - of(warmup);
    const share = scheduled > 0 ? formatShare(measured / scheduled) : '–';
    return [name, formatCount(measured), share, ...(hasWarmup ? [formatCount(of(warmup))] : [])];
  });
  const header = hasWarmup ? [['', 'measured', '', 'warm-up']] : [];
  const lines = formatTable([...header, ...rows], ['left', 'right', 'right', 'right']);
  const note = hasWarmup ? ['the warm-up is counted, but not in percentiles and SLOs'] : [];
  return { title: 'Requests', lines: [...lines, ...note, ...drops.hints] };
}

interface Kind {
  name: string;
  of: (counts: Counts) => number;
  /** Models in which it is told even when it is 0. */
  always: readonly Report['plan']['model'][];
}

const BOTH = ['open', 'closed'] as const;

const KINDS: readonly Kind[] = [
  { name: 'scheduled', of: (counts) => counts.scheduled, always: BOTH },
  { name: 'started', of: (counts) => counts.started, always: BOTH },
  { name: 'ok', of: (counts) => counts.ok, always: BOTH },
  { name: 'failed, answered', of: (counts) => counts.answered - counts.ok, always: BOTH },
  { name: 'failed, no answer', of: (counts) => counts.ok + counts.failed - counts.answered, always: BOTH },
  { name: 'not sent', of: (counts) => counts.unwritten, always: [] },
  { name: 'aborted', of: (counts) => counts.aborted, always: [] },
  { name: 'unknown', of: (counts) => counts.unknown, always: [] },
  { name: 'dropped', of: droppedOf, always: ['open'] },
  { name: 'cancelled', of: (counts) => counts.cancelled, always: [] },
];
