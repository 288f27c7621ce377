import { invalid } from '../../lib/errors.ts';
import { LIMITS } from '../defaults.ts';
import type { BodySpec } from '../spec.ts';
import { exactText, type ByteText } from './bytes.ts';
import { joinData } from './data.ts';
import type { CommandFiles } from './files.ts';
import { newBoundary, readFormPart, writeMultipart, type FormPart } from './form.ts';
import { eachGiven } from './given.ts';
import { firstOf, type CustomHeader } from './headers.ts';
import type { Settings } from './settings.ts';

/** What kind of request the options ask for; `get` also stands for `-G` with data, which goes into the URL. */
export type RequestKind = 'get' | 'head' | 'post' | 'form' | 'put';

export const METHODS: Readonly<Record<RequestKind, string>> = {
  get: 'GET',
  head: 'HEAD',
  post: 'POST',
  form: 'POST',
  put: 'PUT',
};

export interface Content {
  bytes: Buffer | null;
  /** The Content-Type that curl adds; null when there is none, or a `-H` has it. */
  type: ByteText | null;
}

/** @throws CodedError INVALID_INPUT when the options ask for several kinds at once, as curl does */
export function requestKind({ data, form, uploads, head, get }: Settings): RequestKind {
  const kinds: [RequestKind, string][] = [];
  if (data.length > 0 && !get) kinds.push(['post', '-d']);
  if (data.length > 0 && get && !head) kinds.push(['get', '-G with data']);
  if (form.length > 0) kinds.push(['form', '-F']);
  if (uploads.length > 0) kinds.push(['put', '-T']);
  if (head) kinds.push(['head', '-I']);
  if (kinds.length > 1) {
    const found = kinds.map(([, option]) => option).join(' and ');
    throw invalid(`expected options for one kind of request, found ${found}`);
  }
  if (uploads.length > 1) throw invalid('-T: expected one file, found several');
  return kinds[0]?.[0] ?? 'get';
}

/** Reads the body, with all its files. @throws CodedError INVALID_INPUT, all problems of the parts at once */
export function readContent(
  kind: RequestKind,
  settings: Settings,
  custom: readonly CustomHeader[],
  files: CommandFiles,
  warnings: string[],
): Content {
  const content = contentOf(kind, settings, custom, files, warnings);
  if (content.bytes !== null && content.bytes.length > LIMITS.bodyBytes) {
    throw invalid(`expected a body of at most ${LIMITS.bodyBytes} bytes, found ${content.bytes.length}`);
  }
  return content;
}

function contentOf(
  kind: RequestKind,
  settings: Settings,
  custom: readonly CustomHeader[],
  files: CommandFiles,
  warnings: string[],
): Content {
  switch (kind) {
    case 'get':
    case 'head':
      return { bytes: null, type: null };
    case 'post': {
      const bytes = joinData(settings.data, files);
      const type = firstOf(custom, 'content-type') === null ? 'application/x-www-form-urlencoded' : null;
      return { bytes, type };
    }
    case 'put':
      return { bytes: eachGiven(settings.uploads, ({ value }) => files.read(value))[0]!, type: null };
    case 'form':
      return formContent(settings, custom, files, warnings);
  }
}

/** The first Content-Type of `-H`, if any, gets the boundary. */
function formContent(
  settings: Settings,
  custom: readonly CustomHeader[],
  files: CommandFiles,
  warnings: string[],
): Content {
  const header = firstOf(custom, 'content-type');
  if (header !== null && (header.value ?? '') === '') {
    throw invalid('-H: expected a Content-Type for the form of -F, found it taken away');
  }
  const type = header?.value ?? 'multipart/form-data';
  const parts = eachGiven(settings.form, ({ shown, value, isLiteral }): FormPart => {
    return readFormPart(value, isLiteral, files, (message) => warnings.push(`${shown}: ${message}`));
  });
  const boundary = newBoundary();
  const bytes = writeMultipart(parts, {
    boundary,
    disposition: /^multipart\/form-data(?:[\t\r\n ;]|$)/i.test(type) ? 'form-data' : 'attachment',
    escapeWithBackslash: settings.formEscape,
  });
  return { bytes, type: `${type}; boundary=${boundary}` };
}

/** Text when the bytes are UTF-8, else base64. */
export function bodySpec(bytes: Buffer | null): BodySpec | null {
  if (bytes === null) return null;
  const text = exactText(bytes);
  return text === null ? { kind: 'base64', base64: bytes.toString('base64') } : { kind: 'text', text };
}
