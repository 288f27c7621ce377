import { describe, expect, test } from 'vitest';
import {
  chooseMaster,
  decide,
  historyFrom,
  holdOffUntilMs,
  isDown,
  isTilted,
  probed,
  votesNeeded,
  type CandidateFacts,
  type Situation,
} from '../../src/cluster/failover.ts';
import { DEFAULT_TIMINGS } from '../../src/cluster/timings.ts';

const timings = DEFAULT_TIMINGS;

describe('a node is down for one observer', () => {
  /** Probes of the node: instants, and `x` for a miss. */
  const after = (probes: readonly (readonly [atMs: number, outcome: 'x' | 'ok'])[]) =>
    probes.reduce(
      (history, [atMs, outcome]) => probed(history, outcome === 'x' ? 'no answer' : null, atMs),
      historyFrom(0),
    );

  test.each([
    ['not before the first probe was missed', [], 10_000, false],
    [
      'not after two misses, however long ago',
      [
        [1_000, 'x'],
        [4_000, 'x'],
      ],
      10_000,
      false,
    ],
    [
      'not before 2 s without an answer',
      [
        [300, 'x'],
        [600, 'x'],
        [900, 'x'],
      ],
      1_999,
      false,
    ],
    [
      'after 2 s and three misses',
      [
        [300, 'x'],
        [600, 'x'],
        [900, 'x'],
      ],
      2_000,
      true,
    ],
    [
      'counted from its last answer',
      [
        [300, 'x'],
        [600, 'ok'],
        [900, 'x'],
        [1_200, 'x'],
        [1_500, 'x'],
      ],
      2_599,
      false,
    ],
    [
      'and then it is',
      [
        [300, 'x'],
        [600, 'ok'],
        [900, 'x'],
        [1_200, 'x'],
        [1_500, 'x'],
      ],
      2_600,
      true,
    ],
    [
      'no more after one answer',
      [
        [300, 'x'],
        [600, 'x'],
        [900, 'x'],
        [2_500, 'ok'],
      ],
      9_000,
      false,
    ],
  ] as const)('%s', (_, probes, atMs, expected) => {
    expect(isDown(after(probes), atMs, timings)).toBe(expected);
  });

  test('and what was missed last is kept as the reason', () => {
    expect(probed(historyFrom(0), 'no route', 5)).toEqual({ validAtMs: 0, misses: 1, why: 'no route' });
  });
});

test.each([
  [1, 1, 1],
  [2, 1, 2],
  [3, 1, 2],
  [4, 1, 3],
  [5, 1, 3],
  [3, 3, 3],
  [1, 2, 2],
  [0, 1, 1],
])('of %i sentinels with a quorum of %i, %i must agree', (live, quorum, expected) => {
  expect(votesNeeded(live, quorum)).toBe(expected);
});

test.each([
  ['a tick in time', 160, 160, false],
  ['a tick that is late by a second and more', 1_200, 1_200, true],
  ['a wall clock that was set forward', 150, 700, true],
  ['a wall clock that was set back', 150, -400, true],
  ['a wall clock that is corrected a little', 150, 400, false],
])('%s', (_, monotonicMs, wallMs, expected) => {
  expect(isTilted({ monotonicMs, wallMs, everyMs: 150 })).toBe(expected);
});

describe('after failovers the next one is held off', () => {
  const s = 1_000;
  test.each([
    ['not after none', [], -Infinity],
    ['not after one', [100 * s], -Infinity],
    ['not after two that are far apart', [100 * s, 161 * s], -Infinity],
    ['for 10 s after two within a minute', [100 * s, 160 * s], 170 * s],
    ['for 20 s after a third one', [100 * s, 120 * s, 150 * s], 170 * s],
    ['for 40 s after a fourth one', [100 * s, 120 * s, 150 * s, 180 * s], 220 * s],
    [
      'not after a long quiet time, whatever was before',
      [0, 1, 2, 3, 4, 5, 6].map((k) => k * 30 * s).concat(800 * s),
      -Infinity,
    ],
    ['a minute after the pause everything is forgotten', [0, 10 * s, 81 * s], -Infinity],
    ['and not a moment before', [0, 10 * s, 80 * s], 100 * s],
    ['for ten minutes at most', Array.from({ length: 16 }, (_, k) => k * s), 615 * s],
  ] as const)('%s', (_, failoversMs, expected) => {
    expect(holdOffUntilMs(failoversMs)).toBe(expected);
  });
});

