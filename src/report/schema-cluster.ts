import * as z from 'zod';
import { MAX_PAUSES, PAUSE_CAUSES, type PauseCause } from '../task/account.ts';

const count = z.int().min(0);
const ms = z.number().min(0);

const ofAssignment = {
  assignment: count.describe('Number of the assignment within the run.'),
  node: z.string().describe('Its worker, like `nodes/a`.'),
};

/** What only a cluster has to tell of a run. */
export const clusterSchema = z.object({
  assignments: count,
  complete: z.boolean().describe('The run is over, and every sample of every assignment is in this report.'),
  lines: z.array(z.string()).describe('The rest of this in words.'),
  unserved: count
    .default(0)
    .describe(
      'Hits of the plan that were due while no worker took them, at least: no one scheduled them. Open model only.',
    ),
  mayHaveStarted: count
    .nullable()
    .describe('Hits on top of `counts` that lost workers may have started, at most; null: there is no telling.'),
  unknown: z
    .array(
      z.object({
        ...ofAssignment,
        afterSeq: count.describe('Its last sample before the first that is missing; 0: there is none.'),
        fromMs: ms.describe('Run time at the end of that sample.'),
        untilMs: ms.nullable().describe('Run time by which it surely sent nothing more; null: not known.'),
        underWay: count.describe('Hits that had not ended then: the part of `counts.unknown` that is its own.'),
        mayHaveStarted: count.nullable().describe('Hits that it may have started since, at most; null: no telling.'),
      }),
    )
    .describe('Assignments of which not all is known.'),
  pauses: z
    .array(
      z.object({
        ...ofAssignment,
        cause: z.enum(PAUSE_CAUSES),
        second: count.describe('In which it began.'),
        durationMs: ms,
        dropped: count.describe('Hits that were due; with the cause buffer-full they are not counted.'),
      }),
    )
    .describe(`Times in which a worker sent nothing although hits were due; the first ${MAX_PAUSES}.`),
  pausedMs: z
    .object({ 'no-permit': ms, 'buffer-full': ms } satisfies Record<PauseCause, typeof ms>)
    .describe('Of all pauses, added up over the workers.'),
  givenUp: z
    .array(z.object({ ...ofAssignment, seconds: count, answers: count }))
    .describe('Latencies that were given up for want of room; the hits are counted.'),
});
