import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { TargetStats } from '../../src/load/target/counters.ts';
import type { TargetOptions } from '../../src/load/target/server.ts';
import { freezeProcess } from './freeze.ts';

export interface TargetCommand {
  kind: 'stats' | 'reset';
  id: number;
  rate: number | undefined;
}

export type TargetEvent =
  { kind: 'listening'; url: string; port: number } | { kind: 'stats'; id: number; stats: TargetStats };

const MAIN = fileURLToPath(new URL('target-main.ts', import.meta.url));
const START_TIMEOUT_MS = 20_000;

/** Starts a target in a process of its own; it is killed with the caller. `wrapper`: a command that execs it (taskset). */
export async function startTargetProcess(
  options: TargetOptions = {},
  wrapper: readonly string[] = [],
): Promise<TargetProcess> {
  const [command, ...args] = [...wrapper, process.execPath, MAIN, JSON.stringify(options)];
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const killWithCaller = (): void => void child.kill('SIGKILL');
  process.once('exit', killWithCaller);
  child.once('exit', () => process.off('exit', killWithCaller));
  const died = once(child, 'exit').then(([code]) => {
    throw new Error(`the target process ended with code ${String(code)} before it listened`);
  });
  const listening = once(child, 'message', { signal: AbortSignal.timeout(START_TIMEOUT_MS) });
  try {
    const [event] = (await Promise.race([listening, died])) as [TargetEvent];
    if (event.kind !== 'listening') throw new Error(`expected the target to listen, found ${event.kind}`);
    return new TargetProcess(child, event.url, event.port);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    died.catch(() => undefined);
  }
}

export class TargetProcess implements AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (stats: TargetStats) => void>();
  #nextId = 1;

  constructor(child: ChildProcess, url: string, port: number) {
    this.#child = child;
    this.url = url;
    this.port = port;
    this.pid = child.pid!;
    child.on('message', (event: TargetEvent) => {
      if (event.kind !== 'stats') return;
      this.#waiting.get(event.id)?.(event.stats);
      this.#waiting.delete(event.id);
    });
  }

  /** Asked over IPC, not HTTP. A frozen target answers when it is thawed. */
  stats(rate?: number): Promise<TargetStats> {
    return this.#ask('stats', rate);
  }

  async reset(): Promise<void> {
    await this.#ask('reset');
  }

  /** The kernel still accepts connections and takes bytes for a frozen target, but nothing is answered. */
  freeze(): void {
    freezeProcess(this.#child.pid!);
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it as a crash would (SIGKILL). */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  /** Ends it, also when frozen or dead already. The same as `kill`: nothing of it is worth a farewell. */
  async stop(): Promise<void> {
    await this.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #ask(kind: TargetCommand['kind'], rate?: number): Promise<TargetStats> {
    const { promise, resolve, reject } = Promise.withResolvers<TargetStats>();
    const id = this.#nextId++;
    const gone = (): void => reject(new Error('the target process has ended'));
    this.#child.once('exit', gone);
    this.#waiting.set(id, (stats) => {
      this.#child.off('exit', gone);
      resolve(stats);
    });
    if (this.#child.connected) this.#child.send({ kind, id, rate } satisfies TargetCommand);
    else gone();
    return promise;
  }
}
