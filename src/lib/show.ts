import { maskText } from './mask.ts';

const MAX_SHOWN = 60;

/** A value as an error message quotes it: short, on one line, secrets masked, lists and maps only named. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  return 'a map';
}

/** The same where a map or a list is expected: text in its place is only named, it may be a header and so a secret. */
export function showKind(value: unknown): string {
  return typeof value === 'string' ? 'text' : show(value);
}

function quote(text: string): string {
  const masked = maskText(text, []);
  return JSON.stringify(masked.length <= MAX_SHOWN ? masked : `${masked.slice(0, MAX_SHOWN)}…`);
}
