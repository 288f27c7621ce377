import * as z from 'zod';
import { taskInput } from './input.ts';
import { invalidInput, type Problem } from './problems.ts';
import { readFields } from './read-input.ts';
import { resolveTask } from './resolve.ts';
import type { TaskSpec } from './spec.ts';

export type { TaskInput } from './input.ts';

/** The task, or every problem of the input with its place. */
export function readTask(input: unknown): TaskSpec | Problem[] {
  const problems: Problem[] = [];
  const fields = readFields(input, problems);
  const task = resolveTask(fields, (path, message) => problems.push({ path, message }));
  return problems.length === 0 ? task : problems;
}

/** The problems of the keys by themselves: for an input of which only some keys are known. */
export function checkKeys(input: unknown): Problem[] {
  const problems: Problem[] = [];
  readFields(input, problems);
  return problems;
}

/**
 * Makes a task of what a user wrote (the shape is `TaskInput`): checked, defaults put in.
 *
 * @throws CodedError INVALID_INPUT with all problems at once, e.g. `load.rte: unknown key; did you mean "rate"?`
 */
export function parseTask(input: unknown): TaskSpec {
  const result = readTask(input);
  if (Array.isArray(result)) throw invalidInput(result);
  return result;
}

/** JSON Schema (draft 2020-12) of what users write; task.schema.json is this. Rules that span keys are not in it. */
export function taskJsonSchema(): object {
  return z.toJSONSchema(taskInput, { io: 'input', target: 'draft-2020-12' });
}
