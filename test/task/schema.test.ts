import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { CodedError } from '../../src/lib/errors.ts';
import { parseTask, taskJsonSchema } from '../../src/task/schema.ts';
import type { TaskSpec } from '../../src/task/spec.ts';

const URL = 'http://127.0.0.1:8080/orders';
const request = { url: URL };

function problemsOf(input: unknown): readonly string[] {
  try {
    parseTask(input);
  } catch (error) {
    if (error instanceof CodedError && error.code === 'INVALID_INPUT') return error.problems;
    throw error;
  }
  return [];
}

function load(input: Record<string, unknown>): TaskSpec['load'] {
  return parseTask({ request, load: input }).load;
}

describe('parseTask: defaults', () => {
  it('makes ten users for ten seconds of a task that has only a URL', () => {
    expect(parseTask({ request })).toEqual({
      name: '127.0.0.1:8080/orders',
      request: { method: 'GET', url: URL, headers: [], body: null },
      load: {
        model: 'closed',
        stages: [{ durationMs: 10_000, target: 10, shape: 'constant' }],
        hits: null,
        warmupMs: 0,
        thinkTimeMs: 0,
        maxInFlight: 10,
        onSaturated: 'drop',
        maxQueue: 100_000,
        graceMs: 10_000,
      },
      client: 'auto',
      connections: { max: null, reuse: true, streams: 100 },
      timeouts: { connectMs: 5_000, responseMs: 30_000, totalMs: 60_000 },
      redirects: { follow: false, max: 10 },
      tls: { verify: true, caFile: null, certFile: null, keyFile: null, serverName: null },
      checks: [],
      slos: [],
    });
  });

  it('leaves user, password and query out of the name it derives', () => {
    expect(parseTask({ request: { url: 'http://u:p@h/path?token=x' } }).name).toBe('h/path');
  });

  it('sends a body by POST when no method is given, and a GET with a body when asked to', () => {
    const body = { text: 'x' };
    expect(parseTask({ request: { url: URL, body } }).request.method).toBe('POST');
    expect(parseTask({ request: { url: URL, body, method: 'GET' } }).request.method).toBe('GET');
  });

  it('takes a key that is undefined for one that is not there', () => {
    expect(parseTask({ request, load: { rate: undefined, users: 5 }, tls: undefined }).load.stages[0]?.target).toBe(5);
  });
});

