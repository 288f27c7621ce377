import { lookup, type LookupOptions } from 'node:dns';
import {
  connect as connectTcp,
  isIP,
  type LookupFunction,
  type OnReadOpts,
  type Socket,
  type TcpNetConnectOpts,
} from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { LONGEST_TIMER_MS, nowMs } from '../lib/clock.ts';
import { CodedError, errorMessage } from '../lib/errors.ts';
import type { PreparedTask } from '../task/spec.ts';
import { classify, type Failure, type Phase } from './error-class.ts';

/** Where a connection goes. */
export interface Endpoint {
  tls: boolean;
  /** Name or address; an IPv6 address without brackets. */
  host: string;
  port: number;
}

/** Hears what becomes of one attempt: exactly one of the two, never before `dial` has returned. */
export interface DialListener {
  /** The connection is ready for a request. Milliseconds; 0 for a phase that did not take place. */
  dialled(socket: Socket, dnsMs: number, connectMs: number, tlsMs: number): void;
  dialFailed(failure: Failure): void;
}

const PHASE_NAMES: Record<Phase, string> = {
  dns: 'the DNS lookup',
  connect: 'the TCP connect',
  tls: 'the TLS handshake',
  exchange: 'the exchange',
};

const READ_BUFFER_BYTES = 64 * 1024;

/** The URL's endpoint; its protocol must be http: or https:. */
export function endpointOf(url: URL): Endpoint {
  const tls = url.protocol === 'https:';
  const port = url.port === '' ? (tls ? 443 : 80) : Number(url.port);
  return { tls, host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port };
}

/**
 * Makes connections as a task asks for them. A name is resolved anew for each connection (getaddrinfo, so the
 * machine's own cache and hosts file count); of several addresses the first that answers is taken, as RFC 8305 has it.
 * TLS sessions are not resumed: every connection pays a full handshake, and the phases say what that costs.
 */
export class Connector {
  readonly #timeoutMs: number;
  readonly #verify: boolean;
  readonly #serverName: string | null;
  readonly #home: Endpoint;
  readonly #tls: PreparedTask['tls'];
  readonly #protocol: string;
  /** Each is made once: to parse the root certificates takes longer than a handshake. */
  #homeContext: SecureContext | null = null;
  #foreignContext: SecureContext | null = null;

