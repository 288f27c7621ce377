import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bashWords } from '../../src/task/curl/bash-words.ts';
import { cmdWords, isCmd } from '../../src/task/curl/cmd-words.ts';
import { quotedWord, separator } from '../support/curl-quoting.ts';
import { runBash } from '../support/curl-wire.ts';

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function wordsOf(text: string): string[] {
  return bashWords(latin1(text));
}

/** The words of each line of arguments, as bash itself reads it. */
async function wordsOfBash(lines: readonly string[]): Promise<string[][]> {
  const script = lines.map((line) => `printf '%s\\0' ${line}\nprintf '\\n\\0'\n`).join('');
  const { stdout, exitCode } = await runBash(script, '/');
  expect(exitCode).toBe(0);
  const groups: string[][] = [[]];
  for (const word of stdout.split('\0').slice(0, -1)) {
    if (word === '\n') groups.push([]);
    else groups.at(-1)!.push(word);
  }
  return groups.slice(0, -1);
}

describe('the words of bash', () => {
  it('come back, however they were quoted, and bash agrees', async () => {
    // A word of one line feed alone would end a group.
    const line = fc
      .array(fc.tuple(quotedWord, separator), { minLength: 1, maxLength: 4 })
      .filter((parts) => parts.every(([{ word }]) => word !== '\n'));
    const samples = fc.sample(line, 300);
    const texts = samples.map((parts) => parts.map(([{ written }, between]) => written + between).join(''));
    const expected = samples.map((parts) => parts.map(([{ word }]) => word));
    expect(texts.map(wordsOf)).toEqual(expected);
    expect(await wordsOfBash(texts)).toEqual(expected);
  });

  it('come back for any list (property)', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(quotedWord, separator)), (parts) => {
        const text = parts.map(([{ written }, between]) => written + between).join('');
        expect(wordsOf(text)).toEqual(parts.map(([{ word }]) => word));
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    String.raw`$'\a\b\e\E\f\n\r\t\v\\\'\"\?' $'\q\8\c' $'\x' $'\u' $'\xg'`,
    String.raw`$'\101\1018\1\777' $'\x41\x4142\x4g' $'\x{41}\x{141}' $'\u41\u00e9\u20ac\u0041g'`,
    String.raw`$'\U1F600' $'\U7fffffff' $'\u7ff\u800\Uffff\U10000\U1fffff\U200000\U4000000' x$'\U80000000'`,
    String.raw`$'a\0b'c x$'\400'y $'a\x00b'"d" $'\u0000'e $'\c@f'g`,
    String.raw`$'\cA\c?\c\\x\cz'`,
    String.raw`$'unknown \z stays' "in \d \a \' \$ \" \\ \`"`,
    String.raw`a#b '#'c "a"'b'\c$'d' '' "" a''b`,
    String.raw`$ a$ "$" "a$ b" $'$HOME' '$HOME' "\$HOME" \$HOME $% "$%"`,
    String.raw`x~y \~ '~' a-b=~ --data=~ {a} {} a{b}c`,
    '"a\\\nb" \'a\\\nb\' a\\\nb \\\n c',
    String.raw`"it's" 'say "hi"' "tab	tab" ! a!b "!"`,
    String.raw`$"locale \" text" "\é" \é é`,
  ])('are those of bash: %s', async (line) => {
    expect(wordsOf(line)).toEqual((await wordsOfBash([line]))[0]);
  });

  it('may be continued over lines of a file made on Windows', () => {
    expect(wordsOf('curl \\\r\n -d "a \\\r\nb" \\\r\n x\r\n')).toEqual(['curl', '-d', 'a b', 'x']);
  });

  it('may end with a backslash, which then continues nothing, as in a script', () => {
    expect(wordsOf('curl a \\')).toEqual(['curl', 'a']);
    expect(wordsOf('curl a\\')).toEqual(['curl', 'a']);
  });

  it('end at a comment, and comments and empty lines may stand around them', () => {
    expect(wordsOf("#!/bin/sh\n\n# it's\ncurl a#b #c 'd\n # e\n\n")).toEqual(['curl', 'a#b']);
  });

  it.each([
    ['curl $URL', 'line 1: expected no shell expansions, found "$URL": write its value, or put it in single quotes'],
    ['curl \\\n "${A}b"', 'line 2: expected no shell expansions, found "${"'],
    ['curl "a $(id)"', 'found "$("'],
    ['curl $1', 'found "$1"'],
    ['curl `id`', 'found "`"'],
    ['curl "`id`"', 'found "`"'],
    ['curl x | jq', 'line 1: expected one curl command, found the shell\'s "|"'],
    ['curl x?a=1&b=2', 'found the shell\'s "&": put the argument it belongs to in quotes'],
    ['curl x && ls', 'found the shell\'s "&&"'],
    ['curl x || ls', 'found the shell\'s "||"'],
    ['curl x; ls', 'found the shell\'s ";"'],
    ['curl x > file', 'found the shell\'s ">"'],
    ['curl x 2>/dev/null', 'found the shell\'s ">"'],
    ['curl x >> file', 'found the shell\'s ">>"'],
    ['curl x < file', 'found the shell\'s "<"'],
    ['curl x <<< text', 'found the shell\'s "<<<"'],
    ['curl <(id)', 'found the shell\'s "<"'],
    ['(curl x)', 'found the shell\'s "("'],
    ['curl x/{a,b}', 'found "{a,b}": put it in single quotes'],
    ['curl x/{1..3}', 'found "{1..3}"'],
    ['curl -d @~/x ~/y', 'found "~"'],
    ['curl -d a=~/y', 'found "~"'],
    ['curl -d a=b:~', 'found "~"'],
    ['curl x\nls', 'line 2: expected one command, found another one'],
    ["curl 'x", "expected a closing ', found the end"],
    ['curl "x', 'expected a closing ", found the end'],
    ["curl $'x", "expected a closing ' after $', found the end"],
    ['curl a\0b', 'found a NUL byte'],
  ])('%j is refused: %s', (command, problem) => {
    expect(() => wordsOf(command)).toThrow(problem);
  });
});

