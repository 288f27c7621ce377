import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { invalid, systemReason } from '../../src/lib/errors.ts';

const failure = (path: string): Promise<unknown> => readFile(path).catch((error: unknown) => error);

test.each([
  ['/nonexistent', 'no such file or folder'],
  ['/dev/null/x', 'no such file or folder'],
  ['/', 'it is a folder'],
])('why %s could not be read is told without code and path', async (path, reason) => {
  expect(systemReason(await failure(path))).toBe(reason);
});

test("what the system says otherwise is told in the system's own words", () => {
  expect(systemReason(Object.assign(new Error('ELOOP: too many'), { code: 'ELOOP' }))).toBe('ELOOP: too many');
  expect(systemReason('thrown text')).toBe('thrown text');
});

test('what a user gave is wrong for a cause that is kept', () => {
  const cause = new Error('inner');
  expect(invalid('expected 1, found 2', cause)).toMatchObject({
    code: 'INVALID_INPUT',
    problems: ['expected 1, found 2'],
    cause,
  });
  expect('cause' in invalid('expected 1, found 2')).toBe(false);
});
