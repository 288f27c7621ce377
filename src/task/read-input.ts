import type * as z from 'zod';
import { showKind } from '../lib/show.ts';
import {
  connectionsInput,
  loadInput,
  plainInput,
  redirectsInput,
  requestInput,
  taskInput,
  timeoutsInput,
  tlsInput,
} from './input.ts';
import { describeIssue, problemsOf, unknownKey, type Path, type Problem } from './problems.ts';

/**
 * One map of the input, read key by key: `values` has what was right, `given` what was there at all. So the rules that
 * span keys can speak of those that are right while others are wrong, and all problems are told at once.
 */
export interface Fields<S extends z.ZodObject> {
  values: Partial<z.output<S>>;
  given: ReadonlySet<keyof z.output<S>>;
}

export interface TaskFields {
  plain: Fields<typeof plainInput>;
  request: Fields<typeof requestInput>;
  load: Fields<typeof loadInput>;
  connections: Fields<typeof connectionsInput>;
  timeouts: Fields<typeof timeoutsInput>;
  redirects: Fields<typeof redirectsInput>;
  tls: Fields<typeof tlsInput>;
}

export type Report = (path: Path, message: string) => void;

export function readFields(input: unknown, problems: Problem[]): TaskFields {
  const top = mapOf(input, [], problems);
  // Of what is not a map at all, missing keys are no news.
  if (top === null) return readFields({}, []);
  reportUnknown(top, taskInput, [], problems);
  const section = <S extends z.ZodObject>(schema: S, key: string): Fields<S> => {
    const value = top[key] === undefined ? {} : mapOf(top[key], [key], problems);
    if (value === null) return readMap({}, schema, [key], []);
    reportUnknown(value, schema, [key], problems);
    return readMap(value, schema, [key], problems);
  };
  return {
    plain: readMap(top, plainInput, [], problems),
    request: section(requestInput, 'request'),
    load: section(loadInput, 'load'),
    connections: section(connectionsInput, 'connections'),
    timeouts: section(timeoutsInput, 'timeouts'),
    redirects: section(redirectsInput, 'redirects'),
    tls: section(tlsInput, 'tls'),
  };
}

/** null, and a problem, when it is not a map. */
function mapOf(value: unknown, path: Path, problems: Problem[]): Record<string, unknown> | null {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  const what = path.length === 0 ? 'a task (a map with the key "request")' : 'a map';
  problems.push({ path, message: `expected ${what}, found ${showKind(value)}` });
  return null;
}

function reportUnknown(map: Record<string, unknown>, schema: z.ZodObject, path: Path, problems: Problem[]): void {
  const known = Object.keys(schema.shape);
  for (const key of Object.keys(map)) {
    if (!known.includes(key)) problems.push({ path: [...path, key], message: unknownKey(key, known) });
  }
}

function readMap<S extends z.ZodObject>(
  map: Record<string, unknown>,
  schema: S,
  path: Path,
  problems: Problem[],
): Fields<S> {
  const values: Record<string, unknown> = {};
  const given = new Set<string>();
  for (const [key, field] of Object.entries(schema.shape)) {
    const value = map[key];
    if (value !== undefined) given.add(key);
    const result = (field as z.ZodType).safeParse(value, { error: describeIssue });
    if (!result.success) problems.push(...problemsOf(result.error.issues, [...path, key]));
    else if (result.data !== undefined) values[key] = result.data;
  }
  return { values: values as Partial<z.output<S>>, given };
}
