import fc from 'fast-check';
import type { CheckSpec, JsonValue, LoadModel, LoadSpec, StageSpec, TaskSpec } from '../../src/task/spec.ts';

/** As JSON has it: -0 is 0 there. */
const jsonValue = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as typeof value);

/** Tasks as `parseTask` can make them: every field, far corners included. */

const path = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((text) => !/[\0\r\n]/.test(text));
const token = fc.string({
  unit: fc.constantFrom(...Array.from("abcXYZ019-_.!#$%&*+^`|~'")),
  minLength: 1,
  maxLength: 12,
});
const latin1 = fc.integer({ min: 0x20, max: 0xff }).filter((code) => code < 0x7f || code > 0x7f);
const headerValue = fc.string({ unit: latin1.map((code) => String.fromCharCode(code)), maxLength: 30 });
const text = fc.string({ unit: 'binary', maxLength: 60 });
/** Milliseconds to the nanosecond. */
const durationMs = fc.oneof(
  fc.integer({ min: 1, max: 2_592_000_000 }),
  fc.integer({ min: 1, max: 1e12 }).map((ns) => ns / 1e6),
);
const waitMs = fc.oneof(fc.constant(0), durationMs);
const ratePerSecond = fc.double({ min: 1e-9, max: 1e7, noNaN: true });

function optional<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.option(arbitrary, { nil: null });
}

const url = fc
  .record({
    scheme: fc.constantFrom('http', 'https', 'HTTP'),
    user: fc.constantFrom('', 'user@', 'user:pa%20ss@'),
    host: fc.constantFrom('127.0.0.1', 'localhost:8080', '[::1]:81', 'Example.ORG'),
    path: fc.webPath(),
    query: fc.webQueryParameters(),
  })
  .map(({ scheme, user, host, path, query }) => `${scheme}://${user}${host}${path}${query === '' ? '' : `?${query}`}`);

const request = fc.record({
  method: fc.oneof(fc.constantFrom('GET', 'POST', 'PATCH'), token),
  url,
  headers: fc.array(fc.record({ name: token.map((name) => `X-${name}`), value: headerValue }), { maxLength: 4 }),
  body: optional(
    fc.oneof(
      text.map((text) => ({ kind: 'text' as const, text })),
      path.map((path) => ({ kind: 'file' as const, path })),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => ({
        kind: 'base64' as const,
        base64: Buffer.from(bytes).toString('base64'),
      })),
    ),
  ),
});

function target(model: LoadModel): fc.Arbitrary<number> {
  return model === 'open' ? ratePerSecond : fc.integer({ min: 1, max: 1_000_000 });
}

function stages(model: LoadModel, isEndless: boolean): fc.Arbitrary<StageSpec[]> {
  const shape = fc.constantFrom('constant' as const, 'ramp' as const);
  const stageMs = fc.oneof(
    fc.integer({ min: 1, max: 1e8 }),
    fc.integer({ min: 1, max: 1e9 }).map((ns) => ns / 1e6),
  );
  const stage = fc.record({ durationMs: stageMs, target: fc.oneof(fc.constant(0), target(model)), shape });
  const last: fc.Arbitrary<StageSpec> = isEndless
    ? fc.record({ durationMs: fc.constant(null), target: target(model), shape: fc.constant('constant') })
    : fc.record({ durationMs: stageMs, target: target(model), shape });
  return fc.tuple(fc.array(stage, { maxLength: 3 }), last).map(([first, end]) => [...first, end]);
}

