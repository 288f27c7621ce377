import { isIPv6 } from 'node:net';
import { invalid } from '../../lib/errors.ts';
import { maskUrl } from '../../lib/mask.ts';
import { show } from '../../lib/show.ts';
import { readUrl } from '../http.ts';
import { percentEncode, readable, type ByteText } from './bytes.ts';

/** The parts of a URL as curl reads it. */
export interface CurlUrl {
  scheme: 'http' | 'https';
  /** `user:password`, decoded; null when the URL has no `@`. */
  user: ByteText | null;
  /** With the port, if the URL has one. */
  host: string;
  /** Begins with `/`. */
  path: ByteText;
  /** Without `?`; null when there is none. */
  query: ByteText | null;
}

/** Hosts whose name makes curl guess another protocol when the URL has none. */
const GUESSED = /^(ftp|dict|ldap|imap|smtp|pop3)\./i;
const NON_ASCII = /[\x80-\xff]/g;

/**
 * Reads a URL as curl does: `http:` when there is no scheme, one to three slashes behind it, the fragment left out.
 *
 * @param globoff `-g`; without it, brackets and braces are patterns: those that stand for several URLs are refused
 * @throws CodedError INVALID_INPUT
 */
export function readCurlUrl(text: ByteText, globoff: boolean): CurlUrl {
  const url = globoff ? text : unglob(text);
  // curl's own limits of what a URL may contain.
  if (/[\0-\x20\x7f]/.test(url)) {
    throw invalid(`expected a URL without spaces and control characters, found ${showUrl(text)}`);
  }
  const [, scheme, slashes, rest] = /^(?:([a-z][a-z0-9+.-]*):(?=\/))?(\/*)(.*)$/i.exec(url)!;
  const protocol = scheme?.toLowerCase() ?? GUESSED.exec(rest!)?.[1]!.toLowerCase() ?? 'http';
  if (protocol !== 'http' && protocol !== 'https') {
    throw invalid(`expected an http: or https: URL, found ${protocol}: in ${showUrl(text)}`);
  }
  if (scheme === undefined ? slashes !== '' : slashes!.length > 3) {
    throw invalid(`expected a URL like http://host/path, found ${showUrl(text)}`);
  }
  const [, authority, path, query] = /^([^/?#]*)([^?#]*)(?:\?([^#]*))?/.exec(rest!)!;
  const at = authority!.indexOf('@');
  const host = readHost(authority!.slice(at + 1), text);
  return {
    scheme: protocol,
    user: at < 0 ? null : readUser(authority!.slice(0, at), text),
    host,
    path: path || '/',
    query: query ?? null,
  };
}

/** The path without `.` and `..` (RFC 3986 section 5.2.4); encoded dots are left alone, as in curl. */
export function withoutDots(path: ByteText): ByteText {
  const kept: ByteText[] = [];
  const segments = path.split('/').slice(1);
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1;
    if (segment === '..') kept.pop();
    if (segment !== '.' && segment !== '..') kept.push(segment);
    else if (isLast) kept.push('');
  });
  return `/${kept.join('/')}`;
}

/** The URL as text, its bytes outside of ASCII percent-encoded. @throws CodedError INVALID_INPUT */
export function writeUrl({ scheme, host, path, query }: CurlUrl): string {
  const target = query === null ? path : `${path}?${query}`;
  return readUrl(`${scheme}://${host}${percentEncode(target, NON_ASCII, 'lower')}`);
}

function readHost(text: ByteText, whole: ByteText): string {
  const host = readable(text);
  const [, name, port] = /^(\[[^\]]*\]|[^:@[\]\\]*)(?::(\d*))?$/.exec(host) ?? [];
  if (name === undefined || name === '' || !URL.canParse(`http://${name}/`) || Number(port ?? 0) > 65535) {
    throw invalid(`expected a URL with a host, and a port up to 65535 if any, found ${showUrl(whole)}`);
  }
  const { hostname } = new URL(`http://${name}/`);
  return port === undefined || port === '' ? hostname : `${hostname}:${port}`;
}

function readUser(text: ByteText, whole: ByteText): ByteText {
  const user = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  if (user.includes('\0')) throw invalid(`expected a user without NUL, found one in ${showUrl(whole)}`);
  return user.includes(':') ? user : `${user}:`;
}

/**
 * Takes the pattern syntax out of a URL that stands for one: `\[` is a bracket, `[]` and `[::1]` are themselves.
 * What stands for several URLs is refused, also `{a}`, which would be one.
 */
function unglob(text: ByteText): ByteText {
  let url = '';
  for (const [token] of text.matchAll(/\\[[\]{}]|\[[^[\]{}]*\]|[^]/g)) {
    const isLiteral = token === '[]' || isIPv6(token.slice(1, -1));
    if ((token.length === 1 && '[]{}'.includes(token)) || (token.startsWith('[') && !isLiteral)) {
      const hint = 'curl makes several URLs of it; with -g (--globoff) it stands for itself';
      throw invalid(`expected one URL, found ${show(token)} in ${showUrl(text)}: ${hint}`);
    }
    url += /^\\[[\]{}]$/.test(token) ? token.slice(1) : token;
  }
  return url;
}

function showUrl(text: ByteText): string {
  return show(maskUrl(readable(text)));
}
