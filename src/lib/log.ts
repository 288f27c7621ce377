import { pino } from 'pino';

/** What a line may carry beside its text: node, role, term, task, run, assignment, and more. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured log; `child` adds fields to all its lines. */
export interface Log {
  debug(fields: LogFields, text: string): void;
  info(fields: LogFields, text: string): void;
  warn(fields: LogFields, text: string): void;
  error(fields: LogFields, text: string): void;
  child(fields: LogFields): Log;
}

/** Says nothing. */
export const SILENT: Log = pino({ enabled: false });
