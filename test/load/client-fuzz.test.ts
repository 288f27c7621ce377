import fc from 'fast-check';
import { expect, test } from 'vitest';
import { taskFor } from '../support/engine.ts';
import { probeFor, type Probe } from '../support/exchange.ts';
import { startRawServer, type RawRequest } from '../support/raw-server.ts';

/** What a server may say to one request: bytes in pieces, and what becomes of the connection then. */
interface Answering {
  pieces: Buffer[];
  then: 'keep' | 'end' | 'reset';
}

const ok = 'HTTP/1.1 200 OK\r\n';
const valid = [
  `${ok}Content-Length: 5\r\n\r\nhello`,
  `${ok}Content-Length: 0\r\n\r\n`,
  `${ok}Connection: close\r\nContent-Length: 5\r\n\r\nhello`,
  `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  `${ok}Transfer-Encoding: chunked\r\n\r\na;x="y"\r\n0123456789\r\n00\r\nX-Trailer: 1\r\n\r\n`,
  `${ok}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  `${ok}\r\nuntil the close`,
  'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n',
  `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok}Content-Length: 5\r\n\r\nhello`,
  `HTTP/1.1 100 Continue\r\n\r\n${ok}Content-Length: 5\r\n\r\nhello`,
  `${ok}Keep-Alive: timeout=5\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nbad`,
].map((text) => Buffer.from(text));

/**
 * A whole answer, or one that is cut, has one wrong byte, or is followed by garbage. Never two whole answers to one
 * request: no HTTP/1.1 client can tell the second from the answer to its next request.
 */
const stream = fc.constantFrom(...valid).chain((whole) =>
  fc.oneof(
    fc.constant(whole),
    fc.nat(whole.length).map((length) => whole.subarray(0, length)),
    fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 })).map(([at, byte]) => {
      const broken = Buffer.from(whole);
      broken[at] = byte;
      return broken;
    }),
    fc.uint8Array({ minLength: 1, maxLength: 40 }).map((garbage) => Buffer.concat([whole, garbage])),
    fc.uint8Array({ maxLength: 40 }).map((garbage) => Buffer.from(garbage)),
  ),
);

const answering: fc.Arbitrary<Answering> = fc
  .tuple(
    stream,
    fc.array(fc.nat(), { maxLength: 6 }),
    fc.constantFrom('keep' as const, 'end' as const, 'reset' as const),
  )
  .map(([bytes, positions, then]) => {
    const cuts = [0, ...positions.map((p) => p % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
    return { pieces: cuts.slice(1).map((cut, i) => bytes.subarray(cuts[i], cut)), then };
  });

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function play({ socket }: RawRequest, { pieces, then }: Answering): Promise<void> {
  for (const piece of pieces) {
    if (!socket.writable) return;
    if (piece.length > 0) socket.write(piece);
    await turn();
  }
  if (then === 'end') socket.end();
  if (then === 'reset') socket.resetAndDestroy();
}

/** Waits for the outcome; gives the exchange up when the server has said all and nothing came of it for a while. */
async function outcomeOf(probe: Probe, played: () => boolean): Promise<void> {
  let idleTurns = 0;
  while (probe.outcomes.length < probe.sends) {
    await turn();
    idleTurns = played() ? idleTurns + 1 : 0;
    if (idleTurns > 30) probe.connection.abort('response-timeout', 'nothing more comes');
  }
}

test.each([
  ['http1', false],
  ['undici', false],
  ['undici', true],
] as const)(
  'whatever a server says, an exchange has one outcome and counts stay true (%s, redirects: %s)',
  async (client, follow) => {
    await fc.assert(
      fc.asyncProperty(fc.array(answering, { minLength: 1, maxLength: 4 }), fc.boolean(), async (answers, reuse) => {
        let said = 0;
        let playing = 0;
        await using server = await startRawServer({
          onRequest: (request) => {
            playing++;
            void play(request, answers[said++ % answers.length]!).finally(() => playing--);
          },
        });
        const task = taskFor(server.url, { client, connections: { reuse }, redirects: { follow, max: 2 } });
        await using probe = probeFor(task);
        for (let i = 0; i < answers.length; i++) {
          const saidBefore = said;
          probe.send();
          await outcomeOf(probe, () => said > saidBefore && playing === 0);
        }
        // Late events would come now.
        for (let i = 0; i < 5; i++) await turn();
        const { answered, failed, written, redirected } = probe.counts;
        expect(answered + failed).toBe(probe.sends);
        expect(probe.outcomes).toHaveLength(probe.sends);
        expect(answered).toBeLessThanOrEqual(server.heads.length);
        expect(server.heads.length).toBeLessThanOrEqual(written + redirected);
        for (const { events } of probe.outcomes) {
          const order = events.join(' ').replace(/head \d+/, 'head');
          expect(order).toMatch(
            /^(connected )?(written )?((connected )?redirected )*(head )?(connected )?(answered|failed)$/,
          );
        }
      }),
      { numRuns: 300 },
    );
  },
);
