import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Client, credentials, Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Accept, Link, ToMaster, ToWorker } from '../../src/cluster/ports.ts';
import { SILENT } from '../../src/lib/log.ts';
import { encodeToMaster, SESSION_PATH } from '../../src/rpc/session-codec.ts';
import { createDialer, type DialerOptions } from '../../src/rpc/session-client.ts';
import { MAX_SESSION_MESSAGE_BYTES } from '../../src/rpc/session-options.ts';
import { spawnCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { Heard, helloOf, startSessionServer, type SessionServer } from '../support/session.ts';
import { hello, laterToMaster, toWorker } from '../support/session-arbitrary.ts';

/** No machine is so busy that a live peer would not answer within this. */
const PATIENT = { timeMs: 20_000, timeoutMs: 20_000 };
const WELCOME: ToWorker = { term: 1, type: 'welcome', heartbeatMs: 500 };
const PEER = fileURLToPath(new URL('../support/session-peer.ts', import.meta.url));

interface Ends extends AsyncDisposable {
  server: SessionServer;
  worker: Link<ToMaster>;
  /** What the worker heard. */
  atWorker: Heard<ToWorker>;
  master: Link<ToWorker>;
  atMaster: Heard<ToMaster>;
}

/** Both ends of a session after Hello and Welcome. */
async function open(): Promise<Ends> {
  const atMaster = new Heard<ToMaster>();
  const accepted = Promise.withResolvers<Link<ToWorker>>();
  const server = await startSessionServer((link) => {
    accepted.resolve(link);
    return atMaster;
  }, PATIENT);
  const { link: worker, heard: atWorker } = dial(server.address);
  worker.send(helloOf('a'));
  const master = await accepted.promise;
  master.send(WELCOME);
  await eventually(() => expect([atMaster.messages.length, atWorker.messages.length]).toEqual([1, 1]));
  atMaster.messages.length = 0;
  atWorker.messages.length = 0;
  return { server, worker, atWorker, master, atMaster, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function containing(text: string): unknown {
  return expect.stringContaining(text);
}

function dial(address: string, options: Partial<DialerOptions> = {}) {
  const heard = new Heard<ToWorker>();
  const link = createDialer({ log: SILENT, keepalive: PATIENT, ...options })(address, heard);
  return { link, heard };
}

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const STRESS_SAMPLES: ToMaster & { type: 'driver' } = {
  type: 'driver',
  driver: 'stress',
  payload: {
    type: 'samples',
    runId: 2n ** 63n + 1n,
    assignment: 1,
    incarnation: 1,
    samples: [
      {
        runId: 2n ** 63n + 1n,
        assignment: 1,
        incarnation: 1,
        seq: 1,
        second: 0,
        digest: new Uint8Array(16),
        data: new Uint8Array(5000).fill(7),
      },
    ],
  },
};

describe('messages', () => {
  test('of both sides arrive as they were sent and in their order', async () => {
    await using ends = await open();
    await fc.assert(
      fc.asyncProperty(fc.array(laterToMaster), fc.array(toWorker), async (up, down) => {
        for (const message of up) ends.worker.send(message);
        for (const message of down) ends.master.send(message);
        await eventually(() => {
          expect(ends.atMaster.messages.length).toBe(up.length);
          expect(ends.atWorker.messages.length).toBe(down.length);
        });
        expect(ends.atMaster.messages.splice(0)).toEqual(up);
        expect(ends.atWorker.messages.splice(0)).toEqual(down);
      }),
      { numRuns: 60 },
    );
  });

  test('every Hello arrives as it was sent', async () => {
    let atMaster = new Heard<ToMaster>();
    await using server = await startSessionServer(() => atMaster, PATIENT);
    await fc.assert(
      fc.asyncProperty(hello, async (message) => {
        atMaster = new Heard<ToMaster>();
        const { link, heard } = dial(server.address);
        link.send(message);
        link.close('done');
        await heard.end;
        expect(atMaster.messages).toEqual([message]);
      }),
      { numRuns: 20 },
    );
  });

  test('an Assign with a body of 64 MiB arrives; a heartbeat overtakes it, all else keeps its place', async () => {
    await using ends = await open();
    const body = new Uint8Array(64 * 1024 * 1024).fill(65);
    const [assign] = fc.sample(
      toWorker.filter(
        (message) => message.type === 'driver' && (message.payload as { type?: string }).type === 'assign',
      ),
      { numRuns: 1, seed: 1 },
    );
    const { payload, ...rest } = assign as ToWorker & { type: 'driver'; payload: { task: object } };
    const spec = { ...(payload.task as { spec: { request: object } }).spec };
    spec.request = { ...spec.request, body: { kind: 'base64', base64: Buffer.from(body).toString('base64') } };
    const large = { ...rest, payload: { ...payload, task: { spec, body, tls: { ca: null, cert: null, key: null } } } };
    const heartbeat: ToWorker = { term: 1, type: 'heartbeat', echoMs: 1 };
    expect(ends.master.send(large)).toBe(true);
    ends.master.send(WELCOME);
    expect(ends.master.send(heartbeat)).toBe(true);
    await eventually(() => expect(ends.atWorker.messages.length).toBe(3), 60_000);
    const [overtaker, , follower] = ends.atWorker.messages;
    expect([overtaker, follower]).toEqual([heartbeat, WELCOME]);
    const arrived = (ends.atWorker.messages[1] as typeof large).payload.task;
    expect(Buffer.compare(arrived.body, body)).toBe(0);
    expect((arrived.spec.request as { body: unknown }).body).toEqual((spec.request as { body: unknown }).body);
  });

  test('one that is larger than the other end takes is refused at the sender, and the stream goes on', async () => {
    await using ends = await open();
    const large = {
      term: 1,
      type: 'driver',
      driver: 'mine',
      payload: new Uint8Array(MAX_SESSION_MESSAGE_BYTES),
    } as const;
    expect(() => ends.master.send(large)).toThrow(`expected a message of at most ${MAX_SESSION_MESSAGE_BYTES} bytes`);
    ends.master.send(WELCOME);
    await eventually(() => expect(ends.atWorker.messages).toEqual([WELCOME]));
  });
});

describe('an end', () => {
  test('by the worker: what was sent before arrives, both ends hear of it once', async () => {
    await using ends = await open();
    const count = 500;
    for (let i = 0; i < count; i++) ends.worker.send(STRESS_SAMPLES);
    ends.worker.close('draining');
    ends.worker.close('again');
    expect(ends.worker.send(STRESS_SAMPLES)).toBe(false);
    expect(await ends.atWorker.end).toEqual({ kind: 'ended', why: 'draining', newerTerm: null });
    expect(await ends.atMaster.end).toEqual({ kind: 'ended', why: 'draining', newerTerm: null });
    expect(ends.atMaster.messages.length).toBe(count);
    expect([ends.atWorker.ends.length, ends.atMaster.ends.length]).toEqual([1, 1]);
    await ends.worker.drained();
  });

  test('by the master: what was sent before arrives, the worker hears why', async () => {
    await using ends = await open();
    const count = 500;
    for (let i = 0; i < count; i++) ends.master.send({ ...WELCOME, heartbeatMs: i });
    ends.master.close('stepping down: Zürich ✓\n100 %');
    const how = await ends.atWorker.end;
    expect(how).toEqual({ kind: 'ended', why: 'stepping down: Zürich ✓\n100 %', newerTerm: null });
    expect(ends.atWorker.messages.length).toBe(count);
    expect(await ends.atMaster.end).toEqual(how);
    expect(ends.master.send(WELCOME)).toBe(false);
    expect([ends.atWorker.ends.length, ends.atMaster.ends.length]).toEqual([1, 1]);
  });

  test('by a lost connection is broken for both', async () => {
    await using ends = await open();
    ends.server.drop();
    expect(await ends.atWorker.end).toMatchObject({
      kind: 'broken',
      why: containing('lost the connection'),
    });
    expect(await ends.atMaster.end).toMatchObject({
      kind: 'broken',
      why: containing('lost the connection'),
    });
  });

  test('with a reason that is no good text, or too long for a header, is an end all the same', async () => {
    await using first = await open();
    first.master.close('\ud800');
    expect(await first.atWorker.end).toMatchObject({ kind: 'ended', why: '\ufffd' });
    await using second = await open();
    second.master.close('é'.repeat(100_000));
    expect(await second.atWorker.end).toMatchObject({ kind: 'ended', why: 'é'.repeat(1000) });
  });
});

describe('a refusal', () => {
  async function refusedBy(accept: Accept, maxTerm = 0) {
    await using server = await startSessionServer(accept, PATIENT);
    const { link, heard } = dial(server.address);
    link.send(helloOf('a', maxTerm));
    const how = await heard.end;
    expect(heard.messages).toEqual([]);
    return how;
  }

  test('because the node is not the master says so', async () => {
    const atMaster = new Heard<ToMaster>();
    const how = await refusedBy((link) => {
      link.close('not the master: it is b at 10.0.0.2:7300');
      return atMaster;
    });
    expect(how).toEqual({ kind: 'refused', why: 'not the master: it is b at 10.0.0.2:7300', newerTerm: null });
    expect(await atMaster.end).toMatchObject({ kind: 'ended' });
  });

  test('because of a newer term carries that term', async () => {
    const how = await refusedBy((link) => {
      const heard = new Heard<ToMaster>();
      heard.message = (message) => {
        if (message.type === 'hello')
          link.close(`term 3 is stale: a worker met term ${message.maxTerm}`, message.maxTerm);
      };
      return heard;
    }, 7);
    expect(how).toEqual({ kind: 'refused', why: 'term 3 is stale: a worker met term 7', newerTerm: 7 });
  });

  test('after Welcome because of a newer term is a refusal too', async () => {
    await using ends = await open();
    ends.master.close('term 1 is stale', 2);
    expect(await ends.atWorker.end).toEqual({ kind: 'refused', why: 'term 1 is stale', newerTerm: 2 });
  });

  test('by a port on which nobody listens names the address', async () => {
    const address = `127.0.0.1:${await closedPort()}`;
    const { heard } = dial(address);
    expect(await heard.end).toMatchObject({
      kind: 'refused',
      why: containing('ECONNREFUSED'),
      newerTerm: null,
    });
  });

  test('by a server without the worker service says so', async () => {
    const server = new Server();
    const bound = Promise.withResolvers<number>();
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_, port) => bound.resolve(port));
    const address = `127.0.0.1:${await bound.promise}`;
    const { heard } = dial(address);
    expect(await heard.end).toEqual({ kind: 'refused', why: `${address} accepts no workers`, newerTerm: null });
    server.forceShutdown();
  });

  test('by an address that is none is told, not thrown', async () => {
    for (const address of ['', '::::', 'unix:', 'a b:c d', '127.0.0.1:99999']) {
      const { link, heard } = dial(address);
      link.send(helloOf('a'));
      expect(await heard.end, address).toMatchObject({ kind: 'refused' });
    }
  });

  test('by a peer that takes the connection and never answers comes within the deadline', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const { heard } = dial(address, { openDeadlineMs: 300 });
    expect(await heard.end).toEqual({
      kind: 'refused',
      why: `${address} did not answer within 300 ms`,
      newerTerm: null,
    });
    silent.close();
  });
});

