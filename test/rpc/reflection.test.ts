import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, type FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { SILENT } from '../../src/lib/log.ts';
import { startRpcServer, type RpcServer } from '../../src/rpc/server.ts';
import { ApiClient } from '../support/api.ts';
import { eventually } from '../support/eventually.ts';

/** Health and reflection of a server that has no master, then another node's, as generic clients ask for it. */

let server: RpcServer;
let master: { nodeId: string; address: string; term: number } | null = null;
let ready = true;

beforeAll(async () => {
  const options = { api: () => null, master: () => master, ready: () => ready, log: SILENT };
  server = await startRpcServer({ listen: '127.0.0.1:0', nodeId: 'a', ...options });
});
afterAll(() => server.close(0));

interface Answer {
  fileDescriptorResponse?: { fileDescriptorProto: Uint8Array[] };
  listServicesResponse?: { service: { name: string }[] };
  allExtensionNumbersResponse?: { baseTypeName: string; extensionNumber: number[] };
  errorResponse?: { errorCode: number; errorMessage: string };
}

const SERVICES = [
  'gostress.v1.ClusterService',
  'gostress.v1.TaskService',
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];

describe.each(['v1', 'v1alpha'])('reflection %s', (version) => {
  let client: ApiClient;
  beforeAll(() => void (client = new ApiClient(server.address, [`grpc/reflection/${version}/reflection.proto`])));
  afterAll(() => client[Symbol.dispose]());

  const ask = (...questions: object[]) => client.converse<Answer>('ServerReflectionInfo', questions);
  const filesOf = (answer: Answer | undefined): FileDescriptorProto[] =>
    (answer?.fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );

  test('lists the public services, and not the one between nodes', async () => {
    const [answer] = await ask({ listServices: '*' });
    expect(answer!.listServicesResponse!.service.map(({ name }) => name)).toEqual(SERVICES);
  });

  test.each([
    ['a service', 'gostress.v1.TaskService', 'gostress/v1/task_service.proto'],
    ['a method', 'gostress.v1.TaskService.WatchRun', 'gostress/v1/task_service.proto'],
    ['a message', 'gostress.v1.Run', 'gostress/v1/run.proto'],
    ['a message in another', 'gostress.v1.Node.Role', 'gostress/v1/cluster.proto'],
    ['a field', 'gostress.v1.Task.load', 'gostress/v1/task.proto'],
    ['a detail of errors', 'google.rpc.BadRequest', 'google/rpc/error_details.proto'],
    ['a well-known type', 'google.protobuf.Duration', 'google/protobuf/duration.proto'],
  ])('finds the file of %s, with all that it imports', async (_, fileContainingSymbol, file) => {
    const [answer] = await ask({ fileContainingSymbol });
    const files = filesOf(answer);
    expect(files[0]!.name).toBe(file);
    const names = files.map(({ name }) => name);
    for (const { dependency } of files) expect(names).toEqual(expect.arrayContaining(dependency));
    const [byName] = await ask({ fileByFilename: file });
    expect(filesOf(byName)).toEqual(files);
  });

  test('answers questions in their order, also those that have no answer', async () => {
    const answers = await ask(
      { fileContainingSymbol: 'gostress.v1.Nothing' },
      { fileByFilename: '../../etc/passwd' },
      { allExtensionNumbersOfType: 'gostress.v1.Run' },
      { fileContainingExtension: { containingType: 'gostress.v1.Run', extensionNumber: 1 } },
      {},
      { listServices: '' },
    );
    expect(answers.map(({ errorResponse }) => errorResponse?.errorCode ?? 0)).toEqual([5, 5, 0, 5, 3, 0]);
    expect(answers[2]!.allExtensionNumbersResponse).toEqual({ baseTypeName: 'gostress.v1.Run', extensionNumber: [] });
  });
});

describe('health', () => {
  let client: ApiClient;
  beforeAll(() => void (client = new ApiClient(server.address, ['grpc/health/v1/health.proto'])));
  afterAll(() => client[Symbol.dispose]());
  const check = (service: string) => client.call<{ status: string }>('Check', { service });

  test('of the node is whether it is ready, of the services whether somebody answers them', async () => {
    expect(await check('')).toEqual({ status: 'SERVING' });
    expect(await check('gostress.v1.TaskService')).toEqual({ status: 'NOT_SERVING' });
    master = { nodeId: 'b', address: '127.0.0.1:1', term: 1 };
    expect(await check('gostress.v1.TaskService')).toEqual({ status: 'SERVING' });
    ready = false;
    expect(await check('')).toEqual({ status: 'NOT_SERVING' });
    [master, ready] = [null, true];
  });

  test('of what there is not is NOT_FOUND', async () => {
    expect(await client.refusal('Check', { service: 'gostress.v1.Nothing' })).toMatchObject({ code: 'NOT_FOUND' });
  });

  test('is told to a watcher when it changes', async () => {
    const over = new AbortController();
    const heard: string[] = [];
    const watching = (async () => {
      const request = { service: 'gostress.v1.ClusterService' };
      for await (const { status } of client.stream<{ status: string }>('Watch', request, over.signal))
        heard.push(status);
    })();
    await eventually(() => expect(heard).toEqual(['NOT_SERVING']));
    master = { nodeId: 'b', address: '127.0.0.1:1', term: 1 };
    await eventually(() => expect(heard).toEqual(['NOT_SERVING', 'SERVING']));
    over.abort();
    await watching;
    master = null;
  });
});

test('without a master the public calls say so', async () => {
  using client = new ApiClient(server.address, ['gostress/v1/task_service.proto', 'gostress/v1/cluster.proto']);
  for (const method of ['ListTasks', 'ListNodes', 'GetCluster']) {
    const { code, reason, details } = await client.refusal(method);
    expect({ method, code, reason }).toEqual({ method, code: 'UNAVAILABLE', reason: 'UNAVAILABLE' });
    expect(details).toMatch(/master/);
  }
});
