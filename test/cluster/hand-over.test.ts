import { expect, test } from 'vitest';
import { historyFrom } from '../../src/cluster/failover.ts';
import { nominateSuccessor } from '../../src/cluster/hand-over.ts';
import type { Watched } from '../../src/cluster/patrol.ts';
import type { NodeRecord, ProbeAnswer } from '../../src/cluster/ports.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { INFO, QUICK, record } from '../support/cluster-nodes.ts';

const MASTER = record({ nodeId: 'm', roles: ['candidate'] });
const A = record({ nodeId: 'a', address: 'a', roles: ['candidate', 'worker'], seq: 2 });
const B = record({ nodeId: 'b', address: 'b', roles: ['candidate'], seq: 3 });

/** @param answeredMs how long ago a candidate answered its master, by node id */
async function nominated(
  answeredMs: Record<string, number>,
  busy: readonly string[] = [],
  changes: Partial<NodeRecord> = {},
) {
  const asked: string[] = [];
  const infoOf = (nodeId: string) => ({ ...INFO, cpu: busy.includes(nodeId) ? 0.95 : INFO.cpu });
  const answerOf = ({ nodeId, incarnation }: NodeRecord): ProbeAnswer => ({
    ...{ nodeId, incarnation, term: 0, isMaster: false },
    info: infoOf(nodeId),
  });
  const watched = [A, B].flatMap((node): [string, Watched][] => {
    const ageMs = answeredMs[node.nodeId];
    if (ageMs === undefined) return [];
    const answeredAtMs = nowMs() - ageMs;
    const rest = { history: historyFrom(answeredAtMs), nextAtMs: 0, isUrgent: true, isAsked: false };
    return [[node.nodeId, { node: { ...node, ...changes }, info: infoOf(node.nodeId), answeredAtMs, ...rest }]];
  });
  const nomination = await nominateSuccessor({
    node: MASTER,
    term: 7,
    view: { master: { node: MASTER, term: 7 }, nodes: [MASTER, A, B], nomination: null, sentinels: [], inhibit: null },
    patrol: { watched: new Map(watched) },
    probe: (address) => {
      asked.push(address);
      return Promise.resolve(answerOf(address === 'a' ? A : B));
    },
    timings: QUICK,
    to: null,
    reason: 'of a test',
  });
  return { nodeId: nomination.nodeId, asked };
}

test('a candidate that has answered its master just now is not asked again', async () => {
  expect(await nominated({ a: QUICK.sentinelProbeMs })).toEqual({ nodeId: 'a', asked: ['b'] });
});

test('one that has been silent for longer than two probes is', async () => {
  expect(await nominated({ a: 3 * QUICK.sentinelProbeMs })).toEqual({ nodeId: 'a', asked: ['a', 'b'] });
});

test('so is one that has been started anew since', async () => {
  expect(await nominated({ a: 0 }, [], { incarnation: A.incarnation - 1 })).toEqual({ nodeId: 'a', asked: ['a', 'b'] });
});

test('what it told of itself then counts', async () => {
  expect(await nominated({ a: 0 }, ['a'])).toEqual({ nodeId: 'b', asked: ['b'] });
});
