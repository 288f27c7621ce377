import { Client, type Dispatcher } from 'undici';
import { CodedError } from '../lib/errors.ts';
import { percentDecode } from '../lib/percent.ts';
import type { PreparedTask } from '../task/spec.ts';
import { endpointOf, type Endpoint } from './connector.ts';

/** One request, ready to be dispatched any number of times. */
export interface PreparedRequest {
  url: URL;
  /** Scheme, host and port of the URL. */
  origin: string;
  endpoint: Endpoint;
  /** As undici takes it; its headers are one flat list of names and values. */
  dispatch: RequestOptions;
}

export interface RequestOptions extends Dispatcher.DispatchOptions {
  headers: string[];
  body: Uint8Array | null;
  /** false keeps the connection also after HEAD, which undici by itself does not. */
  reset: boolean;
  /** undici redials when this changes. The connector has its own idea of SNI, so it is the same for all of an origin. */
  servername: string;
}

/** Belong to the body, and go with it (RFC 9110 section 15.4). */
const BODY_HEADERS: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'content-language',
  'content-location',
]);
/** Are meant for one origin only (RFC 9110 section 15.4, and what curl and browsers do). */
const ORIGIN_HEADERS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization', 'host']);
const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * The task's request. A user and password in the URL become `Authorization: Basic`, unless the task has that header.
 *
 * @throws CodedError INVALID_INPUT when undici would refuse it: nothing may fail only when the load is on
 */
export function prepareRequest(task: PreparedTask): PreparedRequest {
  const { request, connections } = task.spec;
  const url = new URL(request.url);
  const headers = request.headers.flatMap(({ name, value }) => [name, value]);
  const hasAuthorization = request.headers.some(({ name }) => name.toLowerCase() === 'authorization');
  if ((url.username !== '' || url.password !== '') && !hasAuthorization) {
    headers.unshift('Authorization', basicAuthorization(url));
  }
  const body = task.body !== null && task.body.length > 0 ? task.body : null;
  const prepared = assemble(url, { method: request.method, headers, body, reset: !connections.reuse });
  prepared.dispatch.path = requestTarget(request.url);
  assertAccepted(prepared);
  return prepared;
}

/** Methods whose request has a Content-Length also when it has no body (RFC 9110 section 8.6). */
const EXPECTS_BODY: ReadonlySet<string> = new Set(['PUT', 'POST', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH']);

/** The request as it goes over the wire of HTTP/1.1, the same bytes that undici would write. */
export function requestBytes(request: PreparedRequest): Buffer {
  const { method, path, body, reset } = request.dispatch;
  const { host, fields } = hostAndFields(request);
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${host}`, `connection: ${reset ? 'close' : 'keep-alive'}`];
  for (let i = 0; i < fields.length; i += 2) lines.push(`${fields[i]!}: ${fields[i + 1]!}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body ?? Buffer.alloc(0)]);
}

/** Belong to a connection of HTTP/1.1 (RFC 9113 section 8.2.2); the others of that kind no task can have. */
const HTTP1_ONLY: ReadonlySet<string> = new Set(['proxy-connection', 'http2-settings']);

/**
 * The request's head for HTTP/2: one flat list of names and values, the pseudo-header fields first (RFC 9113 section 8.3.1).
 *
 * @throws CodedError INVALID_INPUT when it has a field that HTTP/2 does not allow
 */
export function http2Head(request: PreparedRequest): string[] {
  const { method, path } = request.dispatch;
  const { host, fields } = hostAndFields(request);
  const head = [
    ':method',
    method,
    ':scheme',
    request.endpoint.tls ? 'https' : 'http',
    ':authority',
    host,
    ':path',
    path,
  ];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase();
    const value = fields[i + 1]!;
    if (HTTP1_ONLY.has(name) || (name === 'te' && value.toLowerCase() !== 'trailers')) {
      throw new CodedError('INVALID_INPUT', `request: expected headers that HTTP/2 allows, found ${fields[i]!}`);
    }
    head.push(name, value);
  }
  return head;
}

