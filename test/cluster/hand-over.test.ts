import { expect, test } from 'vitest';
import { nominateSuccessor } from '../../src/cluster/hand-over.ts';
import type { NodeRecord, ProbeAnswer } from '../../src/cluster/ports.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { INFO, QUICK, record } from '../support/cluster-nodes.ts';

const MASTER = record({ nodeId: 'm', roles: ['candidate'] });
const A = record({ nodeId: 'a', address: 'a', roles: ['candidate', 'worker'], seq: 2 });
const B = record({ nodeId: 'b', address: 'b', roles: ['candidate'], seq: 3 });

/** @param heardMs how long ago a worker of the master was heard of, by node id */
async function nominated(heardMs: Record<string, number>, busy: readonly string[] = []) {
  const asked: string[] = [];
  const infoOf = (nodeId: string) => ({ ...INFO, cpu: busy.includes(nodeId) ? 0.95 : INFO.cpu });
  const answerOf = ({ nodeId, incarnation }: NodeRecord): ProbeAnswer => ({
    ...{ nodeId, incarnation, term: 0, isMaster: false },
    info: infoOf(nodeId),
  });
  const nomination = await nominateSuccessor({
    node: MASTER,
    term: 7,
    view: { master: { node: MASTER, term: 7 }, nodes: [MASTER, A, B], nomination: null, sentinels: [], inhibit: null },
    members: {
      heardOf: ({ nodeId }) => {
        const ageMs = heardMs[nodeId];
        return ageMs === undefined
          ? null
          : { heardAtMs: nowMs() - ageMs, info: infoOf(nodeId), infoAtMs: nowMs() - 1_500 };
      },
    },
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

test('a candidate whose pings the master hears is not asked how it is', async () => {
  expect(await nominated({ a: QUICK.pingMs })).toEqual({ nodeId: 'a', asked: ['b'] });
});

test('one that has been silent for longer than two pings is', async () => {
  expect(await nominated({ a: 3 * QUICK.pingMs })).toEqual({ nodeId: 'a', asked: ['a', 'b'] });
});

test('what it told of itself counts as an answer would', async () => {
  expect(await nominated({ a: 0 }, ['a'])).toEqual({ nodeId: 'b', asked: ['b'] });
});
