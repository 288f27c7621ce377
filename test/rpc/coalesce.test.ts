import { describe, expect, test } from 'vitest';
import { Coalescer } from '../../src/rpc/coalesce.ts';
import { eventually } from '../support/eventually.ts';

const always = (): boolean => true;

async function readAll<T>(coalescer: Coalescer<T>): Promise<[item: T, skipped: number][]> {
  const read: [T, number][] = [];
  for await (const { item, skipped } of coalescer.read()) read.push([item, skipped]);
  return read;
}

describe('between a source and a slow reader', () => {
  test('what fits is kept in its order', async () => {
    const coalescer = new Coalescer<number>(3, 0);
    for (const item of [1, 2, 3]) await coalescer.push(item, always);
    coalescer.end(null);
    expect(await readAll(coalescer)).toEqual([
      [1, 0],
      [2, 0],
      [3, 0],
    ]);
  });

  test('what does not fit takes the place of the oldest, and the next one read says how many went', async () => {
    const coalescer = new Coalescer<number>(2, 1);
    for (const item of [1, 2, 3, 4, 5]) await coalescer.push(item, always);
    coalescer.end(null);
    expect(await readAll(coalescer)).toEqual([
      [4, 3],
      [5, 0],
    ]);
  });

  test('what does not count is left out without a word', async () => {
    const coalescer = new Coalescer<number>(2, 1);
    for (const item of [1, 2, 3, 4]) await coalescer.push(item, (lost) => lost % 2 === 0);
    coalescer.end(null);
    expect((await readAll(coalescer))[0]).toEqual([3, 1]);
  });

  test('a source that is ahead waits for a reader that comes, and then nothing is lost', async () => {
    const coalescer = new Coalescer<number>(1, 60_000);
    await coalescer.push(1, always);
    const second = coalescer.push(2, always);
    const reading = readAll(coalescer);
    await second;
    coalescer.end(null);
    expect(await reading).toEqual([
      [1, 0],
      [2, 0],
    ]);
  });

  test('the reader waits for the next item, and gets it at once', async () => {
    const coalescer = new Coalescer<string>(1, 0);
    const reader = coalescer.read();
    const next = reader.next();
    await coalescer.push('now', always);
    expect(await next).toEqual({ done: false, value: { item: 'now', skipped: 0 } });
  });

  test('an error comes after what was before it', async () => {
    const coalescer = new Coalescer<number>(2, 0);
    await coalescer.push(1, always);
    coalescer.end(new Error('gone'));
    const reader = coalescer.read();
    expect((await reader.next()).value).toMatchObject({ item: 1 });
    await expect(reader.next()).rejects.toThrow('gone');
  });

  test('the end frees a source that waits', async () => {
    const coalescer = new Coalescer<number>(1, 60_000);
    await coalescer.push(1, always);
    const waiting = coalescer.push(2, always);
    coalescer.end(null);
    await eventually(() => waiting);
  });
});
