import * as z from 'zod';
import { DEFAULT_PLACEMENT, type Placement } from '../stress/ports.ts';
import { object } from '../task/fields.ts';
import { describeIssue, invalidInput, problemsOf } from '../task/problems.ts';
import { parseJson } from './json.ts';

const MAX_LENGTH = 255;
const short = z.string().max(MAX_LENGTH);

/** As `Placement`, each key optional. */
const placementInput = object({
  strategy: short.min(1).optional(),
  labels: z.record(short, short).optional(),
  maxNodes: z.int().min(1).nullable().optional(),
  moving: z.enum(['strict', 'fast']).optional(),
});

/**
 * @param text JSON; null: the defaults
 * @throws CodedError INVALID_INPUT with all problems
 */
export function parsePlacement(text: string | null): Placement {
  if (text === null) return DEFAULT_PLACEMENT;
  const result = placementInput.safeParse(parseJson(text), { error: describeIssue });
  if (!result.success) throw invalidInput(problemsOf(result.error.issues, []));
  const { strategy, labels, maxNodes, moving } = result.data;
  return {
    strategy: strategy ?? DEFAULT_PLACEMENT.strategy,
    labels: labels ?? DEFAULT_PLACEMENT.labels,
    maxNodes: maxNodes ?? DEFAULT_PLACEMENT.maxNodes,
    moving: moving ?? DEFAULT_PLACEMENT.moving,
  };
}