describe('what breaks the rules', () => {
  /** Sends raw bytes in place of messages; gives the status that ends the stream. */
  async function rawStatus(address: string, messages: readonly Buffer[]) {
    const client = new Client(address, credentials.createInsecure());
    const asIs = (bytes: Buffer) => bytes;
    const call = client.makeBidiStreamRequest(SESSION_PATH, asIs, asIs, new Metadata());
    const end = Promise.withResolvers<{ code: status; details: string }>();
    call.on('error', () => undefined).on('status', end.resolve);
    call.resume();
    for (const message of messages) call.write(message);
    const { code, details } = await end.promise;
    client.close();
    return { code, details };
  }

  const helloBytes = encodeToMaster(helloOf('a'));
  const ping = encodeToMaster({ type: 'ping', clockMs: 1 });

  test.each([
    ['bytes that are no message', [helloBytes, Buffer.from('ffffff', 'hex')], 'expected a message of session.proto'],
    ['an empty message', [helloBytes, Buffer.alloc(0)], 'message: expected one of hello, ping'],
    ['a ping before Hello', [ping], 'hello: expected first and once, found ping'],
    ['a second Hello', [helloBytes, helloBytes], 'hello: expected first and once, found hello'],
  ])('%s ends the stream with INVALID_ARGUMENT, and only that one', async (_, messages, problem) => {
    const heard: Heard<ToMaster>[] = [];
    await using server = await startSessionServer(() => {
      heard.push(new Heard());
      return heard.at(-1)!;
    }, PATIENT);
    const good = dial(server.address);
    good.link.send(helloOf('good'));
    await eventually(() => expect(heard[0]?.messages.length).toBe(1));
    const end = await rawStatus(server.address, messages);
    expect(end).toEqual({ code: status.INVALID_ARGUMENT, details: containing(problem) });
    expect(await heard[1]!.end).toMatchObject({ kind: 'broken', why: containing(problem) });
    good.link.send({ type: 'ping', clockMs: 1 });
    await eventually(() => expect(heard[0]!.messages.length).toBe(2));
  });

  test('a message of a master that cannot be read ends the stream at the worker', async () => {
    const server = new Server();
    const asIs = (bytes: Buffer) => bytes;
    const session = {
      path: SESSION_PATH,
      requestStream: true,
      responseStream: true,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    server.addService(
      { session },
      { session: (call: { write(bytes: Buffer): void }) => call.write(Buffer.from('1a00', 'hex')) },
    );
    const bound = Promise.withResolvers<number>();
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_, port) => bound.resolve(port));
    const { heard } = dial(`127.0.0.1:${await bound.promise}`);
    expect(await heard.end).toMatchObject({
      kind: 'broken',
      why: containing('sent a malformed message: term: expected a term from 1 on, found 0'),
    });
    server.forceShutdown();
  });

  test('a handler that throws ends its own stream, not the process', async () => {
    const atMaster = new Heard<ToMaster>();
    atMaster.message = () => {
      throw new Error('no such luck');
    };
    await using server = await startSessionServer(() => atMaster, PATIENT);
    const { link, heard } = dial(server.address);
    link.send(helloOf('a'));
    expect(await heard.end).toMatchObject({ why: containing('no such luck') });
    expect(await atMaster.end).toMatchObject({ kind: 'broken' });
  });
});

