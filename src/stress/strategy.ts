import type { NodeInfo, NodeRecord } from '../cluster/ports.ts';
import { invalid } from '../lib/errors.ts';
import { show } from '../lib/show.ts';

/** A worker that may get a share. */
export interface Candidate {
  node: NodeRecord;
  /** null: it has not told yet. */
  info: NodeInfo | null;
  /** Hits per second that it may still take beside what other runs have there; null: no limit. */
  capacityLeft: number | null;
}

export interface Choice {
  candidate: Candidate;
  /** The part of the load it shall have, in proportion to the other choices; above 0. */
  weight: number;
}

/**
 * Chooses nodes for a run and says in which proportion they load. Pure; it need not care for exact sums and limits,
 * which `spread` of shares.ts does.
 *
 * @param nodes the most nodes to choose, at least 1
 */
export type Strategy = (candidates: readonly Candidate[], nodes: number) => readonly Choice[];

const strategies = new Map<string, Strategy>();

/** @throws RangeError when the name is empty or taken: a mistake in the program, told at start */
export function registerStrategy(name: string, strategy: Strategy): void {
  if (name === '') throw new RangeError('strategy: expected a name, found an empty one');
  if (strategies.has(name)) throw new RangeError(`strategy: ${show(name)} is registered twice`);
  strategies.set(name, strategy);
}

export function strategyNames(): readonly string[] {
  return [...strategies.keys()].sort();
}

/** @throws CodedError INVALID_INPUT that names those there are */
export function strategyNamed(name: string): Strategy {
  const strategy = strategies.get(name);
  if (strategy !== undefined) return strategy;
  throw invalid(`placement.strategy: ${strategyProblem(name)}`);
}

/** null: there is one of this name. */
export function strategyProblem(name: string): string | null {
  return strategies.has(name) ? null : `expected one of ${strategyNames().join(', ')}, found ${show(name)}`;
}

/** Busy shares are compared in steps, so that noise of a percent does not outweigh what comes after it. */
const STEP = 0.05;

/** The seed's order: CPU in use, then memory in use, then size of the memory; who is alike, by order of joining. */
function byLoad(a: Candidate, b: Candidate): number {
  return (
    stepsOf(a.info?.cpu) - stepsOf(b.info?.cpu) ||
    stepsOf(a.info?.memory) - stepsOf(b.info?.memory) ||
    (b.info?.memoryTotalBytes ?? 0) - (a.info?.memoryTotalBytes ?? 0) ||
    a.node.seq - b.node.seq ||
    (a.node.nodeId < b.node.nodeId ? -1 : 1)
  );
}

/** Of a node that has not told: as if it were wholly busy. */
function stepsOf(part: number | undefined): number {
  return Math.round((part ?? 1) / STEP);
}

function evenly(candidates: readonly Candidate[], nodes: number): Choice[] {
  return candidates.slice(0, nodes).map((candidate) => ({ candidate, weight: 1 }));
}

/** The best `nodes` by load, each with the same share. */
registerStrategy('least-loaded', (candidates, nodes) => evenly(candidates.toSorted(byLoad), nodes));

/** The first `nodes` in the order of joining, each with the same share. */
registerStrategy('even', (candidates, nodes) => {
  const bySeq = (a: Candidate, b: Candidate) => a.node.seq - b.node.seq || (a.node.nodeId < b.node.nodeId ? -1 : 1);
  return evenly(candidates.toSorted(bySeq), nodes);
});

/** The largest `nodes`, by what they may still take; a node without a limit counts as the largest that has one. */
registerStrategy('weighted', (candidates, nodes) => {
  const largest = Math.max(0, ...candidates.map(({ capacityLeft }) => capacityLeft ?? 0)) || 1;
  const choices = candidates.map((candidate) => ({ candidate, weight: candidate.capacityLeft ?? largest }));
  return choices
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight || byLoad(a.candidate, b.candidate))
    .slice(0, nodes);
});
