import { randomBytes } from 'node:crypto';
import { invalid } from '../../lib/errors.ts';
import { bytesOf, type ByteText } from './bytes.ts';
import type { CommandFiles } from './files.ts';
import { readFields } from './form-fields.ts';

/** One part of a multipart body. */
export interface FormPart {
  /** null: without a name, as of `-F =x`. */
  name: ByteText | null;
  filename: ByteText | null;
  type: ByteText | null;
  content: Buffer;
}

export interface MultipartOptions {
  boundary: ByteText;
  /** `form-data`; `attachment` in what is not multipart/form-data. */
  disposition: 'form-data' | 'attachment';
  /** `--form-escape`: backslashes instead of percent signs. */
  escapeWithBackslash: boolean;
}

/** curl's table, by the end of the name. */
const TYPES: Readonly<Record<string, string>> = {
  '.gif': 'image/gif',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain',
  '.htm': 'text/html',
  '.html': 'text/html',
  '.pdf': 'application/pdf',
  '.xml': 'application/xml',
};

export function newBoundary(): string {
  return `${'-'.repeat(24)}${randomBytes(8).toString('hex')}`;
}

/**
 * Reads the value of `--form-string` (`isLiteral`) or of `-F`: `name=content`, `name=@file`, `name=<file`,
 * each of these with `;type=` and `;filename=`.
 *
 * @param warn hears what curl itself leaves out
 * @throws CodedError INVALID_INPUT, also for what curl can do and this cannot
 */
export function readFormPart(
  value: ByteText,
  isLiteral: boolean,
  files: CommandFiles,
  warn: (message: string) => void,
): FormPart {
  const at = value.indexOf('=');
  if (at < 0) throw invalid('expected name=content, found no "="');
  const name = at === 0 ? null : value.slice(0, at);
  const content = value.slice(at + 1);
  if (isLiteral) return { name, filename: null, type: null, content: bytesOf(content) };
  if (content.startsWith('(') || (name === null && content === ')')) {
    throw invalid(`expected name=content, found "=${content[0]!}": nested multipart bodies are not supported`);
  }
  const source = /^[@<]/.exec(content)?.[0];
  const { data, filename, type } = readFields(source === undefined ? content : content.slice(1), source === '@', warn);
  if (source === undefined) return { name, filename, type: type ?? typeOf(filename), content: bytesOf(data) };
  if (source === '<') {
    if (filename !== null) warn('curl leaves ;filename= out behind "<"');
    const guessed = typeOf(data);
    const sentType = type ?? (guessed === 'text/plain' ? null : guessed);
    return { name, filename: null, type: sentType, content: files.read(data) };
  }
  // A file.
  const sent = filename ?? data.slice(data.lastIndexOf('/') + 1);
  const guessed = typeOf(sent) ?? typeOf(data) ?? 'application/octet-stream';
  return { name, filename: sent, type: type ?? guessed, content: files.read(data) };
}

/** The body of RFC 2046 section 5.1 with the headers of RFC 7578. */
export function writeMultipart(parts: readonly FormPart[], options: MultipartOptions): Buffer {
  const chunks: Buffer[] = [];
  for (const part of parts) {
    const head = partHeaders(part, options).map((line) => `${line}\r\n`);
    chunks.push(bytesOf(`--${options.boundary}\r\n${head.join('')}\r\n`), part.content, Buffer.from('\r\n'));
  }
  return Buffer.concat([...chunks, bytesOf(`--${options.boundary}--\r\n`)]);
}

function partHeaders({ name, filename, type }: FormPart, options: MultipartOptions): ByteText[] {
  const lines: ByteText[] = [];
  const quoted = (text: ByteText): ByteText => `"${escape(text, options.escapeWithBackslash)}"`;
  if (name !== null || filename !== null || options.disposition === 'form-data') {
    const named = name === null ? '' : `; name=${quoted(name)}`;
    const filed = filename === null ? '' : `; filename=${quoted(filename)}`;
    lines.push(`Content-Disposition: ${options.disposition}${named}${filed}`);
  }
  if (type !== null) lines.push(`Content-Type: ${type}`);
  return lines;
}

/** The HTML standard's escapes ("multipart/form-data encoding algorithm"), or backslashes. */
function escape(text: ByteText, withBackslash: boolean): ByteText {
  if (withBackslash) return text.replace(/[\\"]/g, '\\$&');
  return text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function typeOf(filename: ByteText | null): string | null {
  const end = /\.[a-z]+$/i.exec(filename ?? '')?.[0].toLowerCase();
  return TYPES[end ?? ''] ?? null;
}
