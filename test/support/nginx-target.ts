import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { eventually } from './eventually.ts';

const NGINX = '/usr/sbin/nginx';

/** Why no nginx can be started here; null: it can. For `describe.skipIf`. */
export const NGINX_MISSING = existsSync(NGINX) ? null : `${NGINX} (Debian's nginx)`;

/** A request as the target saw it. */
export interface TargetHit {
  /** When it was answered, milliseconds since 1970. */
  atMs: number;
  status: number;
  method: string;
  /** Length of the request with head and body, bytes. */
  bytes: number;
  /** The client's. */
  port: number;
}

/** A private nginx whose access log is the judge: it knows nothing of who counts what. */
export class NginxTarget implements AsyncDisposable {
  readonly url: string;
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(url: string, folder: string, child: ChildProcess) {
    this.url = url;
    this.#folder = folder;
    this.#child = child;
  }

  static async start(): Promise<NginxTarget> {
    const folder = await mkdtemp(join(tmpdir(), 'gostress-nginx-'));
    const port = await freePort();
    const config = join(folder, 'nginx.conf');
    await writeFile(config, configOf(port, folder));
    const child = spawn(NGINX, ['-p', folder, '-e', join(folder, 'error.log'), '-c', config], { stdio: 'ignore' });
    const url = `http://127.0.0.1:${port}/`;
    const target = new NginxTarget(url, folder, child);
    try {
      await eventually(async () => {
        if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
        await (await fetch(`${url}alive`)).text();
      });
    } catch (cause) {
      const said = await readFile(join(folder, 'error.log'), 'utf8').catch(() => '');
      await target[Symbol.asyncDispose]();
      throw new Error(`nginx did not start: ${said}`, { cause });
    }
    return target;
  }

  /** Every request so far, by the instant of its answer. */
  async hits(): Promise<TargetHit[]> {
    const text = await readFile(join(this.#folder, 'access.log'), 'utf8');
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines
      .filter((line) => line !== '')
      .map((line) => {
        const [seconds, status, method, bytes, port] = line.split(' ');
        return {
          atMs: Number(seconds) * 1000,
          status: Number(status),
          method: method!,
          bytes: Number(bytes),
          port: Number(port),
        };
      });
  }

  async count(): Promise<number> {
    return (await this.hits()).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await exited;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function configOf(port: number, folder: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${folder}/${name};`)
    .join('\n');
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 2000; multi_accept on; }
http {
  log_format hit '$msec $status $request_method $request_length $remote_port';
  access_log ${folder}/access.log hit;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
${temporary}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { return 200 "ok"; }
    location = /alive { access_log off; return 200 "ok"; }
  }
}
`;
}
