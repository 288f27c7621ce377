import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/cli/options.ts';
import { readRunTask, type FlaggedTask } from '../../src/cli/task-flags.ts';
import { CodedError } from '../../src/lib/errors.ts';
import type { LoadSpec, StageSpec } from '../../src/task/spec.ts';

const URL = 'http://127.0.0.1:8080/';

let folder: string;
beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), 'gostress-flags-'))));
afterAll(() => rmSync(folder, { recursive: true }));

/** The task of a command line, written as after `gostress run`. */
function taskOf(...args: string[]): Promise<FlaggedTask> {
  const command = runCommand().exitOverride().parse(args, { from: 'user' });
  return readRunTask(command.args[0], command.opts());
}

async function loadOf(...args: string[]): Promise<LoadSpec> {
  return (await taskOf(...args)).task.spec.load;
}

async function problemsOf(...args: string[]): Promise<readonly string[]> {
  const error: unknown = await taskOf(...args).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CodedError);
  return (error as CodedError).problems;
}

function file(name: string, text: string): string {
  const place = path.join(folder, name);
  writeFileSync(place, text);
  return place;
}

const constant = (target: number, durationMs: number | null): StageSpec => ({ durationMs, target, shape: 'constant' });

describe('without a task file', () => {
  test.each<[string, string[], string | null, Partial<LoadSpec>]>([
    [
      'no load flag',
      [],
      'defaults: closed, 10 users, 10s; -q N sets a rate',
      { model: 'closed', stages: [constant(10, 10_000)] },
    ],
    [
      '-d alone',
      ['-d', '5s'],
      'defaults: closed, 10 users; -q N sets a rate',
      { model: 'closed', stages: [constant(10, 5_000)] },
    ],
    ['-c alone', ['-c', '3'], 'defaults: 10s; -d sets a duration', { model: 'closed', stages: [constant(3, 10_000)] }],
    [
      '-n alone',
      ['-n', '7'],
      'defaults: closed, 10 users; -q N sets a rate',
      { hits: 7, stages: [constant(10, null)] },
    ],
    [
      '-q alone',
      ['-q', '600'],
      'defaults: 10s; -d sets a duration',
      { model: 'open', stages: [constant(600, 10_000)], maxInFlight: 10_000 },
    ],
    ['-q per minute', ['-q', '30/1m', '-d', '1m30s'], null, { stages: [constant(0.5, 90_000)] }],
    ['-q and -n', ['-q', '600/s', '-n', '7'], null, { hits: 7, stages: [constant(600, null)] }],
    [
      '--model closed',
      ['--model', 'closed', '-d', '1s'],
      'defaults: 10 users; -c sets the users',
      { stages: [constant(10, 1_000)] },
    ],
    ['-c and -d', ['-c', '3', '-d', '1s'], null, { model: 'closed', stages: [constant(3, 1_000)] }],
    [
      'ramps and steps of rates',
      ['--stage', '30s:1000', '--stage', '30s=600/1m', '--stage', '1s:0'],
      null,
      {
        model: 'open',
        stages: [
          { durationMs: 30_000, target: 1000, shape: 'ramp' },
          constant(10, 30_000),
          { durationMs: 1_000, target: 0, shape: 'ramp' },
        ],
      },
    ],
    [
      'stages of users',
      ['--stage', '30s:50', '--model', 'closed'],
      null,
      { model: 'closed', stages: [{ durationMs: 30_000, target: 50, shape: 'ramp' }] },
    ],
  ])('%s is a load, and what was left to defaults is said', async (_, args, defaults, load) => {
    const flagged = await taskOf(URL, ...args);
    expect(flagged.defaults).toBe(defaults);
    expect(flagged.task.spec.load).toMatchObject(load);
  });

  test('with a rate -c caps the connections', async () => {
    const { task } = await taskOf(URL, '-q', '100', '-c', '50', '--max-in-flight', '200');
    expect(task.spec.connections.max).toBe(50);
    expect(task.spec.load.maxInFlight).toBe(200);
  });

  test('a client that does not do what the flags ask is refused, with the reason', async () => {
    await expect(taskOf(URL, '-L', '--client', 'http1')).rejects.toThrow(
      '--client: expected undici or auto, found http1: it does not follow redirects, and the task asks for that',
    );
  });

  test('every flag reaches its place in the task', async () => {
    const body = file('body.json', '{"a":1}');
    const { task } = await taskOf(
      ...['--url', URL, '-m', 'PUT', '-H', 'X-A: 1', '-H', 'X-A:2', '-b', `@${body}`, '-L', '--name', 'orders', '-k'],
      ...['-q', '5', '-d', '20s', '--warmup', '2s', '--on-saturated', 'queue', '--grace', '3s', '--no-keepalive'],
      ...['--client', 'undici'],
      ...['--timeout', '9s', '--connect-timeout', '1s', '--response-timeout', '2s', '--sni', 'shop.example'],
      ...['--check', 'status=200', '-v', 'json', '--slo', 'p99 < 1s', '--slo', 'errors < 1%'],
    );
    expect(task.body).toEqual(Buffer.from('{"a":1}'));
    expect(task.spec).toMatchObject({
      name: 'orders',
      request: {
        method: 'PUT',
        url: URL,
        headers: [
          { name: 'X-A', value: '1' },
          { name: 'X-A', value: '2' },
        ],
      },
      load: { warmupMs: 2_000, onSaturated: 'queue', graceMs: 3_000 },
      client: 'undici',
      connections: { reuse: false },
      timeouts: { totalMs: 9_000, connectMs: 1_000, responseMs: 2_000 },
      redirects: { follow: true },
      tls: { verify: false, serverName: 'shop.example' },
      checks: [
        { kind: 'status', status: ['200'] },
        { kind: 'verify', verify: 'json' },
      ],
      slos: ['p99 < 1s', 'errors < 1%'],
    });
  });

  test('a body makes it a POST, unless -m says otherwise', async () => {
    expect((await taskOf(URL, '-b', 'x=1')).task.spec.request).toMatchObject({ method: 'POST', body: { text: 'x=1' } });
    expect((await taskOf(URL, '-b', 'x=1', '-m', 'GET')).task.spec.request.method).toBe('GET');
  });
});

