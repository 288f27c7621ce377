import { expect, test } from 'vitest';
import { contradictions, type Op } from './linearizable.ts';

const op = (kind: Op['kind'], term: number, holder: string, fromMs: number, toMs: number): Op => {
  return { kind, term, holder, fromMs, toMs };
};
const raise = (term: number, holder: string, fromMs: number, toMs: number): Op =>
  op('raise', term, holder, fromMs, toMs);
const see = (term: number, holder: string, fromMs: number, toMs: number): Op => op('see', term, holder, fromMs, toMs);

test.each<[what: string, history: Op[], found: RegExp | null]>([
  ['nothing', [], null],
  ['one term after another', [raise(1, 'a', 0, 1), see(1, 'a', 2, 3), raise(2, 'b', 4, 5), see(2, 'b', 6, 7)], null],
  [
    'the older term, seen while the newer is raised',
    [raise(1, 'a', 0, 1), raise(2, 'b', 2, 6), see(1, 'a', 3, 5)],
    null,
  ],
  [
    'the newer term, seen before its raise was answered',
    [raise(1, 'a', 0, 1), raise(2, 'b', 2, 9), see(2, 'b', 3, 5)],
    null,
  ],
  ['one term of two', [raise(1, 'a', 0, 1), raise(1, 'b', 2, 3)], /b raised term 1 .*: a raised term 1 .* too/],
  ['a term that nobody raised', [raise(1, 'a', 0, 1), see(2, 'b', 2, 3)], /nobody raised it/],
  ['somebody else in a term', [raise(1, 'a', 0, 1), see(1, 'b', 2, 3)], /it was raised by a/],
  ['a term seen before its raise', [see(1, 'a', 0, 1), raise(1, 'a', 2, 3)], /before a raised term 1/],
  [
    'an older term after a newer',
    [raise(2, 'b', 0, 1), raise(1, 'a', 2, 3)],
    /a raised term 1 .*: after b raised term 2/,
  ],
  [
    'the older term, seen after the newer was raised',
    [raise(1, 'a', 0, 1), raise(2, 'b', 2, 3), see(1, 'a', 4, 5)],
    /a was seen in term 1 .*: after b raised term 2/,
  ],
  [
    'two readers that go back in time, while the raise has no answer yet',
    [raise(1, 'a', 0, 1), raise(2, 'b', 2, 9), see(2, 'b', 3, 4), see(1, 'a', 5, 6)],
    /after b was seen in term 2/,
  ],
])('%s', (_, history, found) => {
  const all = contradictions(history);
  if (found === null) expect(all).toEqual([]);
  else expect(all.join('\n')).toMatch(found);
});
