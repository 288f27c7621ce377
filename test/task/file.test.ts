import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { CodedError } from '../../src/lib/errors.ts';
import { parseTaskFile } from '../../src/task/file.ts';
import { parseTask } from '../../src/task/schema.ts';

function problemsOf(text: string): readonly string[] {
  try {
    parseTaskFile(text, 'task.yaml');
  } catch (error) {
    if (error instanceof CodedError && error.code === 'INVALID_INPUT') return error.problems;
    throw error;
  }
  return [];
}

const INPUT = { request: { url: 'http://127.0.0.1:8080/' }, load: { rate: '600/s', duration: '30s' } };

describe('parseTaskFile', () => {
  it('reads YAML', () => {
    const text = 'request: { url: "http://127.0.0.1:8080/" } # a comment\nload:\n  rate: 600/s\n  duration: 30s\n';
    expect(parseTaskFile(text, 'task.yaml')).toEqual(parseTask(INPUT));
  });

  it.each([undefined, 2, '\t'])('reads JSON (indented by %j)', (indent) => {
    expect(parseTaskFile(JSON.stringify(INPUT, null, indent), 'task.json')).toEqual(parseTask(INPUT));
  });

  it('reads a file with a byte order mark and Windows line ends', () => {
    expect(parseTaskFile('\ufeffrequest:\r\n  url: http://h/\r\n', 'x').request.url).toBe('http://h/');
  });

  it('reads anchors and aliases', () => {
    const text = 'request: { url: http://h/ }\ntimeouts: { connect: &t 3s, response: *t }\n';
    expect(parseTaskFile(text, 'x').timeouts).toMatchObject({ connectMs: 3000, responseMs: 3000 });
  });

  it('takes yes, no and times for text, as YAML 1.2 does', () => {
    expect(parseTaskFile('request: { url: http://h/ }\nname: no', 'x').name).toBe('no');
  });

  it('tells all problems in the order of the lines, each with the place of its key', () => {
    const text = [
      'slos:',
      "  - 'p99 < 200ms'",
      "  - 'p99 < 200'",
      'request:',
      '  url: example.org',
      '  headers: { Accept: "*/*", "Bad Name": x }',
      'load:',
      '  model: open',
      '  stages:',
      '    - { duration: 5x, target: 5 }',
      '    -',
      '      duration: 5s',
      '      taget: 5',
      'tsl: {}',
    ].join('\n');
    expect(problemsOf(text)).toEqual([
      'task.yaml:3:5 slos[1]: expected a duration like "30s" or "1m30s", found "200": a number needs a unit, e.g. "200s" (in "p99 < 200")',
      'task.yaml:5:3 request.url: expected a URL like "http://127.0.0.1:8080/path" or "https://…", found "example.org"; did you mean "http://example.org"?',
      'task.yaml:6:29 request.headers[…]: expected a header name like X-Request-Id, found U+0020 at position 4',
      'task.yaml:10:9 load.stages[0].duration: expected a duration like "30s" or "1m30s", found "5x"',
      'task.yaml:12:7 load.stages[1].target: expected a number, found nothing',
      'task.yaml:13:7 load.stages[1].taget: unknown key; did you mean "target"?',
      'task.yaml:14:1 tsl: unknown key; did you mean "tls"?',
    ]);
  });

  it('places a problem of an aliased part where the part is written', () => {
    const text = 'request: &r\n  url: http://h/\nload: *r\n';
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^task\.yaml:2:3 load\.url: unknown key/)]);
  });

  it('places a missing key at the map that should have it', () => {
    expect(problemsOf('name: x\nrequest:\n  method: GET\n')).toEqual([
      'task.yaml:2:1 request.url: expected a URL like "http://127.0.0.1:8080/path", found nothing',
    ]);
  });

  test.each([
    ['an empty file', '', 'task.yaml:1:1: expected a task (a map with the key "request"), found nothing'],
    ['a comment alone', '# nothing\n', /^task\.yaml:\d:1: expected a task .*, found nothing$/],
    ['a quote that is not closed', 'name: "x\n', 'task.yaml:2:1: not valid YAML: Missing closing "quote'],
    [
      'a tab as indentation',
      'request:\n\turl: x\n',
      'task.yaml:2:1: not valid YAML: Tabs are not allowed as indentation',
    ],
    [
      'a key that is there twice',
      'name: a\nname: b\n',
      'task.yaml:2:1: not valid YAML: expected each key once in a map, found it again here',
    ],
    [
      'several documents',
      'name: a\n---\nname: b\n',
      'task.yaml:2:1: not valid YAML: expected one document, found several',
    ],
    ['an unknown tag', 'name: !canary x\n', /^task\.yaml:1:7: not valid YAML: Unresolved tag/],
    ['an unknown anchor', 'name: *a\n', /^task\.yaml: not valid YAML: Unresolved alias/],
    ['too deep a nesting', '['.repeat(100_000), /^task\.yaml:1:\d+: expected less nesting$/],
    ['broken JSON', '{"name": }', /^task\.yaml:1:/],
  ])('refuses %s', (_, text, problem) => {
    const [first] = problemsOf(text);
    expect(first).toEqual(typeof problem === 'string' ? problem : expect.stringMatching(problem));
  });

  it('does not quote the text in syntax problems: it may be a secret', () => {
    const texts = [
      'name: "a" "canary"',
      'name: | canary\n  x',
      'request: {headers: {Authorization: [canary}}',
      'a: b: canary',
    ];
    for (const text of texts) {
      const problems = problemsOf(text);
      expect(problems).not.toEqual([]);
      expect(problems.join()).not.toContain('canary');
    }
  });

  it('refuses aliases that multiply', () => {
    const lines = ['x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1]'];
    for (let i = 1; i < 20; i++) lines.push(`x${i}: &x${i} [${`*x${i - 1},`.repeat(9)}]`);
    expect(problemsOf(lines.join('\n'))).toEqual([
      'task.yaml: not valid YAML: Excessive alias count indicates a resource exhaustion attack',
    ]);
  });

  it('refuses a value that contains itself', () => {
    const text = 'request: { url: http://h/ }\nchecks: [{ jsonPath: { path: $, equals: &a [*a] } }]\n';
    expect(problemsOf(text)).toEqual([
      'task.yaml:2:33 checks[0].jsonPath.equals: expected a JSON value at most 64 levels deep, found a list',
    ]);
  });

  it('meets any text with INVALID_INPUT, never with another error', () => {
    const yamlLike = fc.string({ unit: fc.constantFrom(...Array.from(`ab:-[]{},&*!|>'"%#? \n\t`)), maxLength: 40 });
    fc.assert(
      fc.property(fc.oneof(yamlLike, fc.string({ unit: 'binary' })), (text) => {
        expect(problemsOf(text)).not.toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses more than 1 MiB', () => {
    expect(problemsOf(`#${'x'.repeat(1024 * 1024)}`)).toEqual([
      'task.yaml: expected at most 1048576 bytes, found 1048577',
    ]);
  });
});

describe('the examples', () => {
  const folder = new URL('../examples/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

  it('are there', () => {
    expect(names.length).toBeGreaterThanOrEqual(6);
  });

  it.each(names)('%s is a right task against 127.0.0.1:8080', (name) => {
    const task = parseTaskFile(readFileSync(new URL(name, folder), 'utf8'), name);
    expect(new URL(task.request.url).host).toBe('127.0.0.1:8080');
  });
});
