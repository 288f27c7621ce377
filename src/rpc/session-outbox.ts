/** Above one of these the outbox is full, until both are below half of it again. */
const FULL_MESSAGES = 64;
const FULL_BYTES = 1024 * 1024;
/** A sender that goes on although it is full ends here. */
const MOST_MESSAGES = 10_000;
const MOST_BYTES = 256 * 1024 * 1024;
/** What waits beyond this stays here, where an urgent message can overtake it. */
const WINDOW_BYTES = 1024 * 1024;

export interface OutboxStream {
  /** @param written called once the bytes have left for the peer; not called when the stream ends before */
  write(bytes: Buffer, written: () => void): void;
  maxMessageBytes: number;
  /** The sender went on although the outbox was full. */
  overflow(why: string): void;
}

export interface Outgoing {
  bytes: Buffer;
  /** Made one by one and sent right after `bytes`; they do not count for what is full. */
  parts?: Iterator<Buffer>;
  /** Overtakes parts, and what waits for them. */
  isUrgent?: boolean;
}

/** What was sent on a stream and has not left: a peer that does not read fills it. */
export class Outbox {
  readonly #stream: OutboxStream;
  #waiting: Outgoing[] = [];
  #urgent: Buffer[] = [];
  #parts: Iterator<Buffer> | null = null;
  /** All but parts: what waits, and what was given to the stream and has not left. */
  #messages = 0;
  #bytes = 0;
  /** Given to the stream, parts included. */
  #inFlightBytes = 0;
  #isFull = false;
  #isClosed = false;
  #room = Promise.withResolvers<void>();
  #flushed: (() => void) | null = null;

  constructor(stream: OutboxStream) {
    this.#stream = stream;
    this.#room.resolve();
  }

  /**
   * @returns false: it is full (the message is taken), or closed (it is not)
   * @throws RangeError when the message is larger than the peer would take
   */
  send(outgoing: Outgoing): boolean {
    if (this.#isClosed) return false;
    const { bytes } = outgoing;
    const { maxMessageBytes } = this.#stream;
    if (bytes.length > maxMessageBytes) {
      throw new RangeError(`expected a message of at most ${maxMessageBytes} bytes, found ${bytes.length}`);
    }
    if (this.#messages >= MOST_MESSAGES || this.#bytes >= MOST_BYTES) {
      this.#stream.overflow(`${this.#messages} messages (${this.#bytes} bytes) wait: the other end does not read`);
      return false;
    }
    this.#messages++;
    this.#bytes += bytes.length;
    if (!this.#isFull && (this.#messages >= FULL_MESSAGES || this.#bytes >= FULL_BYTES)) {
      this.#isFull = true;
      this.#room = Promise.withResolvers();
    }
    if (outgoing.isUrgent === true && this.#parts !== null) this.#urgent.push(bytes);
    else this.#waiting.push(outgoing);
    this.#pump();
    return !this.#isFull;
  }

  /** Resolves when there is room, or the outbox is closed. */
  drained(): Promise<void> {
    return this.#room.promise;
  }

  /**
   * Takes nothing more.
   *
   * @param flushed called when all that it has was given to the stream, now or later
   */
  close(flushed: () => void): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#room.resolve();
    this.#flushed = flushed;
    this.#pump();
  }

  /** Takes nothing more, and gives nothing more to the stream. */
  discard(): void {
    this.#isClosed = true;
    this.#waiting = [];
    this.#urgent = [];
    this.#parts = null;
    this.#flushed = null;
    this.#room.resolve();
  }

  #pump(): void {
    while (this.#inFlightBytes < WINDOW_BYTES) {
      if (!this.#writeNext()) {
        const flushed = this.#flushed;
        this.#flushed = null;
        flushed?.();
        return;
      }
    }
  }

  /** @returns false: there is nothing to write */
  #writeNext(): boolean {
    const urgent = this.#urgent.shift();
    if (urgent !== undefined) {
      this.#write(urgent, () => this.#left(urgent.length));
      return true;
    }
    const part = this.#parts?.next();
    if (part !== undefined && part.done !== true) {
      this.#write(part.value, () => undefined);
      return true;
    }
    this.#parts = null;
    const next = this.#waiting.shift();
    if (next === undefined) return false;
    this.#parts = next.parts ?? null;
    this.#write(next.bytes, () => this.#left(next.bytes.length));
    return true;
  }

  #write(bytes: Buffer, left: () => void): void {
    this.#inFlightBytes += bytes.length;
    this.#stream.write(bytes, () => {
      this.#inFlightBytes -= bytes.length;
      left();
      this.#pump();
    });
  }

  #left(length: number): void {
    this.#messages--;
    this.#bytes -= length;
    if (!this.#isFull || this.#messages > FULL_MESSAGES / 2 || this.#bytes > FULL_BYTES / 2) return;
    this.#isFull = false;
    this.#room.resolve();
  }
}
