import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from '@commander-js/extra-typings';
import { ServingChild } from './child.ts';
import { EXIT } from './exit.ts';
import { runCommand, type RunOptions } from './options.ts';
import { writeText } from './output.ts';
import { run } from './run.ts';
import { readRunTask } from './task-flags.ts';

const TARGET_FLAGS = ['--latency', 'lognormal:5ms,30ms'];

export function demoCommand() {
  return new Command('demo')
    .description(
      'Start the built-in target and a server, each in a process of its own, submit a task to the server, watch it, and ' +
        'print the report',
    )
    .option('-q, --rate <rate>', 'hits a second', '500')
    .option('-d, --duration <duration>', 'how long', '10s');
}

export type DemoOptions = ReturnType<ReturnType<typeof demoCommand>['opts']>;

/**
 * The verb `demo`: `gostress target`, `gostress server` and `gostress run --cluster` together, and at last what the
 * target itself counted.
 *
 * @returns the exit code of the run; a machine too busy for good numbers does not make the demo fail
 * @throws CodedError
 */
export async function demo({ rate, duration }: DemoOptions): Promise<number> {
  const load = ['-q', rate, '-d', duration, '--slo', 'p99 < 500ms', '--slo', 'errors < 1%'];
  // What is wrong with them is told before anything is started.
  await readRunTask('http://127.0.0.1/', optionsOf(load));
  const folder = await mkdtemp(path.join(tmpdir(), 'gostress-demo-'));
  const children: ServingChild[] = [];
  const start = async (args: readonly string[], pattern: RegExp): Promise<ServingChild> => {
    process.stderr.write(`$ gostress ${args.map(quoted).join(' ')}\n`);
    const child = await ServingChild.start(args, pattern);
    children.push(child);
    return child;
  };
  try {
    const target = await start(['target', ...TARGET_FLAGS, '--rate', rate], /http:\/\/[^\s,]+/);
    const serverFlags = ['--listen', '127.0.0.1:0', '--data-folder', folder, '--log-level', 'warn'];
    const server = await start(['server', ...serverFlags], /server at ([^\s,]+)/);
    const [url, address] = [target.up[0], server.up[1] ?? ''];
    const flags = [...load, '--cluster', address];
    process.stderr.write(`$ gostress run ${url} ${flags.map(quoted).join(' ')}\n`);
    const code = await run(url, optionsOf(flags));
    await server.stop();
    const counted = (await target.stop()).split('\n').slice(2).join('\n').trimEnd();
    await writeText(process.stdout, 'standard output', `\nWhat the target counted\n${counted.replace(/^/gm, '  ')}\n`);
    return code === EXIT.INVALID || code === EXIT.SLO_MISSED ? EXIT.OK : code;
  } finally {
    for (const child of children) child.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

function optionsOf(flags: readonly string[]): RunOptions {
  return runCommand().parse(flags, { from: 'user' }).opts();
}

function quoted(word: string): string {
  return /^[\w:/.-]+$/.test(word) ? word : `'${word}'`;
}
