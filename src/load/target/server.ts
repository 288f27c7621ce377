import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CodedError, errorMessage } from '../../lib/errors.ts';
import { show } from '../../lib/show.ts';
import { Counters, type TargetStats } from './counters.ts';
import { answerOf, answerWith, pageOf, type Page, type PlainAnswer } from './page.ts';
import { seededRandom, type Random } from './random.ts';
import { parseSettings, type Failure, type Settings } from './settings.ts';

/** Settings for every request, in the grammar of the README; a request's own query goes before them. */
export interface TargetOptions {
  /** Default 127.0.0.1. */
  host?: string | undefined;
  /** Default 0: a free one. */
  port?: number | undefined;
  status?: string | undefined;
  latency?: string | undefined;
  pause?: string | undefined;
  size?: string | undefined;
  slow?: string | undefined;
  error?: string | undefined;
  /** Of every random choice, a 32-bit integer. Default 1. */
  seed?: number | undefined;
  /** Requests per second that the pacing is judged against unless the asker names one. Default: the mean rate. */
  rate?: number | undefined;
  /** Most arrival instants kept. Default MAX_ARRIVALS. */
  maxArrivals?: number | undefined;
}

export interface Target {
  /** Without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Judging the pacing sorts all arrivals, about 0.1 s per million, in which no request is served. */
  stats(ratePerSecond?: number): TargetStats;
  reset(): void;
  /** Stops at once: every connection is cut. */
  close(): Promise<void>;
}

const MAX_PAGES = 1_000;
const MAX_ECHO_BYTES = 1_000_000;
const SLOW_PARTS = 20;
const MIN_RATE = 0.01;
const MAX_RATE = 1_000_000;

/** Starts a target. @throws CodedError INVALID_INPUT for wrong settings, or when the address cannot be had */
export async function startTarget(options: TargetOptions = {}): Promise<Target> {
  const target = new HttpTarget(options);
  await target.listen(options.host ?? '127.0.0.1', options.port ?? 0);
  return target;
}

class HttpTarget implements Target {
  url = '';
  port = 0;
  readonly #random: Random;
  readonly #settings: Settings;
  readonly #rate: number | undefined;
  readonly #counters: Counters;
  readonly #server: Server;
  readonly #pages = new Map<string, Page>();

  constructor(options: TargetOptions) {
    this.#random = seededRandom(options.seed ?? 1);
    this.#settings = parseSettings(options, this.#random);
    this.#rate = options.rate === undefined ? undefined : checkedRate(options.rate, String(options.rate));
    this.#counters = new Counters(options.maxArrivals);
    // A generator may hold a connection idle for as long as it likes; no timers also means less work per request.
    this.#server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 });
    this.#server.on('connection', (socket) => this.#counters.connected(socket));
    this.#server.on('request', (request, response) => this.#serve(request, response));
  }

  async listen(host: string, port: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    this.#server.once('error', reject);
    // The kernel lowers the backlog to its own limit (net.core.somaxconn).
    this.#server.listen({ host, port, backlog: 65_535 }, () => resolve(undefined));
    await promise.catch((cause: unknown) => {
      const found = errorMessage(cause);
      throw new CodedError('INVALID_INPUT', `expected an address to listen on, found ${host}:${port}: ${found}`, {
        cause,
      });
    });
    this.port = (this.#server.address() as AddressInfo).port;
    this.url = `http://${host.includes(':') ? `[${host}]` : host}:${this.port}`;
  }

  stats(ratePerSecond?: number): TargetStats {
    return this.#counters.stats(ratePerSecond ?? this.#rate);
  }

  reset(): void {
    this.#counters.reset();
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#server.close(() => resolve(undefined));
    this.#server.closeAllConnections();
    await promise;
  }

  /**
   * The arrival is taken here, first of all: the earliest JavaScript that hears of a request. It is when the head has
   * been read and parsed; of several requests read in one turn of the event loop, each also waits for those before it.
   */
  #serve(request: IncomingMessage, response: ServerResponse): void {
    const atMs = performance.now();
    const url = request.url!;
    response.sendDate = false;
    if (url === '/stats' || url.startsWith('/stats?') || url.startsWith('/stats/')) {
      this.#observe(url, request, response);
      return;
    }
    const page = this.#pageOf(url);
    this.#counters.received(page.path, atMs);
    const dueMs = dueAfter(page.settings, atMs);
    const reply = (body?: string): void => at(dueMs, () => this.#reply(page, atMs, request, response, body));
    const { headers } = request;
    if (page.kind === 'echo') readBody(request, (body, cut) => reply(echo(request, body, cut)));
    else if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) {
      request.resume();
      request.once('end', () => reply());
    } else reply();
  }

  #pageOf(url: string): Page {
    const known = this.#pages.get(url);
    if (known !== undefined) return known;
    if (this.#pages.size >= MAX_PAGES) this.#pages.clear();
    const page = pageOf(url, this.#settings, this.#random);
    this.#pages.set(url, page);
    return page;
  }

  #reply(page: Page, atMs: number, request: IncomingMessage, response: ServerResponse, body?: string): void {
    if (response.destroyed || request.socket.destroyed) return;
    const status = page.settings.status?.() ?? page.status;
    const answer = body === undefined ? answerOf(page, status) : answerWith(status, 'application/json', body);
    const failure = page.settings.failure?.() ?? null;
    if (failure !== null) {
      this.#counters.spoilt(failure);
      spoil(failure, answer, request, response);
      return;
    }
    const done = (): void => this.#counters.answered(status, performance.now() - atMs);
    if (page.kind === 'informational') response.writeEarlyHints({ link: '</>; rel=preload' });
    if (page.kind === 'chunked') {
      sendChunked(answer, response);
      done();
    } else if (page.settings.slowMs > 0) {
      sendSlowly(answer, page.settings.slowMs, response, done);
    } else {
      response.writeHead(status, answer.headers).end(answer.body);
      done();
    }
  }

