import { describe, expect, test } from 'vitest';
import { opinionOf } from '../../src/cluster/opinions.ts';
import type { ClusterControl, Member, SentinelRecord, TermReasons } from '../../src/cluster/ports.ts';
import { Doubts } from '../../src/stress/doubts.ts';
import { reasonsSentence, reasonsText } from '../../src/stress/term-reasons.ts';
import { nominationOf, record } from '../support/cluster-nodes.ts';

const member = (standing: Member['standing'], nodeId = 'w'): Member => {
  const flags = { registered: true, connected: true, leaving: false, draining: false };
  return { node: record({ nodeId }), ...flags, standing, info: null, infoAtMs: 0 };
};
const sentinel = (nodeId: string, ...doubted: string[]): SentinelRecord => ({
  nodeId,
  incarnation: 1,
  vote: null,
  doubts: doubted.map((id) => ({ nodeId: id, incarnation: 1, why: 'no answer' })),
});

describe('what is said of a worker', () => {
  test.each([
    ['nothing, when all see it', 'live', [sentinel('s1'), sentinel('s2')], 0, false, /^$/],
    ['who doubts it', 'live', [sentinel('s1', 'w'), sentinel('s2'), sentinel('s3')], 1, false, /^$/],
    [
      'that it is down, when most say so',
      'suspect',
      [sentinel('s1', 'w'), sentinel('s2', 'w'), sentinel('s3')],
      2,
      true,
      /^$/,
    ],
    ['that the master hears of it all the same', 'live', [sentinel('s1', 'w')], 1, true, /^the master hears of it/],
    ['that only the master does not', 'suspect', [sentinel('s1'), sentinel('s2')], 0, false, /a network problem/],
    ['nothing, when there are no sentinels', 'suspect', [], 0, false, /^$/],
    ['nothing of another one', 'live', [sentinel('s1', 'x')], 0, false, /^$/],
  ] as const)('%s', (_, standing, sentinels, doubts, isDown, remark) => {
    const opinion = opinionOf(member(standing), sentinels, 1);
    expect(opinion.doubts).toHaveLength(doubts);
    expect(opinion.isDown).toBe(isDown);
    expect(opinion.remark).toMatch(remark);
  });

  test('becomes an event with each change, once', () => {
    let sentinels = [sentinel('s1'), sentinel('s2'), sentinel('s3')];
    const view = () => ({ master: null, nodes: [], nomination: null, sentinels, inhibit: null });
    const doubts = new Doubts({ quorum: 1, view } as unknown as ClusterControl);
    const changes = () => doubts.changes([member('live')]).map(({ kind, text }) => `${kind}: ${text}`);
    expect(changes()).toEqual([]);
    sentinels = [sentinel('s1', 'w'), sentinel('s2'), sentinel('s3')];
    expect(changes()).toEqual(['node.doubted: it does not answer s1 (no answer)']);
    expect(changes()).toEqual([]);
    sentinels = [sentinel('s1', 'w'), sentinel('s2', 'w'), sentinel('s3')];
    expect(changes()).toEqual([
      'node.down: it does not answer s1 (no answer), s2 (no answer); the master hears of it, the sentinels do not',
    ]);
    sentinels = [sentinel('s1'), sentinel('s2'), sentinel('s3')];
    expect(changes()).toEqual(['node.cleared: all who watch it see it again']);
  });
});

describe('the reasons of a term', () => {
  const reasons: TermReasons = { term: 8, nodeId: 'b', how: 'nominated', nomination: nominationOf('b'), ranked: ['b'] };

  test.each<[string, Partial<TermReasons>, string]>([
    ['by a nomination', {}, 'master of term 8, nominated by s1: of a test'],
    ['by rank', { how: 'by rank', nomination: null }, 'master of term 8, by rank: the lock was free'],
    [
      'by rank, since the nominee was too late',
      { how: 'by rank', nomination: nominationOf('c') },
      'master of term 8, by rank: the nominee c of s1 did not win in time (of a test)',
    ],
  ])('are a sentence: %s', (_, change, expected) => {
    expect(reasonsSentence({ ...reasons, ...change })).toBe(expected);
  });

  test('fit into an event: of too many candidates the last ones are left out', () => {
    const candidates = Array.from({ length: 32 }, (_, k) => ({
      nodeId: `n${k}`,
      refused: 'x'.repeat(300),
      score: 's',
    }));
    const text = reasonsText({ ...reasons, nomination: nominationOf('b', { candidates }) });
    expect(text.length).toBeLessThanOrEqual(7_500);
    const kept = (JSON.parse(text) as TermReasons).nomination!.candidates;
    expect(kept.length).toBeGreaterThan(10);
    expect(kept).toEqual(candidates.slice(0, kept.length));
  });
});
