import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** An https server on 127.0.0.1 that answers `secret`. */
export interface TlsServer extends AsyncDisposable {
  port: number;
  /** SNI of each request, and the common name of the client's certificate. */
  seen: { serverName: string | false | null; client: string | undefined }[];
}

/**
 * For HTTP/1.1, or HTTP/2 alone.
 *
 * @param locations where paths redirect to
 */
export async function startTlsServer(
  options: ServerOptions,
  { locations = {}, http2 = false }: { locations?: Readonly<Record<string, string>>; http2?: boolean } = {},
): Promise<TlsServer> {
  const seen: TlsServer['seen'] = [];
  const sockets = new Set<TLSSocket>();
  const heard = (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ): void => {
    // Of HTTP/2 this is a stand-in for the socket.
    const { socket } = request;
    if (!('servername' in socket)) throw new Error('expected a TLS socket');
    const client = (socket.getPeerCertificate() as { subject?: { CN: string } }).subject?.CN;
    seen.push({ serverName: socket.servername, client });
    const location = locations[request.url!];
    if (location !== undefined) {
      response.statusCode = 302;
      response.setHeader('location', location);
    }
    response.end(location === undefined ? 'secret' : '');
  };
  const server = http2 ? createSecureServer(options, heard) : createServer(options, heard);
  server.on('secureConnection', (socket: TLSSocket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
