import { split } from '../lib/split.ts';
import type { Share } from '../task/plan.ts';
import type { AssignmentRecord, RunRecord } from './ports.ts';
import { fractionOf, mostNodes, partsOf, sharesOf, spread } from './shares.ts';
import { strategyNamed, type Candidate } from './strategy.ts';
import { isActive, isKeeper, type Owner, type RunCandidate, type RunView } from './view.ts';

/** Who shall have which share from now on. */
export interface Deal {
  shares: readonly { owner: Owner | null; candidate: Candidate | null; share: Share }[];
  /** The part that nobody can take, 0 to 1. */
  missing: number;
}

export interface DealOptions {
  /** The target that the shares are made of, and the highest one that is to come, by which capacity is judged. */
  unit: number;
  peak: number;
  /** Whether nodes that have no share yet may get one. */
  widen: 'no' | 'settled' | 'any';
}

interface Place extends Pick<Deal['shares'][number], 'owner' | 'candidate'> {
  weight: number;
}

/**
 * Divides the load among those who have it (in proportion to what they had, as the seed does) and, when it shall be
 * widened, as many others as the placement allows (then as its strategy says). A share of a worker that is not heard of
 * stays as it is: it could not be changed.
 *
 * @throws CodedError INVALID_INPUT when the placement's strategy is not known
 */
export function deal(view: RunView, options: DealOptions): Deal {
  const { placement } = view.run;
  const keepers = stayers(view, mostNodes(options.unit));
  const room = Math.min(placement.maxNodes ?? Infinity, mostNodes(options.unit)) - keepers.length;
  const strategy = strategyNamed(placement.strategy);
  const fresh = room < 1 ? [] : strategy(freshCandidates(view, keepers, options.widen), room).map((c) => c.candidate);
  const count = keepers.length + fresh.length;
  if (count === 0) return { shares: [], missing: 1 };
  const exact = partsOf(options.unit);
  const of = exact < count ? exact * count : exact;
  const places = placesOf(view, keepers, fresh);
  const parts = partsFor(view, places, of, options.peak);
  const taken = places.map((place, i) => ({ ...place, parts: parts[i]! })).filter((place) => place.parts > 0);
  const shares = sharesOf(
    taken.map((place) => place.parts),
    of,
  );
  const missing = 1 - taken.reduce((sum, place) => sum + place.parts, 0) / of;
  return { shares: taken.map(({ owner, candidate }, i) => ({ owner, candidate, share: shares[i]! })), missing };
}

/**
 * The owners that go on. Of more than there are whole hits a second (or users) the largest stay; all do when a share could
 * not be changed now, or when hits are limited, since a worker's hits cannot be given to another that has its share.
 */
function stayers({ run, owners }: RunView, most: number): Owner[] {
  const keepers = owners.filter(isKeeper);
  const isFixed = run.task.spec.load.hits !== null || keepers.some(({ standing }) => standing !== 'live');
  if (isFixed || keepers.length <= most) return keepers;
  const bySize = keepers.toSorted((a, b) => fractionOf(b.record.share) - fractionOf(a.record.share));
  const largest = new Set(bySize.slice(0, most));
  return keepers.filter((owner) => largest.has(owner));
}

function freshCandidates(view: RunView, keepers: readonly Owner[], widen: DealOptions['widen']): RunCandidate[] {
  if (widen === 'no') return [];
  const taken = new Set(keepers.map(({ record }) => record.nodeId));
  return view.candidates.filter(({ node, settled }) => !taken.has(node.nodeId) && (settled || widen === 'any'));
}

function placesOf(view: RunView, keepers: readonly Owner[], fresh: readonly Candidate[]): Place[] {
  const byNode = new Map(view.candidates.map((candidate) => [candidate.node.nodeId, candidate]));
  const kept = keepers.map((owner) => ({
    owner,
    candidate: byNode.get(owner.record.nodeId) ?? null,
    weight: fractionOf(owner.record.share),
  }));
  const added = fresh.map((candidate) => ({ owner: null, candidate, weight: 1 }));
  if (fresh.length === 0) return kept;
  const all = [...kept.flatMap(({ candidate }) => candidate ?? []), ...fresh];
  const choices = strategyNamed(view.run.placement.strategy)(all, all.length);
  const weights = new Map(choices.map(({ candidate, weight }) => [candidate.node.nodeId, weight]));
  const least = Math.min(...weights.values());
  return [...kept, ...added].map((place) => ({
    ...place,
    weight: (place.candidate === null ? null : weights.get(place.candidate.node.nodeId)) ?? least,
  }));
}

function partsFor({ run }: RunView, places: readonly Place[], of: number, peak: number): number[] {
  const held = places.map(({ owner }) => (owner !== null && owner.standing !== 'live' ? heldParts(owner, of) : null));
  const rest = Math.max(0, of - held.reduce<number>((sum, parts) => sum + (parts ?? 0), 0));
  const takers = places.map(({ weight, candidate }) => ({ weight, maxParts: maxParts(run, candidate, of, peak) }));
  const given = spread(
    rest,
    takers.filter((_, i) => held[i] === null),
  );
  return held.map((parts) => parts ?? given.shift()!);
}

function heldParts({ record }: Owner, of: number): number {
  return Math.max(1, Math.round(fractionOf(record.share) * of));
}

