import { describe, expect, test } from 'vitest';
import { createClient } from '../../src/load/clients.ts';
import type { ProtocolClient } from '../../src/load/client.ts';
import { taskForClient, type TaskChanges } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { Probe, probeFor } from '../support/exchange.ts';
import {
  answerFrames,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  fields,
  frame,
  GOAWAY,
  HEADERS,
  RST_STREAM,
  settings,
  SETTINGS,
  startFrameServer,
  uint32,
  WINDOW_UPDATE,
  type FrameRequest,
  type FrameServer,
} from '../support/http2-frames.ts';
import { startHttp2Server } from '../support/http2-server.ts';
import { okResponse, startRawServer } from '../support/raw-server.ts';

const taskFor = taskForClient('http2');

const answerOk = ({ socket, stream }: FrameRequest): void => void socket.write(answerFrames(stream));
const head = (stream: number, flags = END_HEADERS): Buffer =>
  frame(HEADERS, flags, stream, fields({ ':status': '200' }));
const reset = (stream: number, code: number): Buffer => frame(RST_STREAM, 0, stream, uint32(code));
const goaway = (lastStream: number, code: number): Buffer => frame(GOAWAY, 0, 0, uint32(lastStream, code));

/** So many slots of one client. */
function slotsFor(
  url: string,
  count: number,
  changes: TaskChanges = {},
): { client: ProtocolClient; slots: Probe[] } & AsyncDisposable {
  const client = createClient(taskFor(url, changes), { keepBody: true, maxBodyBytes: 1_000_000 });
  const slots = Array.from({ length: count }, () => new Probe(client));
  return { client, slots, [Symbol.asyncDispose]: () => client.close() };
}

/** A server that keeps its requests until they are let go. */
async function startHoldingServer(greeting?: Buffer): Promise<FrameServer & { held: FrameRequest[] }> {
  const held: FrameRequest[] = [];
  const server = await startFrameServer((request) => void held.push(request), greeting);
  return Object.assign(server, { held });
}

const countOf = (server: FrameServer, type: number): number => server.frames.filter((of) => of.type === type).length;