describe('parseTask: load', () => {
  it('makes an open load of a rate, with room for 10 000 hits in flight', () => {
    expect(load({ rate: '30/1m', duration: '1m30s' })).toMatchObject({
      model: 'open',
      stages: [{ durationMs: 90_000, target: 0.5, shape: 'constant' }],
      maxInFlight: 10_000,
    });
  });

  it('has as many hits in flight as users at most', () => {
    const stages = [
      { duration: '1s', target: 7, shape: 'ramp' },
      { duration: '1s', target: 3 },
    ];
    expect(load({ model: 'closed', stages }).maxInFlight).toBe(7);
    expect(load({ users: 4 }).maxInFlight).toBe(4);
  });

  it('goes on until the hits are used up when no duration is given', () => {
    expect(load({ users: 2, hits: 5 })).toMatchObject({ hits: 5, stages: [{ durationMs: null, target: 2 }] });
  });

  it('ends at hits or duration, whichever comes first, when both are given', () => {
    expect(load({ rate: 2, hits: 5, duration: '1s' })).toMatchObject({ hits: 5, stages: [{ durationMs: 1000 }] });
  });

  it('lets the last stage be ended by hits alone', () => {
    const stages = [{ duration: '1s', target: 7, shape: 'ramp' }, { target: 3 }];
    expect(load({ model: 'open', stages, hits: 100 }).stages).toEqual([
      { durationMs: 1000, target: 7, shape: 'ramp' },
      { durationMs: null, target: 3, shape: 'constant' },
    ]);
  });

  it('accepts a model that says what the other keys say', () => {
    expect(load({ model: 'open', rate: 5 }).model).toBe('open');
    expect(load({ model: 'closed' }).model).toBe('closed');
  });

  const stage = { duration: '1s', target: 5 };
  test.each<[string, Record<string, unknown>, string[]]>([
    [
      'two ways to load',
      { rate: 5, users: 5 },
      ['load.users: expected only one of rate, users and stages, found rate and users'],
    ],
    [
      'stages without a model',
      { stages: [stage] },
      ['load: expected a model with stages ("open" or "closed"), found none'],
    ],
    [
      'a model against the rate',
      { rate: 5, model: 'closed' },
      ['load.model: expected "open" with rate, found "closed"'],
    ],
    [
      'the open model without a rate',
      { model: 'open' },
      ['load.model: expected a rate or stages with the model "open", found none'],
    ],
    [
      'a duration beside stages',
      { model: 'open', stages: [stage], duration: '5s' },
      ['load.duration: expected no duration beside stages, which have their own; found both'],
    ],
    [
      'think time in the open model',
      { rate: 5, thinkTime: '1s' },
      ['load.thinkTime: expected only in the closed model (users), found in the open model'],
    ],
    [
      'saturation in the closed model',
      { users: 5, onSaturated: 'queue', maxQueue: 5, maxInFlight: 5 },
      ['maxInFlight', 'onSaturated', 'maxQueue'].map(
        (key) => `load.${key}: expected only in the open model (a rate), found in the closed model`,
      ),
    ],
    [
      'a warm-up as long as the load',
      { rate: 5, warmup: '10s' },
      ["load.warmup: expected less than the load's 10s, found 10s"],
    ],
    ['a rate above ten million', { rate: 10_000_001 }, ['load.rate: expected at most 10000000/s, found 10000001']],
    ['a rate of 0', { rate: 0 }, ['load.rate: expected a rate above 0 like "600", "600/s" or "30/1m", found "0"']],
    ['half a user', { users: 1.5 }, ['load.users: expected a whole number, found 1.5']],
    ['no users', { users: 0 }, ['load.users: expected at least 1, found 0']],
    ['a duration of 0', { duration: '0s' }, ['load.duration: expected a duration longer than 0, found "0s"']],
    [
      'a duration without a unit',
      { duration: 30 },
      ['load.duration: expected a duration like "30s" or "1m30s", found 30: a number needs a unit, e.g. "30s"'],
    ],
    ['a duration of more than 30 days', { duration: '721h' }, ['load.duration: expected at most 720h, found "721h"']],
    ['no stages', { model: 'open', stages: [] }, ['load.stages: expected at least 1 items, found 0']],
    [
      'targets of 0 only',
      { model: 'open', stages: [{ duration: '1s', target: 0 }] },
      ['load.stages: expected a target above 0 in at least one stage, found only 0'],
    ],
    [
      'a negative target',
      { model: 'open', stages: [stage, { duration: '1s', target: -1 }] },
      ['load.stages[1].target: expected at least 0, found -1'],
    ],
    [
      'half a user in a stage',
      { model: 'closed', stages: [{ duration: '1s', target: 1.5 }] },
      ['load.stages[0].target: expected a whole number of users, found 1.5'],
    ],
    [
      'too high a target',
      { model: 'open', stages: [{ duration: '1s', target: 1e8 }] },
      ['load.stages[0].target: expected at most 10000000, found 100000000'],
    ],
    [
      'a stage in the middle without a duration',
      { model: 'open', stages: [{ target: 5 }, stage], hits: 5 },
      ['load.stages[0]: expected a duration (only the last stage may have none, and only with hits), found none'],
    ],
    [
      'a last stage without a duration and without hits',
      { model: 'open', stages: [stage, { target: 5 }] },
      ['load.stages[1]: expected a duration (only the last stage may have none, and only with hits), found none'],
    ],
    [
      'an endless ramp',
      { model: 'open', stages: [{ target: 5, shape: 'ramp' }], hits: 5 },
      ['load.stages[0]: expected a duration with the shape "ramp", found none'],
    ],
    [
      'a last stage that never uses up its hits',
      { model: 'open', stages: [stage, { target: 0 }], hits: 5 },
      ['load.stages[1].target: expected a target above 0 in a stage that only hits end, found 0'],
    ],
    [
      'stages of more than 30 days together',
      { model: 'open', stages: [{ duration: '720h', target: 5 }, stage] },
      ['load.stages: expected at most 720h in all stages together, found 720h1s'],
    ],
    ['a misspelt key', { rte: 5 }, ['load.rte: unknown key; did you mean "rate"?']],
    [
      'a misspelt value',
      { rate: 5, onSaturated: 'dorp' },
      ['load.onSaturated: expected "drop" or "queue", found "dorp"; did you mean "drop"?'],
    ],
  ])('refuses %s', (_, input, problems) => {
    expect(problemsOf({ request, load: input })).toEqual(problems);
  });
});

