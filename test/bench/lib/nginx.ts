import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../support/ports.ts';
import { BODIES, type Kind } from './kinds.ts';
import { onPath, Process, versionLine } from './proc.ts';

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5_000;

export interface NginxStatus {
  /** Requests since its start, without those for the status. */
  requests: number;
  connections: number;
}

interface Ports {
  plain: number;
  tls: number;
  /** Of HTTP/2, in clear text and over TLS. */
  h2c: number;
  h2: number;
}

/**
 * A private nginx: one worker, a fixed 2-byte answer (and bodies by `BODIES`), no limits on keep-alive, no access log; its
 * stub_status is the judge. TLS and HTTP/2 have ports of their own, so that nobody negotiates what was not asked for.
 */
export class Nginx {
  readonly #ports: Ports;
  readonly #process: Process;
  readonly #folder: string;
  #looks = 0;

  private constructor(ports: Ports, process: Process, folder: string) {
    this.#ports = ports;
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
    const [plain, tls, h2c, h2] = [await freePort(), await freePort(), await freePort(), await freePort()];
    const ports = { plain, tls, h2c, h2 };
    const config = join(folder, 'nginx.conf');
    writeFileSync(config, configOf(ports, folder, maxConnections));
    for (const [path, bytes] of Object.entries(BODIES)) writeFileSync(join(folder, path), 'x'.repeat(bytes));
    makeCertificate(folder);
    const process = new Process({
      argv: [...wrapper, binary, '-p', folder, '-e', join(folder, 'error.log'), '-c', config],
    });
    const nginx = new Nginx(ports, process, folder);
    const deadline = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await nginx.status();
        await nginx.#check();
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

  urlOf({ path, secure, streams }: Kind): string {
    const { plain, tls, h2c, h2 } = this.#ports;
    const port = streams === null ? (secure ? tls : plain) : secure ? h2 : h2c;
    return `${secure ? 'https' : 'http'}://127.0.0.1:${port}${path}`;
  }

  get pid(): number {
    return this.#process.pid;
  }

  static version(): string {
    const binary = find();
    return binary === null ? 'not installed' : versionLine([binary, '-v']);
  }

  async status(): Promise<NginxStatus> {
    const text = await (await fetch(`http://127.0.0.1:${this.#ports.plain}/status`)).text();
    this.#looks += 1;
    const connections = /Active connections: (\d+)/.exec(text)?.[1];
    const requests = /^ \d+ \d+ (\d+)/m.exec(text)?.[1];
    if (connections === undefined || requests === undefined) throw new Error(`expected stub_status, found ${text}`);
    return { requests: Number(requests) - this.#looks, connections: Number(connections) };
  }

  /** Or an error page would be measured. */
  async #check(): Promise<void> {
    for (const [path, bytes] of Object.entries(BODIES)) {
      const response = await fetch(`http://127.0.0.1:${this.#ports.plain}${path}`);
      const found = (await response.arrayBuffer()).byteLength;
      this.#looks += 1;
      if (response.status !== 200 || found !== bytes) {
        throw new Error(`expected ${bytes} bytes at ${path}, found ${found} with status ${response.status}`);
      }
    }
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

/** One key for whatever runs: signing costs the server little, and is no part of what is measured on kept connections. */
function makeCertificate(folder: string): void {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', ...curve, ...files, '-days', '1', '-subj', '/CN=127.0.0.1'], {
    stdio: 'ignore',
  });
}

function configOf({ plain, tls, h2c, h2 }: Ports, folder: string, maxConnections: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${folder}/${name};`)
    .join('\n');
  return `
daemon off;
${process.getuid?.() === 0 ? '# Or its worker could not read this folder.\nuser root;' : ''}
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
  http2_max_concurrent_streams 1024;
  ssl_certificate ${folder}/cert.pem;
  ssl_certificate_key ${folder}/key.pem;
  ssl_protocols TLSv1.3;
  sendfile on;
  open_file_cache max=10;
  server {
    listen 127.0.0.1:${plain} backlog=4096;
    listen 127.0.0.1:${tls} backlog=4096 ssl;
    listen 127.0.0.1:${h2c} backlog=4096 http2;
    listen 127.0.0.1:${h2} backlog=4096 ssl http2;
    root ${folder};
    location = / { return 200 "ok"; }
    location = /status { stub_status; }
  }
}
`;
}
