import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import type { TaskMessage } from './messages.ts';
import { messageType, type DescField, type DescMessage } from './schema.ts';

/** A message as proto-loader gives it. */
type Fields = Record<string, unknown>;

/** What the server sets, and what is no part of what a user asks for. */
const NOT_UPDATED: ReadonlySet<string> = new Set([
  'name',
  'id',
  'etag',
  'create_time',
  'update_time',
  'active_run',
  'last_run',
  'warnings',
]);

const task = messageType('Task');

/**
 * The current task with the named fields of the change.
 *
 * @param paths e.g. `load`, `request.url`; empty: the fields that are set, each as a whole; `*`: all fields
 * @throws CodedError INVALID_INPUT naming each path that is no field
 */
export function applyMask(current: TaskMessage, change: TaskMessage, paths: readonly string[]): TaskMessage {
  const isAll = paths.includes('*');
  const named = paths.length === 0 || isAll ? topPaths(change, isAll) : paths;
  const problems: string[] = [];
  let merged = current as Fields;
  for (const path of named) {
    const fields = resolve(path);
    if (fields === null)
      problems.push(`update_mask: expected paths of fields of a task that can be changed, found ${show(path)}`);
    else merged = put(merged, change as Fields, fields);
  }
  if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
  return merged;
}

function topPaths(change: TaskMessage, isAll: boolean): string[] {
  const fields = task.fields.filter(({ name }) => !NOT_UPDATED.has(name));
  return fields.filter((field) => isAll || isSet((change as Fields)[field.localName])).map(({ name }) => name);
}

function isSet(value: unknown): boolean {
  return value != null && value !== '' && !(Array.isArray(value) && value.length === 0);
}

/** null: there is no such field, or it is not the user's. */
function resolve(path: string): DescField[] | null {
  let message: DescMessage | undefined = task;
  const fields: DescField[] = [];
  for (const step of path.split('.')) {
    const field: DescField | undefined = message?.fields.find(({ name }) => name === step);
    if (field === undefined) return null;
    fields.push(field);
    // A duration is one value.
    const inner: DescMessage | undefined = field.fieldKind === 'message' ? field.message : undefined;
    message = inner?.typeName.startsWith('gostress.') === true ? inner : undefined;
  }
  return NOT_UPDATED.has(fields[0]!.name) || fields.at(-1)!.name === 'body_size_bytes' ? null : fields;
}

/** A copy of `into` that has the field of `from`; of a oneof, what else was set goes. */
function put(into: Fields, from: Fields, [field, ...below]: readonly DescField[]): Fields {
  const key = field!.localName;
  if (below.length > 0) {
    const [old, given] = [into[key] ?? {}, from[key] ?? {}];
    return { ...into, [key]: put(old as Fields, given as Fields, below) };
  }
  const others = field!.oneof?.fields ?? [];
  const kept = Object.entries(into).filter(([name]) => !others.some(({ localName }) => localName === name));
  return { ...Object.fromEntries(kept), [key]: from[key] };
}