describe('a frozen peer', () => {
  const KEEPALIVE = { timeMs: 1000, timeoutMs: 1000 };

  test('fills the outbox, which has room again when it goes on', async () => {
    const atMaster = new Heard<ToMaster>();
    const accepted = Promise.withResolvers<Link<ToWorker>>();
    await using server = await startSessionServer((link) => {
      accepted.resolve(link);
      return atMaster;
    }, PATIENT);
    await using peer = spawnCommand(process.execPath, [PEER, 'worker', server.address, '60000']);
    const master = await accepted.promise;
    master.send(WELCOME);
    await peer.waitFor('stdout', /welcome/);
    peer.child.kill('SIGSTOP');
    const message = { term: 1, type: 'driver', driver: 'mine', payload: new Uint8Array(200_000) } as const;
    let sent = 1;
    while (master.send(message)) sent++;
    let hasRoom = false;
    void master.drained().then(() => (hasRoom = true));
    // A round trip through the event loop and the sockets: who reads would have made room by now.
    await (await open())[Symbol.asyncDispose]();
    expect(hasRoom).toBe(false);
    peer.child.kill('SIGCONT');
    await master.drained();
    await eventually(() => expect(peer.stdout().match(/driver/g)?.length).toBe(sent));
    expect(atMaster.ends).toEqual([]);
  });

  test('to which one goes on sending is given up', async () => {
    const atMaster = new Heard<ToMaster>();
    const accepted = Promise.withResolvers<Link<ToWorker>>();
    await using server = await startSessionServer((link) => {
      accepted.resolve(link);
      return atMaster;
    }, PATIENT);
    await using peer = spawnCommand(process.execPath, [PEER, 'worker', server.address, '60000']);
    const master = await accepted.promise;
    master.send(WELCOME);
    await peer.waitFor('stdout', /welcome/);
    peer.child.kill('SIGSTOP');
    for (let i = 0; i < 30_000 && atMaster.ends.length === 0; i++) {
      master.send({ term: 1, type: 'driver', driver: 'mine', payload: new Uint8Array(1000) });
    }
    expect(atMaster.ends).toEqual([
      { kind: 'broken', why: containing('wait: the other end does not read'), newerTerm: null },
    ]);
    await master.drained();
  });

  test('is noticed by the master', async () => {
    const atMaster = new Heard<ToMaster>();
    await using server = await startSessionServer(() => atMaster, KEEPALIVE);
    await using peer = spawnCommand(process.execPath, [PEER, 'worker', server.address, '60000']);
    await eventually(() => expect(atMaster.messages.length).toBe(1));
    peer.child.kill('SIGSTOP');
    expect(await atMaster.end).toMatchObject({ kind: 'broken' });
  });

  test('is noticed by the worker', async () => {
    await using peer = spawnCommand(process.execPath, [PEER, 'master', '60000']);
    const [, address] = await peer.waitFor('stdout', /address (\S+)/);
    const { link, heard } = dial(address!, { keepalive: KEEPALIVE });
    link.send(helloOf('a'));
    await eventually(() => expect(heard.messages).toEqual([WELCOME]));
    peer.child.kill('SIGSTOP');
    expect(await heard.end).toMatchObject({ kind: 'broken' });
  });

  test('is not waited for by close', async () => {
    await using peer = spawnCommand(process.execPath, [PEER, 'master', '60000']);
    const [, address] = await peer.waitFor('stdout', /address (\S+)/);
    const { link, heard } = dial(address!);
    link.send(helloOf('a'));
    await eventually(() => expect(heard.messages).toEqual([WELCOME]));
    peer.child.kill('SIGSTOP');
    link.send({ type: 'driver', driver: 'mine', payload: new Uint8Array(10_000_000) });
    link.close('enough');
    expect(await heard.end).toEqual({ kind: 'ended', why: 'enough', newerTerm: null });
  });

  test('that is killed is noticed at once', async () => {
    await using peer = spawnCommand(process.execPath, [PEER, 'master', '60000']);
    const [, address] = await peer.waitFor('stdout', /address (\S+)/);
    const { link, heard } = dial(address!);
    link.send(helloOf('a'));
    await eventually(() => expect(heard.messages).toEqual([WELCOME]));
    peer.child.kill('SIGKILL');
    expect(await heard.end).toMatchObject({ kind: 'broken' });
  });
});
