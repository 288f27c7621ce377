/** Bytes of a response's head: what they may be (RFC 9110 section 5.6.2, 5.5), and the few values that frame a response. */

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
const COMMA = 0x2c;

/** By byte: the lower-case form of what a token may have (RFC 9110 section 5.6.2), 0 for everything else. */
export const TOKEN = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  TOKEN[char.charCodeAt(0)] = char.charCodeAt(0);
  TOKEN[char.toUpperCase().charCodeAt(0)] = char.charCodeAt(0);
}

/** By byte: 1 for what a field value may have (RFC 9110 section 5.5): tab, space, visible ASCII, and what is not ASCII. */
export const TEXT = new Uint8Array(256).fill(1, SP).fill(1, TAB, TAB + 1);
TEXT[0x7f] = 0;

/** By byte: the value of a hexadecimal digit, 255 for everything else. */
export const HEX = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** What `isText` compares with: a text in lower case. */
export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** Bytes from `from` to `to` are this text, in whatever case. */
export function isText(bytes: Uint8Array, from: number, to: number, text: Uint8Array): boolean {
  if (to - from !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (TOKEN[bytes[from + i]!] !== text[i]) return false;
  return true;
}

/** Some element of the comma-separated list in the first `length` bytes is this token. */
export function hasToken(bytes: Uint8Array, length: number, token: Uint8Array): boolean {
  let from = 0;
  while (from < length) {
    const comma = bytes.indexOf(COMMA, from);
    const to = comma < 0 || comma > length ? length : comma;
    if (isElement(bytes, from, to, token)) return true;
    from = to + 1;
  }
  return false;
}

/** Where the last element of the comma-separated list in the first `length` bytes begins, spaces before it left out. */
export function lastElement(bytes: Uint8Array, length: number): number {
  let from = length;
  while (from > 0 && bytes[from - 1] !== COMMA) from--;
  while (from < length && isSpace(bytes[from]!)) from++;
  return from;
}

/**
 * The value of Content-Length (RFC 9110 section 8.6), also when it is a list that repeats one value (RFC 9112 section
 * 6.3). -1: it is no such value, or more than can be counted.
 */
export function contentLength(bytes: Uint8Array, length: number): number {
  let known = -1;
  let from = 0;
  while (from <= length) {
    let to = from;
    while (to < length && bytes[to] !== COMMA) to++;
    const value = decimal(bytes, from, to);
    if (value < 0 || (known >= 0 && value !== known)) return -1;
    known = value;
    from = to + 1;
  }
  return known;
}

const TIMEOUT = bytesOf('timeout');

/** Seconds of `timeout=N` in a Keep-Alive header (RFC 2068 section 19.7.1.1); -1: it has none. */
export function keepAliveSeconds(bytes: Uint8Array, length: number): number {
  const last = length - TIMEOUT.length - 1;
  for (let at = 0; at < last; at++) {
    const equals = at + TIMEOUT.length;
    if (bytes[equals] !== 0x3d || !isText(bytes, at, equals, TIMEOUT)) continue;
    let to = equals + 1;
    while (to < length && isDigit(bytes[to]!)) to++;
    return decimal(bytes, equals + 1, to);
  }
  return -1;
}

/** 1*DIGIT with spaces around it; -1: something else, or more than an integer can be exactly. */
function decimal(bytes: Uint8Array, from: number, to: number): number {
  while (from < to && isSpace(bytes[from]!)) from++;
  while (to > from && isSpace(bytes[to - 1]!)) to--;
  if (from === to) return -1;
  let value = 0;
  for (let i = from; i < to; i++) {
    if (!isDigit(bytes[i]!)) return -1;
    value = value * 10 + bytes[i]! - 0x30;
    if (value > Number.MAX_SAFE_INTEGER) return -1;
  }
  return value;
}

function isElement(bytes: Uint8Array, from: number, to: number, token: Uint8Array): boolean {
  while (from < to && isSpace(bytes[from]!)) from++;
  while (to > from && isSpace(bytes[to - 1]!)) to--;
  return isText(bytes, from, to, token);
}

export function isSpace(byte: number): boolean {
  return byte === SP || byte === TAB;
}
