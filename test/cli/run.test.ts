import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EXIT } from '../../src/cli/exit.ts';
import { startTarget, type Target } from '../../src/load/target/server.ts';
import { reportSchema, type Report } from '../../src/report/schema.ts';
import { makeCertificates } from '../support/certificates.ts';
import { MAIN, runCli, spawnCli, spawnCommand, type CliEnd, type CliProcess } from '../support/cli.ts';

/** A load that suffices to see what a run prints. */
const SHORT = ['-c', '2', '-d', '300ms'];
/** Where nothing listens. */
const REFUSED = 'http://127.0.0.1:1/';
const EXAMPLES = path.join(import.meta.dirname, '../examples');

let target: Target;
let folder: string;

beforeAll(async () => {
  target = await startTarget();
  folder = mkdtempSync(path.join(tmpdir(), 'gostress-run-'));
});
beforeEach(() => target.reset());
afterAll(async () => {
  await target.close();
  rmSync(folder, { recursive: true });
});

function run(...args: string[]): Promise<CliEnd> {
  return runCli(['run', ...args]);
}

function reportOf(text: string): Report {
  return reportSchema.parse(JSON.parse(text));
}

/** Of a summary. */
function droppedIn(summary: string): number {
  return Number(/^ +dropped +(\d+)/m.exec(summary)?.[1]);
}

/** An SGR sequence. */
const COLOR = new RegExp(String.raw`\x1b\[\d+m`);

/** For shells. */
const RUN = `'${process.execPath}' '${MAIN}' run`;
const shell = (command: string): Promise<CliEnd> => spawnCommand('bash', ['-c', command]).ended;

