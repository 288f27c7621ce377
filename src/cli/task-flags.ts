import path from 'node:path';
import { CodedError } from '../lib/errors.ts';
import { prepareTask, unreadableFiles } from '../task/prepare.ts';
import { formatPath, type Problem } from '../task/problems.ts';
import { checkKeys, readTask, type TaskInput } from '../task/schema.ts';
import type { PreparedTask } from '../task/spec.ts';
import { readCheckFlag } from './check-flag.ts';
import { applyLoadFlags, numberOrText, type LoadChoice, type Problems } from './load-flags.ts';
import type { TaskFlags } from './options.ts';
import { placed, readSource, type Source } from './source.ts';

export interface FlaggedTask {
  task: PreparedTask;
  /** What was left to defaults, in one line; null when nothing was. */
  defaults: string | null;
  warnings: readonly string[];
}

/** Which flag set a key of the task: a problem with the key, or with what is in it, is told of the flag. */
const FLAG_OF: Readonly<Record<string, keyof TaskFlags>> = {
  name: 'name',
  'request.url': 'url',
  'request.method': 'method',
  'request.headers': 'header',
  'request.body': 'body',
  'load.rate': 'rate',
  'load.users': 'connections',
  'load.duration': 'duration',
  'load.hits': 'hits',
  'load.stages': 'stage',
  'load.model': 'model',
  'load.warmup': 'warmup',
  'load.maxInFlight': 'maxInFlight',
  'load.onSaturated': 'onSaturated',
  'load.grace': 'grace',
  client: 'client',
  'connections.max': 'connections',
  'connections.streams': 'streams',
  'timeouts.total': 'timeout',
  'timeouts.connect': 'connectTimeout',
  'timeouts.response': 'responseTimeout',
  'redirects.follow': 'location',
  'tls.verify': 'insecure',
  'tls.ca': 'cacert',
  'tls.cert': 'cert',
  'tls.key': 'key',
  'tls.serverName': 'sni',
  checks: 'check',
  slos: 'slo',
};

const SHORT: Partial<Record<keyof TaskFlags, string>> = {
  url: 'URL',
  method: '-m',
  header: '-H',
  body: '-b',
  rate: '-q',
  connections: '-c',
  duration: '-d',
  hits: '-n',
  location: '-L',
  insecure: '-k',
};

/**
 * The task that the command line asks for: what its source says, with the flags over it, every file read.
 *
 * @param problems what was found wrong with other flags: thrown together with what is wrong here
 *
 * @throws CodedError USAGE or INVALID_INPUT with every problem of the flags at once
 */
export async function readRunTask(
  url: string | undefined,
  options: TaskFlags,
  problems: string[] = [],
): Promise<FlaggedTask> {
  let source: Source;
  try {
    source = await readSource(url, options);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    await checkFlags(options, problems);
    throw new CodedError(error.code, [...new Set([...error.problems, ...problems])], { cause: error });
  }
  return await readTaskFrom(source, options, problems);
}

/** What is wrong with the flags by themselves: what they are put over is not known. */
async function checkFlags(options: TaskFlags, problems: string[]): Promise<void> {
  const source: Source = {
    input: { request: { url: 'http://localhost/' } },
    hasLoad: true,
    name: '',
    placeOf: (key) => key,
    warnings: [],
  };
  // A load of the model that the flags speak of: no rule that spans flags and file has a say.
  const load = options.model === 'closed' ? { users: 1 } : { rate: 1 };
  const input = withFlags(source.input, applyLoadFlags(load, options, problems), options, problems);
  problems.push(...(await placedProblems(checkKeys(input), input, (key) => placeOf(key, options, source))));
}

/** What is wrong with the input and the files that it names. */
async function placedProblems(found: Problem[], input: unknown, place: (key: string) => string): Promise<string[]> {
  const unreadable = await unreadableFiles(input, process.cwd());
  return [
    ...found.map(({ path, message }) => `${place(formatPath(path))}: ${message}`),
    ...unreadable.map((problem) => placed(problem, place)),
  ];
}

/** The same with the source at hand. @throws CodedError as `readRunTask` */
export async function readTaskFrom(source: Source, options: TaskFlags, problems: string[]): Promise<FlaggedTask> {
  const choice = applyLoadFlags(source.hasLoad ? (source.input.load ?? {}) : null, options, problems);
  const input = withFlags(source.input, choice, options, problems);
  const place = (key: string): string => placeOf(key, options, source);
  const spec = readTask(input);
  if (Array.isArray(spec) || problems.length > 0) {
    problems.push(...(await placedProblems(Array.isArray(spec) ? spec : [], input, place)));
    throw new CodedError('USAGE', [...new Set(problems)]);
  }
  try {
    const task = await prepareTask(spec, process.cwd());
    return { task, defaults: choice.defaults, warnings: source.warnings };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const lines = error.problems.map((problem) => placed(problem, place));
    throw new CodedError(error.code, lines, { cause: error });
  }
}

