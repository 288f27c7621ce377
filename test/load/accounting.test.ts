import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import type { ErrorClass } from '../../src/task/sample.ts';
import type { ClientName, TimeoutsSpec } from '../../src/task/spec.ts';
import {
  CLIENTS,
  HTTP1_CLIENTS,
  constant,
  expectIdentity,
  expectTargetAgrees,
  runTask,
  taskForClient,
  type RunResult,
} from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { startServerFor, type TestServerOptions } from '../support/http2-server.ts';
import {
  okResponse,
  startRawServer,
  type RawRequest,
  type RawServer,
  type ServerRequest,
} from '../support/raw-server.ts';

let server: RawServer;

afterEach(() => server.close());

const failuresOf = ({ total }: RunResult): Partial<Record<ErrorClass, number>> =>
  Object.fromEntries(Object.entries(total.errors).map(([errorClass, { count }]) => [errorClass, count]));

/** Tells each request by a byte in a pipe, before it answers: the count survives SIGKILL. */
const countingServer = (module: 'http' | 'http2'): string => `
  const { writeSync } = require('node:fs');
  const server = require('node:${module}').createServer((_, response) => { writeSync(3, '.'); response.end('ok'); });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
`;

/** Runs 100/s for a second with four in flight; every third request gets the fault, the others are answered well. */
async function runWithFaults<Request extends ServerRequest>(
  client: ClientName,
  start: (options: TestServerOptions<Request>) => Promise<RawServer>,
  fault: (request: Request) => void,
  timeouts: Partial<TimeoutsSpec>,
): Promise<RunResult> {
  let received = 0;
  server = await start({
    onRequest: (request) => {
      if (++received % 3 === 0) fault(request);
      else request.answer();
    },
  });
  const load = { maxInFlight: 4, graceMs: 500, onSaturated: 'queue' as const };
  const result = await runTask(taskForClient(client)(server.url, { load, timeouts }));
  expectIdentity(result);
  expectTargetAgrees(result, server.heads.length);
  return result;
}