describe('sessions', () => {
  test('slots share one, and only the exchange it was dialled for tells of the connection', async () => {
    await using server = await startFrameServer(answerOk);
    await using run = slotsFor(server.url, 50);
    const outcomes = await Promise.all(run.slots.map((slot) => slot.exchange()));
    expect(outcomes.map(({ kind }) => kind)).toEqual(Array(50).fill('answered'));
    expect(server.connections).toBe(1);
    expect(run.client.traffic()).toMatchObject({ connectionsOpened: 1, connections: 1 });
    expect(outcomes.filter(({ events }) => events.includes('connected'))).toHaveLength(1);
  });

  test.each([
    ['as many as the task says', 4, settings(), 3],
    ['no more than the target allows', 100, settings([3, 2]), 5],
    ['one, when the task says so: each hit has a connection, as with HTTP/1.1', 1, settings(), 10],
  ])('carry %s', async (_name, streams, greeting, connections) => {
    await using server = await startHoldingServer(greeting);
    await using run = slotsFor(server.url, 10, { connections: { streams } });
    for (const slot of run.slots) slot.send();
    await eventually(() => expect(server.held).toHaveLength(10));
    expect(server.connections).toBe(connections);
    for (const request of server.held) answerOk(request);
    await Promise.all(run.slots.map((slot) => slot.outcome(1)));
    // They are kept, and used again.
    for (const slot of run.slots) slot.send();
    await eventually(() => expect(server.held).toHaveLength(20));
    expect(server.connections).toBe(connections);
  });

  test('carry one stream until the target has told how many it allows', async () => {
    await using server = await startHoldingServer(Buffer.alloc(0));
    await using run = slotsFor(server.url, 3);
    for (const slot of run.slots) slot.send();
    await eventually(() => expect(server.held).toHaveLength(1));
    expect(run.slots.map(({ counts }) => counts.written)).toEqual([1, 0, 0]);
    server.held[0]!.socket.write(settings([3, 2]));
    await eventually(() => expect(server.held).toHaveLength(3));
    expect(server.held.map(({ connection }) => connection)).toEqual([1, 1, 2]);
  });

  test('that never tell are a connect timeout of those who wait, not of the one who was sent', async () => {
    await using server = await startHoldingServer(Buffer.alloc(0));
    await using run = slotsFor(server.url, 3, { timeouts: { connectMs: 100 } });
    for (const slot of run.slots) slot.send();
    for (const slot of run.slots.slice(1)) {
      expect(await slot.outcome(1)).toMatchObject({
        kind: 'connect-timeout',
        message: 'no SETTINGS of HTTP/2 within 100 ms of the connection',
        events: ['failed'],
      });
    }
    expect(run.slots[0]!.outcomes).toEqual([]);
    server.held[0]!.socket.write(settings());
    answerOk(server.held[0]!);
    expect((await run.slots[0]!.outcome(1)).kind).toBe('answered');
  });

  test('may get fewer streams later, and more again', async () => {
    await using server = await startHoldingServer();
    await using run = slotsFor(server.url, 4);
    run.slots[0]!.send();
    await eventually(() => expect(server.held).toHaveLength(1));
    const { socket } = server.held[0]!;
    const acks = countOf(server, SETTINGS);
    socket.write(settings([3, 1]));
    await eventually(() => expect(countOf(server, SETTINGS)).toBe(acks + 1));
    run.slots[1]!.send();
    await eventually(() => expect(server.held).toHaveLength(2));
    socket.write(settings([3, 10]));
    await eventually(() => expect(countOf(server, SETTINGS)).toBeGreaterThan(acks + 2));
    run.slots[2]!.send();
    run.slots[3]!.send();
    await eventually(() => expect(server.held).toHaveLength(4));
    expect(server.held.map(({ connection }) => connection).slice(0, 2)).toEqual([1, 2]);
    expect(server.connections).toBe(2);
  });

  test('with a new connection per hit, slots share none, and each is closed after its answer', async () => {
    await using server = await startFrameServer(answerOk);
    await using run = slotsFor(server.url, 5, { connections: { reuse: false } });
    for (let i = 0; i < 3; i++) await Promise.all(run.slots.map((slot) => slot.exchange()));
    expect(server.connections).toBe(15);
    await eventually(() => expect(run.client.traffic().connections).toBe(0));
    expect(run.slots.map(({ counts }) => counts.connected)).toEqual(Array(5).fill(3));
  });

  test('whose dial is given up by all who wait are not made', async () => {
    await using server = await startFrameServer(answerOk);
    await using run = slotsFor(server.url, 3);
    for (const slot of run.slots) slot.send();
    for (const slot of run.slots.slice(0, 2)) slot.connection.abort('aborted', 'not wanted');
    expect(await run.slots[2]!.outcome(1)).toMatchObject({
      kind: 'answered',
      events: ['connected', 'written', 'head 200', 'answered'],
    });
    expect(server.received).toBe(1);
  });
});

describe('what is sent', () => {
  test('pseudo-header fields, then the headers in their order and in lower case, then the length of the body', async () => {
    await using server = await startHttp2Server({ onRequest: (request) => request.answer() });
    const headers = [
      { name: 'X-A', value: '1' },
      { name: 'x-b', value: 'é' },
      { name: 'Content-Type', value: 'text/a' },
      { name: 'X-A', value: '2' },
      { name: 'content-type', value: 'text/b' },
      { name: 'TE', value: 'trailers' },
    ];
    const task = taskFor(`${server.url}/p%20q?a=1&b`, { request: { method: 'POST', headers }, body: 'grüß' });
    await using probe = probeFor(task);
    expect(await probe.exchange()).toMatchObject({ kind: 'answered' });
    expect(server.heads[0]!.split('\r\n')).toEqual([
      'POST /p%20q?a=1&b HTTP/2',
      `host: 127.0.0.1:${server.port}`,
      'x-a: 1',
      'x-b: é',
      'content-type: text/a',
      'x-a: 2',
      'content-type: text/b',
      'te: trailers',
      'content-length: 6',
    ]);
  });

  test.each([
    ['Proxy-Connection', 'keep-alive'],
    ['HTTP2-Settings', 'AAMAAABkAAQ'],
    ['TE', 'gzip'],
  ])('%s: %s is refused before any load: HTTP/2 has no such header', (name, value) => {
    const task = taskFor('http://127.0.0.1:9', { request: { headers: [{ name, value }] } });
    expect(() => createClient(task, { keepBody: false, maxBodyBytes: 0 })).toThrow(
      `request: expected headers that HTTP/2 allows, found ${name}`,
    );
  });

  test('a body that is longer than the windows of the target, as the target makes room for it', async () => {
    const body = Buffer.alloc(300_000, 'abc');
    const bodies: Buffer[] = [];
    await using server = await startHttp2Server({
      onRequest: (request) => {
        bodies.push(request.body);
        request.answer();
      },
    });
    await using probe = probeFor(taskFor(server.url, { body }));
    for (let i = 0; i < 3; i++) expect(await probe.exchange()).toMatchObject({ kind: 'answered' });
    expect(bodies.map((received) => received.equals(body))).toEqual([true, true, true]);
    expect(server.connections).toBe(1);
  });

  test('of a body no more than the windows of the target allow', async () => {
    await using server = await startHoldingServer();
    await using probe = probeFor(taskFor(server.url, { request: { method: 'POST' }, body: Buffer.alloc(100_000) }));
    const sent = (): number =>
      server.frames.filter(({ type }) => type === DATA).reduce((sum, { payload }) => sum + payload.length, 0);
    probe.send();
    await eventually(() => expect(sent()).toBe(65_535));
    expect(server.received).toBe(0);
    probe.connection.abort('total-timeout', 'too long');
    await eventually(() => expect(countOf(server, RST_STREAM)).toBe(1));
    expect(sent()).toBe(65_535);
  });
});

