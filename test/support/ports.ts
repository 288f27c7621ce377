import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** Below are those of well-known services. */
const FIRST = 10_000;
const LAST = 65_535;
const MAX_TRIES = 100;

/**
 * A port of 127.0.0.1 on which nobody listens now: one that the kernel gives to no outgoing connection, which would have it before
 * whoever is to listen there.
 *
 * @throws Error when none is found
 */
export async function freePort(): Promise<number> {
  const end = firstEphemeral();
  for (let i = 0; i < MAX_TRIES; i++) {
    const port = FIRST + Math.floor(Math.random() * (end - FIRST));
    if (await isFree(port)) return port;
  }
  throw new Error(`expected a free port between ${FIRST} and ${end}, found none in ${MAX_TRIES} tries`);
}

/** See ip(7). Where it is not known, or leaves nothing below, all ports are as good. */
function firstEphemeral(): number {
  try {
    const first = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)[0]);
    return first > FIRST ? first : LAST;
  } catch {
    return LAST;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