/** What `Host` says, and the other fields in their order, the body's length last. */
function hostAndFields({ url, dispatch }: PreparedRequest): { host: string; fields: string[] } {
  const { method, headers, body } = dispatch;
  const hostAt = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'host');
  const fields = withoutHeaders(headers, (name) => name === 'host');
  if (body !== null) fields.push('content-length', String(body.length));
  else if (EXPECTS_BODY.has(method)) fields.push('content-length', '0');
  return { host: hostAt < 0 ? url.host : headers[hostAt + 1]!, fields };
}

/**
 * Path and query as the task has them, with what is not ASCII percent-encoded: `URL` would also squash dots and encode
 * more (`/a/../b`, `{id}`, `?q=it's`).
 */
function requestTarget(url: string): string {
  const target = /^[a-z]+:\/\/[^/?]*(.*)$/i.exec(url)![1]!.replace(/[^\x21-\x7e]+/gu, encodeURIComponent);
  return target.startsWith('/') ? target : `/${target}`;
}

/** The status asks to go on to another URL, when there is a Location. */
export function isRedirect(status: number): boolean {
  return REDIRECT_STATUSES.has(status);
}

/**
 * The request that follows a redirect (RFC 9110 section 15.4): 303 makes everything but HEAD a GET; 301 and 302 make a
 * POST a GET, as nearly all clients do; 307 and 308 change nothing. What is meant for the first origin only is left out
 * from the first step to another origin on. A user and password in the Location are not used.
 *
 * @param location as undici gives it: one character per byte
 * @returns null when the Location is not an http: or https: URL
 */
export function redirectedRequest(from: PreparedRequest, status: number, location: string): PreparedRequest | null {
  const text = Buffer.from(location, 'latin1').toString('utf8');
  const url = URL.parse(text, from.url.href);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null;
  const { method, reset } = from.dispatch;
  const toGet = status === 303 ? method !== 'HEAD' : (status === 301 || status === 302) && method === 'POST';
  const elsewhere = url.origin !== from.origin;
  const headers = withoutHeaders(
    from.dispatch.headers,
    (name) => (toGet && BODY_HEADERS.has(name)) || (elsewhere && ORIGIN_HEADERS.has(name)),
  );
  return assemble(url, { method: toGet ? 'GET' : method, headers, body: toGet ? null : from.dispatch.body, reset });
}

function assemble(url: URL, options: Pick<RequestOptions, 'method' | 'headers' | 'body' | 'reset'>): PreparedRequest {
  return {
    url,
    origin: url.origin,
    endpoint: endpointOf(url),
    dispatch: { ...options, path: url.pathname + url.search, servername: url.hostname },
  };
}

function withoutHeaders(headers: readonly string[], drop: (lowerCaseName: string) => boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!drop(headers[i]!.toLowerCase())) kept.push(headers[i]!, headers[i + 1]!);
  }
  return kept;
}

/** RFC 7617, in UTF-8. */
function basicAuthorization(url: URL): string {
  const userAndPassword = `${percentDecode(url.username)}:${percentDecode(url.password)}`;
  return `Basic ${Buffer.from(userAndPassword).toString('base64')}`;
}

/** Lets undici judge the request with a client that never connects: what is accepted stays pending until it is destroyed. */
function assertAccepted(request: PreparedRequest): void {
  const refusals: string[] = [];
  const namesLength = request.dispatch.headers.some(
    (name, i) => i % 2 === 0 && name.toLowerCase() === 'content-length',
  );
  if (namesLength) refusals.push('content-length cannot be set: it is the length of the body');
  const ignore = () => undefined;
  const client = new Client(request.origin, { connect: ignore });
  client.dispatch(request.dispatch, {
    onRequestStart: ignore,
    onResponseStart: ignore,
    onResponseData: ignore,
    onResponseEnd: ignore,
    onResponseError: (_controller, error) => {
      if (!client.destroyed) refusals.push(error.message);
    },
  });
  void client.destroy();
  if (refusals.length === 0) return;
  throw new CodedError(
    'INVALID_INPUT',
    refusals.map((refusal) => `request: expected one that can be sent, found: ${refusal}`),
  );
}
