import fc from 'fast-check';

/** Each means something to bash, or looks like it. */
const PUNCTUATION = Array.from(' \t\n\'"\\$`!#~*?[]{}()<>|&;=^%,.-:/@');

/** How a piece of a word may be written for bash. */
type Style = 'plain' | 'single' | 'double' | 'ansi' | 'octal' | 'locale';

/** A word as one character per byte, and a way to write it for bash. */
export interface QuotedWord {
  word: string;
  written: string;
}

/** Any word that an argument can be (no NUL), in pieces that are each quoted in some way. */
export const quotedWord: fc.Arbitrary<QuotedWord> = fc
  .array(
    fc.record({
      text: fc.string({
        unit: fc.oneof(
          fc.constantFrom(...PUNCTUATION),
          fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((text) => text !== '\0'),
        ),
        maxLength: 8,
      }),
      style: fc.constantFrom<Style>('plain', 'single', 'double', 'ansi', 'octal', 'locale'),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((pieces) => ({
    word: Buffer.from(pieces.map(({ text }) => text).join('')).toString('latin1'),
    written: pieces.map(({ text, style }) => write(text, style)).join(''),
  }));

/** What may stand between words. */
export const separator = fc.constantFrom(' ', '\t', '  ', ' \\\n ', '\\\n\t');

function write(text: string, style: Style): string {
  switch (style) {
    case 'plain':
      // A backslash cannot quote a line's end, and an empty word needs quotes.
      return text === '' ? "''" : text.replace(/[^A-Za-z0-9]/gu, (char) => (char === '\n' ? "'\n'" : `\\${char}`));
    case 'single':
      return `'${text.replaceAll("'", `'\\''`)}'`;
    case 'double':
      return `"${text.replace(/[\\"$`]/g, '\\$&')}"`;
    case 'locale':
      return `$"${text.replace(/[\\"$`]/g, '\\$&')}"`;
    case 'ansi':
      return `$'${text.replace(/[\\']/g, '\\$&').replace(/[^ -~]/gu, unicode)}'`;
    case 'octal':
      return `$'${[...Buffer.from(text)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}'`;
  }
}

function unicode(character: string): string {
  const code = character.codePointAt(0)!;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
