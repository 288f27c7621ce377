import type { ByteText } from './bytes.ts';

const SIMPLE: Readonly<Record<string, ByteText>> = {
  a: '\x07',
  b: '\b',
  e: '\x1b',
  E: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '?': '?',
};

const ESCAPE =
  /\\(?:([abeEfnrtv\\'"?])|([0-7]{1,3})|x\{([0-9A-Fa-f]{1,8})\}|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|c(\\\\|[^']))/y;

/**
 * The rest of a `$'…'` from behind its opening quote, by the rules of bash (manual, section 3.1.2.4): C escapes, bytes
 * in octal and hexadecimal, `\uHHHH` and `\UHHHHHHHH` as UTF-8, `\cx`; an unknown escape stands for itself. A NUL ends
 * the text (not the quotes), since no argument can have one.
 *
 * @returns `length` with the closing quote; null when there is none
 */
export function readAnsiC(text: ByteText, start: number): { value: ByteText; length: number | null } {
  let value = '';
  let at = start;
  for (;;) {
    const character = text[at];
    if (character === undefined) return { value, length: null };
    if (character === "'") break;
    ESCAPE.lastIndex = at;
    const escape = character === '\\' ? ESCAPE.exec(text) : null;
    value += escape === null ? character : decode(escape);
    at += escape === null ? 1 : escape[0].length;
  }
  const nul = value.indexOf('\0');
  return { value: nul < 0 ? value : value.slice(0, nul), length: at + 1 - start };
}

function decode([, simple, octal, braced, hex, u4, u8, control]: RegExpExecArray): ByteText {
  if (simple !== undefined) return SIMPLE[simple]!;
  if (octal !== undefined) return byte(parseInt(octal, 8));
  if (braced !== undefined || hex !== undefined) return byte(parseInt((braced ?? hex)!, 16));
  if (u4 !== undefined || u8 !== undefined) return utf8(parseInt((u4 ?? u8)!, 16));
  return control === '?' ? '\x7f' : byte(control!.charCodeAt(0) & 0x1f);
}

function byte(value: number): ByteText {
  return String.fromCharCode(value & 0xff);
}

/** UTF-8 as bash writes it: by the bit pattern alone, also of surrogates and up to 31 bits; nothing for more. */
function utf8(code: number): ByteText {
  if (code < 0x80) return byte(code);
  if (code > 0x7fffffff) return '';
  const tail: ByteText[] = [];
  let rest = code;
  let first = 0x40;
  while (rest >= first) {
    tail.unshift(byte(0x80 | (rest & 0x3f)));
    rest = Math.floor(rest / 0x40);
    first = tail.length === 1 ? 0x20 : first / 2;
  }
  const marker = (0xff << (7 - tail.length)) & 0xff;
  return byte(marker | rest) + tail.join('');
}
