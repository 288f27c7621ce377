import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of what kind the requests of the closed part are. */
export interface Kind {
  name: string;
  /** As the tables call it. */
  title: string;
  path: string;
  secure: boolean;
  /** false: each request opens a connection of its own. */
  keepAlive: boolean;
  /** Of the request's body, 0: a GET without one. */
  bodyBytes: number;
  http2: boolean;
}

const GET = { path: '/', secure: false, keepAlive: true, bodyBytes: 0, http2: false };

/** Bodies that the private nginx has, by path. */
export const BODIES: Readonly<Record<string, number>> = { '/1k': 1_024, '/100k': 102_400 };

const ALL: Readonly<Record<string, Omit<Kind, 'name'>>> = {
  keepalive: { ...GET, title: 'HTTP/1.1 keep-alive, a body of 2 bytes' },
  'new-connection': { ...GET, keepAlive: false, title: 'HTTP/1.1, a new connection for each request' },
  tls: { ...GET, secure: true, title: 'HTTP/1.1 over TLS 1.3, keep-alive' },
  '1k': { ...GET, path: '/1k', title: 'HTTP/1.1 keep-alive, a body of 1 KiB' },
  '100k': { ...GET, path: '/100k', title: 'HTTP/1.1 keep-alive, a body of 100 KiB' },
  post: { ...GET, bodyBytes: 1_024, title: 'HTTP/1.1 keep-alive, POST of 1 KiB' },
  http2: {
    ...GET,
    secure: true,
    http2: true,
    title: 'HTTP/2 over TLS 1.3, on one connection where a generator lets choose',
  },
};

export const KIND_NAMES = Object.keys(ALL);

/** @param name one of `KIND_NAMES` */
export function kindNamed(name: string): Kind {
  return { name, ...ALL[name]! };
}

/** A file with the request's body. */
export function bodyFile(bytes: number, folder: string): string {
  const path = join(folder, `body-${bytes}`);
  writeFileSync(path, 'x'.repeat(bytes));
  return path;
}
