/** The words of a .proto file, each with the comment that stands right before it. */

interface Token {
  text: string;
  /** From 0 on. */
  line: number;
  column: number;
  /** Of the `//` lines that end right above it; empty: none. */
  comment: string;
}

const WORD = /\s+|\/\/[^\n]*|"[^"\n]*"|[A-Za-z_][\w.]*|-?\d+|[{}()<>=;,[\]]/gy;

export class ProtoTokens {
  readonly #path: string;
  readonly #tokens: Token[] = [];
  #next = 0;

  /** @throws Error naming file and line */
  constructor(path: string, text: string) {
    this.#path = path;
    let [line, lineStart, wordLine] = [0, 0, -1];
    let comment: { lines: string[]; lastLine: number } | null = null;
    let at = 0;
    for (const [word] of text.matchAll(WORD)) {
      if (word.startsWith('//')) {
        const words = word.slice(2);
        if (comment?.lastLine === line - 1) comment = { lines: [...comment.lines, words], lastLine: line };
        // Behind a word, it is about what came before.
        else comment = line === wordLine ? null : { lines: [words], lastLine: line };
      } else if (word.trim() !== '') {
        const isAbove = comment?.lastLine === line - 1;
        const lines = isAbove ? comment!.lines : [];
        this.#tokens.push({ text: word, line, column: at - lineStart, comment: lines.map((l) => `${l}\n`).join('') });
        comment = null;
        wordLine = line;
      } else {
        const lastBreak = word.lastIndexOf('\n');
        if (lastBreak >= 0) [line, lineStart] = [line + word.split('\n').length - 1, at + lastBreak + 1];
      }
      at += word.length;
    }
    if (at < text.length) throw new Error(`${path}:${line + 1}: expected a word of proto3, found ${text[at]}`);
  }

  get isAtEnd(): boolean {
    return this.#next === this.#tokens.length;
  }

  peek(): string {
    return this.#tokens[this.#next]?.text ?? 'the end';
  }

  /** The next word, which is not taken. */
  next(): Token {
    const token = this.#tokens[this.#next];
    if (token === undefined) throw this.unexpected('more');
    return token;
  }

  take(): Token {
    const token = this.next();
    this.#next++;
    return token;
  }

  /** Takes the word if it is the next one. */
  skip(text: string): boolean {
    if (this.peek() !== text) return false;
    this.#next++;
    return true;
  }

  expect(text: string): void {
    if (!this.skip(text)) throw this.unexpected(`"${text}"`);
  }

  number(): number {
    const { text } = this.take();
    if (/^-?\d+$/.test(text)) return Number(text);
    this.#next--;
    throw this.unexpected('a number');
  }

  string(): string {
    return this.take().text.slice(1, -1);
  }

  unexpected(expected: string): Error {
    const line = this.#tokens[Math.min(this.#next, this.#tokens.length - 1)]?.line ?? 0;
    return new Error(`${this.#path}:${line + 1}: expected ${expected}, found ${this.peek()}`);
  }
}
