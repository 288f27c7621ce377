import { describe, expect, test } from 'vitest';
import { Members } from '../../src/cluster/members.ts';
import type { MemberEvent, NodeRecord } from '../../src/cluster/ports.ts';
import { DEFAULT_TIMINGS } from '../../src/cluster/timings.ts';
import { INFO, record } from '../support/cluster-nodes.ts';

const { leaseTtlMs, permitMs, marginMs } = DEFAULT_TIMINGS;
/** A term that never saw a process waits this long. */
const INHERITED_MS = leaseTtlMs + permitMs + marginMs;

function members(addressOf: () => string | null = () => null) {
  const events: MemberEvent[] = [];
  const all = new Members({
    termBeganMs: 0,
    timings: DEFAULT_TIMINGS,
    addressOf,
    onEvent: (event) => void events.push(event),
  });
  return { all, told: () => events.splice(0).map(({ kind, member }) => `${kind} ${member.standing}`) };
}

const W1 = { nodeId: 'w1', incarnation: 1 };
const W2 = { nodeId: 'w1', incarnation: 2 };
const nodes = (...list: NodeRecord[]) => ({ nodes: list });

describe('the view of the members', () => {
  test('adds, modifies and deletes a worker as it comes and goes', () => {
    const { all, told } = members();
    all.looked(nodes(record()), 0, null);
    expect(told()).toEqual(['added suspect']);
    all.hello(record(), 10);
    expect(told()).toEqual(['modified live']);
    all.informed(W1, INFO, 11);
    all.tick(12);
    expect(told()).toEqual([]);
    all.saidLeave(W1, 13);
    expect(told()).toEqual(['modified live']);
    all.closed(W1, true, 14);
    expect(told()).toEqual(['modified gone']);
    all.looked(nodes(), 15, null);
    expect(told()).toEqual(['deleted gone']);
    expect(all.list()).toEqual([]);
  });

  test('tells nothing when the coordinator repeats itself', () => {
    const { all, told } = members();
    all.looked(nodes(record()), 0, null);
    told();
    all.looked(nodes(record()), 2_000, null);
    expect(told()).toEqual([]);
  });

  test('shows workers only, one for each node, the newest, in the order of their ids', () => {
    const { all } = members();
    all.hello(record({ nodeId: 'z' }), 0);
    all.hello(record(), 0);
    all.hello(record({ incarnation: 2 }), 0);
    all.looked(nodes(record({ nodeId: 'c', roles: ['candidate'] })), 0, null);
    expect(all.list().map(({ node }) => [node.nodeId, node.incarnation])).toEqual([
      ['w1', 2],
      ['z', 1],
    ]);
  });

  test('keeps an operator’s wish to drain for later processes of the node', () => {
    const { all, told } = members();
    all.hello(record(), 0);
    all.drain('w1', 1);
    expect(told()).toEqual(['added live', 'modified live']);
    all.hello(record({ incarnation: 2 }), 2);
    expect(all.list()).toMatchObject([{ draining: true }]);
  });
});

describe('a master that stood still itself', () => {
  test('does not take that for silence of its workers', () => {
    const { all, told } = members();
    all.hello(record(), 0);
    all.tick(100);
    told();
    all.tick(10_000);
    expect(told()).toEqual([]);
    for (let ms = 10_100; ms < 10_100 + DEFAULT_TIMINGS.suspectAfterMs; ms += 100) all.tick(ms);
    expect(told()).toEqual(['modified suspect']);
  });
});

describe('a process of an earlier term', () => {
  test('is suspect until its lease and its permit are surely over, and a fresh look shows no record', () => {
    const { all } = members();
    expect(all.standingOf(W1, null, 0)).toBe('suspect');
    expect(all.needsLook(INHERITED_MS - 1)).toBe(false);
    expect(all.needsLook(INHERITED_MS)).toBe(true);
    expect(all.standingOf(W1, null, INHERITED_MS)).toBe('suspect');
    all.looked(nodes(), INHERITED_MS + 1, null);
    expect(all.standingOf(W1, null, INHERITED_MS + 1)).toBe('suspect');
    all.looked(nodes(), INHERITED_MS + 3, INHERITED_MS + 2);
    expect(all.standingOf(W1, null, INHERITED_MS + 3)).toBe('gone');
  });

  test('is gone as soon as its port refuses', () => {
    const { all } = members(() => '127.0.0.1:7');
    expect(all.standingOf(W1, null, 0)).toBe('suspect');
    expect(all.suspects()).toEqual([{ ref: W1, address: '127.0.0.1:7' }]);
    all.portRefused(W1, 1);
    expect(all.standingOf(W1, null, 2)).toBe('gone');
  });

  test('has no port to try unless somebody knows its address', () => {
    const { all } = members();
    all.standingOf(W1, null, 0);
    expect(all.suspects()).toEqual([]);
    all.standingOf(W1, '127.0.0.1:8', 0);
    expect(all.suspects()).toEqual([{ ref: W1, address: '127.0.0.1:8' }]);
  });

  test('is live again when it says Hello', () => {
    const { all } = members(() => '127.0.0.1:7');
    all.standingOf(W1, null, 0);
    all.portRefused(W1, 1);
    all.hello(record(), 2);
    expect(all.standingOf(W1, null, 3)).toBe('live');
  });
});

describe('a node that was started again', () => {
  test('does not make its earlier process gone, if that may live elsewhere', () => {
    const { all } = members();
    all.hello(record(), 0);
    all.echoed(W1, 0);
    all.closed(W1, false, 1);
    all.hello(record({ incarnation: 2, address: '10.0.0.2:1' }), 2);
    expect(all.standingOf(W1, null, 3)).toBe('suspect');
    expect(all.standingOf(W2, null, 3)).toBe('live');
    // Its record was overwritten, not expired: it may hold its lease for gone only later.
    all.looked(nodes(record({ incarnation: 2 })), 10, 10);
    all.looked(nodes(record({ incarnation: 2 })), 3_000, 3_000);
    expect(all.standingOf(W1, null, 3_000)).toBe('suspect');
    const overMs = 10 + leaseTtlMs + marginMs;
    all.looked(nodes(record({ incarnation: 2 })), overMs, overMs);
    expect(all.standingOf(W1, null, overMs)).toBe('gone');
  });

  test('proves its earlier process gone by listening at the same address of one machine', () => {
    const { all } = members();
    all.hello(record(), 0);
    all.closed(W1, false, 1);
    all.hello(record({ incarnation: 2 }), 2);
    expect(all.standingOf(W1, null, 3)).toBe('gone');
  });

  test('proves nothing by a host name, which may mean another machine now', () => {
    const { all } = members();
    all.hello(record({ address: 'w1.example:7' }), 0);
    all.closed(W1, false, 1);
    all.hello(record({ incarnation: 2, address: 'w1.example:7' }), 2);
    expect(all.standingOf(W1, null, 3)).toBe('suspect');
  });
});