describe('answers', () => {
  test('are heard in all their parts, and counted as events', async () => {
    await using server = await startHoldingServer();
    await using probe = probeFor(taskFor(server.url));
    expect(probe.client.events).toBe(0);
    probe.send();
    await eventually(() => expect(server.held).toHaveLength(1));
    const { socket, stream } = server.held[0]!;
    const early = frame(HEADERS, END_HEADERS, stream, fields({ ':status': '103', link: '</a>' }));
    // Connected, the SETTINGS of the target, written.
    await eventually(() => expect(probe.client.events).toBe(3));
    const parts = [
      early,
      head(stream),
      frame(DATA, 0, stream, Buffer.from('o')),
      frame(DATA, 0, stream, Buffer.from('k')),
    ];
    for (const [i, part] of parts.entries()) {
      socket.write(part);
      await eventually(() => expect(probe.client.events).toBe(4 + i));
    }
    socket.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, fields({ 'x-sum': '1' })));
    expect(await probe.outcome(1)).toMatchObject({ kind: 'answered', body: 'ok', bodyBytes: 2 });
    expect(probe.outcomes[0]!.events).toEqual(['connected', 'written', 'head 200', 'answered']);
  });

  test('of streams that take turns are told apart', async () => {
    await using server = await startHoldingServer();
    await using run = slotsFor(server.url, 3);
    for (const slot of run.slots) slot.send();
    await eventually(() => expect(server.held).toHaveLength(3));
    const { socket } = server.held[0]!;
    const streams = server.held.map(({ stream }) => stream);
    for (const stream of streams) socket.write(head(stream));
    for (let i = 0; i < 4; i++) {
      for (const stream of streams)
        socket.write(frame(DATA, i === 3 ? END_STREAM : 0, stream, Buffer.from(`${stream}`)));
    }
    const bodies = await Promise.all(run.slots.map(async (slot) => (await slot.outcome(1)).body));
    expect(bodies).toEqual(['1111', '3333', '5555']);
  });

  test('of megabytes are read to the last byte, and windows never hold the target up', async () => {
    const body = Buffer.alloc(3_000_000, 'x');
    await using server = await startHttp2Server({ onRequest: (request) => request.answer(body) });
    const task = taskFor(server.url);
    await using probe = probeFor(task, 1000);
    for (let i = 0; i < 3; i++) {
      const outcome = await probe.exchange();
      expect(outcome).toMatchObject({ kind: 'answered', bodyBytes: 3_000_000 });
      expect(outcome.body).toHaveLength(1000);
    }
    await using raw = await startFrameServer(({ socket, stream }) => {
      const data = frame(DATA, 0, stream, Buffer.alloc(16_384));
      socket.write(Buffer.concat([head(stream), ...Array<Buffer>(61).fill(data), frame(DATA, END_STREAM, stream)]));
    });
    await using other = probeFor(taskFor(raw.url));
    expect(await other.exchange()).toMatchObject({ kind: 'answered', bodyBytes: 61 * 16_384 });
    // One for the connection, as it begins; a megabyte at once needs no more.
    expect(countOf(raw, WINDOW_UPDATE)).toBe(1);
  });

  test('that come before the whole request was sent stand, and the rest of it is not sent', async () => {
    await using server = await startHoldingServer();
    await using probe = probeFor(taskFor(server.url, { request: { method: 'POST' }, body: Buffer.alloc(1_000_000) }));
    for (let i = 1; i <= 2; i++) {
      probe.send();
      await eventually(() =>
        expect(server.frames.some(({ type, stream }) => type === DATA && stream === 2 * i - 1)).toBe(true),
      );
      server.sockets[0]!.write(answerFrames(2 * i - 1, 'big'));
      expect(await probe.outcome(i)).toMatchObject({ kind: 'answered', body: 'big' });
      await eventually(() => expect(countOf(server, RST_STREAM)).toBe(i));
      // What the first has used up of the session's window.
      server.sockets[0]!.write(frame(WINDOW_UPDATE, 0, 0, uint32(65_535)));
    }
    expect(server.received).toBe(0);
    expect(server.connections).toBe(1);
  });
});

