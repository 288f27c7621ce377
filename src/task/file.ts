import { invalidInput } from './problems.ts';
import { readTask } from './schema.ts';
import type { TaskSpec } from './spec.ts';
import { readYaml } from './yaml.ts';

/**
 * Reads a task file: YAML 1.2, and so JSON too.
 *
 * @param source names the file in problems: `task.yaml:12:5 load.rate: expected …` (line and column of the key)
 * @throws CodedError INVALID_INPUT with all problems at once; those of the syntax come alone
 */
export function parseTaskFile(text: string, source: string): TaskSpec {
  const { value, offsetOf, place } = readYaml(text, source);
  const result = readTask(value);
  if (!Array.isArray(result)) return result;
  const offsets = new Map(result.map(({ path }) => [path, offsetOf(path)]));
  result.sort((a, b) => offsets.get(a.path)! - offsets.get(b.path)!);
  throw invalidInput(result, (path) => place(offsets.get(path)!));
}
