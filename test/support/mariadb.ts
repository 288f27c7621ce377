import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createConnection, type Connection } from 'mysql2/promise';
import { freezeProcess } from './freeze.ts';
import { freePort } from './ports.ts';

const SERVER = '/usr/sbin/mariadbd';
const INSTALL = '/usr/bin/mariadb-install-db';

/** Why no MariaDB can be started here; null: it can. For `describe.skipIf`. */
export const MARIADB_MISSING = [SERVER, INSTALL].every((file) => existsSync(file))
  ? null
  : `${SERVER} and ${INSTALL} (Debian's mariadb-server)`;

/** Generous: installing and starting take a few seconds on an idle machine. */
export const MARIADB_START_MS = 120_000;

const USER = 'gostress';
/** Characters that a URL must escape. */
const PASSWORD = 'p@ss/wörd:1';

/** A private MariaDB: its own folder, port and socket, as the user `mysql` when the tests run as root. */
export async function startMariadb(args: readonly string[] = []): Promise<Mariadb> {
  const folder = await mkdtemp(path.join(tmpdir(), 'gostress-mariadb-'));
  try {
    const owner = process.getuid?.() === 0 ? await ownerOf('mysql') : null;
    if (owner !== null) await chown(folder, owner.uid, owner.gid);
    const data = path.join(folder, 'data');
    const user = owner === null ? [] : ['--user=mysql'];
    await promisify(execFile)(INSTALL, [
      '--no-defaults',
      `--datadir=${data}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      ...user,
    ]);
    await writeFile(
      path.join(folder, 'init.sql'),
      `create user if not exists '${USER}'@'%' identified by '${PASSWORD}';\ngrant all on *.* to '${USER}'@'%';\n`,
    );
    const mariadb = new Mariadb(folder, await freePort(), [...user, ...args]);
    await mariadb.start();
    return mariadb;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

export class Mariadb implements AsyncDisposable {
  readonly port: number;
  readonly socketPath: string;
  readonly #folder: string;
  readonly #args: readonly string[];
  #child: ChildProcess | null = null;
  #admin: Promise<Connection> | null = null;

  constructor(folder: string, port: number, args: readonly string[]) {
    this.#folder = folder;
    this.port = port;
    this.socketPath = path.join(folder, 'socket');
    this.#args = args;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Of a database that `createDatabase` has made. */
  url(database: string): string {
    return `mysql://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${this.port}/${database}`;
  }

  /** @returns its URL */
  async createDatabase(name: string): Promise<string> {
    // Not what the tables want: these must say so themselves.
    await this.query(`create database ${name} character set latin1`);
    return this.url(name);
  }

  /** As an operator would, on a connection of its own. */
  async query(sql: string): Promise<Record<string, unknown>[]> {
    this.#admin ??= this.connect();
    const [rows] = await (await this.#admin).query(sql);
    return rows as Record<string, unknown>[];
  }

  /** A connection more; the caller ends it. */
  connect(database?: string): Promise<Connection> {
    const options = { host: '127.0.0.1', port: this.port, user: USER, password: PASSWORD, supportBigNumbers: true };
    return createConnection({ ...options, ...(database === undefined ? {} : { database }) });
  }

  /** Starts it again after `kill` or `stop`, on the same port and data. */
  async start(): Promise<void> {
    const file = (name: string) => path.join(this.#folder, name);
    const child = spawn(
      SERVER,
      [
        '--no-defaults',
        `--datadir=${file('data')}`,
        `--socket=${this.socketPath}`,
        `--pid-file=${file('pid')}`,
        `--log-error=${file('log')}`,
        `--init-file=${file('init.sql')}`,
        `--port=${this.port}`,
        '--bind-address=127.0.0.1',
        '--skip-name-resolve',
        '--innodb-buffer-pool-size=64M',
        ...this.#args,
      ],
      { stdio: 'ignore' },
    );
    this.#child = child;
    const killWithTests = (): void => void child.kill('SIGKILL');
    process.once('exit', killWithTests);
    child.once('exit', () => process.off('exit', killWithTests));
    await this.#ready(child);
  }

  /** The kernel still accepts connections for it, but nothing is answered. */
  freeze(): void {
    if (this.#child?.pid !== undefined) freezeProcess(this.#child.pid);
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** As an operator would. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const admin = await this.#admin?.catch(() => null);
    admin?.destroy();
    this.#admin = null;
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    if (signal === 'SIGTERM') child.kill('SIGCONT');
    await exited;
  }

  async #ready(child: ChildProcess): Promise<void> {
    const end = performance.now() + MARIADB_START_MS;
    for (;;) {
      try {
        const connection = await this.connect();
        await connection.end();
        return;
      } catch (error) {
        const log = () => readFile(path.join(this.#folder, 'log'), 'utf8').catch(() => '');
        if (child.exitCode !== null || child.signalCode !== null || performance.now() >= end) {
          child.kill('SIGKILL');
          throw new Error(`MariaDB did not start:\n${(await log()).slice(-2000)}`, { cause: error });
        }
      }
      await sleep(50);
    }
  }
}

async function ownerOf(user: string): Promise<{ uid: number; gid: number }> {
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((entry) => entry.startsWith(`${user}:`));
  if (line === undefined) throw new Error(`expected a user ${user}, who runs MariaDB; found none`);
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}
