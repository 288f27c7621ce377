import { describe, expect, test } from 'vitest';
import { sharesToMessages } from '../../src/rpc/run-codec.ts';
import { sharesOf } from '../../src/stress/shares.ts';
import { recordOf, runningOf } from '../stress/support/records.ts';

/** What is shown of a run whose load is divided into these parts. */
function targetsOf(run: ReturnType<typeof runningOf>, parts: readonly number[], of: number): number[] {
  const records = sharesOf(parts, of).map((share, i) => recordOf(i + 1, `n${i}`, { share }));
  return sharesToMessages(run, records).map(({ target }) => target);
}

const startedWallMs = Date.now() - 1_000;

describe('a share is shown as what its worker really runs', () => {
  test.each([
    ['of a rate, its part', { rate: 301, duration: '1h' }, [101, 100, 100], 301, [101, 100, 100]],
    ['of a rate with decimals, its part', { rate: 10.5, duration: '1h' }, [53, 52], 105, [5.3, 5.2]],
    ['of users, whole ones', { users: 10, duration: '1h' }, [5, 5], 10, [5, 5]],
    ['of fewer users than there are parts, whole ones', { users: 1, duration: '1h' }, [5, 5], 10, [1, 0]],
    [
      'of users that parts do not divide, whole ones that add up',
      { users: 7, duration: '1h' },
      [4, 3, 3],
      10,
      [3, 2, 2],
    ],
  ])('%s', (_, load, parts, of, expected) => {
    expect(targetsOf(runningOf({ load, startedWallMs }), parts, of)).toEqual(expected);
  });

  test('and as nothing when it has ended, the run is paused, or its plan is over', () => {
    const run = runningOf({ load: { rate: 10, duration: '1h' }, startedWallMs });
    const [stopped] = sharesToMessages(run, [recordOf(1, 'a', { state: 'STOPPED' })]);
    expect(stopped!.target).toBe(0);
    expect(targetsOf({ ...run, wanted: { ...run.wanted, state: 'PAUSED' } }, [10], 10)).toEqual([0]);
    expect(targetsOf({ ...run, startedWallMs: startedWallMs - 2 * 3_600_000 }, [10], 10)).toEqual([0]);
  });
});
