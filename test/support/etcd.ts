import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { existsSync } from 'node:fs';
import { freezeProcess } from './freeze.ts';
import { freePort } from './ports.ts';

/** Another one than Debian's: see test/tools/etcd.sh. */
const SERVER = process.env.GOSTRESS_TEST_ETCD ?? '/usr/bin/etcd';

/** Why no etcd can be started here; null: it can. For `describe.skipIf`. */
export const ETCD_MISSING = existsSync(SERVER) ? null : `${SERVER} (Debian's etcd-server)`;

/** Generous: starting takes a second on an idle machine. */
export const ETCD_START_MS = 60_000;

/** A private etcd of one member: its own folder and ports. @param args more flags */
export async function startEtcd(args: readonly string[] = []): Promise<Etcd> {
  return (await startEtcds(1, args))[0]!;
}

/** The members of a private cluster. */
export async function startEtcds(count: number, args: readonly string[] = []): Promise<Etcd[]> {
  const peers = await Promise.all(Array.from({ length: count }, async () => `http://127.0.0.1:${await freePort()}`));
  const members = await Promise.all(
    peers.map(async (_, member) => {
      const folder = await mkdtemp(path.join(tmpdir(), 'gostress-etcd-'));
      return new Etcd({ folder, port: await freePort(), peers, member, args });
    }),
  );
  try {
    await Promise.all(members.map((member) => member.start()));
    return members;
  } catch (error) {
    await Promise.all(members.map((member) => member[Symbol.asyncDispose]()));
    throw error;
  }
}

interface MemberOptions {
  folder: string;
  port: number;
  /** URLs of all members of the cluster, and which of them this one is. */
  peers: readonly string[];
  member: number;
  args: readonly string[];
}

export class Etcd implements AsyncDisposable {
  /** `host:port` for clients. */
  readonly host: string;
  readonly #folder: string;
  readonly #options: MemberOptions;
  #child: ChildProcess | null = null;
  #output = '';

  constructor(options: MemberOptions) {
    this.#folder = options.folder;
    this.#options = options;
    this.host = `127.0.0.1:${options.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts it, again after `kill`, on the same ports and data. */
  async start(): Promise<void> {
    const client = `http://${this.host}`;
    const { peers, member, args } = this.#options;
    const peer = peers[member]!;
    const cluster = peers.map((url, index) => `test${index}=${url}`).join(',');
    const child = spawn(
      SERVER,
      [
        ...['--name', `test${member}`, '--data-dir', path.join(this.#folder, 'data')],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', cluster],
        ...args,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#child = child;
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (this.#output = (this.#output + text).slice(-20_000)));
    const end = performance.now() + ETCD_START_MS;
    while (!(await this.#isHealthy())) {
      if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}:\n${this.#output}`);
      if (performance.now() > end) throw new Error(`etcd did not start in ${ETCD_START_MS} ms:\n${this.#output}`);
      await sleep(50);
    }
  }

  /** SIGSTOP: it neither answers nor closes anything. */
  freeze(): void {
    if (this.#child?.pid !== undefined) freezeProcess(this.#child.pid);
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Whether the cluster's leader is this member, as it says itself. */
  async isLeader(): Promise<boolean> {
    const { header, leader } = (await this.ask('maintenance/status', {})) as {
      header: { member_id: string };
      leader: string;
    };
    return leader === header.member_id;
  }

  /** All data is lost, and it goes on without: what an etcd is after a disk was replaced. */
  async wipe(): Promise<void> {
    await this.kill();
    await rm(path.join(this.#folder, 'data'), { recursive: true });
    await this.start();
  }

  /** By its JSON gateway, so by a client of its own. @param call e.g. `kv/put`, with keys and values in base64 */
  async ask(call: string, body: object): Promise<unknown> {
    const response = await fetch(`http://${this.host}/v3/${call}`, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd: ${call}: ${await response.text()}`);
    return response.json();
  }

  /** Values of the keys that begin so, the oldest key first. */
  async values(prefix: string): Promise<string[]> {
    const sorted = { sort_target: 'CREATE', sort_order: 'ASCEND' };
    const { kvs = [] } = (await this.ask('kv/range', { ...range(prefix), ...sorted })) as { kvs?: { value: string }[] };
    return kvs.map(({ value }) => atob(value));
  }

  async delete(prefix: string): Promise<void> {
    await this.ask('kv/deleterange', range(prefix));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** It answers, and it has a leader: a read needs one. */
  async #isHealthy(): Promise<boolean> {
    try {
      const response = await fetch(`http://${this.host}/health`, { signal: AbortSignal.timeout(1_000) });
      return ((await response.json()) as { health: string }).health === 'true';
    } catch {
      return false;
    }
  }
}

/** All keys that begin so. */
export function range(prefix: string): { key: string; range_end: string } {
  const last = prefix.charCodeAt(prefix.length - 1);
  return { key: btoa(prefix), range_end: btoa(prefix.slice(0, -1) + String.fromCharCode(last + 1)) };
}
