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
  /** Of HTTP/2, at a time on a connection; null: HTTP/1.1. */
  streams: number | null;
}

const GET = { path: '/', secure: false, keepAlive: true, bodyBytes: 0, streams: null };

/** Bodies that the private nginx has, by path. */
export const BODIES: Readonly<Record<string, number>> = { '/1k': 1_024, '/100k': 102_400 };

const ALL: Readonly<Record<string, Omit<Kind, 'name'>>> = {
  keepalive: { ...GET, title: 'HTTP/1.1 keep-alive, a body of 2 bytes' },
  'new-connection': { ...GET, keepAlive: false, title: 'HTTP/1.1, a new connection for each request' },
  tls: { ...GET, secure: true, title: 'HTTP/1.1 over TLS 1.3, keep-alive' },
  '1k': { ...GET, path: '/1k', title: 'HTTP/1.1 keep-alive, a body of 1 KiB' },
  '100k': { ...GET, path: '/100k', title: 'HTTP/1.1 keep-alive, a body of 100 KiB' },
  post: { ...GET, bodyBytes: 1_024, title: 'HTTP/1.1 keep-alive, POST of 1 KiB' },
  http2: { ...GET, secure: true, streams: 50, title: 'HTTP/2 over TLS 1.3, 50 streams on a connection' },
  h2c: { ...GET, streams: 50, title: 'HTTP/2 in clear text, 50 streams on a connection' },
  'h2c-1': { ...GET, streams: 1, title: 'HTTP/2 in clear text, one stream on a connection' },
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