describe('parseTask: request', () => {
  it('reads headers as a list, in order and with names that repeat', () => {
    const headers = [
      { name: 'B', value: '1' },
      { name: 'A', value: '' },
      { name: 'B', value: '2' },
    ];
    expect(parseTask({ request: { url: URL, headers } }).request.headers).toEqual(headers);
  });

  it('reads headers as a map, in order', () => {
    expect(parseTask({ request: { url: URL, headers: { B: '1', A: 'é' } } }).request.headers).toEqual([
      { name: 'B', value: '1' },
      { name: 'A', value: 'é' },
    ]);
  });

  it.each([
    [{ text: '' }, { kind: 'text', text: '' }],
    [{ file: 'a/b.json' }, { kind: 'file', path: 'a/b.json' }],
    [{ base64: 'aGk=\n' }, { kind: 'base64', base64: 'aGk=' }],
  ])('reads the body %j', (body, spec) => {
    expect(parseTask({ request: { url: URL, body } }).request.body).toEqual(spec);
  });

  it.each(['https://example.org', 'HTTP://h:1/', 'http://[::1]:8080/?a=b', 'http://u:p@h/%20'])(
    'keeps the URL %s as written',
    (url) => {
      expect(parseTask({ request: { url } }).request.url).toBe(url);
    },
  );

  test.each<[string, Record<string, unknown>, string]>([
    ['no URL', {}, 'request.url: expected a URL like "http://127.0.0.1:8080/path", found nothing'],
    [
      'a URL without a scheme',
      { url: 'localhost:8080/x' },
      'request.url: expected a URL like "http://127.0.0.1:8080/path" or "https://…", found "localhost:8080/x"; did you mean "http://localhost:8080/x"?',
    ],
    [
      'a host without a scheme',
      { url: 'example.org' },
      'request.url: expected a URL like "http://127.0.0.1:8080/path" or "https://…", found "example.org"; did you mean "http://example.org"?',
    ],
    [
      'another scheme',
      { url: 'ftp://h/' },
      'request.url: expected a URL like "http://127.0.0.1:8080/path" or "https://…", found "ftp://h/"',
    ],
    [
      'a URL without a host',
      { url: 'http:///x' },
      'request.url: expected a URL like "http://127.0.0.1:8080/path" or "https://…", found "http:///x"',
    ],
    [
      'a fragment',
      { url: 'http://h/#x' },
      'request.url: expected a URL without a fragment (what follows # is never sent), found "http://h/#x"',
    ],
    [
      'a space in the URL',
      { url: 'http://h/a b' },
      'request.url: expected a URL without spaces, control characters and backslashes, found " " in "http://h/a b"',
    ],
    [
      'half of a surrogate pair in the URL',
      { url: 'http://h/\ud800' },
      String.raw`request.url: expected a URL of whole characters, found half of a surrogate pair in "http://h/\ud800"`,
    ],
    ['port 0', { url: 'http://h:0/' }, 'request.url: expected a port from 1 to 65535, found 0 in "http://h:0/"'],
    [
      'a password in a wrong URL',
      { url: 'http://u:can/ary@h:x/' },
      'request.url: expected a URL like "http://127.0.0.1:8080/path" or "https://…", found "http://***@h:x/"',
    ],
    [
      'a method with a space',
      { url: URL, method: 'GET /' },
      'request.method: expected a method like GET or POST, found "GET /"',
    ],
    [
      'CONNECT',
      { url: URL, method: 'CONNECT' },
      'request.method: expected a method other than CONNECT, which asks a proxy for a tunnel',
    ],
    [
      'a header name with a space',
      { url: URL, headers: { 'A B': '1' } },
      'request.headers[…]: expected a header name like X-Request-Id, found U+0020 at position 2',
    ],
    [
      'a line break in a header',
      { url: URL, headers: { A: 'x\r\nB: canary' } },
      'request.headers.A: expected a header value of one line in Latin-1 characters, found U+000D at position 2',
    ],
    [
      'a header beyond Latin-1',
      { url: URL, headers: [{ name: 'A', value: '😀' }] },
      'request.headers[0].value: expected a header value of one line in Latin-1 characters, found U+1F600 at position 1',
    ],
    [
      'a header that is a number',
      { url: URL, headers: { A: 5 } },
      'request.headers.A: expected text; put the value in quotes',
    ],
    [
      'headers that are neither list nor map',
      { url: URL, headers: 'A: b' },
      'request.headers: expected a list of {name, value}, or a map of names to values, found text',
    ],
    [
      'a misspelt key of a header',
      { url: URL, headers: [{ name: 'A', value: 'b', vlue: 'b' }] },
      'request.headers[0].vlue: unknown key; did you mean "value"?',
    ],
    [
      'two Host headers',
      {
        url: URL,
        headers: [
          { name: 'Host', value: 'a' },
          { name: 'host', value: 'b' },
        ],
      },
      'request.headers: expected at most one Host header, found several',
    ],
    [
      'two sources of Authorization',
      { url: 'http://u:canary@h/', headers: { Authorization: 'canary' } },
      'request.headers: expected one source of Authorization, found a header and a user in the URL',
    ],
    [
      'two bodies',
      { url: URL, body: { text: '', file: 'a' } },
      'request.body: expected exactly one of text, file, base64, found text and file',
    ],
    [
      'an empty body',
      { url: URL, body: {} },
      'request.body: expected exactly one of text, file, base64, found nothing',
    ],
    [
      'a wrong base64',
      { url: URL, body: { base64: 'canary' } },
      'request.body.base64: expected standard base64 with padding, found 6 characters that are not',
    ],
    [
      'a key in place of its file',
      { url: URL, body: { file: '-----BEGIN PRIVATE KEY-----\ncanary' } },
      'request.body.file: expected the path of a file, found "***"',
    ],
  ])('refuses %s', (_, input, problem) => {
    const problems = problemsOf({ request: input });
    expect(problems).toEqual([problem]);
    expect(problems.join()).not.toContain('canary');
  });

  it.each(['Content-Length', 'transfer-encoding', 'Connection', 'Keep-Alive', 'Upgrade', 'Expect'])(
    'refuses the header %s, which the client sets, and says so',
    (name) => {
      expect(problemsOf({ request: { url: URL, headers: [{ name, value: '1' }] } })).toEqual([
        expect.stringMatching(
          new RegExp(`^request\\.headers\\[0\\]\\.name: header ${name} cannot be set: the client .*; leave it out$`),
        ),
      ]);
    },
  );
});

