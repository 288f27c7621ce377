import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { EventRecord, TaskStore } from './ports.ts';
import { Wake } from './wake.ts';

/** Events that wait for the store; what comes on top is only logged. */
const MAX_WAITING = 1_000;
const PAUSE_MS = 1_000;

export interface EventWriterOptions {
  store: Pick<TaskStore, 'addEvent'>;
  term: number;
  nodeId: string;
  log: Log;
}

/** Writes events in their order, beside the work: an event that cannot be stored stops nothing. */
export class EventWriter {
  readonly wake = new Wake();
  readonly #options: EventWriterOptions;
  readonly #waiting: Omit<EventRecord, 'id'>[] = [];
  readonly #more = new Wake();

  constructor(options: EventWriterOptions) {
    this.#options = options;
  }

  add(kind: string, subject: string, text: string): void {
    const { term, nodeId, log } = this.#options;
    if (this.#waiting.length >= MAX_WAITING) return log.warn({ kind, subject }, `event not stored: ${text}`);
    this.#waiting.push({ wallMs: Date.now(), term, nodeId, kind, subject, text });
    this.#more.tell();
  }

  /** Until the signal aborts; what waits then gets one more try. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const seen = this.#more.count;
      const isLast = signal.aborted;
      await this.#flush();
      if (isLast) return;
      await this.#more.after(seen, PAUSE_MS, signal);
    }
  }

  async #flush(): Promise<void> {
    for (let event = this.#waiting[0]; event !== undefined; event = this.#waiting[0]) {
      try {
        await this.#options.store.addEvent(event);
      } catch (error) {
        this.#options.log.warn({ error: errorMessage(error) }, 'events not stored, trying again');
        return;
      }
      this.#waiting.shift();
      this.wake.tell();
    }
  }
}
