import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spawnCommand, type CliProcess } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { OLD_NODE } from '../support/old-node.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const BUNDLED = `node-${process.platform}-${process.arch}`;

/** Stands where the command line would be: tells what it was given, or which signals it heard until the last one. */
const MAIN = `
const [verb, value] = process.argv.slice(2);
const { pid, ppid } = process;
console.log(JSON.stringify({ pid, ppid, node: process.versions.node, argv: process.argv.slice(2) }));
if (verb === 'exit') process.exitCode = Number(value);
if (verb === 'die') process.kill(pid, value);
if (verb === 'echo') process.stdin.pipe(process.stdout);
if (verb === 'listen') {
  const heard = [];
  const timer = setTimeout(() => process.exit(1), 30_000);
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGWINCH', 'SIGTERM']) process.on(signal, () => {
    heard.push(signal);
    console.log('heard ' + signal);
    if (signal !== 'SIGTERM') return;
    console.log('all ' + heard.join(' '));
    clearTimeout(timer);
    process.exit(7);
  });
  console.log('ready');
}
`;

interface Told {
  pid: number;
  ppid: number;
  node: string;
  argv: string[];
}

let folder: string;
let bin: string;
let lonelyBin: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gostress-bin-'));
  const source = await readFile(join(ROOT, 'src/cli/bin.ts'), 'utf8');
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2024,
      rewriteRelativeImportExtensions: true,
    },
  });
  for (const name of ['whole', 'lonely']) {
    await mkdir(join(folder, name, 'dist/cli'), { recursive: true });
    await writeFile(join(folder, name, 'package.json'), '{ "type": "module" }');
    await writeFile(join(folder, name, 'dist/cli/bin.js'), outputText);
    await writeFile(join(folder, name, 'dist/cli/main.js'), MAIN);
  }
  await mkdir(join(folder, 'whole/node_modules'));
  await symlink(join(ROOT, 'node_modules', BUNDLED), join(folder, 'whole/node_modules', BUNDLED));
  bin = join(folder, 'whole/dist/cli/bin.js');
  lonelyBin = join(folder, 'lonely/dist/cli/bin.js');
});
afterAll(() => rm(folder, { recursive: true }));

const told = (text: string): Told => JSON.parse(text.slice(0, text.indexOf('\n'))) as Told;

async function listening(cli: CliProcess): Promise<Told> {
  await cli.waitFor('stdout', /ready/);
  return told(cli.stdout());
}

/** The letter of /proc: S sleeping, R running, T stopped. */
async function stateOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
}

describe('the launcher on a Node that is new enough', () => {
  it('runs the command line in its own process', async () => {
    await using cli = spawnCommand(process.execPath, [bin, 'exit', '98', '--x']);
    const { code, stdout, stderr } = await cli.ended;
    expect({ code, stderr }).toEqual({ code: 98, stderr: '' });
    expect(told(stdout)).toMatchObject({ pid: cli.child.pid, argv: ['exit', '98', '--x'] });
  });
});

const oldNode = OLD_NODE ?? '';
const unless = OLD_NODE === null ? ' (skipped: PATH has no older one)' : '';

describe.skipIf(OLD_NODE === null)(`the launcher on an older Node${unless}`, () => {
  it('runs the command line on the bundled one, with the same arguments, and ends with its exit code', async () => {
    await using cli = spawnCommand(oldNode, [bin, 'exit', '98', '--flag=a b', "it's", '']);
    const { code, stdout, stderr } = await cli.ended;
    expect({ code, stderr }).toEqual({ code: 98, stderr: '' });
    expect(told(stdout)).toMatchObject({ ppid: cli.child.pid, argv: ['exit', '98', '--flag=a b', "it's", ''] });
    expect(Number.parseInt(told(stdout).node, 10)).toBeGreaterThanOrEqual(24);
  });

  it('passes its standard input on', async () => {
    await using cli = spawnCommand(oldNode, [bin, 'echo'], { stdin: 'request:\n  url: x\n' });
    const { code, stdout } = await cli.ended;
    expect(code).toBe(0);
    expect(stdout).toContain('request:\n  url: x\n');
  });

  it('dies of the signal that its child died of', async () => {
    await using cli = spawnCommand(oldNode, [bin, 'die', 'SIGKILL']);
    expect(await cli.ended).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  it('passes each signal on once', async () => {
    await using cli = spawnCommand(oldNode, [bin, 'listen']);
    await listening(cli);
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGWINCH', 'SIGINT'] as const) {
      const before = cli.stdout().length;
      cli.child.kill(signal);
      await eventually(() => expect(cli.stdout().slice(before)).toContain(`heard ${signal}`));
    }
    cli.child.kill('SIGTERM');
    const { code, stdout } = await cli.ended;
    expect(code).toBe(7);
    expect(stdout).toContain('all SIGINT SIGHUP SIGWINCH SIGINT SIGTERM\n');
  });

  it('lets its child hear one Ctrl-C of the terminal once', async () => {
    // `script` gives the command a terminal of its own, and types what it reads into it.
    const terminal = spawn('script', ['-qec', `exec '${oldNode}' '${bin}' listen`, '/dev/null'], {
      env: { ...process.env, SHELL: '/bin/sh' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let screen = '';
    terminal.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text));
    const ended = once(terminal, 'close');
    try {
      await eventually(() => expect(screen).toContain('ready'));
      terminal.stdin.write('\x03');
      await eventually(() => expect(screen).toContain('heard SIGINT'));
      process.kill(told(screen).ppid, 'SIGTERM');
      await ended;
      expect(screen).toContain('all SIGINT SIGTERM');
      expect(terminal.exitCode).toBe(7);
    } finally {
      terminal.kill('SIGKILL');
    }
  });

  it('stops (Ctrl-Z) and goes on together with its child', async () => {
    await using cli = spawnCommand(oldNode, [bin, 'listen']);
    const { pid, ppid } = await listening(cli);
    cli.child.kill('SIGTSTP');
    await eventually(async () => expect([await stateOf(ppid), await stateOf(pid)]).toEqual(['T', 'T']));
    cli.child.kill('SIGCONT');
    await eventually(async () => expect([await stateOf(ppid), await stateOf(pid)]).not.toContain('T'));
    cli.child.kill('SIGTERM');
    expect(await cli.ended).toMatchObject({ code: 7 });
  });

  it('that is killed outright takes its child along', async () => {
    await using cli = spawnCommand(oldNode, [bin, 'listen']);
    await listening(cli);
    cli.child.kill('SIGKILL');
    // The child holds the other end of stdout: this waits for its end too.
    const { signal, stdout } = await cli.ended;
    expect(signal).toBe('SIGKILL');
    expect(stdout).toContain('all SIGTERM\n');
  });

  it('says in one line what to do when no bundled Node is there', async () => {
    await using cli = spawnCommand(oldNode, [lonelyBin, 'exit', '0']);
    const { code, stdout, stderr } = await cli.ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^gostress: expected Node 24 or newer, found \d+\.\d+\.\d+: install Node 24, or .*\n$/);
  });
});
