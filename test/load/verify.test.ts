import { describe, expect, test } from 'vitest';
import type { Answer } from '../../src/load/client.ts';
import { compileChecks, MAX_CHECKED_BODY_BYTES } from '../../src/load/verify.ts';
import type { CheckSpec } from '../../src/task/spec.ts';
import { taskFor } from '../support/engine.ts';

const compile = (...checks: CheckSpec[]) => compileChecks({ ...taskFor('http://h/').spec, checks });

function answer(status: number, body: string | null = '', bodyBytes?: number): Answer {
  const bytes = body === null ? null : new Uint8Array(Buffer.from(body));
  return { status, body: bytes, bodyBytes: bodyBytes ?? bytes?.length ?? 0 };
}

/** Labels of the checks that the answer fails. */
function failures(checks: CheckSpec[], given: Answer, serviceMs = 1): string[] {
  const verifier = compile(...checks);
  const failed = verifier.labels.map(() => true);
  const passed = verifier.verify(given, serviceMs, failed);
  expect(passed).toBe(!failed.includes(true));
  return verifier.labels.filter((_, i) => failed[i]);
}

describe('status', () => {
  test.each([
    [200, []],
    [204, []],
    [399, []],
    [199, ['status 200-399']],
    [404, ['status 200-399']],
    [503, ['status 200-399']],
  ])('without a status check, %i fails %j', (status, expected) => {
    expect(failures([], answer(status))).toEqual(expected);
    expect(failures([{ kind: 'maxSize', bytes: 10 }], answer(status))).toEqual(expected);
  });

  test.each([
    [200, true],
    [201, false],
    [404, true],
    [500, true],
    [504, true],
    [505, false],
  ])('%i against a list of statuses and ranges: %s', (status, passes) => {
    const check: CheckSpec = { kind: 'status', status: ['200', '404', '500-504'] };
    expect(failures([check], answer(status))).toEqual(passes ? [] : ['status 200, 404, 500-504']);
  });

  test('verify statusCode is status 200, in place of the implied check', () => {
    const check: CheckSpec = { kind: 'verify', verify: 'statusCode' };
    expect(compile(check).labels).toEqual(['verify statusCode']);
    expect(failures([check], answer(200))).toEqual([]);
    expect(failures([check], answer(201))).toEqual(['verify statusCode']);
  });

  test.each([
    [[], 0],
    [[{ kind: 'maxSize', bytes: 1 }], 0],
    [
      [
        { kind: 'maxSize', bytes: 1 },
        { kind: 'status', status: ['200'] },
      ],
      1,
    ],
    [
      [
        { kind: 'maxSize', bytes: 1 },
        { kind: 'verify', verify: 'statusCode' },
      ],
      1,
    ],
    [[{ kind: 'verify', verify: 'json' }], 0],
  ] satisfies [CheckSpec[], number][])('of %j the status check is number %i', (checks, index) => {
    expect(compile(...checks).statusIndex).toBe(index);
  });
});

describe('the body', () => {
  const contains: CheckSpec = { kind: 'bodyContains', text: 'größe' };
  const matches: CheckSpec = { kind: 'bodyMatches', pattern: '^\\p{Lu}\\w+: \\d+$' };
  test.each([
    [contains, 'die größe', true],
    [contains, 'die grosse', false],
    [contains, '', false],
    [matches, 'Count: 12', true],
    [matches, 'Über: 1', true],
    [matches, 'count: 12', false],
    [{ kind: 'bodyMatches', pattern: '^$' }, '', true],
  ] satisfies [CheckSpec, string, boolean][])('%j against %j: %s', (check, body, passes) => {
    expect(failures([check], answer(200, body))).toHaveLength(passes ? 0 : 1);
  });

  const code = (equals: unknown): CheckSpec => ({ kind: 'jsonPath', path: '$.code', equals: equals as never });
  test.each([
    [code(200), '{"code":200}', true],
    [code(200), '{"code":200.0}', true],
    [code(200), '{"code":"200"}', false],
    [code(200), '{}', false],
    [code(200), 'not json', false],
    [code(null), '{"code":null}', true],
    [code(null), '{}', false],
    [code({ a: [1, { b: 2 }] }), '{"code":{"a":[1,{"b":2}]}}', true],
    [code({ a: [1, { b: 2 }] }), '{"code":{"a":[1,{"b":3}]}}', false],
    [code([]), '{"code":{}}', false],
    [{ kind: 'jsonPath', path: '$.items[*].id', equals: 3 }, '{"items":[{"id":1},{"id":3}]}', true],
    [{ kind: 'jsonPath', path: '$.items[?@.id > 2].name', equals: 'c' }, '{"items":[{"id":3,"name":"c"}]}', true],
    [{ kind: 'jsonPath', path: '$', equals: true }, 'true', true],
  ] satisfies [CheckSpec, string, boolean][])('%j against %s: %s', (check, body, passes) => {
    expect(failures([check], answer(200, body))).toHaveLength(passes ? 0 : 1);
  });

  test.each([
    [200, '{"code":200,"msg":"ok"}', []],
    [200, '{"code":500}', ['verify json']],
    [200, '{"code":"200"}', ['verify json']],
    [200, '[200]', ['verify json']],
    [200, 'null', ['verify json']],
    [200, '', ['verify json']],
    [201, '{"code":200}', ['verify json']],
    [500, '{"code":200}', ['status 200-399', 'verify json']],
  ])('verify json of status %i with %s fails %j', (status, body, expected) => {
    expect(failures([{ kind: 'verify', verify: 'json' }], answer(status, body))).toEqual(expected);
  });

  test('one answer does not see the body of the one before', () => {
    const verifier = compile(code(200), contains);
    const failed = [false, false, false];
    expect(verifier.verify(answer(200, '{"code":200,"t":"größe"}'), 1, failed)).toBe(true);
    expect(verifier.verify(answer(200, '{"code":500}'), 1, failed)).toBe(false);
    expect(failed).toEqual([false, true, true]);
    expect(verifier.verify(answer(200, null), 1, failed)).toBe(false);
    expect(failed).toEqual([false, true, true]);
    expect(verifier.verify(answer(200, '{"code":200,"t":"größe"}'), 1, failed)).toBe(true);
    expect(failed).toEqual([false, false, false]);
  });

  test('of 1 MiB is checked; a longer one fails every body check, saying so, and no other check', () => {
    const checks: CheckSpec[] = [
      { kind: 'bodyContains', text: 'x' },
      { kind: 'bodyMatches', pattern: 'x' },
      { kind: 'maxSize', bytes: 1e9 },
    ];
    const verifier = compile(...checks);
    expect(verifier.maxBodyBytes).toBe(MAX_CHECKED_BODY_BYTES + 1);
    const whole = 'x'.repeat(MAX_CHECKED_BODY_BYTES);
    expect(failures(checks, answer(200, whole))).toEqual([]);
    for (const tooLong of [answer(200, `${whole}x`), answer(200, whole, 2_000_000)]) {
      expect(failures(checks, tooLong)).toEqual(['body contains "x"', 'body matches /x/']);
      expect(verifier.explain(1, tooLong)).toBe('failed: body contains "x" (the body is longer than 1 MiB)');
    }
  });
});

