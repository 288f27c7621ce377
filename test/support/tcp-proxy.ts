import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Passes connections on to a server, until it is told otherwise. Stalling and dropping are different faults. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those of them that lead to the server. */
  readonly #outer = new WeakSet<Socket>();
  #isStalled = false;

  private constructor(target: string) {
    const [host, port] = target.split(':');
    this.#server = createServer({ allowHalfOpen: true }, (inner) => {
      const outer = connect({ host: host!, port: Number(port), allowHalfOpen: true });
      this.#outer.add(outer);
      for (const socket of [inner, outer]) {
        this.#sockets.add(socket);
        socket.on('error', () => socket.destroy()).on('close', () => this.#sockets.delete(socket));
        if (this.#isStalled) socket.pause();
      }
      pass(inner, outer);
      pass(outer, inner);
    });
  }

  /** Listens on a free port of 127.0.0.1. @param target `host:port` */
  static async start(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** `host:port` */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on no byte passes, and nobody is told. */
  stall(): void {
    this.#isStalled = true;
    this.forget();
  }

  /** The same for the connections that are open: what a firewall does that has lost its state. */
  forget(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  /** From now on the server gets all, and nobody gets an answer; for connections that are open. */
  stallAnswers(): void {
    for (const socket of this.#sockets) if (this.#outer.has(socket)) socket.pause();
  }

  /** What was held up passes now. */
  resume(): void {
    this.#isStalled = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Ends all connections with a reset; new ones are accepted. */
  drop(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

function pass(from: Socket, to: Socket): void {
  from.on('data', (bytes) => {
    if (!to.write(bytes)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.on('end', () => to.end());
  from.on('close', () => to.destroy());
}
