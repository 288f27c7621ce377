import { show } from '../../lib/show.ts';
import { nearest } from '../../lib/suggest.ts';
import { readable, type ByteText } from './bytes.ts';
import { OPTION_NAMES, optionOfLetter, optionsOfName, type CurlOption } from './options.ts';

/** One option of a command, or a URL (which is `--url` without its name). */
export interface Argument {
  /** The option's long name. */
  name: string;
  /** As the user wrote it: `-X`, `--req`; for messages. */
  shown: string;
  /** '' for a switch. */
  value: ByteText;
  /** false: a switch was turned off, `--no-NAME`. */
  on: boolean;
}

/** What came of the words behind `curl`. */
export interface Arguments {
  used: Argument[];
  warnings: string[];
  problems: string[];
}

/**
 * Reads options and URLs by curl's rules: letters may be bundled, the value of a letter is the rest of the bundle or
 * the next word, the value of a long name is the next word (never `--name=value`), `--` ends the options.
 */
export function readArguments(words: readonly ByteText[]): Arguments {
  const reader = new ArgumentReader(words);
  reader.read();
  return reader.result;
}

class ArgumentReader {
  readonly result: Arguments = { used: [], warnings: [], problems: [] };
  readonly #words: readonly ByteText[];
  #next = 0;

  constructor(words: readonly ByteText[]) {
    this.#words = words;
  }

  read(): void {
    let optionsEnded = false;
    while (this.#next < this.#words.length) {
      const word = this.#words[this.#next++]!;
      if (optionsEnded || !word.startsWith('-')) {
        this.result.used.push({ name: 'url', shown: 'URL', value: word, on: true });
      } else if (word === '--') optionsEnded = true;
      else if (word.startsWith('--')) this.#long(word);
      else this.#bundle(word);
    }
  }

  #long(word: ByteText): void {
    const isOff = /^--no-/i.test(word);
    const name = word.slice(isOff ? 5 : 2);
    const options = optionsOfName(name);
    // curl takes no part of a name behind `--no-`.
    const option = options.length === 1 && (!isOff || options[0]!.name === name.toLowerCase()) ? options[0]! : null;
    if (option === null) {
      this.result.problems.push(unknownOption(word, options));
    } else if (isOff && option.takesValue) {
      this.result.problems.push(`${word}: expected the name of a switch after --no-, found an option with a value`);
    } else {
      this.#apply(option, word, isOff, option.takesValue ? this.#words[this.#next++] : '');
    }
  }

  #bundle(word: ByteText): void {
    if (word === '-') this.result.problems.push('-: expected an option or a URL');
    for (let at = 1; at < word.length; at++) {
      const shown = `-${word[at]!}`;
      const option = optionOfLetter(word[at]!);
      if (option === null) {
        const where = word.length > 2 ? `${show(shown)} in ${show(readable(word))}` : show(readable(shown));
        this.result.problems.push(`expected an option that curl knows, found ${where}`);
        return;
      }
      if (option.takesValue) {
        const rest = word.slice(at + 1);
        this.#apply(option, shown, false, rest === '' ? this.#words[this.#next++] : rest);
        return;
      }
      this.#apply(option, shown, false, '');
    }
  }

  #apply(option: CurlOption, shown: string, isOff: boolean, value: ByteText | undefined): void {
    if (value === undefined) {
      this.result.problems.push(`${shown}: expected a value after it, found nothing`);
      return;
    }
    const { treatment, name } = option;
    switch (treatment.kind) {
      case 'use':
        this.result.used.push({ name, shown, value, on: !isOff });
        return;
      case 'ignore':
        return;
      case 'warn':
        if (!isOff) this.result.warnings.push(`${shown} is left out: ${treatment.why}`);
        return;
      case 'refuse':
        if (!isOff) this.result.problems.push(`${shown} is not supported: ${treatment.why}`);
    }
  }
}

function unknownOption(word: ByteText, candidates: readonly CurlOption[]): string {
  const shown = show(readable(word));
  if (candidates.length > 1) {
    const names = candidates.slice(0, 5).map(({ name }) => `--${name}`);
    return `expected an option that curl knows, found ${shown}, which may be ${names.join(', ')}${candidates.length > 5 ? ', …' : ''}`;
  }
  const assigned = /^(--[^=]+)=/.exec(word)?.[1];
  if (assigned !== undefined && optionsOfName(assigned.slice(2)).length > 0) {
    return `${assigned}: expected its value as the next argument, found "=": curl does not know --name=value`;
  }
  const near = nearest(word.slice(2), OPTION_NAMES);
  return `expected an option that curl knows, found ${shown}${near === null ? '' : `; did you mean --${near}?`}`;
}
