import { describe, expect, test } from 'vitest';
import { runToMessage, sharesToMessages } from '../../src/rpc/run-codec.ts';
import type { RunRecord, Wanted } from '../../src/stress/ports.ts';
import { sharesOf } from '../../src/stress/shares.ts';
import { pausePlan } from '../../src/task/plan.ts';
import { planOf, recordOf, runningOf, runOf, WANTED } from '../stress/support/records.ts';

/** What is shown of a run whose load is divided into these parts. */
function targetsOf(run: RunRecord, parts: readonly number[], of: number, elapsedMs = 1_000): number[] {
  const shares = sharesOf(parts, of).map((share, i) => recordOf(i + 1, `n${i}`, { share }));
  return sharesToMessages({ run, shares, elapsedMs }).map(({ target }) => target);
}

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
    expect(targetsOf(runningOf({ load }), parts, of)).toEqual(expected);
  });

  test('at the moment, in a ramp too, and before a wish is applied as it was', () => {
    const stages = [{ duration: '10s', target: 100, shape: 'ramp' }];
    const ramp = planOf(runOf({ load: { model: 'open', stages } }));
    const wanted: Wanted = { ...WANTED, target: 100, rampMs: 10_000 };
    const run = runningOf({ load: { rate: 10, duration: '1h' }, plan: ramp, wanted });
    expect([-500, 0, 2_500, 9_000, 11_000].map((ms) => targetsOf(run, [1, 1], 2, ms))).toEqual([
      [0, 0],
      [0, 0],
      [12.5, 12.5],
      [45, 45],
      [0, 0],
    ]);
    const asBefore = runningOf({ load: { rate: 10, duration: '1h' }, applied: WANTED, wanted });
    expect(targetsOf(asBefore, [1], 1)).toEqual([10]);
  });

  test('and as nothing when it has ended, the run is paused or stopping, or its plan is over', () => {
    const run = runningOf({ load: { rate: 10, duration: '1h' } });
    const stopped = { run, shares: [recordOf(1, 'a', { state: 'STOPPED' })], elapsedMs: 1_000 };
    expect(sharesToMessages(stopped)).toMatchObject([{ target: 0 }]);
    expect(targetsOf({ ...run, plan: pausePlan(run.plan!, 500) }, [10], 10)).toEqual([0]);
    expect(targetsOf({ ...run, state: 'STOPPING' }, [10], 10)).toEqual([0]);
    expect(targetsOf(run, [10], 10, 3_600_000)).toEqual([0]);
  });
});

test('stages that are wanted win over a target that SQL by hand left beside them', () => {
  const stages = [{ durationMs: 1_000, target: 5, shape: 'constant' }] as const;
  const of = (wanted: Partial<Wanted>) => runToMessage(runningOf({ wanted: { ...WANTED, ...wanted } }), false).wanted;
  expect(of({ target: 9, rampMs: 2_000 })).toMatchObject({ constant: 9, ramp: { seconds: '2' } });
  const both = of({ target: 9, rampMs: 2_000, stages });
  expect(both).toMatchObject({ plan: { stages: [{ target: 5 }] }, ramp: null });
  expect(both).not.toHaveProperty('constant');
});
