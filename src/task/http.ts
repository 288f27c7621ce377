import { isIP } from 'node:net';
import { invalid } from '../lib/errors.ts';
import { maskUrl } from '../lib/mask.ts';
import { show } from '../lib/show.ts';
import { LIMITS } from './defaults.ts';

/** What field-value of RFC 9110 section 5.5 does not allow; a character above U+00FF has no byte of its own. */
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/u;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

/** Headers that the client sets by itself: a task that set them could break the framing of its own requests. */
const CLIENT_HEADERS: Readonly<Record<string, string>> = {
  'content-length': 'the client sets it from the body',
  'transfer-encoding': 'the client sets it from the body',
  connection: 'the client sets it from connections.reuse',
  'keep-alive': 'the client sets it from connections.reuse',
  upgrade: 'the client does not change protocols',
  expect: 'the client sends the body at once',
};

/** An http: or https: URL, as written. @throws CodedError INVALID_INPUT */
export function readUrl(text: string): string {
  // The URL parser of the platform would silently drop or change these.
  const bad = /[\s\\\p{Cc}]/u.exec(text)?.[0];
  if (bad !== undefined) {
    throw invalid(
      `expected a URL without spaces, control characters and backslashes, found ${show(bad)} in ${showUrl(text)}`,
    );
  }
  if (!text.isWellFormed()) {
    throw invalid(`expected a URL of whole characters, found half of a surrogate pair in ${showUrl(text)}`);
  }
  if (text.length > LIMITS.urlLength)
    throw invalid(`expected a URL of at most ${LIMITS.urlLength} characters, found ${text.length}`);
  if (!/^https?:\/\/[^/]/i.test(text) || !URL.canParse(text)) {
    const withScheme = `http://${text}`;
    const hint = !/^[a-z]+:\//i.test(text) && URL.canParse(withScheme) ? `; did you mean ${showUrl(withScheme)}?` : '';
    throw invalid(`expected a URL like "http://127.0.0.1:8080/path" or "https://…", found ${showUrl(text)}${hint}`);
  }
  const url = new URL(text);
  if (url.port === '0') throw invalid(`expected a port from 1 to 65535, found 0 in ${showUrl(text)}`);
  if (text.includes('#')) {
    throw invalid(`expected a URL without a fragment (what follows # is never sent), found ${showUrl(text)}`);
  }
  return text;
}

function showUrl(text: string): string {
  return show(maskUrl(text));
}

const NOT_IN_TOKEN = /[^!#$%&'*+.^_`|~0-9A-Za-z-]/u;

/** A token of RFC 9110 section 5.6.2: what methods and names of headers are. */
export function isToken(text: string): boolean {
  return text !== '' && !NOT_IN_TOKEN.test(text);
}

/** A method, as written: methods are case-sensitive. @throws CodedError INVALID_INPUT */
export function readMethod(text: string): string {
  if (!isToken(text)) throw invalid(`expected a method like GET or POST, found ${show(text)}`);
  if (text === 'CONNECT') throw invalid('expected a method other than CONNECT, which asks a proxy for a tunnel');
  return text;
}

/** @throws CodedError INVALID_INPUT */
export function readHeaderName(text: string): string {
  if (!isToken(text)) throw invalid(`expected a header name like X-Request-Id, found ${whatIsNoToken(text)}`);
  const owner = CLIENT_HEADERS[text.toLowerCase()];
  if (owner !== undefined) throw invalid(`header ${text} cannot be set: ${owner}; leave it out`);
  return text;
}

/** Not the text itself: a header that was written as a name is one with its value. */
function whatIsNoToken(text: string): string {
  const bad = NOT_IN_TOKEN.exec(text);
  return bad === null ? 'an empty one' : `${nameOf(bad[0])} at position ${bad.index + 1}`;
}

/** `U+0020` */
function nameOf(character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The message never quotes the value: it may be a secret. @throws CodedError INVALID_INPUT */
export function readHeaderValue(text: string): string {
  const bad = NOT_IN_VALUE.exec(text);
  if (bad === null) return text;
  const found = `${nameOf(bad[0])} at position ${bad.index + 1}`;
  throw invalid(`expected a header value of one line in Latin-1 characters, found ${found}`);
}

/** A host name for SNI, which has no form for addresses (RFC 6066 section 3). @throws CodedError INVALID_INPUT */
export function readServerName(text: string): string {
  if (HOST_NAME.test(text) && isIP(text) === 0) return text;
  throw invalid(`expected a host name like example.org, found ${show(text)}`);
}
