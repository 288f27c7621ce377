import { expect, test } from 'vitest';
import { MAIN, runCli, spawnCli, spawnCommand } from '../support/cli.ts';

const URL_PATTERN = /http:\/\/127\.0\.0\.1:\d+/;

test.each(['SIGINT', 'SIGTERM'] as const)(
  'target tells its URL and a command, and at %s its counts and pacing',
  async (signal) => {
    await using target = spawnCli(['target', '--status', '201', '--size', '7']);
    const [url] = await target.waitFor('stdout', URL_PATTERN);
    await target.waitFor('stdout', new RegExp(`gostress run ${url} -q 100 -d 10s\n`));
    for (let i = 0; i < 3; i++) {
      const answer = await fetch(url);
      expect(answer.status).toBe(201);
      expect(await answer.text()).toHaveLength(7);
    }
    target.child.kill(signal);
    const { code, stdout, stderr } = await target.ended;
    expect(stdout).toMatch(/requests +3 received, 3 answered/);
    expect(stdout).toMatch(/statuses +201: 3/);
    expect(stdout).toMatch(/arrivals .* on average; stray from the line of its mean rate: p50/);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  },
);

test.each<[string[], string[]]>([
  [['--latency', 'slow'], ['--latency: expected a duration (10ms), uniform:A-B']],
  [['--error', 'boom'], ['--error: expected none, or one of reset']],
  [
    ['--port', 'x', '--rate', '-1', '--seed', '1.5'],
    ['--port: expected', '--rate: expected', '--seed: expected'],
  ],
  [['--port', '70000'], ['--port: expected a port from 0 to 65535, found "70000"']],
  [['--host', '203.0.113.1'], ['expected an address to listen on, found 203.0.113.1:0']],
  [['--latncy', '5ms'], ['unknown flag --latncy; did you mean --latency?']],
  [['extra'], ['expected at most 0 arguments']],
])('target %j is refused in lines that say what was expected', async (args, problems) => {
  const { code, stdout, stderr } = await runCli(['target', ...args]);
  const lines = stderr.trimEnd().split('\n');
  expect(lines).toHaveLength(problems.length);
  lines.forEach((line, i) => expect(line).toContain(`gostress target: ${problems[i]!}`));
  expect(stdout).toBe('');
  expect(code).toBe(2);
});

test('demo starts a target and a server, submits a run to it, prints the report and what the target counted', async () => {
  const { code, stdout, stderr } = await runCli(['demo', '-q', '100', '-d', '1s']);
  const [target, server, run, name] = stderr.split('\n');
  expect(target).toBe(`$ gostress target --latency 'lognormal:5ms,30ms' --rate 100`);
  expect(server).toMatch(/^\$ gostress server --listen 127\.0\.0\.1:0 --data-folder \S+ --log-level warn$/);
  expect(run).toMatch(/^\$ gostress run http:\/\/127\.0\.0\.1:\d+ -q 100 -d 1s .* --cluster 127\.0\.0\.1:\d+$/);
  expect(name).toMatch(/^gostress run: tasks\/1\/runs\/1 on 127\.0\.0\.1:\d+$/);
  // A machine that stands still for a moment drops what became due meanwhile.
  const [, answered] = /^(\d+) of 100 scheduled hits answered/m.exec(stdout)!;
  expect(Number(answered)).toBeGreaterThan(0);
  expect(stdout).toMatch(
    new RegExp(`What the target counted\\n +requests +${answered} received, ${answered} answered`),
  );
  expect(code).toBe(0);
});

test('what is wrong with the flags of demo is told at once, before anything is started', async () => {
  const { code, stderr } = await runCli(['demo', '-d', '5x', '-q', 'fast']);
  expect(stderr.trimEnd().split('\n').sort()).toEqual([
    expect.stringMatching(/^gostress demo: -d: expected a duration/),
    expect.stringMatching(/^gostress demo: -q: expected a rate/),
  ]);
  expect(code).toBe(2);
});

const VERBS = 'run, target, demo, server, node, migrate, tasks, runs, nodes, cluster, status';

test.each<[string[], string]>([
  [[], `gostress: expected a verb (${VERBS}), found none; gostress --help tells more\n`],
  [['rnu'], `gostress: expected a verb (${VERBS}), found "rnu"; did you mean run?\n`],
  [['run', 'list'], 'gostress run: list: is a verb of gostress runs; did you mean gostress runs list?\n'],
  [['node', 'drain', 'a'], 'gostress node: drain: is a verb of gostress nodes; did you mean gostress nodes drain?\n'],
  [['nodes'], 'gostress nodes: expected a verb (list, drain), found none; gostress nodes --help tells more\n'],
  [['nodes', 'dran'], 'gostress nodes: expected a verb (list, drain), found "dran"; did you mean drain?\n'],
  [['http://user:canary@127.0.0.1/'], 'gostress: expected a verb before the URL: gostress run URL\n'],
  [['--verbose'], 'gostress: unknown flag --verbose; --help lists all\n'],
  [['run', 'http://127.0.0.1/', '--rat', '5'], 'gostress run: unknown flag --rat; did you mean --rate?\n'],
  [['run', 'http://127.0.0.1/', '--table=yes'], 'gostress run: --table: expected no value, it is a switch\n'],
  [
    ['run', 'http://127.0.0.1/', '-q'],
    'gostress run: -q, --rate: expected a value, found the end of the command line\n',
  ],
  [
    ['run', 'http://127.0.0.1/', 'x'],
    'gostress run: expected at most 1 argument beside the flags, found more; values with spaces need quotes\n',
  ],
  [
    ['run', 'http://127.0.0.1/', '-o', 'html'],
    'gostress run: -o: expected "text" or "json", alone or with "=FILE", found "html"\n',
  ],
  [
    ['run', 'http://127.0.0.1/', '--threads', '0'],
    'gostress run: --threads: expected a whole number from 1 to 256, found "0"\n',
  ],
  [['run', 'http://127.0.0.1/', '--show-secrets'], 'gostress run: --show-secrets: expected --dry-run with it\n'],
])('gostress %j ends with 2 and one line on standard error', async (args, line) => {
  expect(await runCli(args)).toMatchObject({ code: 2, stdout: '', stderr: line });
});

test.each([['--version'], ['-V'], ['run', '-V'], ['target', '--version']])(
  'gostress %s %s prints the version',
  async (...args) => {
    const { code, stdout, stderr } = await runCli(args);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  },
);

test.each([['--help'], ['help'], ['run', '-h'], ['help', 'run']])('gostress %s %s prints help', async (...args) => {
  const { code, stdout, stderr } = await runCli(args);
  expect(stdout).toMatch(/^Usage: gostress/);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('help into a closed pipe ends in silence', async () => {
  const command = `{ '${process.execPath}' '${MAIN}' run --help; echo "code $?" >&2; } | true`;
  expect((await spawnCommand('bash', ['-c', command]).ended).stderr).toBe('code 0\n');
});
