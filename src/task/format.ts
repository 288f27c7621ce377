import { stringify } from 'yaml';
import { formatDuration } from '../lib/duration.ts';
import { isSecretName, maskHeaderValue, maskUrl } from '../lib/mask.ts';
import { percentDecode } from '../lib/percent.ts';
import { DEFAULTS, defaultMethod, defaultName } from './defaults.ts';
import { formatRate } from './rate.ts';
import type { BodySpec, CheckSpec, LoadSpec, StageSpec, TaskSpec } from './spec.ts';
import type { TaskInput } from './schema.ts';

/**
 * The task as YAML that `parseTaskFile` reads back to an equal one; what is as by default is left out, except the load.
 * Secrets are in it: for people's eyes, format `maskTask(spec)`.
 *
 * @param spec a task that `parseTask` made
 */
export function formatTask(spec: TaskSpec): string {
  return stringify(taskInputOf(spec), { lineWidth: 0, version: '1.2', aliasDuplicateObjects: false });
}

/** The task as users write it: `parseTask` makes an equal one of it. Secrets are in it. */
export function taskInputOf(spec: TaskSpec): TaskInput {
  const { name, request, client, connections, timeouts, redirects, tls, checks, slos } = spec;
  return present({
    name: unless(defaultName(request.url), name),
    request: present({
      method: unless(defaultMethod(request.body !== null), request.method),
      url: request.url,
      headers: request.headers.length === 0 ? undefined : request.headers.map(({ name, value }) => ({ name, value })),
      body: request.body === null ? undefined : bodyInput(request.body),
    }),
    load: loadInput(spec.load),
    client: unless(DEFAULTS.client, client),
    connections: section({
      max: connections.max ?? undefined,
      reuse: unless(DEFAULTS.reuseConnections, connections.reuse),
      streams: unless(DEFAULTS.streams, connections.streams),
    }),
    timeouts: section({
      connect: durationUnless(DEFAULTS.connectMs, timeouts.connectMs),
      response: durationUnless(DEFAULTS.responseMs, timeouts.responseMs),
      total: durationUnless(DEFAULTS.totalMs, timeouts.totalMs),
    }),
    redirects: section({
      follow: unless(DEFAULTS.followRedirects, redirects.follow),
      max: unless(DEFAULTS.maxRedirects, redirects.max),
    }),
    tls: section({
      verify: unless(DEFAULTS.verifyTls, tls.verify),
      ca: tls.caFile ?? undefined,
      cert: tls.certFile ?? undefined,
      key: tls.keyFile ?? undefined,
      serverName: tls.serverName ?? undefined,
    }),
    checks: checks.length === 0 ? undefined : checks.map(checkInput),
    slos: slos.length === 0 ? undefined : [...slos],
  });
}

function bodyInput(body: BodySpec): NonNullable<TaskInput['request']['body']> {
  switch (body.kind) {
    case 'text':
      return { text: body.text };
    case 'file':
      return { file: body.path };
    case 'base64':
      return { base64: body.base64 };
  }
}

function loadInput(load: LoadSpec): NonNullable<TaskInput['load']> {
  const isOpen = load.model === 'open';
  return present({
    ...targetInput(load),
    hits: load.hits ?? undefined,
    warmup: durationUnless(DEFAULTS.warmupMs, load.warmupMs),
    thinkTime: durationUnless(DEFAULTS.thinkTimeMs, load.thinkTimeMs),
    maxInFlight: isOpen ? unless(DEFAULTS.maxInFlight, load.maxInFlight) : undefined,
    onSaturated: unless(DEFAULTS.onSaturated, load.onSaturated),
    maxQueue: unless(DEFAULTS.maxQueue, load.maxQueue),
    grace: durationUnless(DEFAULTS.graceMs, load.graceMs),
  });
}

function targetInput({ model, stages }: LoadSpec): NonNullable<TaskInput['load']> {
  const [only, ...more] = stages;
  if (only?.shape !== 'constant' || more.length > 0) return { model, stages: stages.map(stageInput) };
  return present({
    ...(model === 'open' ? { rate: formatRate(only.target) } : { users: only.target }),
    duration: only.durationMs === null ? undefined : formatDuration(only.durationMs),
  });
}

