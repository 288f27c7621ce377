import type { Answer, ClientConnection, ExchangeListener, ProtocolClient } from '../../src/load/client.ts';
import { createClient } from '../../src/load/clients.ts';
import type { ErrorClass } from '../../src/task/sample.ts';
import type { PreparedTask } from '../../src/task/spec.ts';

export interface Outcome {
  /** `answered`, or the class of the failure. */
  kind: 'answered' | ErrorClass | 'aborted';
  status: number;
  bodyBytes: number;
  /** A copy of the kept body as text. */
  body: string | null;
  message: string;
  /** Names of the events of the exchange, in order. */
  events: string[];
}

/** One connection and the record of what it told; counts what the accounting identity needs. */
export class Probe implements ExchangeListener {
  readonly client: ProtocolClient;
  readonly connection: ClientConnection;
  readonly counts = { connected: 0, written: 0, redirected: 0, answered: 0, failed: 0 };
  readonly phases: { dnsMs: number; connectMs: number; tlsMs: number }[] = [];
  /** Called at each event, after it was recorded. */
  onEvent: (event: string) => void = () => undefined;
  /** Outcomes of exchanges, in order. There may never be more than sends. */
  readonly outcomes: Outcome[] = [];
  sends = 0;
  #events: string[] = [];
  #inSend = false;
  #waiting: (() => void)[] = [];

  constructor(client: ProtocolClient) {
    this.client = client;
    this.connection = client.connection(this);
  }

  /** Names of the events of the exchange in progress, in order. */
  get events(): readonly string[] {
    return this.#events;
  }

  /** Sends and waits for the outcome. */
  async exchange(): Promise<Outcome> {
    this.send();
    return this.outcome(this.sends);
  }

  send(): void {
    this.sends++;
    this.#events = [];
    this.#inSend = true;
    this.connection.send();
    this.#inSend = false;
  }

  /** Of the n-th send (from 1), as soon as it is known. */
  async outcome(n: number): Promise<Outcome> {
    await this.until(() => this.outcomes.length >= n);
    return this.outcomes[n - 1]!;
  }

  /** Waits until the condition holds; it is tested at each event. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  connected(dnsMs: number, connectMs: number, tlsMs: number): void {
    this.phases.push({ dnsMs, connectMs, tlsMs });
    this.counts.connected++;
    this.#event('connected');
  }

  written(): void {
    this.counts.written++;
    this.#event('written');
  }

  redirected(): void {
    this.counts.redirected++;
    this.#event('redirected');
  }

  headersReceived(status: number): void {
    this.#event(`head ${status}`);
  }

  answered(answer: Answer): void {
    this.counts.answered++;
    const { status, bodyBytes, body } = answer;
    this.#end({
      kind: 'answered',
      status,
      bodyBytes,
      body: body === null ? null : Buffer.from(body).toString(),
      message: '',
    });
    this.#event('answered');
  }

  failed(errorClass: ErrorClass | 'aborted', message: string): void {
    this.counts.failed++;
    this.#end({ kind: errorClass, status: 0, bodyBytes: 0, body: null, message });
    this.#event('failed');
  }

  #end(outcome: Omit<Outcome, 'events'>): void {
    if (this.#inSend) throw new Error('an outcome was told before send had returned');
    if (this.outcomes.length >= this.sends) throw new Error(`a second outcome of one exchange: ${outcome.kind}`);
    this.outcomes.push({ ...outcome, events: this.#events });
  }

  #event(name: string): void {
    this.#events.push(name);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    this.onEvent(name);
  }
}

/** A probe on a client of its own, that of the task, which keeps bodies up to the limit. */
export function probeFor(task: PreparedTask, maxBodyBytes = 1024 * 1024): Probe & AsyncDisposable {
  const client = createClient(task, { keepBody: true, maxBodyBytes });
  return Object.assign(new Probe(client), { [Symbol.asyncDispose]: () => client.close() });
}