describe('what is printed', () => {
  test('the summary on standard output, a line a second on standard error, and the target agrees', async () => {
    const { code, stdout, stderr } = await run(target.url, '-c', '2', '-n', '300');
    expect(stderr).toMatch(
      /^[\d.]+s \| \d users, sent [\d .]+\/s \| in flight \d+ \| service p50 .* p99 .* \| failed 0/m,
    );
    expect(stderr).not.toContain('defaults');
    expect(stderr).not.toContain('\x1b');
    for (const title of [
      'Requests',
      'Latencies',
      'Status codes',
      'Errors',
      'Checks',
      'Accounting',
      'Verdict',
      'SLOs',
    ]) {
      expect(stdout).toMatch(new RegExp(`^${title}$`, 'm'));
    }
    expect(stdout).toContain('300 of 300 scheduled hits answered (100 %)');
    expect(stdout).not.toContain('\x1b');
    expect(target.stats().received).toBe(300);
    expect(code).toBe(0);
  });

  test('what was left to defaults is said', async () => {
    const { stderr } = await run(target.url, '-d', '200ms');
    expect(stderr).toMatch(/^gostress run: defaults: closed, 10 users; -q N sets a rate\n/);
  });

  test('the open model tells what was asked for, and both latencies', async () => {
    const { stdout, stderr } = await run(target.url, '-q', '200', '-d', '1s');
    expect(stderr).toMatch(
      /^1s \| asked 200\/s, sent [\d.]+\/s \| in flight \d+ \| response p50 .* \| service p50 .* \| failed 0 \| dropped \d+/m,
    );
    expect(stdout).toContain('open: 200/s for 1s');
    // A machine that stands still for a moment drops what became due meanwhile.
    expect(target.stats().received + droppedIn(stdout)).toBe(200);
  });

  test('drops explain themselves', async () => {
    const { stdout } = await run(`${target.url}/?latency=100ms`, '-q', '200', '-c', '5', '-d', '2s');
    expect(droppedIn(stdout)).toBe(400 - target.stats().received);
    const [, carried, advice] =
      /dropped \d+ \(.* %\).*: 5 connections × 1\d\d ms carry about (\d+)\/s; try -c (\d+)/.exec(stdout) ?? [];
    expect(Number(carried)).toBeGreaterThan(35);
    expect(Number(carried)).toBeLessThan(51);
    expect(Number(advice)).toBeGreaterThan(20);
  });

  test('-o json is JSON alone on standard output', async () => {
    const { code, stdout, stderr } = await run(target.url, ...SHORT, '-o', 'json');
    expect(reportOf(stdout)).toMatchObject({ plan: { model: 'closed' }, accounting: { holds: true } });
    expect(stderr).toContain('| service p50');
    expect(code).toBe(0);
  });

  test('-o json=FILE keeps the summary', async () => {
    const file = path.join(folder, 'report.json');
    const { code, stdout } = await run(target.url, ...SHORT, '-o', `json=${file}`);
    const report = reportOf(readFileSync(file, 'utf8'));
    expect(report.counts.ok).toBe(target.stats().received);
    expect(stdout).toContain('Latencies');
    expect(code).toBe(0);
  });

  test('-o text=FILE is the summary in a file too', async () => {
    const file = path.join(folder, 'report.txt');
    const { code, stdout } = await run(target.url, ...SHORT, '-o', `text=${file}`);
    expect(readFileSync(file, 'utf8')).toBe(stdout);
    expect(stdout).toContain('Latencies');
    expect(code).toBe(0);
  });

  test('--table is a row a second and one for all', async () => {
    const { stderr } = await run(`${target.url}/?status=200:0.5,404:0.5`, '-q', '100', '-d', '2s', '--table');
    const rows = stderr.split('\n').map((line) => line.split('│').map((cell) => cell.trim()));
    const titles = ['time', 'in flight', 'ok', 'failed', 'rate/s', 'max ms', 'min ms', 'avg ms', 'bytes in', 'bytes/s'];
    expect(rows[0]).toEqual([...titles, 'status codes']);
    expect(rows[2]!.slice(0, 1)).toEqual(['1s']);
    const all = rows.find(([time]) => time === 'all')!;
    expect(Number(all[2]) + Number(all[3])).toBe(200);
    const [, max, min, avg] = [...all.slice(4, 8)].map(Number) as [number, number, number, number];
    expect(min).toBeGreaterThan(0);
    expect(avg).toBeGreaterThanOrEqual(min);
    expect(max).toBeGreaterThanOrEqual(avg);
    expect(all[10]).toMatch(/^200:\d+;404:\d+$/);
    expect(stderr).not.toContain('service p50');
  });

  test('on a terminal a live picture with a bar and sparklines, and the summary after it', async () => {
    const command = `stty rows 30 cols 100; ${RUN} '${target.url}/?latency=5ms' -q 100 -d 2s`;
    const terminal = await spawnCommand('script', ['-qec', command, '/dev/null'], { env: { TERM: 'xterm' } }).ended;
    expect(terminal.stdout).toMatch(/█+░+ 1s of 2s/);
    expect(terminal.stdout).toMatch(/rate +100\/s asked, [\d.]+\/s sent +[▁▂▃▄▅▆▇█]/);
    expect(terminal.stdout).toMatch(/response +p50 .* p99/);
    expect(terminal.stdout).toMatch(/service +p50 .* p99/);
    expect(terminal.stdout).toMatch(/p99 +[\d.]+ m?s +[▁▂▃▄▅▆▇█]/);
    expect(terminal.stdout).toMatch(/in flight +\d+, \d+ connections/);
    expect(terminal.stdout).toMatch(/failed +0, dropped \d+ \(.* %\)/);
    expect(terminal.stdout).toContain(`${target.stats().received} of 200 scheduled hits answered`);
    // Bold titles: a terminal gets colours.
    expect(terminal.stdout).toContain('\x1b[1m');
    expect([0, EXIT.INVALID]).toContain(terminal.code);
  });

  test.each<[string, string, Record<string, string>]>([
    ['--no-color', '--no-color', {}],
    ['NO_COLOR', '', { NO_COLOR: '1' }],
  ])('%s takes the colours away', async (_, flag, env) => {
    const command = `stty rows 30 cols 100; ${RUN} '${REFUSED}' -d 300ms ${flag}`;
    const terminal = await spawnCommand('script', ['-qec', command, '/dev/null'], { env: { TERM: 'xterm', ...env } })
      .ended;
    expect(terminal.stdout).toContain('Latencies');
    expect(terminal.stdout).toMatch(/█ 0s of 300ms/);
    expect(terminal.stdout).not.toMatch(COLOR);
  });
});

