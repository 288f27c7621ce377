import * as z from 'zod';
import { invalid } from '../lib/errors.ts';
import { show, showKind } from '../lib/show.ts';
import { checkInput } from './check-input.ts';
import { DEFAULTS, LIMITS } from './defaults.ts';
import { count, duration, durationOrZero, filePath, object, read } from './fields.ts';
import { readHeaderName, readHeaderValue, readMethod, readServerName, readUrl } from './http.ts';
import { parseRate } from './rate.ts';
import { parseSlo } from './slo.ts';
import type { BodySpec, HeaderSpec } from './spec.ts';

const headerName = read(z.string(), readHeaderName);
const headerValue = read(
  // The found value is not shown: it may be a secret.
  z.string({ error: ({ input }) => `expected text${input == null ? ', found nothing' : '; put the value in quotes'}` }),
  readHeaderValue,
);

const headers = read(
  z.union([z.array(object({ name: headerName, value: headerValue })), z.record(headerName, headerValue)], {
    error: ({ input }) => `expected a list of {name, value}, or a map of names to values, found ${showKind(input)}`,
  }),
  (given): HeaderSpec[] => {
    const list = Array.isArray(given) ? given : Object.entries(given).map(([name, value]) => ({ name, value }));
    if (list.length > LIMITS.headers) throw invalid(`expected at most ${LIMITS.headers} headers, found ${list.length}`);
    return list;
  },
);

const body = read(
  object({
    text: z.string().optional().meta({ description: 'Sent as UTF-8' }),
    file: filePath.optional(),
    base64: read(z.string(), readBase64).optional().meta({ description: 'Standard base64 of the bytes' }),
  }).meta({ minProperties: 1, maxProperties: 1 }),
  (given): BodySpec => {
    const keys = Object.keys(given);
    if (keys.length === 1) {
      if (given.text !== undefined) return { kind: 'text', text: given.text };
      if (given.file !== undefined) return { kind: 'file', path: given.file };
      if (given.base64 !== undefined) return { kind: 'base64', base64: given.base64 };
    }
    throw invalid(`expected exactly one of text, file, base64, found ${keys.join(' and ') || 'nothing'}`);
  },
);

function readBase64(text: string): string {
  const compact = text.replace(/\s+/g, '');
  // No group that repeats: on 64 MiB that would use up the stack.
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) {
    throw invalid(`expected standard base64 with padding, found ${text.length} characters that are not`);
  }
  return compact;
}

export const requestInput = object({
  method: read(z.string(), readMethod).optional().meta({ description: 'Default: GET, or POST with a body' }),
  url: read(
    z.string({ error: ({ input }) => `expected a URL like "http://127.0.0.1:8080/path", found ${show(input)}` }),
    readUrl,
  ).meta({ description: 'Absolute http: or https: URL; user and password in it become an Authorization header' }),
  headers: headers
    .optional()
    .meta({ description: 'In the order they are sent; in the form of a list a name may repeat' }),
  body: body.optional().meta({ description: 'Exactly one of text, file, base64' }),
});

const rate = read(
  z.union([z.string(), z.number()], {
    error: ({ input }) => `expected a rate above 0 like "600", "600/s" or "30/1m", found ${show(input)}`,
  }),
  (text) => {
    const ratePerSecond = parseRate(String(text));
    if (ratePerSecond > LIMITS.ratePerSecond) {
      throw invalid(`expected at most ${LIMITS.ratePerSecond}/s, found ${show(text)}`);
    }
    return ratePerSecond;
  },
);

const stage = object({
  duration: duration.optional().meta({ description: 'Only the last stage may leave it out, and only with hits' }),
  target: z.number().min(0).meta({ description: 'Hits per second (open) or users (closed) at the end of the stage' }),
  shape: z.enum(['constant', 'ramp']).optional().meta({
    description:
      "constant (default): the target for the whole stage. ramp: linearly from the previous stage's target, at first 0",
  }),
});

