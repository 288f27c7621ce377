import { invalid } from '../../lib/errors.ts';
import { show } from '../../lib/show.ts';
import { LIMITS } from '../defaults.ts';
import { isToken, readHeaderName, readHeaderValue } from '../http.ts';
import type { HeaderSpec } from '../spec.ts';
import { readable, type ByteText } from './bytes.ts';
import type { CommandFiles } from './files.ts';

/** What one `-H` says. */
export interface CustomHeader {
  name: string;
  /** null: the header that curl would send by itself is left out. */
  value: ByteText | null;
}

/**
 * The headers of one `-H`: `Name: value`; `Name:` takes one away; `Name;` sends it empty; `@file` has one on each
 * line. A value's bytes become the characters U+0000 to U+00FF.
 *
 * @param warn hears of what curl would silently leave out
 * @throws CodedError INVALID_INPUT, which never quotes a value
 */
export function readHeaderOption(
  value: ByteText,
  files: CommandFiles,
  warn: (message: string) => void,
): CustomHeader[] {
  const lines = value.startsWith('@') ? fileLines(files.read(value.slice(1))) : [value];
  return lines.map((line) => readHeaderLine(line, warn)).filter((header) => header !== null);
}

function fileLines(content: Buffer): ByteText[] {
  const lines = content.toString('latin1').split('\n');
  return lines.map((line) => line.replace(/[\r]+$/, '')).filter((line) => line !== '' && !line.startsWith('#'));
}

function readHeaderLine(line: ByteText, warn: (message: string) => void): CustomHeader | null {
  const [, name, separator, rest] = /^([^:;]*)([:;])([^]*)$/.exec(line) ?? [];
  if (name === undefined) {
    // Without its name, which may be a value by mistake.
    warn('curl leaves a header without ":" out');
    return null;
  }
  if (!isToken(name)) {
    throw invalid(`expected a header like "Name: value", found the name ${show(readable(name))}`);
  }
  const value = trim(rest!);
  if (separator === ';' && value !== '') throw invalid(`expected nothing after "${name};", found a value`);
  // `Name;` sends it empty; with white space behind, curl takes it as `Name:`.
  if (value === '' && (separator === ':' || rest !== '')) return { name, value: null };
  return { name, value: readHeaderValue(value) };
}

/** White space around a value does not belong to it (RFC 9110 section 5.5). */
function trim(text: ByteText): ByteText {
  return text.replace(/^[ \t-\r]+|[ \t]+$/g, '');
}

/** The first of this name: the one that counts for curl's own header. */
export function firstOf(headers: readonly CustomHeader[], name: string): CustomHeader | null {
  return headers.find((header) => isNamed(header, name)) ?? null;
}

export function isNamed({ name }: CustomHeader, lowerCaseName: string): boolean {
  return name.toLowerCase() === lowerCaseName;
}

/**
 * The headers in curl's order: those of its own, each only when no `-H` has its name, then those of `-H`, then the
 * body's type.
 *
 * @param own curl's own headers in its order; null is one that is not sent
 * @throws CodedError INVALID_INPUT for one that the client has to set
 */
export function assembleHeaders(
  own: readonly (readonly [name: string, value: ByteText | null])[],
  custom: readonly CustomHeader[],
  contentType: ByteText | null,
): HeaderSpec[] {
  const headers: HeaderSpec[] = [];
  const host = firstOf(custom, 'host');
  if (host !== null) headers.push(readHost(host));
  const add = (name: string, value: ByteText | null): void => {
    if (value !== null) headers.push({ name: readHeaderName(name), value: readHeaderValue(trim(value)) });
  };
  for (const [name, value] of own) if (firstOf(custom, name.toLowerCase()) === null) add(name, value);
  for (const header of custom) if (!isNamed(header, 'host')) add(header.name, header.value);
  add('Content-Type', contentType);
  if (headers.length > LIMITS.headers) {
    throw invalid(`expected at most ${LIMITS.headers} headers, found ${headers.length}`);
  }
  return headers;
}

function readHost({ name, value }: CustomHeader): HeaderSpec {
  if (value === null || value === '')
    throw invalid('-H: expected a Host, which HTTP/1.1 requires, found it taken away');
  return { name, value };
}
