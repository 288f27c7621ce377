import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import type { TaskInput } from '../task/schema.ts';

type CheckInput = NonNullable<TaskInput['checks']>[0];

const EXAMPLES =
  '"status=200,301-399", "contains=TEXT", "matches=REGEX", "json=$.code==200", "size<=10KB" or "latency<200ms"';

/**
 * Reads the value of `--check` into a check as task files write it; the parts are checked there.
 *
 * - `status=200,301-399`
 * - `contains=TEXT`, `matches=REGEX`: all that follows the first `=`
 * - `json=PATH==VALUE`: VALUE is JSON, or else text; the first `==` outside of quotes and brackets divides
 * - `size<=10KB`
 * - `latency<200ms` (`<=` is the same: a latency is never exactly the limit)
 *
 * @throws CodedError USAGE when it is none of these
 */
export function readCheckFlag(text: string): CheckInput {
  const [, kind, operator, value = ''] = /^\s*([a-z]+)\s*(<=|<|=)([^]*)$/i.exec(text) ?? [];
  switch (`${kind ?? ''}${operator ?? ''}`) {
    case 'status=':
      return { status: value.split(',').map((item) => item.trim()) };
    case 'contains=':
      return { bodyContains: value };
    case 'matches=':
      return { bodyMatches: value };
    case 'json=':
      return { jsonPath: readJsonCheck(value, text) };
    case 'size<=':
      return { maxSize: value.trim() };
    case 'latency<':
    case 'latency<=':
      return { maxLatency: value.trim() };
    default:
      throw new CodedError('USAGE', `expected a check like ${EXAMPLES}, found ${show(text)}`);
  }
}

function readJsonCheck(value: string, text: string): { path: string; equals: unknown } {
  const at = endOfPath(value);
  const path = value.slice(0, at).trim();
  if (at === -1 || path === '') {
    throw new CodedError('USAGE', `expected a JSONPath and a value like "json=$.code==200", found ${show(text)}`);
  }
  return { path, equals: jsonOrText(value.slice(at + '=='.length).trim()) };
}

/** Where the path's `==` is: the first one outside of brackets and quotes, which may hold a filter; -1: nowhere. */
function endOfPath(value: string): number {
  let depth = 0;
  let quote = '';
  for (let i = 0; i < value.length; i++) {
    const character = value[i]!;
    if (quote !== '') {
      if (character === '\\') i++;
      else if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '[') depth++;
    else if (character === ']') depth--;
    else if (depth === 0 && value.startsWith('==', i)) return i;
  }
  return -1;
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