describe('exit codes', () => {
  test('1 when no hit succeeded', async () => {
    const { code, stdout } = await run(REFUSED, ...SHORT);
    expect(code).toBe(1);
    expect(stdout).toContain('connect-refused');
    expect((await run(`${target.url}/status/503`, ...SHORT)).code).toBe(1);
  });

  test('a check that --check replaces decides what success is', async () => {
    expect((await run(`${target.url}/status/503`, ...SHORT, '--check', 'status=500-599')).code).toBe(0);
  });

  test('99 when an SLO was missed, and the summary says which', async () => {
    const { code, stdout } = await run(target.url, ...SHORT, '--slo', 'p99 < 1us', '--slo', 'errors < 1%');
    expect(stdout).toMatch(/FAIL +p99 < 1us/);
    expect(stdout).toMatch(/pass +errors < 1%/);
    expect(code).toBe(99);
  });

  test('98 when the generator stood still, also when an SLO was missed', async () => {
    await using cli = spawnCli(['run', target.url, '-q', '100', '-d', '4s', '--slo', 'p99 < 1us']);
    await cli.waitFor('stderr', /^1s /m);
    cli.child.kill('SIGSTOP');
    await sleep(1_500);
    cli.child.kill('SIGCONT');
    const { code, stdout, stderr } = await cli.ended;
    expect(stdout).toContain('INVALID generator-limited');
    expect(stderr).toContain('so far INVALID');
    expect(code).toBe(98);
  });

  test('2 for a wrong command line: one line on standard error, nothing is sent', async () => {
    const { code, stdout, stderr } = await run(target.url, '-d', '5x');
    expect(stderr).toBe('gostress run: -d: expected a duration like "30s" or "1m30s", found "5x"\n');
    expect(stdout).toBe('');
    expect(code).toBe(2);
    expect(target.stats().received).toBe(0);
  });
});

describe('signals', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s once drains, reports, and ends with 130', async (signal) => {
    await using cli = spawnCli(['run', `${target.url}/?latency=300ms`, '-q', '50', '-d', '60s', '-o', 'json']);
    await cli.waitFor('stderr', /^1s /m);
    cli.child.kill(signal);
    const { code, stdout, stderr } = await cli.ended;
    expect(stderr).toContain(`${signal}: no new hits; waiting up to 10 s for those in flight`);
    const report = reportOf(stdout);
    expect(report.run.stop).toEqual({ kind: 'drained', reason: signal });
    expect(report.counts.aborted).toBe(0);
    expect(report.counts.ok).toBe(target.stats().received);
    expect(report.accounting.holds).toBe(true);
    expect(code).toBe(130);
  });

  test('a second one while draining gives up what is in flight', async () => {
    await using cli = spawnCli(['run', `${target.url}/?error=stall:0.2`, '-q', '50', '-d', '60s', '-o', 'json']);
    await cli.waitFor('stderr', /^1s /m);
    cli.child.kill('SIGINT');
    // Two within 150 ms would count as one; the drain goes on for seconds, as hits are stalled.
    await cli.waitFor('stderr', /once more gives them up[^]*^2s /m);
    cli.child.kill('SIGINT');
    const { code, stdout } = await cli.ended;
    const report = reportOf(stdout);
    expect(report.run.stop.kind).toBe('aborted');
    expect(report.counts.aborted).toBeGreaterThan(0);
    expect(report.accounting.holds).toBe(true);
    expect(code).toBe(130);
  });
});