/** Capacity is in hits per second and says nothing on users. */
function maxParts(run: RunRecord, candidate: Candidate | null, of: number, peak: number): number {
  if (run.task.spec.load.model === 'closed' || candidate?.capacityLeft == null) return Infinity;
  return (candidate.capacityLeft / peak) * of + 1e-6;
}

/** A share's part of the run's limits. */
function limitsFor({ task: { spec } }: RunRecord, share: Share): { maxInFlight: number; maxQueue: number } {
  const maxInFlight = Math.min(spec.load.maxInFlight, spec.connections.max ?? Infinity);
  return { maxInFlight: partOf(maxInFlight, share), maxQueue: partOf(spec.load.maxQueue, share) };
}

/**
 * The records of a deal: those of owners whose share changes, those of leavers (share 0), and new ones.
 *
 * @param all also those whose share stays, since the plan changes
 * @param hits the hits that new ones get together; null: no limit
 */
export function recordsOf(view: RunView, { shares }: Deal, all: boolean, hits: number | null): AssignmentRecord[] {
  const epoch = nextEpoch(view);
  const kept = shares.flatMap(({ owner, share }) => {
    if (owner === null || (!all && sameShare(owner.record.share, share))) return [];
    return [{ ...owner.record, share, ...limitsFor(view.run, share), version: owner.record.version + 1, epoch }];
  });
  const dropped = view.owners
    .filter((owner) => isActive(owner) && owner.record.share.weight > 0 && !shares.some((s) => s.owner === owner))
    .map(({ record }) => ({ ...record, share: { ...record.share, weight: 0 }, version: record.version + 1, epoch }));
  return [...kept, ...dropped, ...newRecords(view, { shares }, hits)];
}

/** Of those in a deal that have no assignment yet. */
export function newRecords(view: RunView, { shares }: Pick<Deal, 'shares'>, hits: number | null): AssignmentRecord[] {
  const epoch = nextEpoch(view);
  const fresh = shares.flatMap(({ owner, candidate, share }) =>
    owner === null ? [{ node: candidate!.node, share }] : [],
  );
  const weights = fresh.map(({ share }) => share.weight);
  const hitsEach = hits === null ? null : split(hits, weights);
  const last = Math.max(0, ...view.owners.map(({ record }) => record.number));
  return fresh.map(({ node, share }, i) => ({
    runId: view.run.id,
    number: last + 1 + i,
    nodeId: node.nodeId,
    incarnation: node.incarnation,
    version: 1,
    epoch,
    share,
    hits: hitsEach === null ? null : hitsEach[i]!,
    ...limitsFor(view.run, share),
    state: 'ASSIGNED',
    finalSeq: null,
    lostByMs: null,
  }));
}

function nextEpoch({ owners }: RunView): number {
  return 1 + Math.max(0, ...owners.map(({ record }) => record.epoch));
}

/** This share's part of a limit, at least 1: shares that cover the whole together have the whole. */
function partOf(limit: number, { weight, of, phase }: Share): number {
  if (limit === Infinity) return Infinity;
  const upTo = (parts: number) => Math.floor((limit * parts) / of);
  return Math.max(1, upTo(phase + weight) - upTo(phase));
}

function sameShare(a: Share, b: Share): boolean {
  return a.weight === b.weight && a.of === b.of && a.phase === b.phase;
}

/** Of a run whose hits are limited: those that no assignment has, or has had and sent. */
export function unassignedHits({ run, owners }: RunView): number {
  const { hits } = run.task.spec.load;
  const held = owners.map((owner) => (isActive(owner) ? (owner.record.hits ?? 0) : owner.scheduled));
  return Math.max(0, (hits ?? 0) - held.reduce((a, b) => a + b, 0));
}

/**
 * Gives what is left of limited hits, and the part of the rate that has no owner, to nodes as new assignments: a worker's
 * hits cannot be raised.
 */
export function dealHits(view: RunView, { unit, peak }: Pick<DealOptions, 'unit' | 'peak'>): Deal {
  const active = view.owners.filter(isActive);
  const nodes = Math.min(view.run.placement.maxNodes ?? Infinity, mostNodes(unit), unassignedHits(view));
  const chosen = strategyNamed(view.run.placement.strategy)(view.candidates, nodes);
  const of = active[0]?.record.share.of ?? partsOf(unit);
  const free = of - active.reduce((sum, { record }) => sum + Math.round(fractionOf(record.share) * of), 0);
  if (chosen.length === 0 || free <= 0) return { shares: [], missing: Math.max(0, free / of) };
  const parts = spread(
    free,
    chosen.map(({ weight, candidate }) => ({ weight, maxParts: maxParts(view.run, candidate, of, peak) })),
  );
  const missing = (free - parts.reduce((a, b) => a + b, 0)) / of;
  const shares = sharesOf(parts, of).map((share) => ({ ...share, phase: (share.phase + freePhase(view, of)) % of }));
  const taken = chosen.map(({ candidate }, i) => ({ owner: null, candidate, share: shares[i]! }));
  return { shares: taken.filter(({ share }) => share.weight > 0), missing };
}

/** Where the first share began that has no owner any more. */
function freePhase({ owners }: RunView, of: number): number {
  const active = owners.filter(isActive).map(({ record }) => record.share.phase);
  const free = owners.find((o) => !isActive(o) && o.record.share.of === of && !active.includes(o.record.share.phase));
  return free?.record.share.phase ?? 0;
}
