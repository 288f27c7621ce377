import { invalid } from '../../lib/errors.ts';
import { show } from '../../lib/show.ts';
import { readable, type ByteText } from './bytes.ts';

/** The content (or the file's path) of a form field, and what stands behind it. */
export interface FormFields {
  data: ByteText;
  type: ByteText | null;
  filename: ByteText | null;
}

/**
 * Reads `content;type=…;filename=…` by curl's rules: content and file name may be in double quotes, a type may have
 * parameters behind semicolons, other words between semicolons are left out.
 *
 * @param isFile a comma then ends a word: curl would take what follows for another file, which is refused
 * @throws CodedError INVALID_INPUT
 */
export function readFields(text: ByteText, isFile: boolean, warn: (message: string) => void): FormFields {
  const reader = new Reader(text, isFile);
  const data = reader.word();
  let filename: ByteText | null = null;
  let type: ByteText | null = null;
  /** What is not a field of its own then belongs to the type. */
  let isInType = false;
  while (reader.skip(';')) {
    const key = reader.key(isInType);
    if (key === 'type') {
      type = reader.type();
      isInType = true;
    } else if (key === 'filename') {
      filename = reader.word();
      isInType = false;
    } else if (key !== null) throw invalid(`;${key}= is not supported in a form`);
    else if (isInType) type = `${type ?? ''};${reader.rest()}`;
    else {
      const unknown = reader.word();
      if (unknown !== '') warn(`curl leaves ${show(readable(unknown))} behind the ";" out`);
    }
  }
  if (!reader.atEnd) throw invalid('expected one file, found ",": several files in one field are not supported');
  return { data, filename, type: type === null ? null : trimEnd(type) };
}

// White space of C, which is less than that of JavaScript.
const SPACE = '[ \\t-\\r]*';

function trimEnd(text: ByteText): ByteText {
  return text.replace(/[ \t-\r]+$/, '');
}

class Reader {
  readonly #text: ByteText;
  /** What ends a word. */
  readonly #ends: string;
  #at = 0;

  constructor(text: ByteText, isFile: boolean) {
    this.#text = text;
    this.#ends = isFile ? ';,' : ';';
  }

  get atEnd(): boolean {
    return this.#at === this.#text.length;
  }

  skip(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  /** The key of the field that begins here, in lower case; null, and nothing read, when it is not a known one. */
  key(isInType: boolean): string | null {
    const keys = isInType ? 'filename|headers|encoder' : 'type|filename|headers|encoder';
    return this.#take(new RegExp(`${SPACE}(${keys})=${SPACE}`, 'iy'))?.toLowerCase() ?? null;
  }

  type(): ByteText {
    const type = this.rest();
    if (!/^[^/ ]+\/[^;, \n]/.test(type)) {
      throw invalid(`expected ;type= with a type like text/plain, found ${show(readable(type))}`);
    }
    return type;
  }

  word(): ByteText {
    const quoted = this.#take(
      new RegExp(`${SPACE}"((?:\\\\[\\\\"]|\\\\(?![\\\\"])|[^"\\\\])*)"[^${this.#ends}]*`, 'y'),
    );
    if (quoted !== null) return quoted.replace(/\\([\\"])/g, '$1');
    this.#take(new RegExp(SPACE, 'y'));
    return trimEnd(this.rest());
  }

  /** All up to the next separator, as it stands. */
  rest(): ByteText {
    return this.#take(new RegExp(`([^${this.#ends}]*)`, 'y'))!;
  }

  /** The pattern's first group. */
  #take(pattern: RegExp): ByteText | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return null;
    this.#at = pattern.lastIndex;
    return match[1] ?? '';
  }
}
