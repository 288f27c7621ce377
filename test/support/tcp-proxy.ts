import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Of some clients only: those whose connection comes from such a port. */
export type Who = (port: number) => boolean;

const EVERYBODY: Who = () => true;

/**
 * Passes connections on to a server, until it is told otherwise. Stalling, refusing, dropping and delaying are different faults:
 * nobody is told; everybody is told, again and again; everybody is told once; everybody waits.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those of them that lead to the server. */
  readonly #outer = new WeakSet<Socket>();
  /** The client's port, of both sockets of a connection. */
  readonly #ports = new WeakMap<Socket, number>();
  readonly #held = new WeakSet<Socket>();
  #stalled: Who | null = null;
  #refused: Who | null = null;
  #delayMs = 0;
  #port = 0;

  private constructor(target: string) {
    const [host, port] = target.split(':');
    this.#server = createServer({ allowHalfOpen: true }, (inner) => {
      const clientPort = inner.remotePort ?? 0;
      if (this.#refused?.(clientPort) === true) {
        inner.on('error', () => undefined).resetAndDestroy();
        return;
      }
      const outer = connect({ host: host!, port: Number(port), allowHalfOpen: true });
      this.#outer.add(outer);
      const isStalled = this.#stalled?.(clientPort) === true;
      for (const socket of [inner, outer]) {
        this.#sockets.add(socket);
        this.#ports.set(socket, clientPort);
        socket.on('error', () => socket.destroy()).on('close', () => this.#sockets.delete(socket));
        if (isStalled) this.#hold(socket);
      }
      this.#pass(inner, outer);
      this.#pass(outer, inner);
    });
  }

  /** Listens on a free port of 127.0.0.1. @param target `host:port` */
  static async start(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    proxy.#port = (proxy.#server.address() as AddressInfo).port;
    return proxy;
  }

  /** `host:port` */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** From now on no byte passes, and nobody is told. */
  stall(who = EVERYBODY): void {
    this.#stalled = who;
    this.forget(who);
  }

  /** The same for the connections that are open: what a firewall does that has lost its state. */
  forget(who = EVERYBODY): void {
    for (const socket of this.#of(who)) this.#hold(socket);
  }

  /** From now on the server gets all, and nobody gets an answer; for connections that are open. */
  stallAnswers(): void {
    for (const socket of this.#sockets) if (this.#outer.has(socket)) this.#hold(socket);
  }

  /** Ends all connections with a reset; new ones are accepted. */
  drop(who = EVERYBODY): void {
    for (const socket of this.#of(who)) socket.resetAndDestroy();
  }

  /**
   * Ends all connections with a reset. Of everybody: from now on the port is closed. Of some: theirs are accepted and reset at once,
   * since a port is closed for all or for none.
   */
  refuse(who?: Who): void {
    if (who === undefined) this.#server.close();
    else this.#refused = who;
    this.drop(who);
  }

  /** What is sent from now on arrives so much later, in its order, in each direction. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** All faults end: what was held up passes now. */
  async resume(): Promise<void> {
    this.#stalled = null;
    this.#refused = null;
    this.#delayMs = 0;
    for (const socket of this.#sockets) {
      this.#held.delete(socket);
      socket.resume();
    }
    if (this.#server.listening) return;
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #of(who: Who): Socket[] {
    return [...this.#sockets].filter((socket) => who(this.#ports.get(socket)!));
  }

  #hold(socket: Socket): void {
    this.#held.add(socket);
    socket.pause();
  }

  #pass(from: Socket, to: Socket): void {
    let dueAtMs = 0;
    const later = (act: () => void): void => {
      const now = performance.now();
      dueAtMs = Math.max(dueAtMs, now + this.#delayMs);
      if (dueAtMs <= now) act();
      else setTimeout(act, dueAtMs - now);
    };
    const write = (bytes: Buffer): void => {
      if (!to.destroyed && !to.write(bytes)) from.pause();
    };
    from.on('data', (bytes) => later(() => write(bytes)));
    to.on('drain', () => {
      if (!this.#held.has(from)) from.resume();
    });
    from.on('end', () => later(() => to.end()));
    from.on('close', () => to.destroy());
  }
}