describe('limits', () => {
  test.each([
    [1024, []],
    [1025, ['size <= 1024']],
  ])('%i transferred bytes fail %j', (bodyBytes, expected) => {
    expect(failures([{ kind: 'maxSize', bytes: 1024 }], answer(200, null, bodyBytes))).toEqual(expected);
  });

  test.each([
    [200, []],
    [200.01, ['latency <= 200ms']],
  ])('a service time of %f ms fails %j', (serviceMs, expected) => {
    expect(failures([{ kind: 'maxLatency', ms: 200 }], answer(200), serviceMs)).toEqual(expected);
  });
});

describe('a verifier', () => {
  test.each([
    [
      [
        { kind: 'maxSize', bytes: 1 },
        { kind: 'maxLatency', ms: 1 },
        { kind: 'verify', verify: 'statusCode' },
      ],
      false,
    ],
    [[{ kind: 'bodyContains', text: 'a' }], true],
    [[{ kind: 'bodyMatches', pattern: 'a' }], true],
    [[{ kind: 'jsonPath', path: '$', equals: 1 }], true],
    [[{ kind: 'verify', verify: 'json' }], true],
  ] satisfies [CheckSpec[], boolean][])('of %j needs the body: %s', (checks, needsBody) => {
    expect(compile(...checks).needsBody).toBe(needsBody);
  });

  test('has a label for each check, the implied status first; a check written twice is one', () => {
    const verifier = compile(
      { kind: 'bodyContains', text: 'say "ok"' },
      { kind: 'jsonPath', path: '$.code', equals: 200 },
      { kind: 'jsonPath', path: '$.code', equals: '200' },
      { kind: 'bodyContains', text: 'say "ok"' },
    );
    expect(verifier.labels).toEqual([
      'status 200-399',
      'body contains "say \\"ok\\""',
      '$.code == 200',
      '$.code == "200"',
    ]);
  });

  test('keeps labels short and different', () => {
    const long = 'x'.repeat(200);
    const verifier = compile({ kind: 'bodyContains', text: `${long}a` }, { kind: 'bodyContains', text: `${long}b` });
    expect(new Set(verifier.labels).size).toBe(3);
    for (const label of verifier.labels) expect(label.length).toBeLessThanOrEqual(90);
  });

  test('explains failures in few words', () => {
    const verifier = compile({ kind: 'jsonPath', path: '$.code', equals: 200 }, { kind: 'maxLatency', ms: 5 });
    expect(verifier.explain(0, answer(503))).toBe('found status 503, expected status 200-399');
    expect(verifier.explain(1, answer(200, '{"code":1}'))).toBe('failed: $.code == 200');
    expect(verifier.explain(1, answer(200, '<html>'))).toBe('failed: $.code == 200 (the body is not JSON)');
    expect(verifier.explain(1, answer(200, null))).toContain('cannot be decoded');
    expect(verifier.explain(2, answer(200))).toBe('failed: latency <= 5ms');
  });

  test.each([
    [{ kind: 'status', status: ['2xx'] }, 'expected a status like 200'],
    [{ kind: 'status', status: ['300-200'] }, 'found "300-200"'],
    [{ kind: 'bodyMatches', pattern: '(' }, 'expected a regular expression, found "("'],
    [{ kind: 'jsonPath', path: 'code', equals: 1 }, 'expected a JSONPath like "$.code", found "code"'],
    [{ kind: 'jsonPath', path: '$[?none(@)]', equals: 1 }, 'expected a JSONPath'],
  ] satisfies [CheckSpec, string][])('is not made of %j', (check, problem) => {
    expect(() => compile(check)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
    expect(() => compile(check)).toThrow(problem);
  });
});
