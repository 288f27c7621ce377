import type { Socket } from 'node:net';
import type { ClientTraffic } from './client.ts';

/**
 * Counts the bytes and connections of a client's sockets, open and closed. On a TLS socket the bytes are those of the
 * decrypted stream; bytes out are counted when they are handed to the socket.
 */
export class SocketTraffic {
  readonly #open = new Set<Socket>();
  #bytesIn = 0;
  #bytesOut = 0;
  #opened = 0;
  #allClosed: (() => void) | null = null;

  add(socket: Socket): void {
    this.#opened++;
    this.#open.add(socket);
    socket.once('close', () => {
      this.#bytesIn += socket.bytesRead;
      this.#bytesOut += socket.bytesWritten;
      this.#open.delete(socket);
      if (this.#open.size === 0) this.#allClosed?.();
    });
  }

  total(): ClientTraffic {
    let bytesIn = this.#bytesIn;
    let bytesOut = this.#bytesOut;
    for (const socket of this.#open) {
      bytesIn += socket.bytesRead;
      bytesOut += socket.bytesWritten;
    }
    return { bytesIn, bytesOut, connectionsOpened: this.#opened, connections: this.#open.size };
  }

  /** Destroys every open socket and resolves when all are closed. */
  async close(): Promise<void> {
    if (this.#open.size === 0) return;
    const closed = new Promise<void>((resolve) => (this.#allClosed = resolve));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }
}