describe('over a task file', () => {
  const ramp = `
request: { url: "${URL}", headers: { X-A: "1", X-B: "1" } }
load:
  model: open
  stages: [{ duration: 10s, target: 100, shape: ramp }, { duration: 20s, target: 50 }]
  onSaturated: queue
checks: [{ status: [200] }]
slos: [p99 < 1s]
`;
  const users = `
request: { url: "${URL}" }
load: { users: 5, duration: 30s, thinkTime: 20ms, warmup: 1s }
`;

  test('what no flag says stays', async () => {
    const { task, defaults } = await taskOf('-f', file('ramp.yaml', ramp));
    expect(defaults).toBeNull();
    expect(task.spec).toMatchObject({
      load: { stages: [{ target: 100, shape: 'ramp' }, { target: 50 }], onSaturated: 'queue' },
      checks: [{ kind: 'status' }],
      slos: ['p99 < 1s'],
    });
  });

  test.each<[string, string, string[], Partial<LoadSpec>]>([
    [
      '-q replaces stages and keeps their whole length',
      ramp,
      ['-q', '7'],
      { stages: [constant(7, 30_000)], onSaturated: 'queue' },
    ],
    [
      '-d stretches the last stage',
      ramp,
      ['-d', '1m'],
      { stages: [{ durationMs: 10_000, target: 100, shape: 'ramp' }, constant(50, 20_000), constant(50, 30_000)] },
    ],
    [
      '-d cuts what is too long, a ramp on its way',
      ramp,
      ['-d', '5s'],
      { stages: [{ durationMs: 5_000, target: 50, shape: 'ramp' }] },
    ],
    ['-d and -q together', ramp, ['-d', '5s', '-q', '7'], { stages: [constant(7, 5_000)] }],
    [
      '-n is one more end',
      ramp,
      ['-n', '10'],
      { hits: 10, stages: [{ durationMs: 10_000, target: 100, shape: 'ramp' }, constant(50, 20_000)] },
    ],
    [
      '--stage replaces stages, in the model of the file',
      users,
      ['--stage', '2s=3'],
      { model: 'closed', stages: [constant(3, 2_000)], thinkTimeMs: 20, warmupMs: 1_000 },
    ],
    ['-c replaces the users of a closed load', users, ['-c', '8'], { stages: [constant(8, 30_000)], thinkTimeMs: 20 }],
    [
      '-q makes a closed load open and drops its think time',
      users,
      ['-q', '8'],
      { model: 'open', stages: [constant(8, 30_000)], thinkTimeMs: 0, warmupMs: 1_000 },
    ],
    [
      '--model closed makes an open load closed and drops its queue',
      ramp,
      ['--model', 'closed'],
      { model: 'closed', stages: [constant(10, 30_000)], onSaturated: 'drop' },
    ],
    [
      '-c makes the users of an open load that becomes closed',
      ramp,
      ['--model', 'closed', '-c', '4'],
      { model: 'closed', stages: [constant(4, 30_000)] },
    ],
  ])('%s', async (_, text, flags, load) => {
    expect(await loadOf('-f', file('task.yaml', text), ...flags)).toMatchObject(load);
  });

  test('-c caps the connections of an open load', async () => {
    const { task } = await taskOf('-f', file('ramp.yaml', ramp), '-c', '4');
    expect(task.spec.connections.max).toBe(4);
    expect(task.spec.load.model).toBe('open');
  });

  test('a header replaces those of its name, checks and SLOs replace all, --url replaces the URL', async () => {
    const flags = ['-H', 'x-a: 2', '--check', 'contains=ok', '--slo', 'errors < 1%', '--url', 'http://127.0.0.1:9/x'];
    const { spec } = (await taskOf('-f', file('ramp.yaml', ramp), ...flags)).task;
    expect(spec.request.headers).toEqual([
      { name: 'X-B', value: '1' },
      { name: 'x-a', value: '2' },
    ]);
    expect(spec.checks).toEqual([{ kind: 'bodyContains', text: 'ok' }]);
    expect(spec.slos).toEqual(['errors < 1%']);
    expect(spec.request.url).toBe('http://127.0.0.1:9/x');
  });

  test('files in it are found beside it, files in flags from where the command was given', async () => {
    file('body.txt', 'beside the task');
    const task = file('body.yaml', `request: { url: "${URL}", body: { file: body.txt } }`);
    const prepared = (await taskOf('-f', task)).task;
    expect(Buffer.from(prepared.body!).toString()).toBe('beside the task');
    expect(prepared.spec.request.body).toEqual({ kind: 'file', path: path.join(folder, 'body.txt') });
    const flagged = (await taskOf('-f', task, '-b', '@package.json')).task;
    expect(flagged.spec.request.body).toEqual({ kind: 'file', path: path.resolve('package.json') });
  });
});

