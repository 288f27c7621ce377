import { peakTarget, targetAt, usersOf, type Plan, type Segment, type Share } from '../task/plan.ts';

/**
 * The open model's schedule, pure: says when each hit of a share is due and holds no clock.
 *
 * The plan's rate r(t) is integrated to H(t), the number of hits of the whole plan that are due before t. Hit `index`
 * of a share stands at position g = (index · of + phase) / weight of the whole, and is due at H⁻¹(g). Within a segment
 * whose rate goes from r0 with slope a, h hits after its start are due after t = 2h / (r0 + √(r0² + 2ah)): the root of
 * r0·t + a·t²/2 = h in the form that loses no digits when a is small. Each instant is computed from its index, so
 * no error adds up, and equal shares together have exactly the instants of the whole.
 */
export class OpenPacer {
  readonly #segments: { start: number; end: number; hitsBefore: number; hits: number; r0: number; slope: number }[];
  readonly #share: Share;
  #cursor = 0;

  constructor(plan: Plan, share: Share) {
    this.#share = share;
    this.#segments = [];
    let hitsBefore = 0;
    for (const segment of plan.segments) {
      const { hits, slope, r0 } = integrate(segment);
      this.#segments.push({ start: segment.startMs, end: segment.endMs, hitsBefore, hits, r0, slope });
      hitsBefore += hits;
    }
  }

  /** The instant (ms since the start of the plan) at which a hit of this share is due; Infinity: not in this plan. */
  dueMs(index: number): number {
    const position = (index * this.#share.of + this.#share.phase) / this.#share.weight;
    let segment = this.#segments[this.#cursor];
    if (segment !== undefined && position < segment.hitsBefore) {
      this.#cursor = 0;
      segment = this.#segments[0];
    }
    while (segment !== undefined && position >= segment.hitsBefore + segment.hits) {
      segment = this.#segments[++this.#cursor];
    }
    if (segment === undefined) return Infinity;
    const h = position - segment.hitsBefore;
    if (h <= 0) return segment.start;
    const { r0, slope } = segment;
    const after = slope === 0 ? h / r0 : (2 * h) / (r0 + Math.sqrt(Math.max(0, r0 * r0 + 2 * slope * h)));
    return Math.min(segment.start + after, segment.end);
  }

  /** The index of the first hit of this share that is due at an instant or after it. */
  firstIndex(fromMs: number): number {
    const { weight, of, phase } = this.#share;
    let index = Math.max(0, Math.ceil((this.#hitsUntil(fromMs) * weight - phase) / of));
    // The schedule itself has the last word on what is due when: the estimate is rounded.
    while (index > 0 && this.dueMs(index - 1) >= fromMs) index--;
    while (this.dueMs(index) < fromMs) index++;
    return index;
  }

  /** Hits of the whole plan that are due before an instant. */
  #hitsUntil(atMs: number): number {
    const segment = this.#segments.findLast(({ start }) => start < atMs);
    if (segment === undefined) return 0;
    const { start, end, hitsBefore, r0, slope } = segment;
    const t = Math.min(atMs, end) - start;
    return hitsBefore + r0 * t + (slope * t * t) / 2;
  }
}

/** Rates in hits per millisecond. */
function integrate(segment: Segment): { hits: number; r0: number; slope: number } {
  const duration = segment.endMs - segment.startMs;
  const r0 = segment.from / 1000;
  if (segment.from === segment.to) {
    // Rate times seconds, in this order: 1000/s over 10 000 ms is exactly 10 000 hits.
    return { hits: segment.from === 0 ? 0 : (segment.from * duration) / 1000, r0, slope: 0 };
  }
  return {
    hits: ((segment.from + segment.to) * duration) / 2000,
    r0,
    slope: (segment.to - segment.from) / 1000 / duration,
  };
}

/**
 * The closed model, pure: how many of a share's users load at an instant.
 */
export function usersAt(plan: Plan, share: Share, atMs: number): number {
  return usersOf(targetAt(plan, atMs), share);
}

/** The most users a share has at any time. */
export function mostUsers(plan: Plan, share: Share): number {
  return usersOf(peakTarget(plan, Infinity), share);
}