describe('parseTask: the other parts', () => {
  it('reads every kind of check', () => {
    const checks = [
      { status: [200, '301-399'] },
      { bodyContains: 'ok' },
      { bodyMatches: 'ok|fine' },
      { jsonPath: { path: '$.code', equals: { a: [null, 1] } } },
      { jsonPath: { path: '$.code', equals: null } },
      { maxSize: 10240 },
      { maxSize: '10KB' },
      { maxLatency: '200ms' },
      { verify: 'json' },
    ];
    expect(parseTask({ request, checks }).checks).toEqual([
      { kind: 'status', status: ['200', '301-399'] },
      { kind: 'bodyContains', text: 'ok' },
      { kind: 'bodyMatches', pattern: 'ok|fine' },
      { kind: 'jsonPath', path: '$.code', equals: { a: [null, 1] } },
      { kind: 'jsonPath', path: '$.code', equals: null },
      { kind: 'maxSize', bytes: 10240 },
      { kind: 'maxSize', bytes: 10000 },
      { kind: 'maxLatency', ms: 200 },
      { kind: 'verify', verify: 'json' },
    ]);
  });

  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  const kinds = 'status, bodyContains, bodyMatches, jsonPath, maxSize, maxLatency, verify';
  test.each<[string, unknown, string]>([
    [
      'a status that is none',
      { status: [20] },
      'status[0]: expected a status like 200 or a range like "200-299", found "20"',
    ],
    [
      'a range from high to low',
      { status: ['300-200'] },
      'status[0]: expected a status like 200 or a range like "200-299", found "300-200"',
    ],
    ['a status outside of a list', { status: 200 }, 'status: expected a list, found 200'],
    [
      'a wrong pattern',
      { bodyMatches: '(' },
      'bodyMatches: expected a regular expression, found "(": Invalid regular expression: /(/u: Unterminated group',
    ],
    [
      'a JSONPath without a value',
      { jsonPath: { path: '$' } },
      'jsonPath.equals: expected a JSON value at most 64 levels deep, found nothing',
    ],
    [
      'an endless value',
      { jsonPath: { path: '$', equals: cyclic } },
      'jsonPath.equals: expected a JSON value at most 64 levels deep, found a list',
    ],
    [
      'a value that JSON has not',
      { jsonPath: { path: '$', equals: NaN } },
      'jsonPath.equals: expected a JSON value at most 64 levels deep, found NaN',
    ],
    [
      'a wrong size',
      { maxSize: '10 apples' },
      'maxSize: expected a size in bytes like 10240, "10KB" or "10KiB", found "10 apples"',
    ],
    [
      'an unknown verify',
      { verify: 'jsn' },
      'verify: expected "statusCode" or "json", found "jsn"; did you mean "json"?',
    ],
    [
      'two kinds in one check',
      { verify: 'json', maxSize: 5 },
      `: expected exactly one of ${kinds}, found maxSize and verify`,
    ],
    ['no kind', {}, `: expected exactly one of ${kinds}, found nothing`],
    ['an unknown kind', { bodyContain: 'x' }, 'bodyContain: unknown key; did you mean "bodyContains"?'],
  ])('refuses %s', (_, check, problem) => {
    expect(problemsOf({ request, checks: [check] })).toEqual([
      `checks[0]${problem.startsWith(':') ? '' : '.'}${problem}`,
    ]);
  });

  it('refuses a wrong JSONPath', () => {
    expect(problemsOf({ request, checks: [{ jsonPath: { path: '$.[', equals: 1 } }] })).toEqual([
      expect.stringMatching(/^checks\[0\]\.jsonPath\.path: expected a JSONPath like "\$\.code", found "\$\.\[": /),
    ]);
  });

  test.each<[string, Record<string, unknown>, string]>([
    [
      'an unknown SLO',
      { slos: ['p99 < 5ms', 'p99 < 5'] },
      'slos[1]: expected a duration like "30s" or "1m30s", found "5": a number needs a unit, e.g. "5s" (in "p99 < 5")',
    ],
    ['a timeout of 0', { timeouts: { connect: 0 } }, 'timeouts.connect: expected a duration longer than 0, found 0'],
    ['no connections', { connections: { max: 0 } }, 'connections.max: expected at least 1, found 0'],
    [
      'fewer connections than users',
      { connections: { max: 5 }, load: { users: 6 } },
      'connections.max: expected at least the 6 users, each has a connection of its own; found 5',
    ],
    ['a key without a cert', { tls: { key: 'k' } }, 'tls.key: expected a cert with the key, found none'],
    [
      'a cert without a key',
      { tls: { cert: 'c' } },
      'tls.cert: expected a key with the cert, found none; when one file has both, name it twice',
    ],
    [
      'an address as a server name',
      { tls: { serverName: '127.0.0.1' } },
      'tls.serverName: expected a host name like example.org, found "127.0.0.1"',
    ],
    ['text for yes', { redirects: { follow: 'yes' } }, 'redirects.follow: expected true or false, found "yes"'],
    ['a name that is a number', { name: 5 }, 'name: expected text, found 5; put it in quotes'],
    ['a name of two lines', { name: 'a\nb' }, String.raw`name: expected a name on one line, found "a\nb"`],
    ['an empty name', { name: '' }, 'name: expected at least 1 characters, found ""'],
    [
      'a client that does not do what is asked',
      { client: 'http1', redirects: { follow: true } },
      'client: expected undici or auto, found http1: it does not follow redirects, and the task asks for that',
    ],
    [
      'http2 for a task that follows redirects',
      { client: 'http2', redirects: { follow: true } },
      'client: expected undici or auto, found http2: it does not follow redirects, and the task asks for that',
    ],
    [
      'streams without http2',
      { connections: { streams: 5 } },
      'connections.streams: expected only with the client http2, found with auto',
    ],
    [
      'an unknown client',
      { client: 'curl' },
      'client: expected "auto" or "http1" or "http2" or "undici", found "curl"',
    ],
    ['an empty part', { connections: null }, 'connections: expected a map, found nothing'],
    ['a part that is no map', { load: [] }, 'load: expected a map, found a list'],
    [
      'an unknown part',
      { qps: 5 },
      'qps: unknown key; expected one of name, request, load, client, connections, timeouts, redirects, tls, checks, slos',
    ],
  ])('refuses %s', (_, input, problem) => {
    expect(problemsOf({ request, ...input })).toEqual([problem]);
  });

  test.each([
    [undefined, 'nothing'],
    [null, 'nothing'],
    [[], 'a list'],
    ['http://h/', 'text'],
    [5, '5'],
  ])('refuses %j as a task', (input, found) => {
    expect(problemsOf(input)).toEqual([`expected a task (a map with the key "request"), found ${found}`]);
  });
});

