import { createServer, type AddressInfo, type Socket } from 'node:net';

/** Types of frames, flags and error codes of RFC 9113 that tests need. */
export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;
export const END_STREAM = 1;
export const END_HEADERS = 4;

const ACK = 1;
const PREFACE_BYTES = 24;
const HEAD_BYTES = 9;

export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeUInt32BE(value, 4 * i));
  return bytes;
}

/** A setting: 3 is MAX_CONCURRENT_STREAMS. */
export function settings(...pairs: [id: number, value: number][]): Buffer {
  const payload = pairs.map(([id, value]) => Buffer.concat([Buffer.of(0, id), uint32(value)]));
  return frame(SETTINGS, 0, 0, Buffer.concat(payload));
}

/** A block of fields, none of them compressed (RFC 7541 section 6.2.2); names and values of less than 2^21 bytes. */
export function fields(of: Record<string, string>): Buffer {
  const literals = Object.entries(of).flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]);
  return Buffer.concat(literals);
}

function text(of: string): Buffer {
  const bytes = Buffer.from(of, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const rest = bytes.length - 127;
  return Buffer.concat([Buffer.of(127, 128 | (rest & 127), 128 | ((rest >> 7) & 127), rest >> 14), bytes]);
}

/** A whole answer to the request on this stream. */
export function answerFrames(stream: number, body = 'ok', of: Record<string, string> = {}): Buffer {
  return Buffer.concat([
    frame(HEADERS, END_HEADERS, stream, fields({ ':status': '200', ...of })),
    frame(DATA, END_STREAM, stream, Buffer.from(body)),
  ]);
}

/** One request whose last byte has come. */
export interface FrameRequest {
  socket: Socket;
  stream: number;
  /** From 1. */
  connection: number;
}

/** A server that knows only where frames end: what it says, its SETTINGS too, is the script's. */
export interface FrameServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Requests received in full. */
  readonly received: number;
  readonly connections: number;
  /** Those of all connections, in order. */
  readonly sockets: readonly Socket[];
  /** All frames of all connections, in order. */
  readonly frames: readonly Frame[];
}

/** @param greeting what is said first; by default SETTINGS without any. When it is nothing, SETTINGS are not acknowledged */
export async function startFrameServer(
  onRequest: (request: FrameRequest) => void,
  greeting: Buffer = settings(),
): Promise<FrameServer> {
  const sockets: Socket[] = [];
  const frames: Frame[] = [];
  let received = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = sockets.length + 1;
    sockets.push(socket);
    socket.on('error', () => socket.destroy());
    if (greeting.length > 0) socket.write(greeting);
    readFrames(socket, (of) => {
      frames.push(of);
      if (of.type === SETTINGS && (of.flags & ACK) === 0 && greeting.length > 0) socket.write(frame(SETTINGS, ACK, 0));
      if ((of.type !== HEADERS && of.type !== DATA) || (of.flags & END_STREAM) === 0) return;
      received++;
      onRequest({ socket, stream: of.stream, connection });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    frames,
    sockets,
    get received() {
      return received;
    },
    get connections() {
      return sockets.length;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.resetAndDestroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function readFrames(socket: Socket, onFrame: (of: Frame) => void): void {
  let bytes = Buffer.alloc(0);
  let isPrefaced = false;
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    if (!isPrefaced) {
      if (bytes.length < PREFACE_BYTES) return;
      isPrefaced = true;
      bytes = bytes.subarray(PREFACE_BYTES);
    }
    while (bytes.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + bytes.readUIntBE(0, 3);
      if (bytes.length < end) return;
      const [type, flags] = [bytes[3]!, bytes[4]!];
      const of = { type, flags, stream: bytes.readUInt32BE(5), payload: bytes.subarray(HEAD_BYTES, end) };
      bytes = bytes.subarray(end);
      onFrame(of);
    }
  });
}
