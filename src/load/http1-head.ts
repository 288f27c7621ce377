import {
  COLON,
  contentLength,
  CR,
  hasToken,
  isDigit,
  isSpace,
  isText,
  keepAliveSeconds,
  lastElement,
  LF,
  bytesOf,
  SP,
  TEXT,
  TOKEN,
} from './http1-fields.ts';

/** Bytes of all heads of an exchange together, and of its trailers. */
export const MAX_HEAD_BYTES = 64 * 1024;

const IN_STATUS_LINE = 0;
const IN_REASON = 1;
const AT_LINE = 2;
const IN_NAME = 3;
const IN_VALUE = 4;
const AT_LINE_END = 5;
const AT_HEAD_END = 6;
const COMPLETE = 7;

const VERSION = bytesOf('HTTP/1.');
const LONGEST_NAME = 17;
const CONNECTION_NAME = bytesOf('connection');
const KEEP_ALIVE_NAME = bytesOf('keep-alive');
const CONTENT_LENGTH_NAME = bytesOf('content-length');
const CONTENT_ENCODING_NAME = bytesOf('content-encoding');
const TRANSFER_ENCODING_NAME = bytesOf('transfer-encoding');
const CLOSE = bytesOf('close');
const KEEP_ALIVE = bytesOf('keep-alive');
const CHUNKED = bytesOf('chunked');

/** Fields that mean something here. */
const OTHER = 0;
const CONTENT_LENGTH = 1;
const TRANSFER_ENCODING = 2;
const CONNECTION = 3;
const KEEP_ALIVE_FIELD = 4;
const CONTENT_ENCODING = 5;

/**
 * Reads the head of a response, or its trailers, from bytes as they come. It keeps the value of a field only while it reads
 * it, and only of the fields that frame the response.
 *
 * Stricter than it must be (RFC 9112): a line ends with CRLF only (section 2.2), and a value has no control characters.
 * As lenient as it must be: any reason phrase is good (4), a folded line is one value (5.2).
 */
export class HeadParser {
  readonly #name = new Uint8Array(LONGEST_NAME);
  #value = new Uint8Array(64);
  #bytes: Uint8Array = this.#name;
  #at = 0;
  #to = 0;
  #state = COMPLETE;
  /** Bytes of the status line or the name that is being read. */
  #length = 0;
  #valueLength = 0;
  #field = OTHER;
  #hasField = false;
  #isTrailers = false;
  #readBytes = 0;

  status = 0;
  minorVersion = 0;
  /** -1: no Content-Length. */
  contentLength = -1;
  hasTransferEncoding = false;
  /** The last transfer coding is chunked. */
  isChunked = false;
  saysClose = false;
  saysKeepAlive = false;
  /** Value of Content-Encoding, several with a comma between them; null: none. */
  contentEncoding: string | null = null;
  /** Seconds that the server keeps an idle connection, by its own words; -1: it says nothing. */
  idleSeconds = -1;
  /** What breaks the rules; null: nothing so far. */
  problem: string | null = null;

  /** Expects the first head of an exchange. */
  start(): void {
    this.#readBytes = 0;
    this.problem = null;
    this.startNext();
  }

  /** Expects one more head: the one before was informational. */
  startNext(): void {
    this.#begin(IN_STATUS_LINE, false);
    this.status = 0;
    this.contentLength = this.idleSeconds = -1;
    this.hasTransferEncoding = this.isChunked = false;
    this.saysClose = this.saysKeepAlive = false;
    this.contentEncoding = null;
  }

  /** Expects the trailers (RFC 9112 section 7.1.2), which change nothing of the head. */
  startTrailers(): void {
    this.#readBytes = 0;
    this.#begin(AT_LINE, true);
  }

  get isComplete(): boolean {
    return this.#state === COMPLETE;
  }

  /** Reads on, up to the end of the head, or to `to`, or to a problem. @returns where it stopped */
  read(bytes: Uint8Array, from: number, to: number): number {
    this.#bytes = bytes;
    this.#at = from;
    this.#to = to;
    while (this.#at < to && this.#state !== COMPLETE && this.problem === null) this.#step();
    this.#readBytes += this.#at - from;
    if (this.#readBytes > MAX_HEAD_BYTES) this.problem ??= `a head of more than ${MAX_HEAD_BYTES} bytes`;
    return this.#at;
  }

  #begin(state: number, isTrailers: boolean): void {
    this.#state = state;
    this.#isTrailers = isTrailers;
    this.#length = 0;
    this.#field = OTHER;
    this.#hasField = false;
  }

  #step(): void {
    switch (this.#state) {
      case IN_STATUS_LINE:
        return this.#readStatusLine();
      case IN_REASON:
        return this.#skipReason();
      case AT_LINE:
        return this.#beginLine();
      case IN_NAME:
        return this.#readName();
      case IN_VALUE:
        return this.#field === OTHER ? this.#skipValue() : this.#keepValue();
      default:
        if (this.#bytes[this.#at++] !== LF) this.problem = 'a CR without LF';
        this.#state = this.#state === AT_HEAD_END ? COMPLETE : AT_LINE;
    }
  }

  /** status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF; the second space may be missing. */
  #readStatusLine(): void {
    while (this.#at < this.#to) {
      const byte = this.#bytes[this.#at++]!;
      const at = this.#length++;
      if (at < 7) {
        if (byte !== VERSION[at]) return this.#break('expected a status line like HTTP/1.1 200 OK');
      } else if (at === 7) {
        if (!isDigit(byte)) return this.#break('expected version 1.1 or 1.0 in the status line');
        this.minorVersion = byte - 0x30;
      } else if (at === 8) {
        if (byte !== SP) return this.#break('expected a space after the version in the status line');
      } else if (at < 12) {
        if (!isDigit(byte)) return this.#break('expected a status of three digits');
        this.status = this.status * 10 + byte - 0x30;
      } else {
        if (this.status < 100) return this.#break('expected a status of at least 100');
        if (byte !== SP && byte !== CR) return this.#break('expected a status of three digits');
        this.#state = byte === SP ? IN_REASON : AT_LINE_END;
        return;
      }
    }
    return;
  }

