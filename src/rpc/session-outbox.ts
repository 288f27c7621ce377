/** Above one of these the outbox is full, until both are below half of it again. */
const FULL_MESSAGES = 64;
const FULL_BYTES = 1024 * 1024;
/** A sender that goes on although it is full ends here. */
const MOST_MESSAGES = 10_000;
const MOST_BYTES = 256 * 1024 * 1024;

export interface OutboxStream {
  /** @param written called once the bytes have left for the peer; not called when the stream ends before */
  write(bytes: Buffer, written: () => void): void;
  maxMessageBytes: number;
  /** The sender went on although the outbox was full. */
  overflow(why: string): void;
}

/** Counts what was sent on a stream and has not left: a peer that does not read fills it. */
export class Outbox {
  readonly #stream: OutboxStream;
  #messages = 0;
  #bytes = 0;
  #isFull = false;
  #isClosed = false;
  #room = Promise.withResolvers<void>();

  constructor(stream: OutboxStream) {
    this.#stream = stream;
    this.#room.resolve();
  }

  /**
   * @returns false: it is full (the bytes are taken), or closed (they are not)
   * @throws RangeError when the message is larger than the peer would take
   */
  send(bytes: Buffer): boolean {
    if (this.#isClosed) return false;
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
    this.#stream.write(bytes, () => this.#written(bytes.length));
    return !this.#isFull;
  }

  /** Resolves when there is room, or the outbox is closed. */
  drained(): Promise<void> {
    return this.#room.promise;
  }

  /** Takes nothing more; what it has goes on its way. */
  close(): void {
    this.#isClosed = true;
    this.#room.resolve();
  }

  #written(length: number): void {
    this.#messages--;
    this.#bytes -= length;
    if (!this.#isFull || this.#messages > FULL_MESSAGES / 2 || this.#bytes > FULL_BYTES / 2) return;
    this.#isFull = false;
    this.#room.resolve();
  }
}
