import { DROP_CAUSES, type Counts, type Sample } from '../task/sample.ts';
import { CLOCK_TOLERANCE_MS } from './facts.ts';
import type { AssignmentRecord } from './ports.ts';

/**
 * A sample of an assignment, without what it says to have left out after its share was lost: from then on these hits were others' to
 * make, and counting them twice would say that more was asked for than the plan. What it did start counts, whenever that was.
 *
 * @param record undefined: nothing is known of the assignment
 */
export function ofShare(sample: Sample, record: AssignmentRecord | undefined): Sample {
  if (record?.state !== 'LOST' || record.lostByMs === null) return sample;
  const lostAtMs = record.lostByMs - CLOCK_TOLERANCE_MS;
  const beginMs = sample.second * 1000;
  const endMs = beginMs + sample.durationMs;
  if (lostAtMs >= endMs || endMs === beginMs) return sample;
  const after = (endMs - Math.max(lostAtMs, beginMs)) / sample.durationMs;
  const { counts, warmup, target } = sample;
  return {
    ...sample,
    target: target * (1 - after),
    counts: withoutDrops(counts, after),
    warmup: withoutDrops(warmup, after),
  };
}

/** @param part of what was dropped, 0 to 1 */
function withoutDrops(counts: Counts, part: number): Counts {
  const dropped = { ...counts.dropped };
  let { scheduled } = counts;
  for (const cause of DROP_CAUSES) {
    const taken = Math.floor(dropped[cause] * part);
    dropped[cause] -= taken;
    scheduled -= taken;
  }
  return { ...counts, scheduled, dropped };
}
