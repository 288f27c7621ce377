import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';

/** The exact bytes of one request, one character per byte. */
export interface Captured {
  /** Without the empty line. */
  head: string;
  body: string;
}

/**
 * A server that records the bytes of each request, answers 200 and closes the connection; on a path like `/302/final` it
 * redirects to the rest of it with that status. A body is what Content-Length says; a request that asks for
 * `100-continue` gets it.
 */
export class CaptureServer implements AsyncDisposable {
  readonly requests: Captured[] = [];
  readonly #server = createServer((socket) => {
    let received = '';
    let continued = false;
    socket.setEncoding('latin1');
    socket.on('error', () => undefined);
    socket.on('data', (chunk: string) => {
      received += chunk;
      const headEnd = received.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const head = received.slice(0, headEnd);
      const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      if (!continued && /^expect: *100-continue/im.test(head)) {
        continued = true;
        socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      }
      if (received.length < headEnd + 4 + length) return;
      this.requests.push({ head, body: received.slice(headEnd + 4) });
      const [, status = '200', location] = /^\S+ \/(30\d)(\/\S+)/.exec(head) ?? [];
      const to = location === undefined ? '' : `Location: ${location}\r\n`;
      socket.end(`HTTP/1.1 ${status} OK\r\n${to}Content-Length: 0\r\nConnection: close\r\n\r\n`);
    });
  });

  static async start(): Promise<CaptureServer> {
    const capture = new CaptureServer();
    capture.#server.listen(0, '127.0.0.1');
    await once(capture.#server, 'listening');
    return capture;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** What was recorded since the last call. */
  take(): Captured[] {
    return this.requests.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }
}
