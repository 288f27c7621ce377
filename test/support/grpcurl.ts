import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { spawnCommand, type CliProcess } from './cli.ts';

/** Where `npm run test:setup` puts it as root, and as another user. */
const BUILT_IN = ['/usr/local/bin', join(homedir(), 'go/bin')];
/** For commands that say `grpcurl`. */
export const GRPCURL_PATH = [process.env.PATH ?? '', ...BUILT_IN].join(delimiter);
/** The real grpcurl, as a user of the API has it. */
const GRPCURL = GRPCURL_PATH.split(delimiter)
  .map((folder) => join(folder, 'grpcurl'))
  .find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** Why nothing can be called with it; null: it is there. For `describe.skipIf`. */
export const GRPCURL_MISSING = GRPCURL === undefined ? 'grpcurl (npm run test:setup builds it where Go is)' : null;

export interface GrpcurlOptions {
  /** Killed after this. */
  timeoutMs?: number;
  /** Before the address, e.g. `-emit-defaults`. */
  flags?: readonly string[];
}

export interface GrpcurlEnd {
  /** 0, or 64 and the status code of the call. */
  code: number | null;
  /** Each message of the answer. */
  messages: Record<string, unknown>[];
  stdout: string;
  stderr: string;
}

/** Calls a method to its end. @param method e.g. `gostress.v1.TaskService/GetTask` */
export async function grpcurl(
  address: string,
  method: string,
  request: object = {},
  options: GrpcurlOptions = {},
): Promise<GrpcurlEnd> {
  await using call = startGrpcurl(address, method, request, options);
  const { code, stdout, stderr } = await call.ended;
  return { code, messages: jsonDocuments(stdout), stdout, stderr };
}

/** The answer to a call that must succeed. @throws Error with what grpcurl said */
export async function call(
  address: string,
  method: string,
  request: object = {},
  options: GrpcurlOptions = {},
): Promise<Record<string, unknown>> {
  const { code, messages, stderr } = await grpcurl(address, method, request, options);
  if (code !== 0) throw new Error(`${method} ${JSON.stringify(request)}: ${stderr}`);
  return messages[0] ?? {};
}

/** A call that runs, e.g. one whose answer is a stream. */
export function startGrpcurl(
  address: string,
  method: string,
  request: object = {},
  { timeoutMs = 60_000, flags = [] }: GrpcurlOptions = {},
): CliProcess {
  const args = ['-plaintext', ...flags, '-d', JSON.stringify(request), address, method];
  return spawnCommand(GRPCURL ?? 'grpcurl', args, { timeoutMs });
}

/** Asks the server about itself: `list`, `describe NAME`. */
export async function reflect(address: string, ...words: string[]): Promise<string> {
  await using asked = spawnCommand(GRPCURL ?? 'grpcurl', ['-plaintext', address, ...words]);
  const { code, stdout, stderr } = await asked.ended;
  if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
  return stdout;
}

/** Documents as grpcurl prints them, one after the other, each on many lines; one that is not whole is left out. */
export function jsonDocuments(text: string): Record<string, unknown>[] {
  const documents: Record<string, unknown>[] = [];
  let lines: string[] = [];
  for (const line of text.split('\n')) {
    lines.push(line);
    if (line !== '}' && line !== '{}') continue;
    documents.push(JSON.parse(lines.join('\n')) as Record<string, unknown>);
    lines = [];
  }
  return documents;
}