describe('of a curl command', () => {
  const command = `curl -X PUT ${URL} -H 'X-A: 1' -d x=1 -L --max-redirs 3 -k -m 5`;

  test.each<[string, () => string[]]>([
    ['--curl TEXT', () => ['--curl', command]],
    ['--curl @FILE', () => ['--curl', `@${file('curl.txt', command)}`]],
    ['-p FILE', () => ['-p', file('curl.txt', command)]],
  ])('%s is the request it sends, with flags over it', async (_, args) => {
    const { task, defaults } = await taskOf(...args(), '-H', 'X-A: 2', '-q', '5');
    expect(defaults).toBe('defaults: 10s; -d sets a duration');
    expect(task.spec).toMatchObject({
      request: { method: 'PUT', url: URL },
      load: { model: 'open', stages: [constant(5, 10_000)] },
      redirects: { follow: true, max: 3 },
      tls: { verify: false },
      timeouts: { totalMs: 5_000 },
    });
    expect(task.spec.request.headers).toContainEqual({ name: 'X-A', value: '2' });
    expect(task.spec.request.headers).not.toContainEqual({ name: 'X-A', value: '1' });
    expect(Buffer.from(task.body!).toString()).toBe('x=1');
  });

  test('its body is sent as curl sends it, whatever is in it', async () => {
    const text = '  - a: "b" # c\r\n\t\u0085\u2028\ufeff\u{1f600}\n\n...\n---\n  ';
    const place = file('odd-body', text);
    const { task } = await taskOf('--curl', `curl ${URL} --data-binary @${place}`);
    expect(Buffer.from(task.body!).toString()).toBe(text);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    writeFileSync(place, bytes);
    const binary = await taskOf('--curl', `curl ${URL} --data-binary @${place}`);
    expect(Buffer.from(binary.task.body!)).toEqual(bytes);
  });

  test('what it does not know is told with the place', async () => {
    expect(await problemsOf('--curl', `curl --nonsense ${URL}`)).toEqual([
      expect.stringMatching(/^--curl: .*--nonsense/),
    ]);
    const place = file('bad-curl.txt', 'wget http://127.0.0.1/');
    expect(await problemsOf('-p', place)).toEqual([
      expect.stringContaining(`${place}: expected a command that begins with curl`),
    ]);
  });
});