describe('a sentinel', () => {
  const situation: Situation = {
    atMs: 100_000,
    term: { number: 7, sinceMs: 50_000 },
    isDown: true,
    votes: 2,
    live: 3,
    quorum: 1,
    tiltUntilMs: -Infinity,
    failoversMs: [],
    isInhibited: false,
    timings,
  };
  const VOTE = { vote: true, act: false };
  const NOTHING = { vote: false, act: false };

  test.each<[string, Partial<Situation>, { vote: boolean; act: boolean }, RegExp]>([
    ['acts when enough sentinels say so', {}, { vote: true, act: true }, /2 sentinels or more say so/],
    ['does nothing without a master', { term: null }, NOTHING, /candidates follow by rank/],
    ['does nothing while the master answers it', { isDown: false }, NOTHING, /answers/],
    ['only votes when it is the first', { votes: 0 }, VOTE, /fewer than 2/],
    ['only votes while half of them is all', { votes: 2, live: 4 }, VOTE, /fewer than 3/],
    ['only votes below the quorum', { quorum: 3 }, VOTE, /fewer than 3/],
    ['acts alone when it is the only one', { votes: 1, live: 1 }, { vote: true, act: true }, /1 sentinels or more/],
    ['only votes while an operator has paused failover', { isInhibited: true }, VOTE, /paused/],
    ['only votes in the first 10 s of a term', { term: { number: 7, sinceMs: 90_001 } }, VOTE, /younger than 10000 ms/],
    ['acts after them', { term: { number: 7, sinceMs: 90_000 } }, { vote: true, act: true }, /say so/],
    ['only votes after several failovers', { failoversMs: [60_000, 95_000] }, VOTE, /held off/],
    ['takes its vote back while it is not to be trusted itself', { tiltUntilMs: 100_001 }, NOTHING, /stood still/],
  ])('%s', (_, change, expected, why) => {
    const { why: sentence, ...rest } = decide({ ...situation, ...change });
    expect(rest).toEqual(expected);
    expect(sentence).toMatch(why);
  });
});

describe('the next master', () => {
  const fit: CandidateFacts = {
    nodeId: 'a',
    isCandidate: true,
    noFailover: false,
    priority: 100,
    seq: 1,
    info: { cpu: 0.1, memory: 0.5, loopLagP99Ms: 2 },
    infoAgeMs: 100,
    answerAgeMs: 100,
  };
  const node = (nodeId: string, change: Partial<CandidateFacts> = {}): CandidateFacts => ({
    ...fit,
    nodeId,
    ...change,
  });
  const info = (change: Partial<NonNullable<CandidateFacts['info']>>) => ({ info: { ...fit.info!, ...change } });

  test.each<[string, CandidateFacts[], string | null]>([
    ['is nobody among none', [], null],
    ['is not the failed one', [node('failed')], null],
    ['is a candidate', [node('a', { isCandidate: false }), node('b')], 'b'],
    ['is not one of priority 0', [node('a', { priority: 0 }), node('b', { priority: 1 })], 'b'],
    ['is not one whose label forbids it', [node('a', { noFailover: true }), node('b')], 'b'],
    ['has answered within the last second', [node('a', { answerAgeMs: 1_001 }), node('b')], 'b'],
    ['is known by what it said within 6 s', [node('a', { infoAgeMs: 6_001 }), node('b')], 'b'],
    ['has said how it is', [node('a', { info: null }), node('b')], 'b'],
    ['has a main loop that goes round', [node('a', info({ loopLagP99Ms: 200 })), node('b')], 'b'],
    ['is of the highest priority, however busy', [node('a'), node('b', { priority: 101, ...info({ cpu: 0.8 }) })], 'b'],
    [
      'of equal priority the one with the idler CPU',
      [node('a', info({ cpu: 0.3 })), node('b', info({ cpu: 0.2 }))],
      'b',
    ],
    [
      'of CPUs within 5 % the one with more memory',
      [node('a', info({ cpu: 0.1 })), node('b', info({ cpu: 0.14, memory: 0.4 }))],
      'b',
    ],
    ['of equals the one that joined first', [node('a', { seq: 2 }), node('b', { seq: 1 })], 'b'],
    ['is not one with a busy CPU', [node('a', { priority: 200, ...info({ cpu: 0.9 }) }), node('b')], 'b'],
    ['is not one with full memory', [node('a', { priority: 200, ...info({ memory: 0.95 }) }), node('b')], 'b'],
    ['is a busy one when all are', [node('a', info({ cpu: 0.99 })), node('b', info({ memory: 0.99 }))], 'b'],
    [
      'is nobody when those that are busy have other faults',
      [node('a', { ...info({ cpu: 0.99 }), answerAgeMs: Infinity })],
      null,
    ],
  ])('%s', (_, nodes, expected) => {
    expect(chooseMaster(nodes, 'failed').nodeId).toBe(expected);
  });

  test('comes with the reasons for all, the best first', () => {
    const nodes = [node('worse', { seq: 2 }), node('failed'), node('busy', info({ cpu: 0.95 })), node('best')];
    expect(chooseMaster(nodes, 'failed')).toEqual({
      nodeId: 'best',
      relaxed: false,
      judged: [
        { nodeId: 'best', refused: '', score: 'priority 100, CPU 10 %, memory 50 %, number 1' },
        { nodeId: 'worse', refused: '', score: 'priority 100, CPU 10 %, memory 50 %, number 2' },
        {
          nodeId: 'failed',
          refused: 'it is the one that is to be followed',
          score: 'priority 100, CPU 10 %, memory 50 %, number 1',
        },
        { nodeId: 'busy', refused: 'its CPU is 95 % busy', score: 'priority 100, CPU 95 %, memory 50 %, number 1' },
      ],
    });
  });

  test('when nobody is fit even so, the reasons are those of the strict filter', () => {
    const { judged, relaxed } = chooseMaster([node('failed')], 'failed');
    expect([judged.length, relaxed]).toEqual([1, false]);
  });

  test('keeps the reasons of 32 candidates', () => {
    const nodes = Array.from({ length: 100 }, (_, k) => node(`n${k}`, { seq: k }));
    expect(chooseMaster(nodes, 'failed').judged).toHaveLength(32);
  });
});
