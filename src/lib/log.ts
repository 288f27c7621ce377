import { pino } from 'pino';
import { maskText } from './mask.ts';

/** What a line may carry beside its text: node, role, term, task, run, assignment, and more. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured log; `child` adds fields to all its lines, those of a function as they are when a line is said. */
export interface Log {
  debug(fields: LogFields, text: string): void;
  info(fields: LogFields, text: string): void;
  warn(fields: LogFields, text: string): void;
  error(fields: LogFields, text: string): void;
  child(fields: LogFields | (() => LogFields)): Log;
}

/** Says nothing. */
export const SILENT: Log = pino({ enabled: false });

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  /** Less severe lines are left out. */
  level: LogLevel;
  /** `json`: one object a line (pino's); `text`: one line for people's eyes. */
  format: 'json' | 'text';
  /** Takes whole lines. What it throws ends the process: a stream's errors must be heard by someone. */
  out: { write(line: string): unknown };
  /** Hidden wherever they turn up in a text or field, also percent-encoded as in URLs. */
  secrets: readonly string[];
  fields: LogFields;
}

/** Fields deeper than this, and longer lists, are cut. */
const MAX_DEPTH = 4;
const MAX_ITEMS = 100;

/**
 * A log whose lines carry the fields of the call over those of its ancestors. Credentials in URLs, private keys and the
 * given secrets never get into a line; an Error becomes its type, message and stack.
 */
export function createLog({ level, format, out, secrets, fields }: LogOptions): Log {
  const hidden = [...new Set(secrets.flatMap((secret) => [secret, encodeURIComponent(secret)]))];
  const masked = (text: string): string => maskText(text, hidden);
  const writer = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // `plain` has done it: pino's own would take what is no Error any more for one.
      serializers: { err: (value: unknown) => value },
    },
    format === 'json' ? out : { write: (line: string) => out.write(formatLine(line)) },
  );
  const of = (inherited: () => LogFields): Log => {
    const line = (severity: LogLevel) => (given: LogFields, text: string) => {
      if (!writer.isLevelEnabled(severity)) return;
      writer[severity](plain({ ...inherited(), ...given }, masked, 0) as object, masked(text));
    };
    return {
      debug: line('debug'),
      info: line('info'),
      warn: line('warn'),
      error: line('error'),
      child: (more) => of(() => ({ ...inherited(), ...(typeof more === 'function' ? more() : more) })),
    };
  };
  return of(() => fields);
}

/** The value as JSON has it, every text in it masked. */
function plain(value: unknown, masked: (text: string) => string, depth: number): unknown {
  if (typeof value === 'string') return masked(value);
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Error) {
    const { name, message, stack = '' } = value;
    return { type: name, message: masked(message), stack: masked(stack) };
  }
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => plain(item, masked, depth + 1));
  const entries = Object.entries(value).slice(0, MAX_ITEMS);
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(item, masked, depth + 1)]));
}

/** `09:06:56.123 INFO  connected to the master (node=a term=3)`; the stack of an error on lines of its own. */
function formatLine(json: string): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as { level: string; time: string; msg: string };
  let stack = '';
  const parts = Object.entries(fields as LogFields).map(([key, value]) => {
    if (isError(value)) stack = `\n${value.stack}`;
    return `${key}=${fieldText(isError(value) ? value.message : value)}`;
  });
  const shown = parts.length === 0 ? '' : ` (${parts.join(' ')})`;
  return `${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${oneLine(msg)}${shown}${stack}\n`;
}

function isError(value: unknown): value is { message: string; stack: string } {
  return typeof value === 'object' && value !== null && 'stack' in value && 'message' in value;
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, ' ');
}
