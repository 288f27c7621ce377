import { open } from 'node:fs/promises';
import path from 'node:path';
import { CodedError, systemReason } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { importCurl } from '../task/curl/index.ts';
import { LIMITS } from '../task/defaults.ts';
import { readTaskFile } from '../task/file.ts';
import { taskInputOf } from '../task/format.ts';
import { unreadableFiles } from '../task/prepare.ts';
import { parseTask, type TaskInput } from '../task/schema.ts';
import type { TaskSpec } from '../task/spec.ts';

/** The flags of which exactly one says where the request comes from; `--url` may stand beside the others. */
export interface SourceFlags {
  url?: string | undefined;
  file?: string | undefined;
  curl?: string | undefined;
  curlFile?: string | undefined;
}

export interface Source {
  /** What flags are put over, in the form of a task file; every file in it has an absolute path. */
  input: TaskInput;
  /** It said how much load, too. */
  hasLoad: boolean;
  /** Names it in problems, e.g. `task.yaml`; null: it is all flags. */
  name: string | null;
  /** What the line of a problem with a key begins with. */
  placeOf: (key: string) => string;
  /** About what was understood but has no effect. */
  warnings: readonly string[];
}

/**
 * Reads what the command line names as the source of the request.
 *
 * @param argument the URL that stands by itself
 * @throws CodedError USAGE, INVALID_INPUT
 */
export async function readSource(argument: string | undefined, flags: SourceFlags): Promise<Source> {
  const given = [
    argument === undefined ? null : 'URL',
    flags.file === undefined ? null : '-f',
    flags.curl === undefined ? null : '--curl',
    flags.curlFile === undefined ? null : '-p',
  ].filter((name) => name !== null);
  if (given.length > 1) {
    const hint = given[0] === 'URL' ? '; --url sets another URL for them' : '';
    throw usage(`${given.join(', ')}: expected one of them, each says what to send${hint}`);
  }
  if (argument !== undefined && flags.url !== undefined) throw usage('URL, --url: expected one of them');
  if (flags.file !== undefined) return readFileSource(flags.file);
  if (flags.curlFile !== undefined) return readCurlSource('-p', flags.curlFile);
  if (flags.curl?.startsWith('@')) return readCurlSource('--curl', flags.curl.slice(1));
  if (flags.curl !== undefined) return curlSource(flags.curl, '--curl');
  const url = argument ?? flags.url;
  if (url === undefined) throw usage('expected a URL, -f FILE, --curl COMMAND or -p FILE, found none');
  return { input: { request: { url } }, hasLoad: false, name: null, placeOf: (key) => key, warnings: [] };
}

async function readFileSource(file: string): Promise<Source> {
  const isStdin = file === '-';
  const name = isStdin ? '<stdin>' : file;
  const { spec, problems, value, placeOf } = readTaskFile(await readText('-f', file), name);
  const baseDir = isStdin ? '.' : path.dirname(file);
  if (spec === null) {
    const unreadable = await unreadableFiles(value, baseDir);
    throw new CodedError('INVALID_INPUT', [...problems, ...unreadable.map((problem) => placed(problem, placeOf))]);
  }
  return { input: inputOf(spec, baseDir), hasLoad: true, name, placeOf, warnings: [] };
}

async function readCurlSource(flag: string, file: string): Promise<Source> {
  return curlSource(await readText(flag, file), file === '-' ? '<stdin>' : file);
}

/** Files in a curl command are found from the working directory, as curl finds them. */
function curlSource(command: string, name: string): Source {
  const { warnings, request, redirects, tls, timeouts, connections } = named(name, () =>
    importCurl(command, { baseDir: process.cwd() }),
  );
  const plain = parseTask({ request: { url: request.url } });
  const spec: TaskSpec = {
    ...plain,
    request,
    redirects: redirects ?? plain.redirects,
    tls: { ...plain.tls, ...tls },
    timeouts: { ...plain.timeouts, ...timeouts },
    connections: { ...plain.connections, ...connections },
  };
  return { input: inputOf(spec, '.'), hasLoad: false, name, placeOf: (key) => `${name}: ${key}`, warnings };
}

/** A problem that begins with a key, with the place of the key instead. */
export function placed(problem: string, placeOf: (key: string) => string): string {
  const [, key = '', rest = ''] = /^([\w.]+): ([^]*)$/.exec(problem) ?? [];
  return key === '' ? problem : `${placeOf(key)}: ${rest}`;
}

/** Puts the name before each problem. */
function named<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw new CodedError(
      error.code,
      error.problems.map((problem) => `${name}: ${problem}`),
      { cause: error },
    );
  }
}

/** The task in the form of a task file, its files with absolute paths. */
function inputOf(spec: TaskSpec, baseDir: string): TaskInput {
  const absolute = (file: string): string => path.resolve(baseDir, file);
  const orNull = (file: string | null): string | null => (file === null ? null : absolute(file));
  const { body } = spec.request;
  const { caFile, certFile, keyFile } = spec.tls;
  const moved: TaskSpec = {
    ...spec,
    request: { ...spec.request, body: body?.kind === 'file' ? { ...body, path: absolute(body.path) } : body },
    tls: { ...spec.tls, caFile: orNull(caFile), certFile: orNull(certFile), keyFile: orNull(keyFile) },
  };
  return taskInputOf(moved);
}

/** The text of a file, or of standard input for `-`; read no further than a task file may be long. */
async function readText(flag: string, file: string): Promise<string> {
  try {
    if (file === '-') return await textOf(process.stdin, flag);
    await using handle = await open(file);
    return await textOf(handle.createReadStream({ autoClose: false }), flag);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw usage(`${flag}: cannot read ${show(file)}: ${systemReason(error)}`);
  }
}

async function textOf(stream: AsyncIterable<Uint8Array>, flag: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > LIMITS.fileBytes) throw usage(`${flag}: expected at most ${LIMITS.fileBytes} bytes, found more`);
  }
  return Buffer.concat(chunks).toString();
}

function usage(problem: string): CodedError {
  return new CodedError('USAGE', problem);
}