  /**
   * @param protocol what TLS servers are asked to speak (ALPN, RFC 7301); the socket tells what they agreed to
   * @throws CodedError INVALID_INPUT when a certificate or key of an https: task cannot be read
   */
  constructor(task: PreparedTask, protocol: 'http/1.1' | 'h2' = 'http/1.1') {
    const { spec, tls } = task;
    this.#timeoutMs = Math.min(spec.timeouts.connectMs, LONGEST_TIMER_MS);
    this.#verify = spec.tls.verify;
    this.#serverName = spec.tls.serverName;
    this.#home = endpointOf(new URL(spec.request.url));
    this.#tls = tls;
    this.#protocol = protocol;
    if (this.#home.tls) this.#homeContext = secureContext(tls);
  }

  /**
   * Starts to connect. The socket that is given out has an error listener and no other.
   *
   * @param onread where the socket puts what it reads, and who is told; without it the socket is a stream to be read from
   */
  dial(endpoint: Endpoint, listener: DialListener, onread?: OnReadOpts): Dial {
    const open = (lookupFunction: LookupFunction): Socket => this.#open(endpoint, lookupFunction, onread);
    return new Dial(endpoint, this.#timeoutMs, listener, open);
  }

  #open(endpoint: Endpoint, lookupFunction: LookupFunction, onread: OnReadOpts | undefined): Socket {
    const { host, port } = endpoint;
    const tcp: TcpNetConnectOpts = { host, port, lookup: lookupFunction, autoSelectFamily: true, noDelay: true };
    if (onread !== undefined) tcp.onread = onread;
    if (!endpoint.tls) return connectTcp({ ...tcp, highWaterMark: READ_BUFFER_BYTES } as typeof tcp);
    const servername = this.#serverNameFor(endpoint);
    return connectTls({
      ...tcp,
      ...(servername === null ? {} : { servername }),
      secureContext: this.#contextFor(endpoint),
      rejectUnauthorized: this.#verify,
      ALPNProtocols: [this.#protocol],
    });
  }

  /** The task's own name is for the task's own origin, not for one that a redirect leads to. SNI has no addresses. */
  #serverNameFor(endpoint: Endpoint): string | null {
    if (this.#serverName !== null && this.#isHome(endpoint)) return this.#serverName;
    return isIP(endpoint.host) === 0 ? endpoint.host : null;
  }

  /** So is the client's certificate: it tells who the user is. */
  #contextFor(endpoint: Endpoint): SecureContext {
    if (this.#isHome(endpoint)) return (this.#homeContext ??= secureContext(this.#tls));
    return (this.#foreignContext ??= secureContext({ ...this.#tls, cert: null, key: null }));
  }

  #isHome({ tls, host, port }: Endpoint): boolean {
    return tls === this.#home.tls && host === this.#home.host && port === this.#home.port;
  }
}

/** @throws CodedError INVALID_INPUT */
function secureContext({ ca, cert, key }: PreparedTask['tls']): SecureContext {
  try {
    return createSecureContext({
      ...(ca === null ? {} : { ca }),
      ...(cert === null ? {} : { cert }),
      ...(key === null ? {} : { key }),
    });
  } catch (error) {
    const message = `tls: expected a CA, a certificate and its key in PEM form, found: ${errorMessage(error)}`;
    throw new CodedError('INVALID_INPUT', message, { cause: error });
  }
}

/** One attempt to connect: DNS, TCP and TLS together have one deadline. */
export class Dial {
  readonly #socket: Socket;
  readonly #listener: DialListener;
  readonly #timer: NodeJS.Timeout;
  readonly #startMs = nowMs();
  #phase: Phase = 'connect';
  #dnsMs = 0;
  #connectedMs = 0;
  #over = false;

  constructor(
    endpoint: Endpoint,
    timeoutMs: number,
    listener: DialListener,
    open: (lookupFunction: LookupFunction) => Socket,
  ) {
    this.#listener = listener;
    if (isIP(endpoint.host) === 0) this.#phase = 'dns';
    this.#socket = open((host, options, callback) => this.#resolve(host, options, callback));
    this.#timer = setTimeout(() => this.#timedOut(timeoutMs), timeoutMs);
    this.#socket.once('connect', () => {
      this.#connectedMs = nowMs();
      if (endpoint.tls) this.#phase = 'tls';
      else this.#ready(0);
    });
    if (endpoint.tls) this.#socket.once('secureConnect', () => this.#ready(nowMs() - this.#connectedMs));
    // Stays for the socket's life: what happens after this attempt is for whoever uses the socket.
    this.#socket.on('error', (error) => {
      if (!this.#over) this.#failed(classify(error, this.#phase));
    });
  }

  /** Gives up; the listener hears nothing. No-op when the attempt is over. */
  cancel(): void {
    if (this.#over) return;
    this.#end();
    this.#socket.destroy();
  }

  #resolve(host: string, options: LookupOptions, callback: Parameters<LookupFunction>[2]): void {
    lookup(host, options, (error, address, family) => {
      this.#dnsMs = nowMs() - this.#startMs;
      if (error === null) this.#phase = 'connect';
      callback(error, address, family);
    });
  }

  #ready(tlsMs: number): void {
    if (this.#over) return;
    this.#end();
    this.#phase = 'exchange';
    const connectMs = this.#connectedMs - this.#startMs - this.#dnsMs;
    this.#listener.dialled(this.#socket, this.#dnsMs, connectMs, tlsMs);
  }

  #timedOut(timeoutMs: number): void {
    const message = `no connection within ${timeoutMs} ms: it was still in ${PHASE_NAMES[this.#phase]}`;
    this.#failed({ errorClass: 'connect-timeout', message });
    this.#socket.destroy();
  }

  #failed(failure: Failure): void {
    this.#end();
    this.#listener.dialFailed(failure);
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }
}
