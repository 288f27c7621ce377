import { invalid } from '../../lib/errors.ts';
import { LIMITS } from '../defaults.ts';
import { readMethod } from '../http.ts';
import type { Argument } from './arguments.ts';
import { readable, type ByteText } from './bytes.ts';
import type { DataPiece } from './data.ts';
import type { Given } from './given.ts';

/** What the options of a command say, before any of it is read further; of an option that may stand once, its last. */
export interface Settings {
  urls: ByteText[];
  /** `-X`; null: what the other options imply. */
  method: string | null;
  headers: Given[];
  data: DataPiece[];
  form: (Given & { isLiteral: boolean })[];
  formEscape: boolean;
  uploads: Given[];
  /** `--url-query`. */
  query: Given[];
  cookies: Given[];
  /** `user:password`. */
  user: ByteText | null;
  bearer: ByteText | null;
  /** null: curl's own. */
  agent: ByteText | null;
  referer: ByteText;
  /** `;auto`: after a redirect, the URL before. */
  autoReferer: boolean;
  range: ByteText | null;
  compressed: boolean;
  get: boolean;
  head: boolean;
  basic: boolean;
  globoff: boolean;
  pathAsIs: boolean;
  location: boolean;
  maxRedirects: number;
  insecure: boolean;
  caFile: ByteText | null;
  certFile: ByteText | null;
  keyFile: ByteText | null;
  connectMs: number | null;
  totalMs: number | null;
}

/** curl's own limit of redirects. */
const MAX_REDIRECTS = 50;

export function noSettings(): Settings {
  return {
    ...{ urls: [], method: null, headers: [], data: [], form: [], formEscape: false, uploads: [], query: [] },
    ...{
      cookies: [],
      user: null,
      bearer: null,
      agent: null,
      referer: '',
      autoReferer: false,
      range: null,
      compressed: false,
    },
    ...{ get: false, head: false, basic: false, globoff: false, pathAsIs: false },
    ...{ location: false, maxRedirects: MAX_REDIRECTS, insecure: false, caFile: null, certFile: null, keyFile: null },
    ...{ connectMs: null, totalMs: null },
  };
}

type Apply = (settings: Settings, argument: Argument) => void;

const data: Apply = ({ data: pieces }, { name, shown, value }) => {
  pieces.push({ kind: name === 'data-ascii' ? 'data' : (name as DataPiece['kind']), shown, value });
};

const APPLY: Readonly<Record<string, Apply>> = {
  url: (settings, { value }) => settings.urls.push(value),
  request: (settings, { value }) => (settings.method = readMethod(readable(value))),
  header: (settings, argument) => settings.headers.push(argument),
  data,
  'data-ascii': data,
  'data-raw': data,
  'data-binary': data,
  'data-urlencode': data,
  json: data,
  form: ({ form }, { shown, value }) => form.push({ shown, value, isLiteral: false }),
  'form-string': ({ form }, { shown, value }) => form.push({ shown, value, isLiteral: true }),
  'form-escape': (settings, { on }) => (settings.formEscape = on),
  'upload-file': (settings, argument) => settings.uploads.push(argument),
  'url-query': (settings, argument) => settings.query.push(argument),
  cookie: (settings, argument) => addCookie(settings, argument),
  user: (settings, { value }) => {
    if (!value.includes(':')) throw invalid('expected user:password, found no ":" (curl would ask for the password)');
    settings.user = value;
  },
  basic: (settings, { on }) => (settings.basic = on),
  'oauth2-bearer': (settings, { value }) => (settings.bearer = value),
  'user-agent': (settings, { value }) => (settings.agent = value),
  // `;auto` asks for the redirecting URL in the requests that follow a redirect.
  referer: (settings, { value }) => {
    settings.referer = value.split(';auto')[0]!;
    settings.autoReferer = value.includes(';auto');
  },
  range: (settings, { value }) => (settings.range = value),
  compressed: (settings, { on }) => (settings.compressed = on),
  get: (settings, { on }) => (settings.get = on),
  head: (settings, { on }) => (settings.head = on),
  globoff: (settings, { on }) => (settings.globoff = on),
  'path-as-is': (settings, { on }) => (settings.pathAsIs = on),
  location: (settings, { on }) => (settings.location = on),
  'max-redirs': (settings, { value }) => (settings.maxRedirects = readRedirects(readable(value))),
  insecure: (settings, { on }) => (settings.insecure = on),
  cacert: (settings, { value }) => (settings.caFile = value),
  cert: (settings, { value }) => (settings.certFile = readCertificate(value)),
  key: (settings, { value }) => (settings.keyFile = value),
  'cert-type': (_, { value }) => requirePem(value),
  'key-type': (_, { value }) => requirePem(value),
  'connect-timeout': (settings, { value }) => (settings.connectMs = readSeconds(readable(value))),
  'max-time': (settings, { value }) => (settings.totalMs = readSeconds(readable(value))),
  proxy: (_, { value }) => {
    if (value !== '') throw invalid('proxies are not supported: GoStress connects to the target itself');
  },
};

/** @throws CodedError INVALID_INPUT; the option's name is the caller's to add */
export function applyArgument(settings: Settings, argument: Argument): void {
  APPLY[argument.name]!(settings, argument);
}

function addCookie({ cookies }: Settings, argument: Argument): void {
  // An empty name of a file only turns curl's cookie engine on.
  if (argument.value === '') return;
  if (!argument.value.includes('=')) {
    throw invalid('expected cookies like "name=value; other=value", found none: files of cookies are not supported');
  }
  cookies.push(argument);
}

function readRedirects(text: string): number {
  const max = Number(text);
  if (!/^\d+$/.test(text) || max > LIMITS.redirects) {
    throw invalid(`expected a whole number from 0 to ${LIMITS.redirects}, found another value`);
  }
  return max;
}

/** Milliseconds; null for 0, which is no limit in curl. */
function readSeconds(text: string): number | null {
  const ms = Math.trunc(Number(text) * 1000);
  if (!/^(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) || ms > LIMITS.durationMs) {
    throw invalid(`expected seconds like 10 or 0.5, at most ${LIMITS.durationMs / 1000}, found another value`);
  }
  return ms === 0 ? null : ms;
}

/** The file of `file[:password]`, in which `\:` and `\\` are the characters themselves. */
function readCertificate(value: ByteText): ByteText {
  if (/^pkcs11:/i.test(value)) throw invalid('expected a PEM file, found a PKCS #11 URI');
  const file = /^(?:\\[:\\]|[^:])*/.exec(value)![0];
  if (file.length < value.length) {
    throw invalid('expected a file without a password, found ":": keys with a password are not supported');
  }
  return file.replace(/\\([:\\])/g, '$1');
}

function requirePem(value: ByteText): void {
  if (value.toUpperCase() !== 'PEM') throw invalid('expected PEM, found another type');
}
