import { expect, test } from 'vitest';
import { dropHints, type DropEvidence } from '../../src/report/drops.ts';

const evidence: DropEvidence = {
  scheduled: 9960,
  dropped: { 'target-limited': 4980, 'generator-limited': 0, stalled: 0, 'no-permit': 0 },
  slots: 50,
  slotsLimitedBy: 'connections',
  holdMs: 100,
  slowestMs: 130,
  askedPerSecond: 1000,
  queue: null,
};
const none = { 'target-limited': 0, 'generator-limited': 0, stalled: 0, 'no-permit': 0 };

test.each<[sentence: string, found: Partial<DropEvidence>, hints: string[]]>([
  ['nothing dropped, nothing said', { dropped: none }, []],
  [
    'too few connections: what they carry, and how many it takes with a fifth to spare',
    {},
    ['dropped 4 980 (50 %): 50 connections × 100 ms carry about 500/s; try -c 120'],
  ],
  [
    'one connection',
    { slots: 1, holdMs: 3 },
    ['dropped 4 980 (50 %): 1 connection × 3.00 ms carry about 330/s; try -c 4'],
  ],
  [
    'connections that hits share limit the hits in flight',
    { slotsLimitedBy: 'streams' },
    ['dropped 4 980 (50 %): 50 hits in flight × 100 ms carry about 500/s; try -c 120'],
  ],
  [
    'the limit of hits in flight has a flag of its own',
    { slots: 10_000, slotsLimitedBy: 'max-in-flight', holdMs: 12_000 },
    ['dropped 4 980 (50 %): 10 000 hits in flight × 12.0 s carry about 830/s; try --max-in-flight 14400'],
  ],
  [
    'enough on average: the target stood still for a while',
    { holdMs: 5, slowestMs: 1020 },
    [
      'dropped 4 980 (50 %): 50 connections × 5.00 ms carry about 10 000/s on average: they were all taken only for a while (slowest answer 1.02 s); --on-saturated queue lets hits wait',
    ],
  ],
  [
    'a queue that was full is named',
    { queue: 100_000 },
    ['dropped 4 980 (50 %): 50 connections × 100 ms carry about 500/s, and the queue of 100 000 was full; try -c 120'],
  ],
  [
    'no answers to compute with',
    { holdMs: null },
    ['dropped 4 980 (50 %): 50 connections all waited for answers that did not come in time'],
  ],
  [
    'the generator’s own fault is called that',
    { dropped: { ...none, 'generator-limited': 12 } },
    ['dropped 12 (0.12 %): the generator was behind its schedule; try a lower -q, more --threads, or a faster machine'],
  ],
  [
    'each cause has its line',
    { dropped: { ...none, stalled: 996, 'no-permit': 1 } },
    [
      'dropped 996 (10 %): the generator stood still and they were overdue when it went on; was the machine overloaded or paused?',
      'dropped 1 (0.01 %): the engine had no permit to load',
    ],
  ],
])('%s', (_, found, hints) => {
  expect(dropHints({ ...evidence, ...found })).toEqual(hints);
});
