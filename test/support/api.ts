import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, credentials, Metadata, status, type MethodDefinition, type ServiceError } from '@grpc/grpc-js';
import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader';
import { readConfig } from '../../src/app/config.ts';
import { startNode, type RunningNode } from '../../src/app/node.ts';
import { createLog } from '../../src/lib/log.ts';
import { loadProto } from '../../src/rpc/loader.ts';
import { eventually } from './eventually.ts';

type Definition = MethodDefinition<object, object>;

/** What a call was refused with, as a client sees it. */
export interface Refusal {
  /** e.g. `INVALID_ARGUMENT` */
  code: string;
  details: string;
  /** Of BadRequest. */
  violations: { field: string; description: string }[];
  /** Of ErrorInfo; empty: there is none. */
  reason: string;
}

/** A gRPC client that knows nothing of GoStress's own: bytes by proto-loader, statuses as they come. */
export class ApiClient implements Disposable {
  readonly #client: Client;
  readonly #methods: Record<string, Definition>;

  /** @param files of `proto` with the services that are called */
  constructor(address: string, files: readonly string[]) {
    this.#client = new Client(address, credentials.createInsecure());
    const all: PackageDefinition = Object.assign({}, ...files.map(loadProto)) as PackageDefinition;
    this.#methods = Object.assign({}, ...Object.values(all)) as Record<string, Definition>;
  }

  /** @param method its name, or another service's full path. @throws ServiceError */
  call<T = Record<string, unknown>>(method: string, request: object = {}, metadata = new Metadata()): Promise<T> {
    const { path: at, requestSerialize, responseDeserialize } = this.#methods[method]!;
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + 20_000 };
      this.#client.makeUnaryRequest(
        at,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        (error, answer) => {
          if (error === null) resolve(answer as T);
          else reject(error);
        },
      );
    });
  }

  /** The call must be refused. */
  async refusal(method: string, request: object = {}, metadata = new Metadata()): Promise<Refusal> {
    const answer = await this.call(method, request, metadata).catch((error: unknown) => refusalOf(error));
    if ('violations' in answer && 'reason' in answer) return answer as unknown as Refusal;
    throw new Error(`expected ${method} to be refused, found ${JSON.stringify(answer)}`);
  }

  /** Bytes of no message that is known here; the call must be refused. @param method its full path */
  raw(method: string, bytes: Buffer): Promise<Refusal> {
    const asIs = (given: Buffer): Buffer => given;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(method, asIs, asIs, bytes, (error) => {
        if (error === null) reject(new Error(`expected ${method} to be refused`));
        else resolve(refusalOf(error));
      });
    });
  }

  /** A streaming call; the signal cancels it, and then it ends. */
  async *stream<T = Record<string, unknown>>(method: string, request: object, signal: AbortSignal): AsyncGenerator<T> {
    const { path: at, requestSerialize, responseDeserialize } = this.#methods[method]!;
    const call = this.#client.makeServerStreamRequest(at, requestSerialize, responseDeserialize, request);
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel);
    try {
      for await (const message of call as AsyncIterable<T>) yield message;
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  /** A call of which each side may say many things: all answers to these questions. */
  converse<T>(method: string, questions: readonly object[]): Promise<T[]> {
    const { path: at, requestSerialize, responseDeserialize } = this.#methods[method]!;
    const call = this.#client.makeBidiStreamRequest(at, requestSerialize, responseDeserialize);
    const answers: T[] = [];
    return new Promise((resolve, reject) => {
      call.on('data', (answer: T) => answers.push(answer));
      call.on('error', reject);
      call.on('end', () => resolve(answers));
      for (const question of questions) call.write(question);
      call.end();
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

interface Any {
  type_url: string;
  value: Buffer;
}
const types = { ...loadProto('google/rpc/status.proto'), ...loadProto('google/rpc/error_details.proto') };

export function refusalOf(error: unknown): Refusal {
  const { code, details, metadata } = error as ServiceError;
  const [bytes] = metadata.get('grpc-status-details-bin');
  const decode = (name: string, value: Buffer): object =>
    (types[name] as MessageTypeDefinition<object, object>).deserialize(value);
  const { details: anys } = (bytes === undefined ? { details: [] } : decode('google.rpc.Status', bytes as Buffer)) as {
    details: Any[];
  };
  const of = (name: string): Record<string, unknown> => {
    const found = anys.find(({ type_url: url }) => url === `type.googleapis.com/${name}`);
    return found === undefined ? {} : (decode(name, found.value) as Record<string, unknown>);
  };
  const violations = (of('google.rpc.BadRequest').fieldViolations ?? []) as Refusal['violations'];
  return { code: status[code], details, violations, reason: (of('google.rpc.ErrorInfo').reason ?? '') as string };
}

/** The files of the public services, health and reflection. */
const SERVED = ['gostress/v1/task_service.proto', 'gostress/v1/cluster.proto', 'grpc/health/v1/health.proto'];

/** A cluster of one in this process, as `gostress server` has it: a real gRPC server, SQLite, the in-process coordinator. */
export class ServedApi implements AsyncDisposable {
  readonly node: RunningNode;
  readonly client: ApiClient;
  readonly folder: string;
  /** Its log so far, a JSON object a line, debug lines too. */
  readonly log: string[];

  private constructor(node: RunningNode, folder: string, log: string[]) {
    this.node = node;
    this.folder = folder;
    this.log = log;
    this.client = new ApiClient(node.address, SERVED);
  }

  /** Resolves when the node is master and its own worker is connected. */
  static async start(): Promise<ServedApi> {
    const folder = await mkdtemp(path.join(tmpdir(), 'gostress-api-'));
    const flags = { nodeId: 'a', listen: '127.0.0.1:0', dataFolder: folder };
    const { config } = await readConfig({ file: null, env: {}, flags, purpose: 'server' });
    const lines: string[] = [];
    const out = { write: (line: string) => lines.push(line) };
    const log = createLog({ level: 'debug', format: 'json', out, secrets: [], fields: {} });
    const node = await startNode(config, log, new AbortController().signal);
    const api = new ServedApi(node!, folder, lines);
    await eventually(async () => {
      const { nodes } = await api.client.call<{ nodes: { connected: boolean }[] }>('GetCluster');
      if (!nodes.some(({ connected }) => connected)) throw new Error('expected a connected worker, found none');
    });
    return api;
  }

  get address(): string {
    return this.node.address;
  }

  /** Waits until the run is in one of these states. */
  reaches(name: string, ...states: string[]): Promise<{ state: string; etag: string; reason: string }> {
    return eventually(async () => {
      const run = await this.client.call<{ state: string; etag: string; reason: string }>('GetRun', { name });
      if (!states.includes(run.state)) throw new Error(`expected ${states.join(' or ')}, found ${run.state}`);
      return run;
    }, 30_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.node[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}
