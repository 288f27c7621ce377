import type { Doubt, NodeRef, Nomination, SentinelRecord } from './ports.ts';

/** What a sentinel has said, as long as its lease lasts. */
export interface HubSeat {
  readonly sentinel: NodeRef;
  vote: SentinelRecord['vote'];
  /** By node id. */
  doubts: Map<string, Doubt>;
}

/** The sentinels of a hub: who is there, and what they say. */
export class HubSeats {
  /** By node id. */
  readonly #seats = new Map<string, HubSeat>();

  /** In the place of an earlier process of the sentinel. */
  add(sentinel: NodeRef): HubSeat {
    const seat = { sentinel, vote: null, doubts: new Map<string, Doubt>() };
    this.#seats.set(sentinel.nodeId, seat);
    return seat;
  }

  remove(seat: HubSeat): void {
    if (this.has(seat)) this.#seats.delete(seat.sentinel.nodeId);
  }

  has(seat: HubSeat): boolean {
    return this.#seats.get(seat.sentinel.nodeId) === seat;
  }

  /** By node id. */
  list(): SentinelRecord[] {
    return [...this.#seats.values()]
      .map(({ sentinel, vote, doubts }) => ({ ...sentinel, vote, doubts: [...doubts.values()] }))
      .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  haveVoted({ forTerm, votes }: Nomination): boolean {
    return votes.every((nodeId) => this.#seats.get(nodeId)?.vote?.term === forTerm);
  }
}
