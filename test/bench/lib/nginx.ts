import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onPath, Process, versionLine } from './proc.ts';

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5_000;

export interface NginxStatus {
  /** Requests since its start, without those for the status. */
  requests: number;
  connections: number;
}

/** A private nginx: one worker, a fixed 2-byte answer, no limits on keep-alive, no access log; its stub_status is the judge. */
export class Nginx {
  readonly url: string;
  readonly #process: Process;
  readonly #folder: string;
  #looks = 0;

  private constructor(url: string, process: Process, folder: string) {
    this.url = url;
    this.#process = process;
    this.#folder = folder;
  }

  /**
   * @param wrapper a command that execs the server (taskset, prlimit)
   * @param parent folder for its own folder; whoever made it removes what an interrupted run leaves
   * @throws Error when it does not start
   */
  static async start(wrapper: readonly string[], maxConnections: number, parent: string): Promise<Nginx> {
    const binary = find();
    if (binary === null) throw new Error('nginx is not installed');
    const folder = mkdtempSync(join(parent, 'nginx-'));
    const port = await freePort();
    const config = join(folder, 'nginx.conf');
    writeFileSync(config, configOf(port, folder, maxConnections));
    const process = new Process({
      argv: [...wrapper, binary, '-p', folder, '-e', join(folder, 'error.log'), '-c', config],
    });
    const nginx = new Nginx(`http://127.0.0.1:${port}/`, process, folder);
    const deadline = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await nginx.status();
        return nginx;
      } catch (cause) {
        if (performance.now() < deadline && !process.hasEnded) {
          await sleep(20);
          continue;
        }
        await nginx.stop();
        throw new Error(`nginx did not start: ${process.stderr}`, { cause });
      }
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  static version(): string {
    const binary = find();
    return binary === null ? 'not installed' : versionLine([binary, '-v']);
  }

  async status(): Promise<NginxStatus> {
    const text = await (await fetch(`${this.url}status`)).text();
    this.#looks += 1;
    const connections = /Active connections: (\d+)/.exec(text)?.[1];
    const requests = /^ \d+ \d+ (\d+)/m.exec(text)?.[1];
    if (connections === undefined || requests === undefined) throw new Error(`expected stub_status, found ${text}`);
    return { requests: Number(requests) - this.#looks, connections: Number(connections) };
  }

  async stop(): Promise<void> {
    this.#process.terminate();
    await this.#process.end(STOP_TIMEOUT_MS);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Debian installs it where only root's PATH looks. */
function find(): string | null {
  return onPath('nginx') ?? onPath('../sbin/nginx');
}

function configOf(port: number, folder: string, maxConnections: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${folder}/${name};`)
    .join('\n');
  return `
daemon off;
worker_processes 1;
worker_rlimit_nofile ${maxConnections + 1000};
pid ${folder}/nginx.pid;
# nginx closes idle connections when only a sixteenth of these is left.
events { worker_connections ${2 * maxConnections + 500}; multi_accept on; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
${temporary}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { return 200 "ok"; }
    location = /status { stub_status; }
  }
}
`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
