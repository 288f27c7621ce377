import { CodedError } from '../lib/errors.ts';
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
  const { spec, problems } = readTaskFile(text, source);
  if (spec === null) throw new CodedError('INVALID_INPUT', problems);
  return spec;
}

export interface TaskFile {
  /** null: there are problems. */
  spec: TaskSpec | null;
  /** In the order of the file. */
  problems: string[];
  /** What the file says, right or wrong. */
  value: unknown;
  /** What the line of a problem with a key begins with: `task.yaml:12:5 tls.ca`. */
  placeOf: (key: string) => string;
}

/** The same, with the places of its keys. @throws CodedError INVALID_INPUT when it is no YAML */
export function readTaskFile(text: string, source: string): TaskFile {
  const { value, offsetOf, place } = readYaml(text, source);
  const placeOf = (key: string): string => `${place(offsetOf(key.match(/[^.[\]]+/g) ?? []))} ${key}`;
  const result = readTask(value);
  if (!Array.isArray(result)) return { spec: result, problems: [], value, placeOf };
  const offsets = new Map(result.map(({ path }) => [path, offsetOf(path)]));
  result.sort((a, b) => offsets.get(a.path)! - offsets.get(b.path)!);
  const { problems } = invalidInput(result, (path) => place(offsets.get(path)!));
  return { spec: null, problems: [...problems], value, placeOf };
}
