import { invalid } from '../../lib/errors.ts';
import type { ConnectionsSpec, RequestSpec } from '../spec.ts';
import { bodySpec, METHODS, readContent, requestKind, type Content, type RequestKind } from './body.ts';
import { bytesOf, type ByteText } from './bytes.ts';
import { takeClientHeaders } from './client-headers.ts';
import { joinData, readUrlEncoded, urlSegment } from './data.ts';
import type { CommandFiles } from './files.ts';
import { eachGiven, Problems } from './given.ts';
import { assembleHeaders, firstOf, isNamed, readHeaderOption, type CustomHeader } from './headers.ts';
import type { Settings } from './settings.ts';
import { readCurlUrl, withoutDots, writeUrl, type CurlUrl } from './url.ts';

/** What an import sends as curl's own User-Agent. */
export const CURL_USER_AGENT = 'curl/8.14.1';
/** What a curl with all of its codecs sends for `--compressed`. */
const CURL_ACCEPT_ENCODING = 'deflate, gzip, br, zstd';

export interface BuiltRequest {
  request: RequestSpec;
  connections: Partial<ConnectionsSpec>;
}

/** Makes the request of the options; what it warns of is added to `warnings`. @throws CodedError INVALID_INPUT */
export function buildRequest(settings: Settings, files: CommandFiles, warnings: string[]): BuiltRequest {
  const problems = new Problems([]);
  const kind = problems.attempt(() => requestKind(settings)) ?? 'get';
  const custom = problems.attempt(() => customHeaders(settings, files, warnings)) ?? [];
  const target = problems.attempt(() => readTarget(settings, kind, files));
  const url = target && problems.attempt(() => writeUrl(target));
  const content = problems.attempt(() => readContent(kind, settings, custom, files, warnings));
  problems.check();
  // There was no problem, so there are all parts.
  return assemble(kind, settings, custom, target!, url!, content!, warnings);
}

function assemble(
  kind: RequestKind,
  settings: Settings,
  custom: readonly CustomHeader[],
  target: CurlUrl,
  url: string,
  content: Content,
  warnings: string[],
): BuiltRequest {
  const { headers: others, connections } = takeClientHeaders(custom, content.bytes?.length ?? null);
  // The type of a form stands with its boundary in `content`.
  const sent = kind === 'form' ? others.filter((header) => !isNamed(header, 'content-type')) : others;
  const headers = assembleHeaders(ownHeaders(kind, settings, target), sent, content.type);
  if (/[^\0-\x7f]/.test(target.query ?? '')) {
    warnings.push('the query is sent percent-encoded: curl sends its characters outside of ASCII as they are');
  }
  const method = settings.method ?? METHODS[kind];
  return { request: { method, url, headers, body: bodySpec(content.bytes) }, connections };
}

function customHeaders(settings: Settings, files: CommandFiles, warnings: string[]): CustomHeader[] {
  const custom = eachGiven(settings.headers, ({ shown, value }) =>
    readHeaderOption(value, files, (message) => warnings.push(`${shown}: ${message}`)),
  ).flat();
  if (!settings.data.some(({ kind }) => kind === 'json')) return custom;
  const value = 'application/json';
  const added = ['Content-Type', 'Accept'].filter((name) => firstOf(custom, name.toLowerCase()) === null);
  return [...custom, ...added.map((name) => ({ name, value }))];
}

/** The URL with the query of `-G` or `--url-query`, and with the file name of `-T`. */
function readTarget(settings: Settings, kind: RequestKind, files: CommandFiles): CurlUrl {
  const { urls, data, query, get } = settings;
  if (urls.length !== 1) throw invalid(`expected one URL, found ${urls.length === 0 ? 'none' : urls.length}`);
  const url = readCurlUrl(urls[0]!, settings.globoff);
  const path = settings.pathAsIs ? url.path : withoutDots(url.path);
  const isQueryData = get && data.length > 0;
  if (isQueryData && query.length > 0) throw invalid('expected -G or --url-query, found both');
  const target = { ...url, path: kind === 'put' ? uploadPath(path, settings) : path };
  if (isQueryData) return { ...target, query: appendQuery(url.query, joinData(data, files).toString('latin1')) };
  if (query.length === 0) return target;
  const parts = eachGiven(query, ({ value }) =>
    value.startsWith('+') ? value.slice(1) : readUrlEncoded(value, files),
  );
  return { ...target, query: appendQuery(url.query, parts.join('&')) };
}

/** What is added gets its percent-encoding in lower case, and ends where a fragment begins, as in curl. */
function appendQuery(query: ByteText | null, added: ByteText): ByteText | null {
  const part = added.split('#')[0]!.replace(/%[0-9a-f]{2}/gi, (encoded) => encoded.toLowerCase());
  if (/[\0-\x20\x7f]/.test(part)) {
    throw invalid('expected a query without spaces and control characters, found one; --data-urlencode encodes them');
  }
  if (query === null || query === '') return added === '' ? null : part;
  return query.endsWith('&') ? query + part : `${query}&${part}`;
}

function uploadPath(path: ByteText, { uploads }: Settings): ByteText {
  if (!path.endsWith('/')) return path;
  const file = uploads[0]!.value;
  return path + urlSegment(file.slice(file.lastIndexOf('/') + 1));
}

function ownHeaders(kind: RequestKind, settings: Settings, url: CurlUrl): [string, ByteText | null][] {
  const { agent, referer, cookies, compressed } = settings;
  return [
    ['Authorization', authorization(settings, url)],
    ['Range', rangeOf(kind, settings)],
    ['User-Agent', (agent ?? CURL_USER_AGENT) || null],
    ['Accept', '*/*'],
    ['Accept-Encoding', compressed ? CURL_ACCEPT_ENCODING : null],
    ['Referer', referer || null],
    ['Cookie', cookies.length === 0 ? null : cookies.map(({ value }) => value).join(';')],
  ];
}

/** Bearer wins over Basic, `-u` over the URL. */
function authorization({ bearer, user, basic }: Settings, url: CurlUrl): ByteText | null {
  if (bearer !== null) {
    if (basic) throw invalid('expected --basic or --oauth2-bearer, found both');
    return `Bearer ${bearer}`;
  }
  const credentials = user ?? url.user;
  return credentials === null ? null : `Basic ${bytesOf(credentials).toString('base64')}`;
}

function rangeOf(kind: RequestKind, { range }: Settings): ByteText | null {
  if (range === null) return null;
  if (kind !== 'get' && kind !== 'head') throw invalid('-r: expected a request without a body, found one with it');
  return `bytes=${range}${/^\d+$/.test(range) ? '-' : ''}`;
}
