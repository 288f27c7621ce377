import { CR, HEX, isSpace, LF, SEMICOLON, TEXT } from './http1-fields.ts';
import { HeadParser, MAX_HEAD_BYTES } from './http1-head.ts';

/** What `next` has found: all input was read, and more is needed. */
export const MORE = 0;
/** The head of a response is complete, also an informational one. */
export const HEAD = 1;
/** Bytes `bodyFrom` to `bodyTo` of the input are of the body, without chunk framing. */
export const BODY = 2;
/** The response is complete; what comes from `position` on is not of it. */
export const END = 3;
/** The bytes break the rules: `problem` says how. */
export const BROKEN = 4;
export type ParserEvent = typeof MORE | typeof HEAD | typeof BODY | typeof END | typeof BROKEN;

const IN_HEAD = 0;
const IN_CHUNK_SIZE = 1;
const AFTER_CHUNK_SIZE = 2;
const IN_CHUNK_EXTENSION = 3;
const AT_CHUNK_LINE_END = 4;
const IN_CHUNK = 5;
const AFTER_CHUNK = 6;
const AT_CHUNK_END = 7;
const IN_TRAILERS = 8;
const IN_BODY = 9;
const IN_LAST_BODY = 10;
const COMPLETE = 11;
const IS_BROKEN = 12;

/**
 * Reads HTTP/1.1 responses (RFC 9112) from bytes as they come, cut anywhere. To be used so: `start` for each request, then
 * `feed` with each piece of input, and `next` until it tells MORE, END or BROKEN. It makes no objects.
 */
export class ResponseParser {
  readonly head = new HeadParser();
  #bytes: Uint8Array = new Uint8Array(0);
  #to = 0;
  #state = COMPLETE;
  readonly #isHead: boolean;
  /** Bytes to come of the body or of the chunk. */
  #remaining = 0;
  #sizeDigits = 0;
  #chunkLineBytes = 0;

  /** In the input, of the first byte that was not read. */
  position = 0;
  bodyFrom = 0;
  bodyTo = 0;
  problem = '';

  /** @param isHead the requests are HEAD requests: their responses have no body */
  constructor(isHead: boolean) {
    this.#isHead = isHead;
  }

  /** Expects the response to a request. */
  start(): void {
    this.head.start();
    this.#state = IN_HEAD;
  }

  /** Gives the first `to` bytes to be read. */
  feed(bytes: Uint8Array, to: number): void {
    this.#bytes = bytes;
    this.#to = to;
    this.position = 0;
  }

  next(): ParserEvent {
    while (this.position < this.#to || this.#state === COMPLETE) {
      const event = this.#step();
      if (event !== MORE) return event;
    }
    return MORE;
  }

  /** The connection has ended (RFC 9112 section 8). @returns true when that completes the response */
  end(): boolean {
    return this.#state === IN_LAST_BODY;
  }

  /** Of a complete response: the connection may carry another request (RFC 9112 section 9.3). */
  get keepsAlive(): boolean {
    const { saysClose, saysKeepAlive, minorVersion, hasTransferEncoding } = this.head;
    if (saysClose || this.#state === IN_LAST_BODY) return false;
    // Transfer-Encoding is not of HTTP/1.0: such framing is faulty (section 6.1).
    return minorVersion > 0 || (saysKeepAlive && !hasTransferEncoding);
  }

  #step(): ParserEvent {
    switch (this.#state) {
      case IN_HEAD:
        return this.#readHead();
      case IN_BODY:
      case IN_CHUNK:
      case IN_LAST_BODY:
        return this.#readBody();
      case IN_TRAILERS:
        return this.#readTrailers();
      case COMPLETE:
        return END;
      case IS_BROKEN:
        return BROKEN;
      default:
        return this.#readChunkFraming();
    }
  }

  #readHead(): ParserEvent {
    const { head } = this;
    // The head before was informational.
    if (head.isComplete) head.startNext();
    this.position = head.read(this.#bytes, this.position, this.#to);
    if (head.problem !== null) return this.#break(head.problem);
    if (!head.isComplete) return MORE;
    return this.#frame();
  }

