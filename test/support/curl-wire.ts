import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer, text } from 'node:stream/consumers';
import { CURL_USER_AGENT, type CurlImport } from '../../src/task/curl/index.ts';
import type { BodySpec } from '../../src/task/spec.ts';
import type { Captured } from './capture-server.ts';

/** What is compared of a request; everything else of it is the client's. */
export interface Wire {
  requestLine: string;
  /** `[name, value]` in order. */
  headers: [string, string][];
  body: string;
}

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

/** What the real curl sent. */
export function wireOfCapture({ head, body }: Captured): Wire {
  const [requestLine, ...lines] = head.split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    // White space around a value does not belong to it (RFC 9110 section 5.5).
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')];
  });
  const length = headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1] ?? '0';
  if (Number(length) !== body.length) throw new Error(`captured ${body.length} bytes of a body of ${length}`);
  return normalise({ requestLine: requestLine!, headers, body });
}

/** The bytes that a client has to send for an import: the target as the URL has it, a Host unless there is one. */
export function wireOfImport({ request }: CurlImport): Wire {
  const [, host, target] = /^https?:\/\/([^/]+)(\/.*)$/.exec(request.url)!;
  const headers = request.headers.map(({ name, value }): [string, string] => [name, value]);
  if (!headers.some(([name]) => name.toLowerCase() === 'host')) headers.unshift(['Host', host!]);
  return normalise({ requestLine: `${request.method} ${target!} HTTP/1.1`, headers, body: bodyOf(request.body) });
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

/** Takes out what the client sets, the version of curl, and the random part of the boundary. */
function normalise({ requestLine, headers, body }: Wire): Wire {
  const boundary = /boundary=(-{24}\w+)/.exec(headers.map(([, value]) => value).join('\n'))?.[1];
  const steady = (part: string): string => (boundary === undefined ? part : part.replaceAll(boundary, 'BOUNDARY'));
  return {
    requestLine,
    headers: headers
      .filter(([name]) => !['content-length', 'connection'].includes(name.toLowerCase()))
      .map(([name, value]) => [name, isCurl(value) && name === 'User-Agent' ? CURL_USER_AGENT : steady(value)]),
    body: steady(body),
  };
}

function isCurl(agent: string): boolean {
  return /^curl\/\d+\.\d+\.\d+$/.test(agent);
}