  #observe(url: string, request: IncomingMessage, response: ServerResponse): void {
    this.#counters.observer(request.socket);
    request.resume();
    if (url === '/stats/reset') {
      if (request.method === 'POST') this.reset();
      response.writeHead(request.method === 'POST' ? 204 : 405, { Allow: 'POST' }).end();
      return;
    }
    try {
      const rate = new URL(url, 'http://target').searchParams.get('rate');
      const stats = this.stats(rate === null ? undefined : checkedRate(Number(rate), rate));
      const answer = answerWith(200, 'application/json', JSON.stringify(stats));
      response.writeHead(answer.status, answer.headers).end(answer.body);
    } catch (error) {
      response.writeHead(400, { 'Content-Type': 'text/plain' }).end(`${errorMessage(error)}\n`);
    }
  }
}

function checkedRate(rate: number, found: string): number {
  if (rate >= MIN_RATE && rate <= MAX_RATE) return rate;
  throw new CodedError(
    'INVALID_INPUT',
    `rate: expected a number from ${MIN_RATE} to ${MAX_RATE}, found ${show(found)}`,
  );
}

/** When a request of that instant is answered; 0: at once. */
function dueAfter({ latencyMs, pause }: Settings, atMs: number): number {
  if (latencyMs === null && pause === null) return 0;
  const heldMs = pause === null ? 0 : Math.max(0, pause.lastMs - (atMs % pause.everyMs));
  return atMs + heldMs + (latencyMs?.() ?? 0);
}

/**
 * Calls back at an instant of `performance.now()`, never before it; a timer of Node is up to about 1 ms late, and what
 * it fired too early is waited for with one more. An instant that is past is now.
 */
function at(dueMs: number, callback: () => void): void {
  const restMs = dueMs - performance.now();
  if (restMs <= 0) callback();
  else setTimeout(() => at(dueMs, callback), Math.ceil(restMs)).unref();
}

/** Reads a body, cut at MAX_ECHO_BYTES. */
function readBody(request: IncomingMessage, use: (body: Buffer, cut: boolean) => void): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  request.on('data', (part: Buffer) => {
    if (bytes < MAX_ECHO_BYTES) parts.push(part);
    bytes += part.length;
  });
  request.once('end', () => use(Buffer.concat(parts).subarray(0, MAX_ECHO_BYTES), bytes > MAX_ECHO_BYTES));
}

/** Method, path, headers (lower case; a repeated one is a list) and body; `bodyCut` when it was longer than this. */
function echo(request: IncomingMessage, body: Buffer, bodyCut: boolean): string {
  const headers: Record<string, string | string[]> = {};
  for (const [name, values = []] of Object.entries(request.headersDistinct)) {
    headers[name] = values.length === 1 ? values[0]! : values;
  }
  const { method, url: path } = request;
  return JSON.stringify({ method, path, headers, body: body.toString(), ...(bodyCut ? { bodyCut } : {}) });
}

/** Without a length: the body in two chunks, and a trailer. */
function sendChunked(answer: PlainAnswer, response: ServerResponse): void {
  const half = answer.body.length >> 1;
  response.writeHead(answer.status, { 'Content-Type': 'text/plain', Trailer: 'X-Target' });
  response.write(answer.body.slice(0, half === 0 ? answer.body.length : half));
  response.addTrailers({ 'X-Target': 'done' });
  response.end(answer.body.slice(half));
}

/** The head at once, then the body in equal parts; the last one when the time is over. */
function sendSlowly(answer: PlainAnswer, overMs: number, response: ServerResponse, done: () => void): void {
  const startMs = performance.now();
  const { body } = answer;
  const parts = Math.min(SLOW_PARTS, Math.max(1, body.length));
  let sent = 0;
  response.writeHead(answer.status, answer.headers).flushHeaders();
  const next = (): void => {
    if (response.destroyed) return;
    const part = body.slice(Math.floor((sent * body.length) / parts), Math.floor(((sent + 1) * body.length) / parts));
    sent += 1;
    if (sent < parts) {
      response.write(part);
      at(startMs + (overMs * (sent + 1)) / parts, next);
    } else {
      response.end(part);
      done();
    }
  };
  at(startMs + overMs / parts, next);
}

function spoil(failure: Failure, answer: PlainAnswer, request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  switch (failure) {
    case 'reset':
      socket.resetAndDestroy();
      return;
    case 'close':
      socket.destroySoon();
      return;
    case 'garbage':
      socket.write('this is not HTTP\r\n\r\n');
      socket.destroySoon();
      return;
    case 'truncate':
      response.writeHead(answer.status, answer.headers);
      response.write(answer.body.slice(0, answer.body.length >> 1));
      socket.destroySoon();
      return;
    case 'stall':
      return;
  }
}
