import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeInfo } from '../../src/cluster/ports.ts';
import { mostNodes, partsOf, sharesOf, spread } from '../../src/stress/shares.ts';
import { registerStrategy, strategyNamed, strategyNames } from '../../src/stress/strategy.ts';
import { candidateOf } from './support/records.ts';

function info(part: Partial<NodeInfo>): NodeInfo {
  return {
    cpu: 0,
    cores: 4,
    memory: 0,
    memoryTotalBytes: 8e9,
    memoryFreeBytes: 4e9,
    loopLagP99Ms: 1,
    capacity: null,
    running: 0,
    ...part,
  };
}

const chosen = (name: string, nodes: number, ...candidates: ReturnType<typeof candidateOf>[]) =>
  strategyNamed(name)(candidates, nodes).map(({ candidate, weight }) => [candidate.node.nodeId, weight]);

describe('a strategy', () => {
  it.each([
    {
      name: 'least-loaded takes the nodes with the least CPU in use',
      candidates: [
        candidateOf('a', { info: info({ cpu: 0.9 }) }),
        candidateOf('b', { info: info({ cpu: 0.1 }) }),
        candidateOf('c', { info: info({ cpu: 0.5 }) }),
      ],
      expected: ['b', 'c'],
    },
    {
      name: 'of the same CPU those with the least memory in use',
      candidates: [
        candidateOf('a', { info: info({ cpu: 0.5, memory: 0.9 }) }),
        candidateOf('b', { info: info({ cpu: 0.51, memory: 0.2 }) }),
        candidateOf('c', { info: info({ cpu: 0.5, memory: 0.5 }) }),
      ],
      expected: ['b', 'c'],
    },
    {
      name: 'of the same memory in use those with the largest memory',
      candidates: [
        candidateOf('a', { info: info({ memoryTotalBytes: 1e9 }) }),
        candidateOf('b', { info: info({ memoryTotalBytes: 64e9 }) }),
        candidateOf('c', { info: info({ memoryTotalBytes: 2e9 }) }),
      ],
      expected: ['b', 'c'],
    },
    {
      name: 'a node that has told nothing yet comes last',
      candidates: [
        candidateOf('a'),
        candidateOf('b', { info: info({ cpu: 0.8 }) }),
        candidateOf('c', { info: info({}) }),
      ],
      expected: ['c', 'b'],
    },
  ])('$name', ({ candidates, expected }) => {
    expect(chosen('least-loaded', 2, ...candidates).map(([nodeId]) => nodeId)).toEqual(expected);
  });

  it('weighted shares by what nodes may take; one without a limit counts as the largest', () => {
    const nodes = [candidateOf('a', { capacityLeft: 100 }), candidateOf('b', { capacityLeft: 300 }), candidateOf('c')];
    expect(chosen('weighted', 9, ...nodes)).toEqual([
      ['b', 300],
      ['c', 300],
      ['a', 100],
    ]);
    expect(chosen('weighted', 9, candidateOf('a', { capacityLeft: 0 }), candidateOf('b')).map(([id]) => id)).toEqual([
      'b',
    ]);
  });

  it('even takes the nodes in the order in which they joined', () => {
    expect(chosen('even', 2, candidateOf('c'), candidateOf('a'), candidateOf('b'))).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });

  it('is found by its name, and an unknown name lists the known ones', () => {
    expect(strategyNames()).toEqual(['even', 'least-loaded', 'weighted']);
    expect(() => strategyNamed('best')).toThrow(
      /^placement\.strategy: expected one of even, least-loaded, weighted, found "best"$/,
    );
    expect(() => registerStrategy('even', () => [])).toThrow('"even" is registered twice');
    expect(() => registerStrategy('', () => [])).toThrow('expected a name, found an empty one');
  });
});

describe('parts of a target', () => {
  it.each([
    [600, 600],
    [1, 1],
    [301, 301],
    [10.5, 105],
    [0.5, 5],
    [0.1, 1],
    [33.333333, 33333333],
  ])('%d is divided into %d parts', (target, parts) => expect(partsOf(target)).toBe(parts));

  it('is a whole number of parts for any target', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e7, noNaN: true }), (target) => {
        const parts = partsOf(target);
        expect(Number.isSafeInteger(parts)).toBe(true);
        expect(parts).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it('goes to no more nodes than it has hits per second', () => {
    expect([0.5, 1, 2, 10.5, 600].map(mostNodes)).toEqual([1, 1, 2, 10, 600]);
  });
});

describe('spread', () => {
  const takers = (...list: [weight: number, maxParts: number][]) =>
    list.map(([weight, maxParts]) => ({ weight, maxParts }));

  it.each([
    {
      name: '600 over three',
      parts: 600,
      to: takers([1, Infinity], [1, Infinity], [1, Infinity]),
      expected: [200, 200, 200],
    },
    {
      name: 'the rest of 301 goes to the first',
      parts: 301,
      to: takers([1, Infinity], [1, Infinity], [1, Infinity]),
      expected: [101, 100, 100],
    },
    {
      name: 'what one cannot take goes to the others',
      parts: 600,
      to: takers([1, 100], [1, Infinity], [1, Infinity]),
      expected: [100, 250, 250],
    },
    { name: 'what nobody can take stays', parts: 600, to: takers([1, 100], [1, 150]), expected: [100, 150] },
    { name: 'each gets at least one', parts: 10, to: takers([1000, Infinity], [1, Infinity]), expected: [9, 1] },
    { name: 'one without room gets none', parts: 10, to: takers([1, 0.5], [1, Infinity]), expected: [0, 10] },
  ])('$name', ({ parts, to, expected }) => expect(spread(parts, to)).toEqual(expected));

  it('gives everything away as long as there is room, never more than a limit, and at least one to each', () => {
    const taker = fc.record({
      weight: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
      maxParts: fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 2000 })),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.array(taker, { minLength: 1, maxLength: 20 }),
        (parts, to) => {
          const given = spread(parts, to);
          const room = to.reduce((sum, { maxParts }) => sum + maxParts, 0);
          expect(given.reduce((a, b) => a + b, 0)).toBe(Math.min(parts, room));
          given.forEach((share, i) => expect(share).toBeLessThanOrEqual(to[i]!.maxParts));
          const open = to.filter(({ maxParts }) => maxParts >= 1).length;
          if (Math.min(parts, room) >= open) expect(given.filter((share) => share > 0)).toHaveLength(open);
        },
      ),
    );
  });

  it('makes shares that follow each other', () => {
    expect(sharesOf([2, 3, 1], 6)).toEqual([
      { weight: 2, of: 6, phase: 0 },
      { weight: 3, of: 6, phase: 2 },
      { weight: 1, of: 6, phase: 5 },
    ]);
  });
});