describe.each(CLIENTS)('%s', (client) => {
  const taskFor = taskForClient(client);
  const start = (options: TestServerOptions<ServerRequest>): Promise<RawServer> => startServerFor(client, options);
  const runWithFault = (fault: (request: ServerRequest) => void, timeouts: Partial<TimeoutsSpec> = {}) =>
    runWithFaults(client, start, fault, timeouts);

  describe('the numbers agree with the target’s own', () => {
    test('exactly, when nothing goes wrong', async () => {
      const result = await runWithFault((request) => request.answer());
      expect(result.total.counts.answered).toBe(server.heads.length);
      expect(result.total.counts.written).toBe(server.heads.length);
      expect(failuresOf(result)).toEqual({});
    });

    const faults: [string, ErrorClass, (request: ServerRequest) => void][] = [
      ['resets the connection', 'reset', (request) => request.reset()],
      ['closes without an answer', 'closed', (request) => request.end()],
      [
        'closes before the body is complete',
        'closed',
        (request) => {
          request.answerInPart('ok');
          setImmediate(() => request.end());
        },
      ],
      ['answers 503', 'status', (request) => request.answer('', { status: 503 })],
    ];
    test.each(faults)('when the target %s', async (_, errorClass, fault) => {
      const result = await runWithFault(fault);
      expect(failuresOf(result)).toEqual({ [errorClass]: result.total.counts.failed });
      expect(result.total.counts.failed).toBeGreaterThan(10);
    });

    test('when the target stalls before its answer, or within it', async () => {
      const before = await runWithFault(() => undefined, { responseMs: 200 });
      expect(failuresOf(before)).toEqual({ 'response-timeout': before.total.counts.failed });
      await server.close();
      const within = await runWithFault((request) => request.answerInPart('ok'), { totalMs: 300 });
      expect(failuresOf(within)).toEqual({ 'total-timeout': within.total.counts.failed });
    });

    test('when each hit has its own connection', async () => {
      server = await start({ onRequest: (request) => request.answer() });
      const result = await runTask(taskFor(server.url, { connections: { reuse: false } }), { threads: 2 });
      expectIdentity(result);
      expect(server.heads.length).toBe(result.total.counts.answered);
      expect(server.connections).toBe(result.total.counts.written);
      expect(result.histogram('connect').count).toBe(result.total.counts.written);
      expect(result.total.traffic.connectionsOpened).toBe(result.total.counts.written);
    });

    test('when nobody listens: nothing is written', async () => {
      server = await start({ onRequest: () => undefined });
      await server.close();
      const result = await runTask(taskFor(server.url));
      expectIdentity(result);
      expect(result.total.counts.written).toBe(0);
      expect(failuresOf(result)).toEqual({ 'connect-refused': result.total.counts.unwritten });
    });

    test('when the run is interrupted, drained or aborted', async () => {
      for (const stop of ['drain', 'abort'] as const) {
        let received = 0;
        server = await start({
          onRequest: (request) => {
            if (++received % 3 > 0) request.answer();
          },
        });
        const task = taskFor(server.url, { load: { stages: [constant(300, 60_000)], graceMs: 300 } });
        const result = await runTask(task, {
          threads: 2,
          control: async (engine) => {
            await eventually(() => expect(server.heads.length).toBeGreaterThan(100));
            engine[stop]('the test says so');
          },
        });
        expectIdentity(result);
        expectTargetAgrees(result, server.heads.length);
        expect(result.total.counts.aborted).toBeGreaterThan(0);
        await server.close();
      }
    });
  });

  test('the numbers agree with those of a target that is killed', async () => {
    server = await start({ onRequest: () => undefined });
    const child = spawn(process.execPath, ['-e', countingServer(client === 'http2' ? 'http2' : 'http')], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'ipc'],
    });
    try {
      let received = 0;
      const pipe = child.stdio[3] as NodeJS.ReadableStream;
      pipe.on('data', (bytes: Buffer) => (received += bytes.length));
      const pipeEnd = once(pipe, 'end');
      const [port] = (await once(child, 'message')) as [number];
      const result = await runTask(taskFor(`http://127.0.0.1:${port}/`, { load: { stages: [constant(500, 2_000)] } }), {
        threads: 2,
        control: async () => {
          await eventually(() => expect(received).toBeGreaterThan(300));
          child.kill('SIGKILL');
        },
      });
      await pipeEnd;
      expectIdentity(result);
      expectTargetAgrees(result, received);
      expect(result.total.errors['connect-refused']!.count).toBeGreaterThan(100);
      expect(result.total.counts.unwritten).toBeGreaterThan(100);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe.each(HTTP1_CLIENTS)('%s', (client) => {
  const taskFor = taskForClient(client);
  const runWithFault = (fault: (request: RawRequest) => void) => runWithFaults(client, startRawServer, fault, {});

  describe('the numbers agree with the target’s own', () => {
    const faults: [string, (request: RawRequest) => void][] = [
      ['answers garbage', ({ socket }) => socket.write('\u0000\u0001 this is not HTTP\r\n\r\n')],
      [
        'sends a broken chunk',
        ({ socket }) => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n'),
      ],
    ];
    test.each(faults)('when the target %s', async (_, fault) => {
      const result = await runWithFault(fault);
      expect(failuresOf(result)).toEqual({ protocol: result.total.counts.failed });
      expect(result.total.counts.failed).toBeGreaterThan(10);
    });

    const valid: [string, (request: RawRequest) => void][] = [
      [
        '103 before the answer',
        ({ socket }) => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${okResponse()}`),
      ],
      [
        'chunks with trailers',
        ({ socket }) =>
          socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n'),
      ],
      [
        'a body that ends with the connection',
        ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok'),
      ],
      // The answer is whole; the connection is not used again.
      ['bytes after its answer', ({ socket }) => socket.write(`${okResponse()} and more`)],
      ['204 without a body', ({ socket }) => socket.write('HTTP/1.1 204 No Content\r\n\r\n')],
    ];
    test.each(valid)('when the target sends %s, which is no fault', async (_, answer) => {
      const result = await runWithFault(answer);
      expect(failuresOf(result)).toEqual({});
      expect(result.total.counts.answered).toBe(server.heads.length);
      expect(result.total.counts.written).toBe(server.heads.length);
    });

    test('when the target sends 100 Continue that nobody asked for', async () => {
      const result = await runWithFault(({ socket }) => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${okResponse()}`));
      expect(Object.keys(failuresOf(result))).toEqual(client === 'undici' ? ['protocol'] : []);
    });

    test('when redirects are followed: they are counted apart', async () => {
      server = await startRawServer({
        onRequest: ({ socket, head }) =>
          socket.write(
            head.startsWith('GET /there ')
              ? okResponse()
              : 'HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n',
          ),
      });
      const result = await runTask(
        taskFor(`${server.url}/here`, { client: 'undici', redirects: { follow: true, max: 2 } }),
      );
      expectIdentity(result);
      const { answered, written, redirects } = result.total.counts;
      expect(answered).toBe(written);
      expect(redirects).toBe(written);
      expect(server.heads.length).toBe(written + redirects);
    });
  });
});
