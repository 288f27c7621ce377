import { expect, test } from 'vitest';
import { describeLoad, describePlan } from '../../src/report/plan-text.ts';
import { compilePlan, pausePlan, retunePlan } from '../../src/task/plan.ts';
import { infoFor } from '../support/reports.ts';

type Load = Parameters<typeof infoFor>[0]['load'];

test.each<[text: string, load: Load]>([
  ['1 000/s for 10s', { rate: 1000, duration: '10s' }],
  ['1 user for 1m30s', { users: 1, duration: '90s' }],
  ['10 users, until 5 000 hits', { users: 10, hits: 5000 }],
  ['50/s for 20s, the first 5s warm-up', { rate: 50, duration: '20s', warmup: '5s' }],
  [
    'ramp to 100/s in 30s, then 100/s for 1m',
    {
      model: 'open',
      stages: [
        { duration: '30s', target: 100, shape: 'ramp' },
        { duration: '1m', target: 100 },
      ],
    },
  ],
  [
    '1 user for 1s, then 2 users for 1s, then 3 users for 1s, then 4 users for 1s, then 2 more stages',
    { model: 'closed', stages: [1, 2, 3, 4, 5, 6].map((target) => ({ duration: '1s', target })) },
  ],
])('a load reads "%s"', (text, load) => {
  expect(describeLoad(infoFor({ load: load! }).task.load)).toBe(text);
});

test('a plan that was retuned, ramped and paused reads as it ran', () => {
  const first = compilePlan('open', [{ durationMs: 30_000, target: 600, shape: 'constant' }]);
  const raised = retunePlan(first, 10_000, [{ durationMs: 5_000, target: 1_000, shape: 'ramp' }]);
  expect(describePlan(pausePlan(raised, 20_000))).toBe(
    '600/s to 10s, ramp to 1 000/s at 15s, 1 000/s to 20s, 0/s to 30s',
  );
});

test('of a plan with many changes the last are counted', () => {
  let plan = compilePlan('closed', [{ durationMs: null, target: 1, shape: 'constant' }]);
  for (let k = 1; k <= 13; k++)
    plan = retunePlan(plan, k * 1_000, [{ durationMs: null, target: k, shape: 'constant' }]);
  expect(describePlan(plan)).toMatch(/^1 user to 1s, 1 user to 2s, 2 users to 3s, .*, 2 more changes$/);
});