describe('a signal while the report waits for its reader', () => {
  const waiting = async (): Promise<{ cli: CliProcess; pipe: string }> => {
    const pipe = path.join(folder, `pipe-${randomUUID()}`);
    execFileSync('mkfifo', [pipe]);
    const cli = spawnCli(['run', target.url, ...SHORT, '-o', `json=${pipe}`]);
    await cli.waitFor('stdout', /Latencies/);
    cli.child.kill('SIGINT');
    await cli.waitFor('stderr', /SIGINT: the report is being written; once more gives it up/);
    return { cli, pipe };
  };

  test('does not cost the report', async () => {
    const { cli: started, pipe } = await waiting();
    await using cli = started;
    const written = readFile(pipe, 'utf8');
    expect(await cli.ended).toMatchObject({ code: 0 });
    expect(reportOf(await written).accounting.holds).toBe(true);
  });

  test('ends the command when it comes again', async () => {
    await using cli = (await waiting()).cli;
    // Two within 150 ms would count as one.
    await sleep(200);
    cli.child.kill('SIGINT');
    expect(await cli.ended).toMatchObject({ code: null, signal: 'SIGINT' });
  });
});

describe('a report that cannot be written', () => {
  test('to a closed pipe: the summary goes to standard error, then the reason, and 1', async () => {
    const { stdout, stderr } = await shell(`{ ${RUN} ${target.url} -c 2 -d 300ms; echo "code $?" >&2; } | true`);
    expect(stdout).toBe('');
    expect(stderr).toMatch(
      /Latencies[^]*gostress run: cannot write to standard output: its reader has closed the pipe\ncode 1\n$/,
    );
  });

  test('to a full disk: the same', async () => {
    const { stderr } = await shell(`${RUN} ${target.url} -c 2 -d 300ms -o json > /dev/full; echo "code $?" >&2`);
    expect(stderr).toMatch(
      /Latencies[^]*gostress run: cannot write to standard output: no space is left on the device\ncode 1\n$/,
    );
  });

  test('to a file on a full disk: after the summary', async () => {
    const { code, stdout, stderr } = await run(target.url, ...SHORT, '-o', 'json=/dev/full');
    expect(stdout).toContain('Latencies');
    expect(stderr).toMatch(/gostress run: cannot write the report to \/dev\/full: no space is left on the device\n$/);
    expect(code).toBe(1);
  });

  test('to a file on a full disk: the older one there stays whole', async () => {
    const file = path.join(folder, 'kept.json');
    writeFileSync(file, 'older');
    // No file may grow beyond one block of 1 KiB.
    const { stderr } = await shell(
      `ulimit -f 1; ${RUN} ${target.url} -c 2 -d 300ms -o json=${file}; echo "code $?" >&2`,
    );
    expect(stderr).toContain(`cannot write the report to ${file}: the file is too large\ncode 1`);
    expect(readFileSync(file, 'utf8')).toBe('older');
    expect(readdirSync(folder).filter((name) => name.startsWith('kept.json'))).toEqual(['kept.json']);
  });

  test('to a place that is not there: told before anything is sent', async () => {
    const { code, stderr } = await run(target.url, '-o', `json=${folder}/nowhere/report.json`);
    expect(stderr).toBe(`gostress run: -o: cannot write "${folder}/nowhere/report.json": no such file or folder\n`);
    expect(code).toBe(2);
    expect(target.stats().received).toBe(0);
  });
});