  /** How the end of the body is found (RFC 9112 section 6.3). */
  #frame(): ParserEvent {
    const { status, contentLength, hasTransferEncoding, isChunked } = this.head;
    if (status === 101) return this.#break('the peer sent 101 Switching Protocols, which was not asked for');
    if (status < 200) return HEAD;
    if (this.#isHead || status === 204 || status === 304) {
      this.#state = COMPLETE;
    } else if (hasTransferEncoding) {
      if (contentLength >= 0) return this.#break('both Transfer-Encoding and Content-Length');
      if (isChunked) this.#beginChunk();
      else this.#state = IN_LAST_BODY;
    } else if (contentLength >= 0) {
      this.#remaining = contentLength;
      this.#state = contentLength === 0 ? COMPLETE : IN_BODY;
    } else {
      this.#state = IN_LAST_BODY;
    }
    return HEAD;
  }

  #readBody(): ParserEvent {
    const there = this.#to - this.position;
    const isLast = this.#state === IN_LAST_BODY;
    const taken = isLast ? there : Math.min(there, this.#remaining);
    this.bodyFrom = this.position;
    this.position = this.bodyTo = this.position + taken;
    if (!isLast) {
      this.#remaining -= taken;
      if (this.#remaining === 0) this.#state = this.#state === IN_BODY ? COMPLETE : AFTER_CHUNK;
    }
    return BODY;
  }

  #beginChunk(): void {
    this.#state = IN_CHUNK_SIZE;
    this.#remaining = this.#sizeDigits = this.#chunkLineBytes = 0;
  }

  /** chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF (RFC 9112 section 7.1). */
  #readChunkFraming(): ParserEvent {
    const byte = this.#bytes[this.position++]!;
    if (this.#chunkLineBytes++ === MAX_HEAD_BYTES)
      return this.#break(`a chunk line of more than ${MAX_HEAD_BYTES} bytes`);
    switch (this.#state) {
      case IN_CHUNK_SIZE:
        return this.#readChunkSize(byte);
      case AFTER_CHUNK_SIZE:
        if (byte === SEMICOLON) this.#state = IN_CHUNK_EXTENSION;
        else if (!isSpace(byte)) return this.#break('expected the end of the line after the size of a chunk');
        return MORE;
      case IN_CHUNK_EXTENSION:
        if (byte === CR) this.#state = AT_CHUNK_LINE_END;
        else if (TEXT[byte] !== 1) return this.#break('a control character in a chunk extension');
        return MORE;
      case AT_CHUNK_LINE_END:
        if (byte !== LF) return this.#break('a CR without LF');
        this.#endChunkLine();
        return MORE;
      case AFTER_CHUNK:
        this.#state = AT_CHUNK_END;
        return byte === CR ? MORE : this.#break('a chunk that is longer than its size');
      default:
        this.#beginChunk();
        return byte === LF ? MORE : this.#break('a CR without LF');
    }
  }

  #readChunkSize(byte: number): ParserEvent {
    const digit = HEX[byte]!;
    if (digit < 16) {
      this.#sizeDigits++;
      this.#remaining = this.#remaining * 16 + digit;
      return this.#remaining > Number.MAX_SAFE_INTEGER ? this.#break('a chunk size that is too large') : MORE;
    }
    if (this.#sizeDigits === 0) return this.#break('expected a chunk size in hexadecimal digits');
    if (byte === CR) this.#state = AT_CHUNK_LINE_END;
    else if (byte === SEMICOLON) this.#state = IN_CHUNK_EXTENSION;
    else if (isSpace(byte)) this.#state = AFTER_CHUNK_SIZE;
    else return this.#break('expected a chunk size in hexadecimal digits');
    return MORE;
  }

  #endChunkLine(): void {
    if (this.#remaining > 0) {
      this.#state = IN_CHUNK;
    } else {
      this.#state = IN_TRAILERS;
      this.head.startTrailers();
    }
  }

  #readTrailers(): ParserEvent {
    const { head } = this;
    this.position = head.read(this.#bytes, this.position, this.#to);
    if (head.problem !== null) return this.#break(head.problem);
    if (head.isComplete) this.#state = COMPLETE;
    return MORE;
  }

  #break(problem: string): ParserEvent {
    this.#state = IS_BROKEN;
    this.problem = problem;
    return BROKEN;
  }
}
