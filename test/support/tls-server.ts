import { once } from 'node:events';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';

/** An https server on 127.0.0.1 that answers `secret`. */
export interface TlsServer extends AsyncDisposable {
  port: number;
  /** SNI of each request, and the common name of the client's certificate. */
  seen: { serverName: string | false | null; client: string | undefined }[];
}

/** @param locations where paths redirect to */
export async function startTlsServer(
  options: ServerOptions,
  locations: Readonly<Record<string, string>> = {},
): Promise<TlsServer> {
  const seen: TlsServer['seen'] = [];
  const server = createServer(options, (request, response) => {
    const { socket } = request;
    if (!(socket instanceof TLSSocket)) throw new Error('expected a TLS socket');
    const client = (socket.getPeerCertificate() as { subject?: { CN: string } }).subject?.CN;
    seen.push({ serverName: socket.servername, client });
    const location = locations[request.url!];
    if (location === undefined) response.end('secret');
    else response.writeHead(302, { location }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
