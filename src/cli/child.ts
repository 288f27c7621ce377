import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { CodedError } from '../lib/errors.ts';

const START_TIMEOUT_MS = 20_000;

/** A verb of ours that serves in a process of its own, e.g. for the demo. */
export class ServingChild {
  /** What it said when it was up. */
  readonly up: RegExpExecArray;
  readonly #child: ChildProcess;
  readonly #text: () => string;

  /** @param text what the child has printed so far */
  private constructor(child: ChildProcess, up: RegExpExecArray, text: () => string) {
    this.#child = child;
    this.up = up;
    this.#text = text;
  }

  /**
   * In a process group of its own: Ctrl-C is for the run, which still needs the child while it drains.
   *
   * @param pattern of what it prints when it is up
   * @throws CodedError INTERNAL when it does not come up
   */
  static async start(args: readonly string[], pattern: RegExp): Promise<ServingChild> {
    const main = import.meta.filename.replace(/child\.([jt]s)$/, 'main.$1');
    const child = fork(main, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], detached: true });
    let text = '';
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const deadline = AbortSignal.timeout(START_TIMEOUT_MS);
    const ended = once(child, 'exit');
    try {
      for (;;) {
        const up = pattern.exec(text);
        if (up !== null) return new ServingChild(child, up, () => text);
        await Promise.race([once(child.stdout!, 'data', { signal: deadline }), ended]);
        if (child.exitCode !== null) throw new CodedError('INTERNAL', `gostress ${args[0] ?? ''} did not start`);
      }
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** @returns all it has printed */
  async stop(): Promise<string> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    await closed;
    return this.#text();
  }

  kill(): void {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
  }
}