  /** At the first byte of a line: now it is known whether that before it goes on here (RFC 9112 section 5.2). */
  #beginLine(): void {
    const byte = this.#bytes[this.#at]!;
    if (isSpace(byte)) {
      if (!this.#hasField) return this.#break('a space before the first header');
      this.#state = IN_VALUE;
      return;
    }
    if (this.#field !== OTHER) {
      const problem = this.#endField();
      if (problem !== null) return this.#break(problem);
    }
    if (byte === CR) {
      this.#at++;
      this.#state = AT_HEAD_END;
      return;
    }
    this.#length = 0;
    this.#state = IN_NAME;
    return;
  }

  #readName(): void {
    const bytes = this.#bytes;
    const to = this.#to;
    let at = this.#at;
    let length = this.#length;
    for (; at < to; at++) {
      const byte = TOKEN[bytes[at]!]!;
      if (byte === 0) break;
      if (length < LONGEST_NAME) this.#name[length] = byte;
      length++;
    }
    this.#at = at;
    this.#length = length;
    if (at === to) return;
    if (bytes[at] !== COLON || length === 0) return this.#break('expected a header like Name: value');
    this.#at++;
    this.#hasField = true;
    this.#field = this.#isTrailers ? OTHER : this.#fieldNamed(length);
    this.#valueLength = 0;
    this.#state = IN_VALUE;
  }

  #fieldNamed(length: number): number {
    const name = this.#name;
    switch (length) {
      case CONNECTION_NAME.length:
        if (isText(name, 0, length, CONNECTION_NAME)) return CONNECTION;
        return isText(name, 0, length, KEEP_ALIVE_NAME) ? KEEP_ALIVE_FIELD : OTHER;
      case CONTENT_LENGTH_NAME.length:
        return isText(name, 0, length, CONTENT_LENGTH_NAME) ? CONTENT_LENGTH : OTHER;
      case CONTENT_ENCODING_NAME.length:
        return isText(name, 0, length, CONTENT_ENCODING_NAME) ? CONTENT_ENCODING : OTHER;
      case TRANSFER_ENCODING_NAME.length:
        return isText(name, 0, length, TRANSFER_ENCODING_NAME) ? TRANSFER_ENCODING : OTHER;
      default:
        return OTHER;
    }
  }

  /** Its content is ignored, so it may have anything but a line's end. */
  #skipReason(): void {
    while (this.#at < this.#to) {
      const byte = this.#bytes[this.#at++]!;
      if (byte === LF) return this.#break('a line that ends without CR');
      if (byte !== CR) continue;
      this.#state = AT_LINE_END;
      return;
    }
  }

  #skipValue(): void {
    const bytes = this.#bytes;
    const to = this.#to;
    let at = this.#at;
    while (at < to && TEXT[bytes[at]!] === 1) at++;
    this.#at = at;
    if (at === to) return;
    if (bytes[at] !== CR) return this.#break('a control character in a header');
    this.#at++;
    this.#state = AT_LINE_END;
  }

  #keepValue(): void {
    while (this.#at < this.#to) {
      const byte = this.#bytes[this.#at++]!;
      if (TEXT[byte] === 1) {
        if (this.#valueLength === this.#value.length) this.#growValue();
        this.#value[this.#valueLength++] = byte;
      } else if (byte === CR) {
        this.#state = AT_LINE_END;
        return;
      } else {
        return this.#break('a control character in a header');
      }
    }
    return;
  }

  #growValue(): void {
    const grown = new Uint8Array(this.#value.length * 2);
    grown.set(this.#value);
    this.#value = grown;
  }

  /** @returns what is wrong with the field; null: nothing */
  #endField(): string | null {
    const field = this.#field;
    const value = this.#value;
    const length = this.#valueLength;
    this.#field = OTHER;
    switch (field) {
      case CONTENT_LENGTH: {
        const found = contentLength(value, length);
        if (found < 0) return 'a Content-Length that is no number';
        if (this.contentLength >= 0 && this.contentLength !== found) return 'two different Content-Length';
        this.contentLength = found;
        return null;
      }
      case TRANSFER_ENCODING:
        return this.#setTransferEncoding();
      case CONNECTION:
        if (hasToken(value, length, CLOSE)) this.saysClose = true;
        if (hasToken(value, length, KEEP_ALIVE)) this.saysKeepAlive = true;
        return null;
      case KEEP_ALIVE_FIELD:
        this.idleSeconds = keepAliveSeconds(value, length);
        return null;
      default: {
        const text = Buffer.from(value.buffer, 0, length).toString('latin1').trim();
        this.contentEncoding = this.contentEncoding === null ? text : `${this.contentEncoding},${text}`;
        return null;
      }
    }
  }

  /** RFC 9112 section 6.1 and 7: what counts is whether the last coding is chunked; it has no parameters. */
  #setTransferEncoding(): string | null {
    const from = lastElement(this.#value, this.#valueLength);
    let to = from;
    while (to < this.#valueLength && TOKEN[this.#value[to]!] !== 0) to++;
    this.hasTransferEncoding = true;
    this.isChunked = isText(this.#value, from, to, CHUNKED);
    while (to < this.#valueLength && isSpace(this.#value[to]!)) to++;
    return this.isChunked && to < this.#valueLength ? 'a Transfer-Encoding: chunked with parameters' : null;
  }

  #break(problem: string): void {
    this.problem = problem;
  }
}