/** What a problem's line begins with: the flag that set the key, or the file and the key. */
function placeOf(key: string, options: TaskFlags, source: Source): string {
  const top = Object.keys(FLAG_OF).find(
    (prefix) => key === prefix || key.startsWith(`${prefix}.`) || key.startsWith(`${prefix}[`),
  );
  const option = top === undefined ? undefined : FLAG_OF[top];
  if (option === 'check' && options.check === undefined && options.verify !== undefined) return '-v';
  if (option !== undefined && (options[option] !== undefined || (option === 'url' && source.name === null))) {
    return SHORT[option] ?? `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  }
  return source.placeOf(key);
}

/** The input with every flag over it. Texts that are wrong are left for the schema to complain of: hence `unknown`. */
function withFlags(input: TaskInput, choice: LoadChoice, options: TaskFlags, problems: Problems): unknown {
  const { connections = {}, timeouts = {}, redirects = {}, tls = {} } = input;
  const checks = readChecks(options, problems);
  return present({
    ...input,
    name: options.name ?? input.name,
    request: withRequestFlags(input.request, options, problems),
    load: present({
      ...choice.load,
      warmup: options.warmup ?? choice.load.warmup,
      maxInFlight: options.maxInFlight === undefined ? choice.load.maxInFlight : numberOrText(options.maxInFlight),
      onSaturated: options.onSaturated ?? choice.load.onSaturated,
      grace: options.grace ?? choice.load.grace,
    }),
    client: options.client ?? input.client,
    connections: present({
      max: choice.maxConnections ?? connections.max,
      reuse: options.keepalive ? connections.reuse : false,
      streams: options.streams === undefined ? connections.streams : numberOrText(options.streams),
    }),
    timeouts: present({
      ...timeouts,
      total: options.timeout ?? timeouts.total,
      connect: options.connectTimeout ?? timeouts.connect,
      response: options.responseTimeout ?? timeouts.response,
    }),
    redirects: options.location === true ? { ...redirects, follow: true } : redirects,
    tls: present({
      ...tls,
      verify: options.insecure === true ? false : tls.verify,
      ca: absolute(options.cacert) ?? tls.ca,
      cert: absolute(options.cert) ?? tls.cert,
      key: absolute(options.key) ?? tls.key,
      serverName: options.sni ?? tls.serverName,
    }),
    checks: checks ?? input.checks,
    slos: options.slo ?? input.slos,
  });
}

function withRequestFlags(request: TaskInput['request'], options: TaskFlags, problems: Problems): object {
  const added = (options.header ?? []).flatMap((text) => readHeader(text, problems));
  const names = new Set(added.map(({ name }) => name.toLowerCase()));
  const before = (request.headers ?? []) as { name: string; value: string }[];
  const headers = [...before.filter(({ name }) => !names.has(name.toLowerCase())), ...added];
  return present({
    ...request,
    url: options.url ?? request.url,
    method: options.method ?? request.method,
    headers: headers.length > 0 ? headers : undefined,
    body: options.body === undefined ? request.body : readBody(options.body),
  });
}

/** Never quotes what it found: it may be a secret. */
function readHeader(text: string, problems: Problems): { name: string; value: string }[] {
  const at = text.indexOf(':');
  if (at < 1) {
    problems.push('-H: expected "Name: value", found no name before a colon');
    return [];
  }
  return [{ name: text.slice(0, at).trim(), value: text.slice(at + 1).trim() }];
}

function readBody(text: string): object {
  return text.startsWith('@') ? { file: absolute(text.slice(1)) ?? '' } : { text };
}

function readChecks({ check, verify }: TaskFlags, problems: Problems): unknown[] | undefined {
  if (check === undefined && verify === undefined) return undefined;
  const checks: unknown[] = (check ?? []).flatMap((text) => {
    try {
      return [readCheckFlag(text)];
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      problems.push(`--check: ${error.message}`);
      return [];
    }
  });
  return verify === undefined ? checks : [...checks, { verify }];
}

/** An empty path stays empty, to be complained of. */
function absolute(file: string | undefined): string | undefined {
  return file === undefined || file === '' ? file : path.resolve(file);
}

/** Without the keys that are undefined. */
function present(map: object): object {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined));
}
