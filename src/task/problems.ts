import type * as z from 'zod';
import { CodedError } from '../lib/errors.ts';
import { show, showKind } from '../lib/show.ts';
import { nearest } from '../lib/suggest.ts';

/** Keys and indices from the top of the input to the value. */
export type Path = readonly (string | number)[];

export interface Problem {
  path: Path;
  message: string;
}

/** More than these are not told one by one. */
const MAX_PROBLEMS = 50;

/** `load.stages[1].duration` */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    // What is no plain key may be a header with its value.
    else if (!/^[\w-]{1,60}$/.test(step)) text += `[${/^[\w.-]+$/.test(step) ? show(step) : '…'}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** @param where gives what a problem's line begins with besides its path, e.g. the file and line */
export function invalidInput(problems: readonly Problem[], where?: (path: Path) => string): CodedError {
  const lines = problems.slice(0, MAX_PROBLEMS).map(({ path, message }) => {
    const start = [where?.(path), formatPath(path)].filter((part) => part !== undefined && part !== '').join(' ');
    return start === '' ? message : `${start}: ${message}`;
  });
  if (problems.length > MAX_PROBLEMS) lines.push(`and ${problems.length - MAX_PROBLEMS} more problems`);
  return new CodedError('INVALID_INPUT', lines);
}

export function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  return meant === null
    ? `unknown key; expected one of ${known.join(', ')}`
    : `unknown key; did you mean ${JSON.stringify(meant)}?`;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

/** The message of a problem that zod found, where the schema itself has no better one. */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  const found = show(issue.input);
  switch (issue.code) {
    case 'invalid_type': {
      if (['object', 'record', 'array'].includes(issue.expected)) {
        return `expected ${TYPE_NAMES[issue.expected]!}, found ${showKind(issue.input)}`;
      }
      const quotes = issue.expected === 'string' && /^(number|boolean)$/.test(typeof issue.input);
      return `expected ${TYPE_NAMES[issue.expected] ?? issue.expected}, found ${found}${quotes ? '; put it in quotes' : ''}`;
    }
    case 'invalid_value': {
      const meant = typeof issue.input === 'string' ? nearest(issue.input, issue.values.map(String)) : null;
      const hint = meant === null ? '' : `; did you mean ${JSON.stringify(meant)}?`;
      return `expected ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}, found ${found}${hint}`;
    }
    case 'too_small':
      return `expected at least ${issue.minimum}${sizeUnit(issue.origin)}, found ${sizeOf(issue.input)}`;
    case 'too_big':
      return `expected at most ${issue.maximum}${sizeUnit(issue.origin)}, found ${sizeOf(issue.input)}`;
    default:
      return undefined;
  }
}

function sizeUnit(origin: string): string {
  if (origin === 'array') return ' items';
  return origin === 'string' ? ' characters' : '';
}

function sizeOf(value: unknown): string {
  return Array.isArray(value) || (typeof value === 'string' && value.length > 0) ? String(value.length) : show(value);
}

/** Flattens what zod found into one problem each. `at` is the path of the value that was parsed. */
export function problemsOf(issues: readonly z.core.$ZodIssue[], at: Path): Problem[] {
  return issues.flatMap((issue) => {
    const path = [...at, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))];
    if (issue.code === 'unrecognized_keys') {
      // `object` of fields.ts writes one line per key.
      const lines = issue.message.split('\n');
      return issue.keys.map((key, i) => ({ path: [...path, key], message: lines[i] ?? 'unknown key' }));
    }
    if (issue.code === 'invalid_key') return problemsOf(issue.issues, path);
    // The form that was meant is the one that has the right type at its top.
    const meant = issue.code === 'invalid_union' ? issue.errors.find((form) => !isTypeAtTop(form)) : undefined;
    return meant === undefined ? [{ path, message: issue.message }] : problemsOf(meant, path);
  });
}

function isTypeAtTop(issues: readonly z.core.$ZodIssue[]): boolean {
  return issues.some((issue) => issue.path.length === 0 && ['invalid_type', 'invalid_value'].includes(issue.code));
}
