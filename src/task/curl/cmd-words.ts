import { invalid } from '../../lib/errors.ts';
import { show } from '../../lib/show.ts';
import type { ByteText } from './bytes.ts';

/** As in `"{""a"":1}"`: bash would drop these quotes, and nobody writes them for it. */
const DOUBLED_QUOTES = /[{[:,] ?""[^" ]|[^" ]"" ?[:,}\]]/;

/**
 * Whether a command is written for cmd.exe of Windows: its first quotes are `^"` (Chrome's "Copy as cURL (cmd)"), or
 * its lines end with `^`, or it is one line in which quotes of JSON are doubled (Firefox on Windows).
 */
export function isCmd(text: ByteText): boolean {
  if (/^[^'"]*\^(?:"|\r?\n)/.test(text) || /^[^'"]*"[^"]*" \^\r?\n/.test(text)) return true;
  return !/['\n]/.test(text.trim()) && DOUBLED_QUOTES.test(text);
}

/**
 * The words of a command for cmd.exe. Two programs read it one after the other: cmd.exe takes the carets out, then the
 * C runtime of curl.exe splits the rest into arguments. `%NAME%` stays as it is.
 *
 * @throws CodedError INVALID_INPUT where cmd.exe would do more than run one program
 */
export function cmdWords(text: ByteText): ByteText[] {
  return splitArguments(withoutCarets(text));
}

function withoutCarets(text: ByteText): string {
  const normal = text.replaceAll('\r\n', '\n').trim();
  let line = '';
  let isQuoted = false;
  for (let at = 0; at < normal.length; at++) {
    const character = normal[at]!;
    if (character === '^' && !isQuoted) {
      // An escaped line's end is left out, and escapes what follows: "^\n\n" is one line feed.
      if (normal[at + 1] === '\n') at++;
      line += normal[++at] ?? '';
      continue;
    }
    if (character === '\n') throw invalid('curl command: expected one line (or lines that end with ^), found several');
    if (!isQuoted && '|&<>'.includes(character)) {
      throw invalid(`curl command: expected one curl command, found the shell's ${show(character)}: put it in quotes`);
    }
    if (character === '"') isQuoted = !isQuoted;
    line += character;
  }
  return line;
}

/**
 * Microsoft's rules ("Parsing C command-line arguments"): 2n backslashes before a quote are n, 2n+1 are n and the
 * quote is an ordinary character; other backslashes are ordinary; `""` within quotes is a quote.
 */
function splitArguments(line: string): ByteText[] {
  const words: ByteText[] = [];
  let word: ByteText | null = null;
  let isQuoted = false;
  for (const match of line.matchAll(/(\\*)("+)|\\+|[^"\\]/g)) {
    const [token, backslashes, quotes] = match;
    if (quotes !== undefined) {
      word = (word ?? '') + '\\'.repeat(backslashes!.length >> 1);
      let left = quotes.length;
      if (backslashes!.length % 2 === 1) {
        word += '"';
        left--;
      }
      for (; left > 0; left--) {
        if (isQuoted && left > 1) {
          word += '"';
          left--;
        } else isQuoted = !isQuoted;
      }
    } else if (!isQuoted && (token === ' ' || token === '\t')) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? '') + token;
  }
  if (isQuoted) throw invalid('curl command: expected a closing ", found the end');
  if (word !== null) words.push(word);
  return words;
}