describe('a wrong command line is told in lines that name the flag, what was expected, and what was found', () => {
  test.each<[string[], string]>([
    [['-d', '5x'], '-d: expected a duration like "30s" or "1m30s", found "5x"'],
    [['-d', '5'], '-d: expected a duration like "30s" or "1m30s", found "5": a number needs a unit, e.g. "5s"'],
    [['-d', '0'], '-d: expected a duration longer than 0, found "0"'],
    [['-q', 'fast'], '-q: expected a rate above 0 like "600", "600/s" or "30/1m", found "fast"'],
    [['-q', '-c'], '-q: expected a rate above 0 like "600", "600/s" or "30/1m", found "-c"'],
    [['-c', '0'], '-c: expected at least 1, found 0'],
    [['-q', '5', '-c', '0'], '-c: expected at least 1, found 0'],
    [['-n', '1.5'], '-n: expected a whole number, found 1.5'],
    [['-n', 'x'], '-n: expected a number, found "x"'],
    [['-m', 'GE T'], '-m: expected a method like GET or POST, found "GE T"'],
    [['-H', 'X Y: 1'], '-H: expected a header name like X-Request-Id, found U+0020 at position 2'],
    [['-H', 'no colon'], '-H: expected "Name: value", found no name before a colon'],
    [['-b', '@nowhere.txt'], `-b: cannot read ${JSON.stringify(path.resolve('nowhere.txt'))}: no such file`],
    [['--stage', '5'], '--stage: expected "30s:1000" (go to 1000 within 30s) or "30s=1000" (stay at 1000), found "5"'],
    [
      ['--stage', '5:100'],
      '--stage: expected a duration like "30s" or "1m30s", found "5": a number needs a unit, e.g. "5s"',
    ],
    [
      ['--stage', '5s:fast'],
      '--stage: expected a rate above 0 like "600", "600/s" or "30/1m", found "fast" in "5s:fast"',
    ],
    [
      ['--stage', '5s:1.5', '--model', 'closed'],
      '--stage: expected a whole number of users after the duration, found "5s:1.5"',
    ],
    [['--model', 'half'], '--model: expected "open" or "closed", found "half"'],
    [['--model', 'open'], '--model open: expected -q or --stage with it, found neither'],
    [['--check', 'status=2xx'], '--check: expected a status like 200 or a range like "200-299", found "2xx"'],
    [['--check', 'matches=('], '--check: expected a regular expression, found "("'],
    [['--check', 'json=code==1'], '--check: expected a JSONPath like "$.code", found "code"'],
    [['--check', 'size<=big'], '--check: expected a size in bytes like 10240, "10KB" or "10KiB", found "big"'],
    [['--check', 'latency<1'], '--check: expected a duration like "30s"'],
    [['--check', 'nothing'], '--check: expected a check like "status=200,301-399"'],
    [['--slo', 'p99 = 1s'], '--slo: expected an SLO like "p99 < 200ms"'],
    [['--slo', 'p99 < 1s over 10s'], '--slo: expected an SLO without a window'],
    [['-v', 'jsn'], '-v: expected "statusCode" or "json", found "jsn"; did you mean "json"?'],
    [['--warmup', '20s'], "--warmup: expected less than the load's 10s, found 20s"],
    [['--max-in-flight', '5'], '--max-in-flight: expected only in the open model (a rate), found in the closed model'],
    [['-q', '5', '--on-saturated', 'wait'], '--on-saturated: expected "drop" or "queue", found "wait"'],
    [['--grace', 'x'], '--grace: expected a duration'],
    [['--timeout', '0s'], '--timeout: expected a duration longer than 0, found "0s"'],
    [['--connect-timeout', 'x'], '--connect-timeout: expected a duration'],
    [['--response-timeout', 'x'], '--response-timeout: expected a duration'],
    [['--cacert', 'nowhere.pem'], `--cacert: cannot read ${JSON.stringify(path.resolve('nowhere.pem'))}: no such file`],
    [['--cacert', 'package.json'], '--cacert: expected certificates (PEM), found'],
    [['--cert', 'package.json'], '--cert: expected a key with the cert, found none'],
    [['--key', 'package.json'], '--key: expected a cert with the key, found none'],
    [['--sni', '1.2.3.4'], '--sni: expected a host name like example.org, found "1.2.3.4"'],
    [['--name', ''], '--name: expected at least 1 character'],
  ])('%j', async (flags, problem) => {
    const problems = await problemsOf(URL, ...flags);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test.each<[string[], string]>([
    [[], 'expected a URL, -f FILE, --curl COMMAND or -p FILE, found none'],
    [['no url'], 'URL: expected a URL without spaces'],
    [['localhost:8080'], 'did you mean "http://localhost:8080"?'],
    [[URL, '-f', 'x.yaml'], 'URL, -f: expected one of them, each says what to send; --url sets another URL for them'],
    [['-f', 'x.yaml', '--curl', 'curl x', '-p', 'y'], '-f, --curl, -p: expected one of them, each says what to send'],
    [[URL, '--url', URL], 'URL, --url: expected one of them'],
    [['-f', 'nowhere.yaml'], '-f: cannot read "nowhere.yaml": no such file'],
    [['-f', '.'], '-f: cannot read ".": it is a folder'],
    [['-p', 'nowhere.txt'], '-p: cannot read "nowhere.txt": no such file'],
    [['--curl', '@nowhere.txt'], '--curl: cannot read "nowhere.txt": no such file'],
    [[URL, '-q', '5', '--stage', '1s:5'], '-q, --stage: expected one of them, both say the rate'],
    [[URL, '-d', '5s', '--stage', '1s:5'], '-d, --stage: expected one of them, each stage has a duration of its own'],
    [[URL, '-q', '5', '--model', 'closed'], '-q, --model closed: expected one of them'],
    [
      [URL, '-c', '5', '--model', 'closed', '--stage', '1s:5'],
      '-c, --stage: expected one of them, in the closed model both say the users',
    ],
  ])('a conflict or a missing source: %j', async (args, problem) => {
    const problems = await problemsOf(...args);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test('all of them at once', async () => {
    const problems = await problemsOf(URL, '-d', '5x', '-q', 'fast', '-H', 'x', '--slo', 'y', '--check', 'z');
    expect(problems.map((line) => line.split(':')[0]).sort()).toEqual(['--check', '--slo', '-H', '-d', '-q']);
  });

  test("a task file's are told with line and key, also those that only arise with flags or with the files it names", async () => {
    const bad = file('bad.yaml', `request:\n  url: "${URL}"\n  hedaers: {}\nload:\n  rate: fast\n`);
    expect(await problemsOf('-f', bad)).toEqual([
      `${bad}:3:3 request.hedaers: unknown key; did you mean "headers"?`,
      `${bad}:5:3 load.rate: expected a rate above 0 like "600", "600/s" or "30/1m", found "fast"`,
    ]);
    const mixed = file('mixed.yaml', `request:\n  url: "${URL}"\n  body:\n    file: nowhere\n  metod: x\n`);
    expect(await problemsOf('-f', mixed)).toEqual([
      `${mixed}:5:3 request.metod: unknown key; did you mean "method"?`,
      `${mixed}:4:5 request.body.file: cannot read "nowhere": no such file or folder`,
    ]);
    const good = file('good.yaml', `request: { url: "${URL}" }\nload: { rate: 5, duration: 30s, warmup: 10s }\n`);
    expect(await problemsOf('-f', good, '-d', '5s')).toEqual([
      `${good}:2:33 load.warmup: expected less than the load's 5s, found 10s`,
    ]);
    const unread = file('unread.yaml', `request:\n  url: "${URL}"\n  body:\n    file: nowhere\ntls: { ca: nowhere }\n`);
    const nowhere = JSON.stringify(path.join(path.dirname(unread), 'nowhere'));
    expect(await problemsOf('-f', unread)).toEqual([
      `${unread}:4:5 request.body.file: cannot read ${nowhere}: no such file or folder`,
      `${unread}:5:8 tls.ca: cannot read ${nowhere}: no such file or folder`,
    ]);
  });

  test('those of the flags come with those of a task file or another source', async () => {
    const bad = file('bad.yaml', `request: { url: "${URL}" }\nload: { rat: 5 }\n`);
    const flags = ['-d', 'x', '--slo', 'y', '--check', 'z', '--cacert', 'nowhere.pem', '--warmup', '1h'];
    for (const source of [
      ['-f', bad],
      ['-f', 'nowhere.yaml'],
      ['--curl', 'wget x'],
    ]) {
      const [first, ...rest] = await problemsOf(...source, ...flags);
      expect(first).toMatch(/load.rat: unknown key|cannot read|curl/);
      // How --warmup fits a load that is not known, nobody can say.
      expect(rest.map((line) => line.split(':')[0]).sort()).toEqual(['--cacert', '--check', '--slo', '-d']);
    }
  });

  test('an unreadable file is told beside what else is wrong', async () => {
    const problems = await problemsOf(URL, '-q', 'fast', '-b', '@nowhere.txt');
    expect(problems.map((line) => line.split(':')[0]).sort()).toEqual(['-b', '-q']);
  });

  test('a file without end is not read to its end', async () => {
    expect(await problemsOf('-f', '/dev/zero')).toEqual(['-f: expected at most 1048576 bytes, found more']);
  });
});
