import { split } from '../lib/split.ts';
import type { Share } from '../task/plan.ts';

/** Decimals of a target that shares are exact to. */
const DECIMALS = 6;

/** So few workers are no burden for a master that hears of all of them at once. */
const FEW = 20;
/** Otherwise each has so long to send a sample before the next one does, and all of them at most this. */
const EACH_MS = 0.5;
const ALL_MS = 500;

/**
 * How many equal parts a target is divided into: as many as it has hits per second (or users), so that each share is a
 * whole number of them; of a fraction, as many as its decimals need (10.5 → 105).
 *
 * @param target above 0
 */
export function partsOf(target: number): number {
  for (let digits = 0; digits < DECIMALS; digits++) {
    const parts = Number((target * 10 ** digits).toPrecision(15));
    if (Number.isSafeInteger(parts) && parts >= 1) return parts;
  }
  return Math.max(1, Math.round(target * 10 ** DECIMALS));
}

/** The most nodes among which a target is divided: each has at least one hit per second or user. */
export function mostNodes(target: number): number {
  return Math.max(1, Math.floor(target));
}

export interface Taker {
  /** Above 0. */
  weight: number;
  /** The most parts that it may take, Infinity: no limit. */
  maxParts: number;
}

/**
 * Divides `parts` in proportion to the weights, within the limits: what one cannot take goes to the others. Each gets
 * at least one part if there are enough.
 *
 * @returns whole parts, which sum to `parts` less what nobody can take
 */
export function spread(parts: number, takers: readonly Taker[]): number[] {
  const limits = takers.map(({ maxParts }) => Math.max(0, Math.floor(maxParts)));
  const given = takers.map(() => 0);
  const open = new Set(takers.keys());
  let rest = parts;
  while (rest > 0 && open.size > 0) {
    const members = [...open];
    const shares = split(
      rest,
      members.map((member) => takers[member]!.weight),
    );
    const full = members.filter((member, i) => shares[i]! >= limits[member]!);
    if (full.length === 0) {
      members.forEach((member, i) => (given[member] = shares[i]!));
      break;
    }
    for (const member of full) {
      given[member] = Math.min(limits[member]!, rest);
      rest -= given[member];
      open.delete(member);
    }
  }
  return atLeastOne(given, limits);
}

/** Who has none gets one of the largest. */
function atLeastOne(given: number[], limits: readonly number[]): number[] {
  for (const member of given.keys()) {
    if (given[member]! > 0 || limits[member] === 0) continue;
    const largest = given.indexOf(Math.max(...given));
    if (given[largest]! <= 1) break;
    given[largest]! -= 1;
    given[member] = 1;
  }
  return given;
}

/** The shares of members that have so many parts each, one after another. */
export function sharesOf(parts: readonly number[], of: number): Share[] {
  let phase = 0;
  return parts.map((weight) => {
    const share = { weight, of, phase };
    phase += weight;
    return share;
  });
}

/** The part of the whole, 0 to 1. */
export function fractionOf({ weight, of }: Pick<Share, 'weight' | 'of'>): number {
  return weight / of;
}

/** How long a worker with this share keeps a sample, ms: all have one at the same instant, and none shall wait for a thousand others. */
export function sendAfterMs({ weight, of, phase }: Share): number {
  const workers = of / weight;
  return workers < FEW ? 0 : (phase / of) * Math.min(ALL_MS, workers * EACH_MS);
}
