import * as z from 'zod';
import type { Wanted } from '../stress/ports.ts';
import type { Plan } from '../task/plan.ts';
import { describeIssue, invalidInput, problemsOf } from '../task/problems.ts';
import { parseJson } from './json.ts';

/** What the master has made of a run, as JSON in its row: a person may have written there too, so that nothing is believed unread. */

const atLeast0 = z.number().min(0);

const appliedShape = z.object({
  state: z.enum(['RUNNING', 'PAUSED', 'STOPPED']),
  target: atLeast0.nullable(),
  rampMs: atLeast0,
  stages: z
    .array(z.object({ durationMs: atLeast0.nullable(), target: atLeast0, shape: z.enum(['constant', 'ramp']) }))
    .min(1)
    .nullable(),
  version: z.int(),
});

const planShape = z.object({
  model: z.enum(['open', 'closed']),
  segments: z.array(z.object({ startMs: atLeast0, endMs: atLeast0.nullable(), from: atLeast0, to: atLeast0 })).min(1),
});

/** @throws CodedError INVALID_INPUT with all problems */
export function parseApplied(text: string): Wanted {
  return read(appliedShape, text);
}

/** @throws CodedError INVALID_INPUT with all problems */
export function parsePlan(text: string): Plan {
  const { model, segments } = read(planShape, text);
  return { model, segments: segments.map((s) => ({ ...s, endMs: s.endMs ?? Infinity })) };
}

/** JSON knows no Infinity: `endMs` null is it. */
export function formatPlan({ model, segments }: Plan): string {
  return JSON.stringify({
    model,
    segments: segments.map((s) => ({ ...s, endMs: s.endMs === Infinity ? null : s.endMs })),
  });
}

function read<T>(shape: z.ZodType<T>, text: string): T {
  const result = shape.safeParse(parseJson(text), { error: describeIssue });
  if (result.success) return result.data;
  throw invalidInput(problemsOf(result.error.issues, []));
}
