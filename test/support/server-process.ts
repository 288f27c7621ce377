import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli, spawnCli, type CliEnd, type CliProcess } from './cli.ts';

const UP = /^gostress server at (127\.0\.0\.1:\d+), data in /m;
const LONGEST_LIFE_MS = 300_000;

/** A real `gostress server` on a free port, with a data folder of its own that goes with it. */
export class ServerProcess implements AsyncDisposable {
  readonly address: string;
  readonly #process: CliProcess;
  readonly #folder: string;

  private constructor(address: string, process: CliProcess, folder: string) {
    this.address = address;
    this.#process = process;
    this.#folder = folder;
  }

  static async start(): Promise<ServerProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'gostress-server-'));
    const args = ['server', '--data-folder', folder, '--listen', '127.0.0.1:0', '--node-id', 'a'];
    const server = spawnCli(args, { timeoutMs: LONGEST_LIFE_MS });
    const [, address] = await server.waitFor('stdout', UP);
    return new ServerProcess(address!, server, folder);
  }

  /** A verb to its end, on this server. */
  run(...args: string[]): Promise<CliEnd> {
    return runCli(args, { env: this.env, timeoutMs: 60_000 });
  }

  /** A verb that goes on, on this server. */
  spawn(...args: string[]): CliProcess {
    return spawnCli(args, { env: this.env, timeoutMs: 120_000 });
  }

  get env(): Record<string, string> {
    return { GOSTRESS_CLUSTER: this.address };
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    this.#process.child.kill('SIGKILL');
    await this.#process.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
