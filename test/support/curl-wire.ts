import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer, text } from 'node:stream/consumers';
import { CURL_USER_AGENT, type CurlImport } from '../../src/task/curl/index.ts';
import { prepareTask } from '../../src/task/prepare.ts';
import type { BodySpec } from '../../src/task/spec.ts';
import type { Captured } from './capture-server.ts';
import { taskFor } from './engine.ts';
import { probeFor, type Outcome } from './exchange.ts';

/** What is compared of a request. */
export interface Wire {
  requestLine: string;
  /** Of the headers that each client writes in its own case and place: what they say. */
  host: string;
  connection: string;
  contentLength: number;
  /** The others: `[name, value]` in order. */
  headers: [string, string][];
  body: string;
}

const CLIENT_HEADERS = ['host', 'connection', 'content-length'];

/** Runs a command with bash, without the user's settings of curl and without proxies; `stdout` is its bytes in Latin-1. */
export async function runBash(
  command: string,
  cwd: string,
): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const child = spawn('bash', ['-c', command], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', LC_ALL: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 10_000,
  });
  const [stdout, stderr] = await Promise.all([buffer(child.stdout), text(child.stderr), once(child, 'close')]);
  return { exitCode: child.exitCode, stdout: stdout.toString('latin1'), stderr };
}

/** What was sent, by the real curl or by us. */
export function wireOf({ head, body }: Captured): Wire {
  const [requestLine, ...lines] = head.split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    // White space around a value does not belong to it (RFC 9110 section 5.5).
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')];
  });
  const valueOf = (lowerCaseName: string): string | undefined => {
    const values = headers.filter(([name]) => name.toLowerCase() === lowerCaseName).map(([, value]) => value);
    if (values.length > 1) throw new Error(`captured ${values.length} headers ${lowerCaseName}`);
    return values[0];
  };
  const contentLength = Number(valueOf('content-length') ?? 0);
  if (contentLength !== body.length) throw new Error(`captured ${body.length} bytes of a body of ${contentLength}`);
  return withoutChance({
    requestLine: requestLine!,
    host: valueOf('host') ?? 'none',
    // What HTTP/1.1 means without one.
    connection: valueOf('connection')?.toLowerCase() ?? 'keep-alive',
    contentLength,
    headers: headers.filter(([name]) => !CLIENT_HEADERS.includes(name.toLowerCase())),
    body,
  });
}

/** Sends the import once with our own client, which follows redirects and trusts as the import says. */
export async function exchangeImport({ request, connections, redirects, tls }: CurlImport): Promise<Outcome> {
  const { spec } = taskFor(request.url, { request, connections, redirects: redirects ?? {}, tls });
  await using probe = probeFor(await prepareTask(spec, '/nonexistent'));
  return await probe.exchange();
}

/** The same. @throws Error when it is not answered */
export async function sendImport(imported: CurlImport): Promise<void> {
  const { kind, message } = await exchangeImport(imported);
  if (kind !== 'answered') throw new Error(`the import was not answered: ${kind}: ${message}`);
}

export function bodyOf(body: BodySpec | null): string {
  switch (body?.kind) {
    case 'text':
      return Buffer.from(body.text).toString('latin1');
    case 'base64':
      return Buffer.from(body.base64, 'base64').toString('latin1');
    default:
      return '';
  }
}

/** Without the version of curl and the random part of the boundary. */
function withoutChance(wire: Wire): Wire {
  const boundary = /boundary=(-{24}\w+)/.exec(wire.headers.map(([, value]) => value).join('\n'))?.[1];
  const steady = (part: string): string => (boundary === undefined ? part : part.replaceAll(boundary, 'BOUNDARY'));
  return {
    ...wire,
    headers: wire.headers.map(([name, value]) => [
      name,
      isCurl(value) && name === 'User-Agent' ? CURL_USER_AGENT : steady(value),
    ]),
    body: steady(wire.body),
  };
}

function isCurl(agent: string): boolean {
  return /^curl\/\d+\.\d+\.\d+$/.test(agent);
}
