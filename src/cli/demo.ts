import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Command } from '@commander-js/extra-typings';
import { CodedError } from '../lib/errors.ts';
import { EXIT } from './exit.ts';
import { runCommand } from './options.ts';
import { writeText } from './output.ts';
import { run } from './run.ts';

const TARGET_FLAGS = ['--latency', 'lognormal:5ms,30ms'];
const START_TIMEOUT_MS = 20_000;

export function demoCommand() {
  return new Command('demo')
    .description('Start the built-in target in a process of its own, stress it for a while, and print the report')
    .option('-q, --rate <rate>', 'hits a second', '500')
    .option('-d, --duration <duration>', 'how long', '10s');
}

export type DemoOptions = ReturnType<ReturnType<typeof demoCommand>['opts']>;

/**
 * The verb `demo`: `gostress target` and `gostress run` together, and at last what the target itself counted.
 *
 * @returns the exit code of the run; a machine too busy for good numbers does not make the demo fail
 * @throws CodedError
 */
export async function demo({ rate, duration }: DemoOptions): Promise<number> {
  const target = await DemoTarget.start([...TARGET_FLAGS, '--rate', rate]);
  try {
    const flags = ['-q', rate, '-d', duration, '--slo', 'p99 < 500ms', '--slo', 'errors < 1%'];
    process.stderr.write(`$ gostress target ${TARGET_FLAGS.join(' ')}\n`);
    process.stderr.write(`$ gostress run ${target.url} ${flags.map(quoted).join(' ')}\n`);
    const code = await run(
      target.url,
      runCommand()
        .parse([target.url, ...flags], { from: 'user' })
        .opts(),
    );
    const counted = await target.stop();
    await writeText(process.stdout, 'standard output', `\nWhat the target counted\n${counted.replace(/^/gm, '  ')}\n`);
    return code === EXIT.INVALID || code === EXIT.SLO_MISSED ? EXIT.OK : code;
  } finally {
    target.kill();
  }
}

class DemoTarget {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #text: () => string;

  /** @param text what the child has printed so far */
  private constructor(child: ChildProcess, url: string, text: () => string) {
    this.#child = child;
    this.url = url;
    this.#text = text;
  }

  /** In a process group of its own: Ctrl-C is for the run, which still needs the target while it drains. */
  static async start(flags: readonly string[]): Promise<DemoTarget> {
    const main = import.meta.filename.replace(/demo\.([jt]s)$/, 'main.$1');
    const child = fork(main, ['target', ...flags], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], detached: true });
    let text = '';
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const deadline = AbortSignal.timeout(START_TIMEOUT_MS);
    try {
      await Promise.race([once(child.stdout!, 'data', { signal: deadline }), once(child, 'exit')]);
      const url = /http:\/\/[^\s,]+/.exec(text)?.[0];
      if (url === undefined) throw new CodedError('INTERNAL', 'the target of the demo did not start');
      return new DemoTarget(child, url, () => text);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** What it tells at its end. */
  async stop(): Promise<string> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    await closed;
    return this.#text().split('\n').slice(2).join('\n').trimEnd();
  }

  kill(): void {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
  }
}

function quoted(word: string): string {
  return /^[\w:/.-]+$/.test(word) ? word : `'${word}'`;
}
