import { createServer, type Http2Session, type ServerHttp2Stream, type ServerOptions } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { ClientName } from '../../src/task/spec.ts';
import { startRawServer, type RawServer, type ServerRequest } from './raw-server.ts';

export interface Http2Request extends ServerRequest {
  stream: ServerHttp2Stream;
}

export interface TestServerOptions<Request> {
  onRequest: (request: Request) => void;
  onConnection?: (socket: Socket, connection: number) => void;
}

/** A server in clear text for this client, of which a test needs to know no more than that it answers requests. */
export function startServerFor(client: ClientName, options: TestServerOptions<ServerRequest>): Promise<RawServer> {
  return client === 'http2' ? startHttp2Server(options) : startRawServer(options);
}

/** A server for HTTP/2 in clear text, with prior knowledge; heads are told as if they were HTTP/1.1's. */
export async function startHttp2Server(
  { onRequest, onConnection }: TestServerOptions<Http2Request>,
  options: ServerOptions = {},
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const heads: string[] = [];
  const connectionOf = new Map<Http2Session, { socket: Socket; connection: number; requests: number }>();
  let session: Http2Session | undefined;
  const server = createServer(options);
  server.on('session', (opened) => (session = opened));
  // The server's own listener comes first, and has just made the session of this connection.
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    connectionOf.set(session!, { socket, connection: connectionOf.size + 1, requests: 0 });
    onConnection?.(socket, connectionOf.size);
  });
  server.on('sessionError', () => undefined);
  server.on('stream', (stream, _headers, _flags, rawHeaders) => {
    stream.on('error', () => undefined);
    const of = connectionOf.get(stream.session!)!;
    const head = headOf(rawHeaders);
    heads.push(head);
    void buffer(stream).then(
      (body) => {
        const { socket, connection } = of;
        const request = ++of.requests;
        onRequest({ ...answersOn(stream, socket), stream, connection, request, head, body });
      },
      () => undefined,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    for (const socket of sockets) socket.resetAndDestroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    heads,
    get connections() {
      return connectionOf.size;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function answersOn(
  stream: ServerHttp2Stream,
  socket: Socket,
): Pick<ServerRequest, 'answer' | 'answerInPart' | 'reset' | 'end'> {
  return {
    answer: (body = 'ok', { status = 200, headers = {} } = {}) => {
      if (stream.destroyed) return;
      stream.respond({ ...headers, ':status': status });
      stream.end(body);
    },
    answerInPart: (body) => {
      stream.respond({ ':status': 200, 'content-length': 100 });
      stream.write(body);
    },
    reset: () => void socket.resetAndDestroy(),
    end: () => void socket.end(),
  };
}

/** @param raw names and values in turn; `host` is what :authority says */
function headOf(raw: readonly string[]): string {
  const fields: [string, string][] = [];
  for (let i = 0; i < raw.length; i += 2) fields.push([raw[i]!, raw[i + 1]!]);
  const of = Object.fromEntries(fields);
  const others = fields.filter(([name]) => !name.startsWith(':')).map(([name, value]) => `${name}: ${value}`);
  return [`${of[':method']} ${of[':path']} HTTP/2`, `host: ${of[':authority']}`, ...others].join('\r\n');
}
