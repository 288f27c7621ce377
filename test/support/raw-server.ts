import { createServer, type AddressInfo, type Socket } from 'node:net';

/** One request that a server has received in full, whatever the version of HTTP. */
export interface ServerRequest {
  /** Number of the connection, and of the request on it; from 1. */
  connection: number;
  request: number;
  /** Request line and headers, without the empty line. */
  head: string;
  body: Buffer;
  /** A whole answer: 200 with `ok`, unless something else is given. */
  answer(body?: string | Buffer, options?: { status?: number; headers?: Record<string, string> }): void;
  /** The head of a 200 of 100 bytes, and these of it. */
  answerInPart(body: string): void;
  /** Resets the connection. */
  reset(): void;
  /** Ends the server's side of the connection. */
  end(): void;
}

export interface RawRequest extends ServerRequest {
  socket: Socket;
}

export interface RawServerOptions {
  /** Answers a request, by writing to its socket or in any other way. */
  onRequest: (request: RawRequest) => void;
  onConnection?: (socket: Socket, connection: number) => void;
}

/** A server that knows only where a request ends: whatever it answers is the script's. */
export interface RawServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Heads of the requests received in full head, in order of arrival: their number is the target's own count. */
  readonly heads: readonly string[];
  readonly connections: number;
  /** Ends listening and resets what is connected. */
  close(): Promise<void>;
}

export async function startRawServer(options: RawServerOptions): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const heads: string[] = [];
  let connections = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const connection = ++connections;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A client that is torn down resets its connection: nothing to do here.
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    readRequests(socket, connection, heads, options.onRequest);
    options.onConnection?.(socket, connection);
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
      return connections;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function readRequests(
  socket: Socket,
  connection: number,
  heads: string[],
  onRequest: RawServerOptions['onRequest'],
): void {
  let received = Buffer.alloc(0);
  let request = 0;
  let head: string | null = null;
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    for (;;) {
      if (head === null) {
        const end = received.indexOf('\r\n\r\n');
        if (end < 0) return;
        head = received.toString('latin1', 0, end);
        received = received.subarray(end + 4);
        heads.push(head);
      }
      const length = Number(/^content-length: *(\d+)$/im.exec(head)?.[1] ?? 0);
      if (received.length < length) return;
      const body = received.subarray(0, length);
      received = received.subarray(length);
      const complete = { ...answersOn(socket), socket, connection, request: ++request, head, body };
      head = null;
      onRequest(complete);
    }
  });
}

function answersOn(socket: Socket): Pick<ServerRequest, 'answer' | 'answerInPart' | 'reset' | 'end'> {
  return {
    answer: (body = 'ok', { status = 200, headers = {} } = {}) => {
      const fields = Object.entries({ 'Content-Length': String(Buffer.byteLength(body)), ...headers });
      const head = [`HTTP/1.1 ${status} X`, ...fields.map(([name, value]) => `${name}: ${value}`)].join('\r\n');
      socket.write(Buffer.concat([Buffer.from(`${head}\r\n\r\n`), Buffer.from(body)]));
    },
    answerInPart: (body) => void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${body}`),
    reset: () => void socket.resetAndDestroy(),
    end: () => void socket.end(),
  };
}

/** A 200 with this text. */
export function okResponse(text = 'ok', headers = ''): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(text)}\r\n${headers}\r\n${text}`;
}
