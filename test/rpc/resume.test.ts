import { describe, expect, test } from 'vitest';
import { CodedError } from '../../src/lib/errors.ts';
import type { WatchRunMessage } from '../../src/rpc/messages.ts';
import { resumeWatch } from '../../src/rpc/resume.ts';

const lost = new CodedError('UNAVAILABLE', 'the master is gone');

function messageOf(second: number | null, final = false): WatchRunMessage {
  const told = second === null ? null : ({ second: String(second) } as WatchRunMessage['second']);
  return { run: null, second: told, shares: [], skippedSeconds: '0', final, sample: new Uint8Array() };
}

type Step = WatchRunMessage | CodedError;

/** A watch whose n-th source gives the n-th list; which seconds it was asked for, and what came of it. */
async function watch(sources: readonly (readonly Step[])[], giveUpAfterMs = 60_000, signal?: AbortSignal) {
  const asked: number[] = [];
  const seconds: (string | null)[] = [];
  const told: string[] = [];
  const source = async function* (from: number): AsyncGenerator<WatchRunMessage> {
    const steps = sources[Math.min(asked.length, sources.length - 1)]!;
    asked.push(from);
    for (const step of steps) {
      if (step instanceof CodedError) throw step;
      yield await Promise.resolve(step);
    }
  };
  const options = { signal: signal ?? new AbortController().signal, giveUpAfterMs };
  let error: unknown = null;
  try {
    for await (const { second } of resumeWatch(source, 0, { ...options, onLost: (why) => told.push(why) })) {
      seconds.push(second?.second ?? null);
    }
  } catch (thrown) {
    error = thrown;
  }
  return { asked, seconds, told, error };
}

describe('a watch that breaks off', () => {
  test('goes on with the next second, each once, until the final message', async () => {
    const first = [messageOf(0), messageOf(1), lost];
    const second = [messageOf(null), messageOf(2), lost];
    expect(await watch([first, second, [messageOf(3), messageOf(null, true)]])).toEqual({
      asked: [0, 2, 3],
      seconds: ['0', '1', null, '2', '3', null],
      told: ['the master is gone', 'the master is gone'],
      error: null,
    });
  });

  test('tells once of a loss that takes several tries', async () => {
    const { told, asked } = await watch([[messageOf(0), lost], [lost], [lost], [messageOf(null, true)]]);
    expect(told).toEqual(['the master is gone']);
    expect(asked).toEqual([0, 1, 1, 1]);
  });

  test('takes an end before the final message for a loss', async () => {
    expect(await watch([[messageOf(0)], [messageOf(null, true)]])).toMatchObject({
      told: ['the watch ended before the run did'],
      error: null,
    });
  });

  test('fails at once when it never began', async () => {
    expect(await watch([[lost], [messageOf(null, true)]])).toMatchObject({ asked: [0], told: [], error: lost });
  });

  test('fails at once for any other reason', async () => {
    const gone = new CodedError('NOT_FOUND', 'tasks/1/runs/1: there is none');
    expect(await watch([[messageOf(0), gone]])).toMatchObject({ asked: [0], told: [], error: gone });
  });

  test('is given up after its time', async () => {
    const { asked, error } = await watch([[messageOf(0), lost], [lost]], 200);
    expect(error).toBe(lost);
    expect(asked.length).toBeGreaterThan(2);
  });

  test('ends without an error when the signal aborts', async () => {
    const over = new AbortController();
    const ended = watch([[messageOf(0), lost], [lost]], 60_000, over.signal);
    over.abort();
    expect((await ended).error).toBeNull();
  });
});
