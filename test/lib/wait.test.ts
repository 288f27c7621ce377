import { describe, expect, test } from 'vitest';
import { Listeners } from '../../src/lib/listeners.ts';
import { aborted, Backoff, pause, settledWithin } from '../../src/lib/wait.ts';

describe('pause', () => {
  test('ends with its time, or at once when the signal aborts', async () => {
    const stop = new AbortController();
    await pause(1, stop.signal);
    const long = pause(1e12, stop.signal);
    stop.abort();
    await long;
    await pause(1e12, stop.signal);
    await aborted(stop.signal);
  });
});

describe('settledWithin', () => {
  test('tells whether a promise settled in time, however it did', async () => {
    expect(await settledWithin(Promise.resolve(), 10_000)).toBe(true);
    expect(await settledWithin(Promise.reject(new Error('x')), 10_000)).toBe(true);
    expect(await settledWithin(new Promise(() => undefined), 5)).toBe(false);
  });
});

describe('backoff', () => {
  test('doubles from the shortest to the longest pause, each at least the half of it', () => {
    const backoff = new Backoff(10, 50);
    for (const whole of [10, 20, 40, 50, 50]) {
      const ms = backoff.takeMs();
      expect(ms).toBeGreaterThanOrEqual(whole / 2);
      expect(ms).toBeLessThanOrEqual(whole);
    }
    backoff.reset();
    expect(backoff.takeMs()).toBeLessThanOrEqual(10);
  });
});

describe('listeners', () => {
  test('all hear, also when one throws, and none after it was closed', () => {
    const heard: string[] = [];
    const errors: unknown[] = [];
    const listeners = new Listeners<[string]>((error) => errors.push(error));
    listeners.add(() => {
      throw new Error('deaf');
    });
    using second = listeners.add((word) => heard.push(`second ${word}`));
    const third = listeners.add((word) => {
      heard.push(`third ${word}`);
      third.close();
    });
    listeners.tell('a');
    second.close();
    listeners.tell('b');
    expect(heard).toEqual(['second a', 'third a']);
    expect(errors).toHaveLength(2);
  });
});