export const loadInput = object({
  rate: rate.optional().meta({ description: 'Open model, hits per second: 600, "600/s", "30/1m"' }),
  users: count(1, LIMITS.users)
    .optional()
    .meta({ description: 'Closed model: users that send their next hit when the last one is answered' }),
  model: z.enum(['open', 'closed']).optional().meta({ description: 'Needed with stages: what their targets are' }),
  stages: z.array(stage).min(1).max(LIMITS.stages).optional(),
  duration: duration.optional().meta({ description: 'Default: 10s when neither hits nor stages are given' }),
  hits: count(1, Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({ description: 'End after this many hits, or after the duration, whichever comes first' }),
  warmup: durationOrZero.optional().meta({ description: 'Counted, but not in percentiles and SLOs. Default: 0' }),
  thinkTime: durationOrZero
    .optional()
    .meta({ description: "Closed model: a user's pause before its next hit. Default: 0" }),
  maxInFlight: count(1, LIMITS.inFlight)
    .optional()
    .meta({ description: `Open model. Default: ${DEFAULTS.maxInFlight}` }),
  onSaturated: z
    .enum(['drop', 'queue'])
    .optional()
    .meta({ description: 'Open model, when a hit is due and no slot is free. Default: drop' }),
  maxQueue: count(1, LIMITS.queue)
    .optional()
    .meta({ description: `Open model, with queue. Default: ${DEFAULTS.maxQueue}` }),
  grace: durationOrZero.optional().meta({ description: 'How long the end waits for hits in flight. Default: 10s' }),
}).meta({ description: 'Exactly one of rate, users, stages. Default: 10 users for 10s' });

export const connectionsInput = object({
  max: count(1, LIMITS.inFlight)
    .optional()
    .meta({ description: 'At the same time the most hits in flight. Default: as many as hits may be in flight' }),
  reuse: z.boolean().optional().meta({ description: 'false: a new connection for each hit. Default: true' }),
  streams: count(1, LIMITS.streams)
    .optional()
    .meta({ description: `Client http2: most hits at a time on one connection. Default: ${DEFAULTS.streams}` }),
});

export const timeoutsInput = object({
  connect: duration.optional().meta({ description: 'DNS, TCP and TLS of a new connection. Default: 5s' }),
  response: duration
    .optional()
    .meta({ description: 'From the request to the first byte of the response. Default: 30s' }),
  total: duration.optional().meta({ description: 'From the start of the hit to the last byte. Default: 60s' }),
});

export const redirectsInput = object({
  follow: z.boolean().optional().meta({ description: 'Default: false' }),
  max: count(0, LIMITS.redirects)
    .optional()
    .meta({ description: `Most redirects of one hit. Default: ${DEFAULTS.maxRedirects}` }),
});

export const tlsInput = object({
  verify: z.boolean().optional().meta({ description: "Whether the target's certificate must be valid. Default: true" }),
  ca: filePath.optional(),
  cert: filePath.optional(),
  key: filePath.optional(),
  serverName: read(z.string(), readServerName)
    .optional()
    .meta({ description: "For SNI and verification. Default: the URL's host" }),
});

/** The parts of a task that are not maps of their own. */
export const plainInput = object({
  name: read(z.string().min(1).max(LIMITS.nameLength), (name) => {
    if (/\p{Cc}/u.test(name)) throw invalid(`expected a name on one line, found ${show(name)}`);
    return name;
  })
    .optional()
    .meta({ description: "Default: the URL's host and path" }),
  client: z
    .enum(['auto', 'http1', 'http2', 'undici'])
    .optional()
    .meta({
      description:
        'What sends: HTTP/1.1 by http1 (fast; follows no redirects) or undici (does everything), HTTP/2 by http2 (follows no ' +
        'redirects; http: with prior knowledge). auto (default): http1 where it can',
    }),
  checks: z.array(checkInput).max(LIMITS.checks).optional().meta({ description: 'All must pass for a hit to be ok' }),
  slos: z
    .array(read(z.string(), (text) => parseSlo(text).text))
    .max(LIMITS.slos)
    .optional()
    .meta({
      description: 'Judged at the end of the run, e.g. "p99 < 200ms", "errors < 1%", "rate > 950"',
      examples: [['p99 < 200ms', 'errors < 1%']],
    }),
});

/** The shape of a task file: what `parseTask` accepts, rules that span several keys aside (see resolve.ts). */
export const taskInput = object({
  name: plainInput.shape.name,
  request: requestInput,
  load: loadInput.optional(),
  client: plainInput.shape.client,
  connections: connectionsInput.optional(),
  timeouts: timeoutsInput.optional(),
  redirects: redirectsInput.optional(),
  tls: tlsInput.optional(),
  checks: plainInput.shape.checks,
  slos: plainInput.shape.slos,
}).meta({ title: 'GoStress task', description: 'What to send, how much of it, and what to expect' });

export type TaskInput = z.input<typeof taskInput>;