describe('streams that end too early', () => {
  test('with NO_ERROR in the middle of a body of known length are no answer', async () => {
    await using server = await startFrameServer(({ socket, stream }) => {
      const started = frame(HEADERS, END_HEADERS, stream, fields({ ':status': '200', 'content-length': '9' }));
      socket.write(Buffer.concat([started, frame(DATA, 0, stream, Buffer.from('x')), reset(stream, 0)]));
    });
    await using probe = probeFor(taskFor(server.url));
    expect(await probe.exchange()).toMatchObject({ kind: 'reset', message: 'the stream was reset: NO_ERROR' });
  });

  test.each([
    [
      'is reset with INTERNAL_ERROR',
      (stream: number) => reset(stream, 2),
      'reset',
      'the stream was reset: INTERNAL_ERROR',
    ],
    ['is refused', (stream: number) => reset(stream, 7), 'reset', 'the stream was reset: REFUSED_STREAM'],
    ['is reset with CANCEL', (stream: number) => reset(stream, 8), 'reset', 'the stream was reset: CANCEL'],
    [
      'is reset with ENHANCE_YOUR_CALM',
      (stream: number) => reset(stream, 11),
      'reset',
      'the stream was reset: ENHANCE_YOUR_CALM',
    ],
    [
      'is reset after its head',
      (stream: number) => Buffer.concat([head(stream), reset(stream, 2)]),
      'reset',
      'the stream was reset: INTERNAL_ERROR',
    ],
    [
      'is reset in its body',
      (stream: number) => Buffer.concat([head(stream), frame(DATA, 0, stream, Buffer.from('x')), reset(stream, 8)]),
      'reset',
      'the stream was reset: CANCEL',
    ],
    [
      'has a length that is not its own',
      (stream: number) => answerFrames(stream, 'ok', { 'content-length': '9' }),
      'protocol',
      'the stream ended with PROTOCOL_ERROR',
    ],
    [
      'has a header of HTTP/1.1',
      (stream: number) => answerFrames(stream, 'ok', { connection: 'close' }),
      'protocol',
      'the stream ended with PROTOCOL_ERROR',
    ],
    [
      'has a header in capitals',
      (stream: number) => answerFrames(stream, 'ok', { 'X-A': 'b' }),
      'protocol',
      'the stream ended with PROTOCOL_ERROR',
    ],
    [
      'has data before its head',
      (stream: number) => frame(DATA, END_STREAM, stream, Buffer.from('x')),
      'protocol',
      expect.any(String) as string,
    ],
  ])('one that %s', async (_name, answer, errorClass, message) => {
    let isBroken = true;
    await using server = await startFrameServer((request) => {
      if (isBroken) request.socket.write(answer(request.stream));
      else answerOk(request);
    });
    await using probe = probeFor(taskFor(server.url));
    for (let i = 0; i < 2; i++) {
      const outcome = await probe.exchange();
      expect(outcome).toMatchObject({ kind: errorClass, message });
      expect(outcome.events.at(-1)).toBe('failed');
    }
    isBroken = false;
    expect(await probe.exchange()).toMatchObject({ kind: 'answered', body: 'ok' });
    expect(probe.counts).toMatchObject({ written: 3 });
    expect(server.received).toBe(3);
  });

  test('one of several, and the others go on', async () => {
    await using server = await startHoldingServer();
    await using run = slotsFor(server.url, 3);
    for (const slot of run.slots) slot.send();
    await eventually(() => expect(server.held).toHaveLength(3));
    const { socket } = server.held[0]!;
    socket.write(reset(server.held[1]!.stream, 2));
    expect(await run.slots[1]!.outcome(1)).toMatchObject({ kind: 'reset' });
    answerOk(server.held[0]!);
    answerOk(server.held[2]!);
    expect((await run.slots[0]!.outcome(1)).kind).toBe('answered');
    expect((await run.slots[2]!.outcome(1)).kind).toBe('answered');
    expect(server.connections).toBe(1);
  });

  test('a timed-out one is cancelled at the target, on a session that is kept', async () => {
    await using server = await startHoldingServer();
    await using probe = probeFor(taskFor(server.url));
    probe.send();
    await eventually(() => expect(server.held).toHaveLength(1));
    probe.connection.abort('response-timeout', 'no answer');
    await eventually(() => expect(countOf(server, RST_STREAM)).toBe(1));
    const cancel = server.frames.find(({ type }) => type === RST_STREAM)!;
    expect([cancel.stream, cancel.payload.readUInt32BE()]).toEqual([1, 8]);
    // What comes late is nobody's.
    answerOk(server.held[0]!);
    probe.send();
    await eventually(() => expect(server.held).toHaveLength(2));
    server.held[1]!.socket.write(answerFrames(server.held[1]!.stream, 'in time'));
    expect(await probe.outcome(2)).toMatchObject({ kind: 'answered', body: 'in time' });
    expect(server.connections).toBe(1);
  });

  test.each([
    ['of one field', { 'x-long': 'x'.repeat(70_000) }, 'protocol'],
    // node:http2 resets the stream itself, with the code that says so.
    ['of many', manyFields(2_000), 'reset'],
  ])('a head of more than 64 KiB, %s, fails', async (_name, of, errorClass) => {
    await using server = await startFrameServer(({ socket, stream }) => {
      if (stream === 1) socket.write(answerFrames(stream));
      else socket.write(Buffer.concat([headInFrames(stream, of), frame(DATA, END_STREAM, stream)]));
    });
    await using probe = probeFor(taskFor(server.url));
    // Until the target has acknowledged our SETTINGS, node:http2 takes up to 16 MiB.
    expect((await probe.exchange()).kind).toBe('answered');
    expect((await probe.exchange()).kind).toBe(errorClass);
  });

  test('a head of 60 KiB in a thousand fields is none', async () => {
    await using server = await startFrameServer(({ socket, stream }) => {
      socket.write(Buffer.concat([headInFrames(stream, manyFields(600)), frame(DATA, END_STREAM, stream)]));
    });
    await using probe = probeFor(taskFor(server.url));
    expect(await probe.exchange()).toMatchObject({ kind: 'answered', status: 200 });
  });
});