const load: fc.Arbitrary<LoadSpec> = fc
  .record({ model: fc.constantFrom('open' as const, 'closed' as const), isEndless: fc.boolean() })
  .chain(({ model, isEndless }) =>
    fc
      .record({
        model: fc.constant(model),
        stages: stages(model, isEndless),
        hits: isEndless ? fc.maxSafeNat().map((hits) => Math.max(1, hits)) : optional(fc.integer({ min: 1, max: 1e6 })),
        warmup: fc.double({ min: 0, max: 0.99, noNaN: true }),
        thinkTimeMs: model === 'closed' ? waitMs : fc.constant(0),
        maxInFlight: fc.integer({ min: 1, max: 1_000_000 }),
        onSaturated:
          model === 'open' ? fc.constantFrom('drop' as const, 'queue' as const) : fc.constant('drop' as const),
        maxQueue: model === 'open' ? fc.integer({ min: 1, max: 10_000_000 }) : fc.constant(100_000),
        graceMs: waitMs,
      })
      .map(({ warmup, ...rest }) => {
        const planMs = rest.stages.reduce((sum, stage) => sum + (stage.durationMs ?? 1000), 0);
        const mostUsers = Math.max(...rest.stages.map((stage) => stage.target));
        const maxInFlight = model === 'open' ? rest.maxInFlight : mostUsers;
        return { ...rest, maxInFlight, warmupMs: Math.floor(planMs * warmup) };
      }),
  );

const status = fc.integer({ min: 100, max: 999 });
const check: fc.Arbitrary<CheckSpec> = fc.oneof(
  fc
    .array(
      fc.oneof(
        status.map(String),
        fc.tuple(status, status).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      ),
      { minLength: 1, maxLength: 4 },
    )
    .map((items) => ({ kind: 'status' as const, status: items })),
  fc.string({ unit: 'binary', minLength: 1 }).map((text) => ({ kind: 'bodyContains' as const, text })),
  fc.constantFrom('ok|fine', '^\\d+\n$', '[é]').map((pattern) => ({ kind: 'bodyMatches' as const, pattern })),
  fc
    .record({ path: fc.constantFrom('$', '$.a[0]', '$..b'), equals: jsonValue })
    .map(({ path, equals }) => ({ kind: 'jsonPath' as const, path, equals: equals as JsonValue })),
  fc.nat().map((bytes) => ({ kind: 'maxSize' as const, bytes })),
  durationMs.map((ms) => ({ kind: 'maxLatency' as const, ms })),
  fc.constantFrom('statusCode' as const, 'json' as const).map((verify) => ({ kind: 'verify' as const, verify })),
);

export const taskArbitrary: fc.Arbitrary<TaskSpec> = fc
  .record({
    name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter((name) => !/\p{Cc}/u.test(name)),
    request,
    load,
    client: fc.constantFrom('auto' as const, 'undici' as const, 'http1' as const, 'http2' as const),
    connections: fc.record({
      max: optional(fc.constant(1_000_000)),
      reuse: fc.boolean(),
      streams: fc.constantFrom(1, 100, 1000),
    }),
    timeouts: fc.record({ connectMs: durationMs, responseMs: durationMs, totalMs: durationMs }),
    redirects: fc.record({ follow: fc.boolean(), max: fc.integer({ min: 0, max: 1000 }) }),
    tls: fc
      .record({
        verify: fc.boolean(),
        caFile: optional(path),
        cert: optional(fc.tuple(path, path)),
        name: fc.boolean(),
      })
      .map(({ verify, caFile, cert, name }) => ({
        verify,
        caFile,
        certFile: cert?.[0] ?? null,
        keyFile: cert?.[1] ?? null,
        serverName: name ? 'example.org' : null,
      })),
    checks: fc.array(check, { maxLength: 5 }),
    slos: fc.subarray(['p99 < 200ms', 'errors<1%', 'rate >= 950/s', 'service.max <= 1.5s']),
  })
  .map((task) => {
    const isNameDerived = task.name.length % 3 === 0;
    const { host, pathname } = new URL(task.request.url);
    const client = task.redirects.follow && task.client !== 'undici' ? 'auto' : task.client;
    const connections = client === 'http2' ? task.connections : { ...task.connections, streams: 100 };
    return { ...task, client, connections, name: isNameDerived ? `${host}${pathname}`.slice(0, 200) : task.name };
  });
