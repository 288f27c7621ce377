import { STATUS_CODES } from 'node:http';
import { CodedError } from '../../lib/errors.ts';
import { show } from '../../lib/show.ts';
import type { Random } from './random.ts';
import { parseSettings, SETTING_NAMES, UNTOUCHED, type SettingName, type Settings } from './settings.ts';

/** What a path and its query ask for, worked out once per distinct URL. */
export interface Page {
  /** Under which requests are counted: the path without the query. */
  path: string;
  kind: 'plain' | 'json' | 'echo' | 'chunked' | 'informational' | 'redirect' | 'problem';
  settings: Settings;
  /** The status when the settings draw none. */
  status: number;
  /** Of a redirect. */
  location: string;
  /** Of a problem: one line, what was expected and what was found. */
  problem: string;
  /** Ready answers by status. */
  answers: Map<number, PlainAnswer>;
}

export interface PlainAnswer {
  status: number;
  /** Names and values by turns, as `writeHead` takes them. */
  headers: string[];
  body: string | Buffer;
}

const MAX_HOPS = 100;
/** Up to here a body is a Latin-1 string, which node:http sends in one write with the head. */
const MAX_STRING_BYTES = 16_384;

/** Reads a request's URL (path and query); a wrong one makes a page that answers 400 or 404 and says why. */
export function pageOf(url: string, settings: Settings, random: Random): Page {
  const question = url.indexOf('?');
  const page = plainPage(question < 0 ? url : url.slice(0, question), settings);
  try {
    if (!route(page)) return problemPage(page.path, 404, unknown(page.path));
    if (question >= 0) page.settings = readQuery(url.slice(question + 1), page, random);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return problemPage(page.path, 400, error.problems[0]!);
  }
  return page;
}

function plainPage(path: string, settings: Settings): Page {
  return { path, kind: 'plain', settings, status: 200, location: '', problem: '', answers: new Map() };
}

/** The server's settings do not spoil what says that a URL is wrong. */
function problemPage(path: string, status: number, problem: string): Page {
  return { ...plainPage(path, UNTOUCHED), kind: 'problem', status, problem };
}

/** Reads the page's path; false when there is none such. */
function route(page: Page): boolean {
  const [, name = '', argument, ...more] = page.path.split('/');
  if (more.length > 0) return false;
  if (argument === undefined) {
    if (name === 'json' || name === 'echo' || name === 'chunked' || name === 'informational') page.kind = name;
    else return name === '';
    return true;
  }
  const count = /^\d{1,3}$/.test(argument) ? Number(argument) : NaN;
  if (name === 'status') {
    if (!(count >= 200 && count <= 599)) throw wrong('/status/ and a status from 200 to 599', page.path);
    page.status = count;
    return true;
  }
  if (name === 'redirect') {
    if (!(count >= 1 && count <= MAX_HOPS)) throw wrong(`/redirect/ and a number from 1 to ${MAX_HOPS}`, page.path);
    page.kind = 'redirect';
    page.status = 302;
    page.location = count === 1 ? '/' : `/redirect/${count - 1}`;
    return true;
  }
  return false;
}

function unknown(path: string): string {
  const pages = '/, /status/CODE, /redirect/N, /json, /echo, /chunked, /informational, /stats or /stats/reset';
  return `expected ${pages}, found ${show(path)}`;
}

function readQuery(query: string, page: Page, random: Random): Settings {
  const texts: Partial<Record<SettingName, string>> = {};
  for (const [key, value] of new URLSearchParams(query)) {
    const name = SETTING_NAMES.find((known) => known === key);
    if (name !== undefined) texts[name] = value;
    else if (page.kind !== 'echo') throw wrong(`the query to have ${SETTING_NAMES.join(', ')} only`, key);
  }
  return parseSettings(texts, random, page.settings);
}

function wrong(expected: string, found: string): CodedError {
  return new CodedError('INVALID_INPUT', `expected ${expected}, found ${show(found)}`);
}

/** The answer of a page for a status, made when it is first asked for. */
export function answerOf(page: Page, status: number): PlainAnswer {
  let answer = page.answers.get(status);
  if (answer === undefined) {
    answer = buildAnswer(page, status);
    page.answers.set(status, answer);
  }
  return answer;
}

function buildAnswer(page: Page, status: number): PlainAnswer {
  const size = page.settings.sizeBytes;
  const body = size === null ? bodyOf(page, status) : filler(size);
  const answer = answerWith(status, page.kind === 'json' ? 'application/json' : 'text/plain', body);
  if (page.location !== '') answer.headers.push('Location', page.location);
  return answer;
}

export function answerWith(status: number, type: string, body: string | Buffer): PlainAnswer {
  // RFC 9110, 6.4.1 and 8.6: a 204 has no content and no Content-Length.
  if (status === 204) return { status, headers: [], body: '' };
  return { status, headers: ['Content-Type', type, 'Content-Length', String(Buffer.byteLength(body))], body };
}

function bodyOf(page: Page, status: number): string {
  if (page.kind === 'problem') return `${page.problem}\n`;
  if (page.kind === 'json') return `{"code":${status}}`;
  return status === 200 ? 'ok' : (STATUS_CODES[status] ?? String(status));
}

let shared = Buffer.alloc(0);

function filler(bytes: number): string | Buffer {
  if (bytes <= MAX_STRING_BYTES) return 'x'.repeat(bytes);
  if (shared.length < bytes) shared = Buffer.alloc(bytes, 'x');
  return shared.subarray(0, bytes);
}
