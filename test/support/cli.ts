import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const DEFAULT_TIMEOUT_MS = 30_000;

export interface CliOptions {
  /** Given to its standard input, which is then closed. */
  stdin?: string;
  /** On top of this process's environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** Killed after this. */
  timeoutMs?: number;
}

export interface CliEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A `gostress` command that runs. Dispose of it to be sure that it is gone. */
export interface CliProcess extends AsyncDisposable {
  child: ChildProcessWithoutNullStreams;
  /** What came so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves when the text so far matches. @throws when the process ends, or the time is up, before it does */
  waitFor(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves when the process has ended and both streams are closed. */
  ended: Promise<CliEnd>;
}

/** Starts the real command line from its sources. */
export function spawnCli(args: readonly string[], options: CliOptions = {}): CliProcess {
  return spawnCommand(process.execPath, [MAIN, ...args], options);
}

/** Runs the real command line from its sources to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliEnd> {
  await using cli = spawnCli(args, options);
  return await cli.ended;
}

/** Like `spawnCli` for any command, e.g. a shell pipeline. */
export function spawnCommand(command: string, args: readonly string[], options: CliOptions = {}): CliProcess {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined, ...options.env },
    stdio: 'pipe',
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk));
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const ended = new Promise<CliEnd>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...text });
    });
  });
  const waitFor = async (stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const match = pattern.exec(text[stream]);
      if (match !== null) return match;
      if (child.stdout.closed && child.stderr.closed) {
        throw new Error(`ended before ${pattern.source}: ${text.stdout}${text.stderr}`);
      }
      await Promise.race([new Promise((resolve) => child[stream].once('data', resolve)), ended]);
    }
  };
  return {
    child,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    waitFor,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended.catch(() => undefined);
    },
  };
}