describe('the words of cmd.exe', () => {
  it.each([
    ['curl ^"http://h/?a=1^&b=2^"', ['curl', 'http://h/?a=1&b=2']],
    ['curl ^"x^" ^\n  -H ^"A: b^" ^\r\n  -d ^"^{^\\^"a^\\^":1^}^"', ['curl', 'x', '-H', 'A: b', '-d', '{"a":1}']],
    ['curl ^"x^" --data-raw ^"one^\n\ntwo^"', ['curl', 'x', '--data-raw', 'one\ntwo']],
    ['curl ^"x^" --data-raw ^"one^\r\n\r\ntwo^"', ['curl', 'x', '--data-raw', 'one\ntwo']],
    ['curl ^"h/%^41?q=100^%^"', ['curl', 'h/%41?q=100%']],
    ['curl ^"a^^b^" ^"c^|d^"', ['curl', 'a^b', 'c|d']],
    ['curl "http://h/?a&b" ^\n  -H "A: ^x"', ['curl', 'http://h/?a&b', '-H', 'A: ^x']],
    [String.raw`curl "a\\b\c" "d\\" "e\"f" "g\\\"h" ""`, ['curl', String.raw`a\\b\c`, 'd\\', 'e"f', 'g\\"h', '']],
    ['curl "a""b" a"b c"d', ['curl', 'a"b', 'ab cd']],
    ['curl "it\'s"', ['curl', "it's"]],
  ])('%j', (command, words) => {
    expect(cmdWords(command)).toEqual(words);
  });

  it.each([
    ['curl ^"x^" | more', 'found the shell\'s "|"'],
    ['curl x & dir', 'found the shell\'s "&"'],
    ['curl ^"x^"\ncurl ^"y^"', 'expected one line (or lines that end with ^), found several'],
    ['curl ^"x', 'expected a closing "'],
  ])('%j is refused: %s', (command, problem) => {
    expect(() => cmdWords(command)).toThrow(problem);
  });

  it.each([
    ['curl ^"http://h^"', true],
    ['curl http://h ^\n -v', true],
    ['curl "http://h" ^\n  -H "a: b"', true],
    ['curl "http://h" -H "a: b" --data-raw "{""a"":1}"', true],
    ['curl "http://h" -d "{\\"a\\":\\"\\"}" -d "a""b"', false],
    [`curl "http://h" -d '{"a":""}'`, false],
    [`curl 'http://h' -d 'a ^"b^" c'`, false],
    [`curl "http://h" -d '" ^\n'`, false],
    ['curl http://h \\\n -v', false],
  ])('are told from those of bash: %j %j', (command, expected) => {
    expect(isCmd(command)).toBe(expected);
  });
});
