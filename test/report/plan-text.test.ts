import { expect, test } from 'vitest';
import { describeLoad } from '../../src/report/plan-text.ts';
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
