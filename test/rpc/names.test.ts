import { describe, expect, test } from 'vitest';
import { contentDigest } from '../../src/rpc/digest.ts';
import {
  pageToken,
  readCount,
  readEtag,
  readId,
  readIdToken,
  readNodeName,
  readPageSize,
  readPageToken,
  readParent,
  readRequestId,
  readRunName,
  readTaskName,
  runName,
} from '../../src/rpc/names.ts';

const MAX = 2n ** 63n - 1n;

describe('names', () => {
  test.each([
    ['tasks/1', 1n],
    ['tasks/9223372036854775807', MAX],
  ])('of a task: %s', (text, id) => expect(readTaskName(text)).toBe(id));

  test.each([
    '',
    'tasks/',
    'tasks/0',
    'tasks/-1',
    'tasks/01',
    'tasks/9223372036854775808',
    'tasks/1/',
    ' tasks/1',
    'tasks/1\n',
  ])('that are no task: %j', (text) =>
    expect(() => readTaskName(text)).toThrow('name: expected a name like "tasks/42", found '),
  );

  test('of a run, both ways', () => {
    const run = { taskId: MAX, number: 999_999_999_999_999 };
    expect(readRunName(runName(run))).toEqual(run);
    for (const text of ['tasks/1/runs/0', 'tasks/0/runs/1', 'tasks/1/runs/1/', 'runs/1', 'tasks/1']) {
      expect(() => readRunName(text)).toThrow('expected a name like "tasks/42/runs/3"');
    }
  });

  test('of a node and of a parent', () => {
    expect(readNodeName('nodes/a.b-c')).toBe('a.b-c');
    expect(() => readNodeName('a')).toThrow('expected a name like "nodes/a", found "a"');
    expect([readParent(''), readParent('tasks/-'), readParent('tasks/7')]).toEqual([null, null, 7n]);
    expect(() => readParent('tasks/x')).toThrow('parent: ');
  });
});

describe('pages', () => {
  test('have a size with a default and a limit', () => {
    expect([0, 1, 1000].map(readPageSize)).toEqual([50, 1, 1000]);
    for (const size of [-1, 1001]) expect(() => readPageSize(size)).toThrow(`expected 1 to 1000, found ${size}`);
  });

  test('go on by a token of their own list', () => {
    expect(readIdToken('tasks', pageToken('tasks', String(MAX)))).toBe(MAX);
    expect(readPageToken('nodes', pageToken('nodes', 'nodes/ä'))).toBe('nodes/ä');
    expect(readPageToken('runs', '')).toBeNull();
    const tooLarge = pageToken('tasks', String(MAX + 1n));
    for (const token of [pageToken('runs', '1'), pageToken('tasks', 'x'), tooLarge, '%%%']) {
      expect(() => readIdToken('tasks', token)).toThrow('page_token: expected the next_page_token of a list of tasks');
    }
  });
});

test('counts and ids are refused where they would not be exact, or no row can have them', () => {
  expect(readCount(String(2 ** 53 - 1), 'term')).toBe(2 ** 53 - 1);
  expect(() => readCount('18446744073709551615', 'term')).toThrow(
    'term: expected at most 9007199254740991, found 18446744073709551615',
  );
  expect(readId(String(MAX), 'after_id')).toBe(MAX);
  expect(() => readId(String(MAX + 1n), 'after_id')).toThrow(
    'after_id: expected at most 9223372036854775807, found 9223372036854775808',
  );
});

test('an etag is a version, or nothing', () => {
  expect([readEtag('', 'etag'), readEtag('12', 'etag')]).toEqual([null, 12]);
  for (const text of ['x', '-1', '1.5', '1'.repeat(16)])
    expect(() => readEtag(text, 'task.etag')).toThrow('task.etag: ');
});

test('a request id is a line of at most 128 characters', () => {
  expect([readRequestId(''), readRequestId('ü'.repeat(128))]).toEqual([null, 'ü'.repeat(128)]);
  for (const id of ['x'.repeat(129), 'a\nb', 'a\u0000b']) expect(() => readRequestId(id)).toThrow('request_id: ');
});

describe('the digest of a request', () => {
  const bytes = (...values: number[]) => ({ body: Buffer.from(values) });
  test.each([
    ['the order of keys does not count', { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }, true],
    ['the order of a list counts', [1, 2], [2, 1], false],
    ['what is absent is not there', { a: 1, b: undefined }, { a: 1 }, true],
    ['null is something', { a: null }, {}, false],
    ['the same bytes', bytes(1, 2), bytes(1, 2), true],
    ['other bytes', bytes(1, 2), bytes(1, 3), false],
  ])('%s', (_, one, other, isSame) => expect(contentDigest(one) === contentDigest(other)).toBe(isSame));
});