describe('parseTask: several problems', () => {
  it('tells all at once, those between keys beside those within one', () => {
    expect(
      problemsOf({
        request: { urll: URL, headers: { 'A B': 'x' } },
        load: { rate: 'fast', users: 5, duration: '5x', onSaturated: 'drop' },
        tls: { key: 'k' },
        checks: [{ status: [1, 2] }],
      }),
    ).toEqual([
      'checks[0].status[0]: expected a status like 200 or a range like "200-299", found "1"',
      'checks[0].status[1]: expected a status like 200 or a range like "200-299", found "2"',
      'request.urll: unknown key; did you mean "url"?',
      'request.url: expected a URL like "http://127.0.0.1:8080/path", found nothing',
      'request.headers[…]: expected a header name like X-Request-Id, found U+0020 at position 2',
      'load.rate: expected a rate above 0 like "600", "600/s" or "30/1m", found "fast"',
      'load.duration: expected a duration like "30s" or "1m30s", found "5x"',
      'load.users: expected only one of rate, users and stages, found rate and users',
      'tls.key: expected a cert with the key, found none',
    ]);
  });

  it('meets any input with a task or with INVALID_INPUT, never with another error', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (a, b) => {
        for (const input of [a, { request: a }, { request: { url: URL, headers: a, body: b }, load: a, checks: b }]) {
          expect(problemsOf(input)).toBeInstanceOf(Array);
        }
      }),
    );
  });

  it('counts those beyond the fiftieth', () => {
    const input = { request, ...Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`unknown${i}`, 1])) };
    const problems = problemsOf(input);
    expect(problems).toHaveLength(51);
    expect(problems.at(-1)).toBe('and 10 more problems');
  });
});

describe('taskJsonSchema', () => {
  it('is what task.schema.json has (renew it with: npx vitest run test/task/schema.test.ts -u)', async () => {
    await expect(`${JSON.stringify(taskJsonSchema(), null, 2)}\n`).toMatchFileSnapshot(
      '../../src/task/task.schema.json',
    );
  });

  it('is of what users write, not of what the program makes of it', () => {
    expect(taskJsonSchema()).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      required: ['request'],
      additionalProperties: false,
      properties: {
        request: { required: ['url'] },
        load: { properties: { rate: { type: ['string', 'number'] }, model: { enum: ['open', 'closed'] } } },
        checks: { items: { minProperties: 1, maxProperties: 1 } },
      },
    });
  });
});