function stageInput({
  durationMs,
  target,
  shape,
}: StageSpec): NonNullable<NonNullable<TaskInput['load']>['stages']>[0] {
  return present({
    duration: durationMs === null ? undefined : formatDuration(durationMs),
    target,
    shape: unless('constant', shape),
  });
}

function checkInput(check: CheckSpec): NonNullable<TaskInput['checks']>[0] {
  switch (check.kind) {
    case 'status':
      return { status: check.status.map((item) => (item.includes('-') ? item : Number(item))) };
    case 'bodyContains':
      return { bodyContains: check.text };
    case 'bodyMatches':
      return { bodyMatches: check.pattern };
    case 'jsonPath':
      return { jsonPath: { path: check.path, equals: check.equals } };
    case 'maxSize':
      return { maxSize: check.bytes };
    case 'maxLatency':
      return { maxLatency: formatDuration(check.ms) };
    case 'verify':
      return { verify: check.verify };
  }
}

/** The value, unless it is the default. */
function unless<T>(byDefault: NoInfer<T>, value: T): T | undefined {
  return value === byDefault ? undefined : value;
}

function durationUnless(byDefaultMs: number, ms: number): string | undefined {
  return ms === byDefaultMs ? undefined : formatDuration(ms);
}

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Without the keys that are undefined. */
function present<T extends object>(map: T): Present<T> {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined)) as Present<T>;
}

/** The same; undefined when nothing is left. */
function section<T extends object>(map: T): Present<T> | undefined {
  const kept = present(map);
  return Object.keys(kept).length === 0 ? undefined : kept;
}

/**
 * The task for people's eyes: `***` for the user and password in the URL, secret query parameters, and the values of
 * headers that carry secrets. The body is left as it is: which part of it is a secret cannot be known.
 */
export function maskTask(spec: TaskSpec): TaskSpec {
  const headers = spec.request.headers.map(({ name, value }) => ({ name, value: maskHeaderValue(name, value) }));
  return { ...spec, request: { ...spec.request, url: maskUrl(spec.request.url), headers } };
}

/**
 * The secrets of a task in every form in which they may turn up in a message, for `maskText`: values of secret headers
 * and their parts (the credentials after a scheme, each cookie's value, what Basic credentials decode to), the URL's user and
 * password with the Authorization header made of them, secret query parameters.
 */
export function taskSecrets(spec: TaskSpec): string[] {
  const secrets = [
    ...spec.request.headers.filter(({ name }) => isSecretName(name)).flatMap(({ value }) => headerSecrets(value)),
    ...urlSecrets(spec.request.url),
  ];
  return [...new Set(secrets)].filter((secret) => secret !== '');
}

function headerSecrets(value: string): string[] {
  const credentials = value.trim().replace(/^[\w-]+\s+/, '');
  const cookies = value.split(/;\s*/).map((cookie) => cookie.slice(cookie.indexOf('=') + 1));
  if (!/^basic\s/i.test(value.trim())) return [value, credentials, ...cookies];
  const userPassword = Buffer.from(credentials, 'base64').toString();
  return [value, credentials, userPassword, userPassword.slice(userPassword.indexOf(':') + 1)];
}

function urlSecrets(text: string): string[] {
  const url = new URL(text);
  const query = [...url.searchParams].filter(([name]) => isSecretName(name)).map(([, value]) => value);
  const secrets = query.flatMap((value) => [value, encodeURIComponent(value)]);
  if (url.username === '' && url.password === '') return secrets;
  const [user, password] = [percentDecode(url.username), percentDecode(url.password)];
  const basic = Buffer.from(`${user}:${password}`).toString('base64');
  // A user without a password is a token.
  return [
    ...secrets,
    basic,
    `${user}:${password}`,
    ...(password === '' ? [user, url.username] : [password, url.password]),
  ];
}