/** Each has 32 bytes of overhead (RFC 9113 section 6.5.2), and so about 60 in all. */
function manyFields(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-field-${i}`, 'a value of 20 bytes.']));
}

function headInFrames(stream: number, of: Record<string, string>): Buffer {
  const block = fields({ ':status': '200', ...of });
  const parts: Buffer[] = [];
  for (let at = 0; at < block.length; at += 16_384) parts.push(block.subarray(at, at + 16_384));
  const last = parts.length - 1;
  return Buffer.concat(
    parts.map((part, i) => frame(i === 0 ? HEADERS : CONTINUATION, i === last ? END_HEADERS : 0, stream, part)),
  );
}

describe('GOAWAY', () => {
  test('lets finish what the target has taken, fails what it has not, and what follows has a new session', async () => {
    await using server = await startHoldingServer();
    await using run = slotsFor(server.url, 4);
    for (const slot of run.slots.slice(0, 3)) slot.send();
    await eventually(() => expect(server.held).toHaveLength(3));
    const { socket } = server.held[0]!;
    socket.write(goaway(3, 0));
    expect(await run.slots[2]!.outcome(1)).toMatchObject({
      kind: 'closed',
      message: 'the peer ended the session before the answer was complete: GOAWAY, NO_ERROR',
    });
    run.slots[3]!.send();
    await eventually(() => expect(server.held).toHaveLength(4));
    expect(server.held[3]!.connection).toBe(2);
    for (const request of [server.held[0]!, server.held[1]!, server.held[3]!]) answerOk(request);
    for (const i of [0, 1, 3]) expect((await run.slots[i]!.outcome(1)).kind).toBe('answered');
    await eventually(() => expect(run.client.traffic().connections).toBe(1));
    expect(run.slots.map(({ counts }) => counts.written)).toEqual([1, 1, 1, 1]);
    expect(server.received).toBe(4);
  });

  test('with an error fails all hits of the session', async () => {
    await using server = await startHoldingServer();
    await using run = slotsFor(server.url, 2);
    for (const slot of run.slots) slot.send();
    await eventually(() => expect(server.held).toHaveLength(2));
    server.held[0]!.socket.write(goaway(3, 11));
    for (const slot of run.slots) {
      expect(await slot.outcome(1)).toMatchObject({
        kind: 'closed',
        message: 'the peer ended the session before the answer was complete: GOAWAY, ENHANCE_YOUR_CALM',
      });
    }
  });

  test('after each answer costs a session each time, and no hit', async () => {
    await using server = await startFrameServer(({ socket, stream }) => {
      socket.end(Buffer.concat([answerFrames(stream), goaway(stream, 0)]));
    });
    await using probe = probeFor(taskFor(server.url));
    for (let i = 0; i < 5; i++) {
      expect(await probe.exchange()).toMatchObject({ kind: 'answered' });
      await eventually(() => expect(probe.client.traffic().connections).toBe(0));
    }
    expect(server.connections).toBe(5);
  });
});

describe('sessions that break', () => {
  test.each([
    ['closes', 'closed', ({ socket }: FrameRequest) => void socket.end()],
    ['closes in the middle of answers', 'closed', ({ socket, stream }: FrameRequest) => void socket.end(head(stream))],
    ['resets', 'reset', ({ socket }: FrameRequest) => void socket.resetAndDestroy()],
    ['sends what is no frame', 'protocol', ({ socket }: FrameRequest) => socket.write(Buffer.alloc(100, 255))],
    [
      'breaks the rules of frames',
      'protocol',
      ({ socket }: FrameRequest) => socket.write(frame(DATA, 0, 0, Buffer.of(1))),
    ],
  ])('a target that %s fails all hits of the session: %s', async (_name, errorClass, breakIt) => {
    let count = 0;
    await using server = await startFrameServer((request) => {
      if (++count === 3) breakIt(request);
      if (count > 3) answerOk(request);
    });
    await using run = slotsFor(server.url, 3);
    for (const slot of run.slots) slot.send();
    const kinds = await Promise.all(run.slots.map(async (slot) => (await slot.outcome(1)).kind));
    expect(kinds).toEqual(Array(3).fill(errorClass));
    expect(run.slots.map(({ counts }) => counts.written)).toEqual([1, 1, 1]);
    expect(await run.slots[0]!.exchange()).toMatchObject({ kind: 'answered' });
    expect(server.connections).toBe(2);
  });

  test('a target of HTTP/1.1 breaks the protocol, and is told as what it is', async () => {
    await using server = await startRawServer({
      onRequest: () => undefined,
      onConnection: (socket) => void socket.once('data', () => socket.end(okResponse())),
    });
    await using probe = probeFor(taskFor(server.url));
    for (let i = 0; i < 2; i++) {
      expect(await probe.exchange()).toMatchObject({ kind: 'protocol', message: 'the peer does not answer in HTTP/2' });
    }
  });
});

test('bytes are those on the wire, and connections those that are open', async () => {
  await using server = await startFrameServer(answerOk);
  await using probe = probeFor(taskFor(server.url));
  await probe.exchange();
  const { bytesIn, bytesOut } = probe.client.traffic();
  // SETTINGS, their acknowledgement, and the answer.
  expect(bytesIn).toBe(9 + 9 + answerFrames(1).length);
  const received = server.frames.reduce((sum, { payload }) => sum + 9 + payload.length, 24);
  await eventually(() => expect(server.frames.filter(({ type }) => type === SETTINGS)).toHaveLength(2));
  expect(bytesOut).toBeGreaterThanOrEqual(received);
  await probe.client.close();
  expect(probe.client.traffic()).toMatchObject({ bytesIn, connectionsOpened: 1, connections: 0 });
});
