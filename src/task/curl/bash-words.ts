import { invalid } from '../../lib/errors.ts';
import { show } from '../../lib/show.ts';
import { readAnsiC } from './ansi-c.ts';
import { readable, type ByteText } from './bytes.ts';

/**
 * The words that bash makes of one simple command: quotes of all kinds, backslashes, continued lines, comments.
 * Nothing is expanded; where bash would expand something, or would run or redirect something, this throws, so that
 * no word ever differs from bash's. (Patterns like `*` and `?` stand for themselves, as in bash when no file matches.)
 * A carriage return before a line's end is taken as a part of it: the command may come from a file made on Windows.
 *
 * @throws CodedError INVALID_INPUT with the line where it happened
 */
export function bashWords(text: ByteText): ByteText[] {
  return new BashReader(text).read();
}

const OPERATOR = /^(?:&&|&>|\|\||\|&|>>|<<<|<<|;;|[|&;<>()])/;
/** What can follow a `$` that starts an expansion. */
const EXPANSION = /^\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!$-]|[({[])/;
/** What stands before a `~` that bash expands: nothing, or what looks like an assignment. */
const TILDE_PLACE = /^(?:[A-Za-z_][A-Za-z0-9_]*\+?=(?:.*:)?)?$/s;

class BashReader {
  readonly #text: ByteText;
  readonly #words: ByteText[] = [];
  #at = 0;
  /** null between words; '' is a word, e.g. of two quotes. */
  #word: ByteText | null = null;
  /** A line's end was reached after the first word. */
  #ended = false;

  constructor(text: ByteText) {
    this.#text = text;
  }

  read(): ByteText[] {
    while (this.#at < this.#text.length) this.#step();
    this.#endWord();
    return this.#words;
  }

  #step(): void {
    const rest = this.#text.slice(this.#at, this.#at + 2);
    const lineEnd = /^\r?\n/.exec(rest)?.[0];
    const character = rest.charAt(0);
    if (lineEnd !== undefined) {
      this.#at += lineEnd.length;
      this.#endWord();
      this.#ended = this.#words.length > 0;
    } else if (character === ' ' || character === '\t') {
      this.#at++;
      this.#endWord();
    } else if (character === '#' && this.#word === null) {
      this.#skipComment();
    } else {
      if (this.#ended) throw this.#problem(`expected one command, found another one that begins on this line`);
      this.#part(character);
    }
  }

  #part(character: string): void {
    switch (character) {
      case '\\':
        return this.#backslash();
      case "'":
        return this.#append(this.#until("'", 1));
      case '"':
        return this.#doubleQuotes(1);
      case '$':
        return this.#dollar();
      default:
        this.#refuseSyntax(character);
        this.#at++;
        this.#append(character);
    }
  }

  #backslash(): void {
    const continued = this.#continuedLine();
    if (continued > 0) {
      this.#at += continued;
      return;
    }
    // A lone backslash at the end continues with nothing, as in a script.
    const next = this.#text[this.#at + 1];
    if (next !== undefined) this.#append(next);
    this.#at += 2;
  }

  #dollar(): void {
    const next = this.#text[this.#at + 1];
    if (next === "'") {
      const { value, length } = readAnsiC(this.#text, this.#at + 2);
      if (length === null) throw this.#problem("expected a closing ' after $', found the end");
      this.#at += 2 + length;
      return this.#append(value);
    }
    // Text for translation: without a translation it is the text itself.
    if (next === '"') return this.#doubleQuotes(2);
    this.#refuseExpansion();
    this.#at++;
    this.#append('$');
  }

  #doubleQuotes(openLength: number): void {
    const start = this.#at;
    this.#at += openLength;
    this.#append('');
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined) {
        this.#at = start;
        throw this.#problem('expected a closing ", found the end');
      }
      if (character === '"') break;
      if (character === '\\') this.#backslashInQuotes();
      else {
        if (character === '$') this.#refuseExpansion();
        if (character === '`') this.#refuseSyntax(character);
        this.#append(character);
        this.#at++;
      }
    }
    this.#at++;
  }

  #backslashInQuotes(): void {
    const continued = this.#continuedLine();
    if (continued > 0) {
      this.#at += continued;
      return;
    }
    const next = this.#text[this.#at + 1] ?? '';
    this.#append('$`"\\'.includes(next) ? next : `\\${next}`);
    this.#at += 2;
  }

  /** The length of a backslash with a line's end, 0 when it is not one. */
  #continuedLine(): number {
    return /^\\\r?\n/.exec(this.#text.slice(this.#at, this.#at + 3))?.[0].length ?? 0;
  }

  /** The text up to the closing quote; the next position is after it. */
  #until(quote: string, openLength: number): ByteText {
    const start = this.#at + openLength;
    const end = this.#text.indexOf(quote, start);
    if (end < 0) throw this.#problem(`expected a closing ${quote}, found the end`);
    this.#at = end + 1;
    return this.#text.slice(start, end);
  }

  #skipComment(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#text.length : end;
  }

  #refuseExpansion(): void {
    const expansion = EXPANSION.exec(this.#text.slice(this.#at, this.#at + 64))?.[0];
    if (expansion === undefined) return;
    const hint = 'write its value, or put it in single quotes';
    throw this.#problem(`expected no shell expansions, found ${show(expansion)}: ${hint}`);
  }

  #refuseSyntax(character: string): void {
    if (character === '\0') throw this.#problem('expected text, found a NUL byte');
    if (character === '`') {
      throw this.#problem('expected no shell expansions, found "`": write its value, or put it in single quotes');
    }
    const operator = OPERATOR.exec(this.#text.slice(this.#at, this.#at + 3))?.[0];
    if (operator !== undefined) {
      const hint = 'put the argument it belongs to in quotes, or leave it out';
      throw this.#problem(`expected one curl command, found the shell's ${show(operator)}: ${hint}`);
    }
    const expansion =
      character === '~' && TILDE_PLACE.test(this.#word ?? '') ? '~' : character === '{' ? this.#braces() : null;
    if (expansion !== null) {
      const hint = 'put it in single quotes, or write what it means';
      throw this.#problem(`expected no shell expansions, found ${show(readable(expansion))}: ${hint}`);
    }
  }

  /** `{a,b}` or `{1..3}` at the current position, null when it is not that. */
  #braces(): ByteText | null {
    const length = this.#text.slice(this.#at + 1).search(/[\s{}]/) + 2;
    const braces = this.#text.slice(this.#at, this.#at + length);
    return braces.endsWith('}') && /,|\.\./.test(braces) ? braces : null;
  }

  #append(part: ByteText): void {
    this.#word = (this.#word ?? '') + part;
  }

  #endWord(): void {
    if (this.#word !== null) this.#words.push(this.#word);
    this.#word = null;
  }

  #problem(message: string): Error {
    const line = this.#text.slice(0, this.#at).split('\n').length;
    return invalid(`curl command, line ${line}: ${message}`);
  }
}
