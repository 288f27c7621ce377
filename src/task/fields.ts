import * as z from 'zod';
import { formatDuration, parseDuration } from '../lib/duration.ts';
import { CodedError, invalid } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { LIMITS } from './defaults.ts';
import { unknownKey } from './problems.ts';
import type { JsonValue } from './spec.ts';

/** A map without other keys; an unknown one is reported with the nearest known. */
export function object<S extends z.core.$ZodLooseShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => unknownKey(key, known)).join('\n') : undefined,
  });
}

/** What `schema` accepts, read by a function that throws CodedError; its message is then the problem's. */
export function read<S extends z.ZodType, T>(schema: S, parse: (value: z.output<S>) => T) {
  return schema.transform((value, context) => {
    // Of what is wrong already, an unknown key say, there is nothing more to read.
    if (context.issues.length > 0) return z.NEVER;
    try {
      return parse(value);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      context.issues.push({ code: 'custom', message: error.message, input: value });
      return z.NEVER;
    }
  });
}

/** Text that a parser accepts; the text is kept, not what the parser makes of it. */
export function validText(parse: (text: string) => unknown) {
  return read(z.string().min(1), (text) => {
    parse(text);
    return text;
  });
}

const durationText = z
  .union([z.string(), z.literal(0)], {
    error: ({ input }) => {
      const hint = typeof input === 'number' ? `: a number needs a unit, e.g. "${input}s"` : '';
      return `expected a duration like "30s" or "1m30s", found ${show(input)}${hint}`;
    },
  })
  .meta({ examples: ['250ms', '30s', '1m30s'] });

/** Milliseconds, more than 0 and at most 30 days. */
export const duration = read(durationText, (text) => {
  const ms = boundedDuration(text);
  if (ms === 0) throw invalid(`expected a duration longer than 0, found ${show(text)}`);
  return ms;
});

/** Milliseconds, from 0 to 30 days. */
export const durationOrZero = read(durationText, boundedDuration);

function boundedDuration(text: string | 0): number {
  const ms = parseDuration(String(text));
  if (ms > LIMITS.durationMs) {
    throw invalid(`expected at most ${formatDuration(LIMITS.durationMs)}, found ${show(text)}`);
  }
  return ms;
}

/** A whole number within limits, both included. */
export function count(min: number, max: number): z.ZodInt {
  return z.int().min(min).max(max);
}

/** The path of a file; a PEM block or other text in its place is noticed. */
export const filePath = read(z.string(), (path) => {
  if (path === '' || /[\0\r\n]/.test(path)) throw invalid(`expected the path of a file, found ${show(path)}`);
  return path;
}).meta({ description: "Path of a file, relative to the task file's folder" });

const MAX_JSON_DEPTH = 64;

/** Any JSON value, at most 64 lists and maps deep (YAML can write endless ones). */
export const jsonValue = read(z.unknown(), (value) => {
  if (isJson(value, 0)) return value;
  throw invalid(`expected a JSON value at most ${MAX_JSON_DEPTH} levels deep, found ${show(value)}`);
});

function isJson(value: unknown, depth: number): value is JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || depth >= MAX_JSON_DEPTH) return false;
  if (Array.isArray(value)) return value.every((item) => isJson(item, depth + 1));
  return (
    Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every((item) => isJson(item, depth + 1))
  );
}