describe('--dry-run', () => {
  test('prints a task that -f - runs, files found from anywhere, and sends nothing', async () => {
    const body = path.join(folder, 'body.txt');
    writeFileSync(body, 'hello');
    const flags = [
      '-n',
      '3',
      '-c',
      '1',
      '-b',
      `@${body}`,
      '-H',
      'X-A: 1',
      '--check',
      'contains=hello',
      '--slo',
      'p99 < 9s',
    ];
    const printed = await run(`${target.url}/echo`, ...flags, '--dry-run');
    expect(printed).toMatchObject({ code: 0, stderr: '' });
    expect(target.stats().received).toBe(0);
    expect((await runCli(['run', '-f', '-', '--dry-run'], { stdin: printed.stdout })).stdout).toBe(printed.stdout);
    const end = await runCli(['run', '-f', '-'], { stdin: printed.stdout, cwd: '/' });
    expect(end.code).toBe(0);
    expect(target.stats()).toMatchObject({ received: 3, byPath: { '/echo': 3 } });
  });

  test('masks secrets and says so, unless --show-secrets', async () => {
    const flags = [target.url, '-H', 'Authorization: Bearer canary-5f1d', ...SHORT, '--dry-run'];
    const masked = await run(...flags);
    expect(masked.stdout).toMatch(/^# Secrets are masked/);
    expect(masked.stdout).not.toContain('canary-5f1d');
    expect((await runCli(['run', '-f', '-', '--dry-run'], { stdin: masked.stdout })).code).toBe(0);
    const shown = await run(...flags, '--show-secrets');
    expect(shown.stdout).toContain('Bearer canary-5f1d');
    expect(shown.stdout).not.toContain('#');
  });
});

describe('secrets', () => {
  const CANARY = 'canary-8b1e44';
  const secretFlags = [
    '-H',
    `Authorization: Bearer ${CANARY}`,
    '-H',
    `Cookie: session=${CANARY}`,
    '-H',
    `X-Api-Key: ${CANARY}`,
  ];
  const withUser = (url: string): string => url.replace('://', `://user:${CANARY}@`);

  const fileWith = (header: string): string => {
    const file = path.join(folder, `${randomUUID()}.yaml`);
    writeFileSync(file, `request:\n  url: ${target.url}\n  headers:\n    ${header}\n`);
    return file;
  };

  test.concurrent.each<[string, () => string[]]>([
    ['a good run', () => [`${target.url}/?token=${CANARY}`, ...secretFlags, ...SHORT]],
    ['a good run with a password in the URL', () => [withUser(target.url), ...SHORT]],
    ['a run with a table', () => [withUser(target.url), ...SHORT, '--table']],
    ['a run that is refused', () => [withUser(REFUSED), ...SHORT]],
    ['a run whose target answers nonsense', () => [`${target.url}/?error=garbage`, ...secretFlags, ...SHORT]],
    [
      'a host that does not exist',
      () => [withUser('http://no-such-host.invalid/'), ...SHORT, '--connect-timeout', '500ms'],
    ],
    ['a curl command', () => ['--curl', `curl -u user:${CANARY} -b 'a=${CANARY}' ${target.url}`, ...SHORT]],
    ['a curl command with an unknown flag', () => ['--curl', `curl --nonsense -u user:${CANARY} ${target.url}`]],
    ['a wrong URL', () => [`htp://user:${CANARY}@127.0.0.1/`]],
    ['a URL with a space', () => [`http://user:${CANARY}@127.0.0.1/a b`]],
    ['two sources of Authorization', () => [withUser(target.url), ...secretFlags]],
    ['a header without a colon', () => [target.url, '-H', `Authorization Bearer ${CANARY}`]],
    [
      'a header with a line break',
      () => [target.url, '-H', `Authorization: ${CANARY}\n`, '-H', `Cookie: ${CANARY}\u0100`],
    ],
    ['a header whose value stands in its name', () => [target.url, '-H', `Authorization Bearer ${CANARY}: x`]],
    ['a task file with such a header', () => ['-f', fileWith(`Authorization Bearer ${CANARY}: x`)]],
    ['a task file with another one', () => ['-f', fileWith(`"Cookie: ${CANARY}":`)]],
    ['an unknown flag with a value', () => [target.url, `--passwort=${CANARY}`]],
    ['a short flag of curl', () => [target.url, `-u${CANARY}`]],
    ['too many arguments', () => [target.url, `Authorization: ${CANARY}`]],
    ['a dry run', () => [withUser(target.url), '-H', `Cookie: ${CANARY}`, '--dry-run']],
  ])('of %s are nowhere to be read', async (name, args) => {
    const file = path.join(folder, `${name}.json`);
    const { stdout, stderr } = await run(...args(), '-o', `json=${file}`);
    expect(stdout + stderr).not.toBe('');
    expect(stdout + stderr).not.toContain(CANARY);
    expect(stdout + stderr).not.toContain(Buffer.from(`user:${CANARY}`).toString('base64'));
    const written = readdirSync(folder).includes(`${name}.json`) ? readFileSync(file, 'utf8') : '';
    expect(written).not.toContain(CANARY);
  });

  test("a private key's content is nowhere to be read, good or bad", async () => {
    const { client } = makeCertificates();
    const place = (name: string, text: string): string => {
      writeFileSync(path.join(folder, name), text);
      return path.join(folder, name);
    };
    const cert = place('client.pem', client.cert);
    const key = place('client.key', client.key);
    const secret = client.key.split('\n')[1]!;
    const good = await run(target.url, ...SHORT, '--cert', cert, '--key', key);
    expect(good.code).toBe(0);
    const broken = place('broken.key', client.key.replace('-----END', 'END'));
    const bad = await run(target.url, ...SHORT, '--cert', cert, '--key', broken);
    expect(bad.code).toBe(2);
    const inPlaceOfPath = await run(target.url, ...SHORT, '--cert', cert, '--key', client.key);
    expect(inPlaceOfPath.code).toBe(2);
    for (const { stdout, stderr } of [good, bad, inPlaceOfPath]) expect(stdout + stderr).not.toContain(secret);
  });
});

describe('the examples', () => {
  const names = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));
  test('are there', () => expect(names.length).toBeGreaterThanOrEqual(5));

  test.concurrent.each(names)('%s runs', async (name) => {
    const file = path.join(EXAMPLES, name);
    const { pathname } = new URL(/url: (\S+)/.exec(readFileSync(file, 'utf8'))![1]!);
    const { code, stdout, stderr } = await run(
      '-f',
      file,
      '--url',
      `${target.url}${pathname}`,
      '-d',
      '600ms',
      '-o',
      'json',
    );
    expect(stderr).not.toContain('gostress run:');
    const report = reportOf(stdout);
    expect(report.counts.ok).toBeGreaterThan(0);
    expect(report.counts.failed).toBe(0);
    expect(report.accounting.holds).toBe(true);
    // The generator of a busy machine may be late: that is not the example's fault.
    expect(report.verdict.verdict === 'INVALID' ? 0 : code).toBe(0);
  });
});

test('the built-in help names every flag that the README of the command line has', async () => {
  const { stdout } = await run('--help');
  const readme = readFileSync(path.join(import.meta.dirname, '../../src/cli/README.md'), 'utf8');
  const flags = [...readme.matchAll(/^\| `(-{1,2}[\w-]+)/gm)].map((match) => match[1]!);
  expect(flags.length).toBeGreaterThan(20);
  for (const flag of flags) expect(stdout).toMatch(new RegExp(`(^|[\\s,])${flag}\\b`, 'm'));
});

test('a shell pipeline sees only the JSON', async () => {
  const script = 'process.stdin.toArray().then((parts) => console.log(JSON.parse(Buffer.concat(parts)).counts.ok))';
  const { stdout } = await shell(`${RUN} ${target.url} -n 5 -c 1 -o json | '${process.execPath}' -e '${script}'`);
  expect(stdout).toBe('5\n');
});
