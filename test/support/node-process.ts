import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freezeProcess } from './freeze.ts';
import { MAIN, spawnCommand, type CliEnd, type CliProcess } from './cli.ts';
import { eventually } from './eventually.ts';
import { freePort } from './ports.ts';

export interface NodeOptions {
  nodeId: string;
  /** URLs. */
  etcdHosts: readonly string[];
  mysqlUrl: string;
  /** Default: a free one. */
  port?: number;
  /** Default: one of its own. It is deleted in the end. */
  folder?: string;
  /** More `GOSTRESS_*`; undefined takes one away. */
  env?: Record<string, string | undefined>;
  /** More flags. */
  flags?: readonly string[];
}

/** Killed after this: no test takes so long. */
const LONGEST_LIFE_MS = 600_000;
/** Starting Node.js and migrating take a second or two on an idle machine. */
const START_MS = 60_000;

/** A real `gostress node`; its log is JSON. Dispose of it to be sure that it is gone. */
export class NodeProcess implements AsyncDisposable {
  readonly nodeId: string;
  readonly port: number;
  /** Of its results. */
  readonly folder: string;
  readonly #process: CliProcess;
  #isFrozen = false;

  private constructor(nodeId: string, port: number, folder: string, process: CliProcess) {
    this.nodeId = nodeId;
    this.port = port;
    this.folder = folder;
    this.#process = process;
  }

  /** Resolves when its port answers. */
  static async start(options: NodeOptions): Promise<NodeProcess> {
    const node = await NodeProcess.spawn(options);
    try {
      await node.listening();
      return node;
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Does not wait for anything. */
  static async spawn({
    nodeId,
    etcdHosts,
    mysqlUrl,
    port,
    folder,
    env,
    flags = [],
  }: NodeOptions): Promise<NodeProcess> {
    const listen = port ?? (await freePort());
    const data = folder ?? (await mkdtemp(path.join(tmpdir(), 'gostress-node-')));
    const isWorker = (env?.GOSTRESS_ROLES ?? 'worker').includes('worker');
    const process_ = spawnCommand(process.execPath, [MAIN, 'node', ...flags], {
      timeoutMs: LONGEST_LIFE_MS,
      env: {
        GOSTRESS_NODE_ID: nodeId,
        GOSTRESS_LISTEN: `127.0.0.1:${listen}`,
        GOSTRESS_ETCD_HOSTS: etcdHosts.join(','),
        GOSTRESS_MYSQL_URL: mysqlUrl,
        ...(isWorker && { GOSTRESS_DATA_FOLDER: data }),
        GOSTRESS_LOG_FORMAT: 'json',
        GOSTRESS_LOG_LEVEL: 'debug',
        ...env,
      },
    });
    return new NodeProcess(nodeId, listen, data, process_);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process.child.pid!;
  }

  /** Not killed, and not ended by itself; a frozen one is alive too. */
  get isAlive(): boolean {
    const { exitCode, signalCode } = this.#process.child;
    return exitCode === null && signalCode === null;
  }

  get ended(): Promise<CliEnd> {
    return this.#process.ended;
  }

  /** All it has said. */
  get output(): string {
    return this.#process.stdout() + this.#process.stderr();
  }

  /** Its log so far: the lines that are JSON. */
  log(): Record<string, unknown>[] {
    return this.output
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async listening(): Promise<void> {
    const ended = this.ended.then(() => {
      throw new Error(`node ${this.nodeId} has ended:\n${this.output}`);
    });
    await Promise.race([eventually(() => isListening(this.port), START_MS), ended]);
  }

  signal(name: NodeJS.Signals): void {
    this.#process.child.kill(name);
  }

  /** The kernel still accepts connections for it, but nothing is answered. */
  freeze(): void {
    freezeProcess(this.pid);
    this.#isFrozen = true;
  }

  thaw(): void {
    this.signal('SIGCONT');
    this.#isFrozen = false;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function isListening(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
  } finally {
    socket.destroy();
  }
}
