import type { Doubt, NodeRef, Nomination, SentinelRecord } from './ports.ts';

/** What a sentinel has said, as long as its lease lasts. */
export interface HubSeat {
  readonly sentinel: NodeRef;
  vote: SentinelRecord['vote'];
  /** By node id. */
  doubts: Map<string, Doubt>;
}

/** The sentinels of a hub: who is there, what they say, and who leads the failover. */
export class HubSeats {
  /** By node id. */
  readonly #seats = new Map<string, HubSeat>();
  #claim: { term: number; nodeId: string } | null = null;

  /** In the place of an earlier process of the sentinel. */
  add(sentinel: NodeRef): HubSeat {
    const seat = { sentinel, vote: null, doubts: new Map<string, Doubt>() };
    this.#seats.set(sentinel.nodeId, seat);
    return seat;
  }

  remove(seat: HubSeat): void {
    if (!this.has(seat)) return;
    this.#seats.delete(seat.sentinel.nodeId);
    if (this.#claim?.nodeId === seat.sentinel.nodeId) this.#claim = null;
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

  vote(seat: HubSeat, vote: SentinelRecord['vote']): void {
    if (seat.vote?.term !== vote?.term && this.#claim?.nodeId === seat.sentinel.nodeId) this.#claim = null;
    seat.vote = vote;
  }

  claim({ sentinel: { nodeId } }: HubSeat, term: number, votes: readonly string[]): boolean {
    if (this.#claim?.term === term) return this.#claim.nodeId === nodeId;
    if (!this.#haveVoted(term, votes)) return false;
    this.#claim = { term, nodeId };
    return true;
  }

  mayNominate({ sentinel: { nodeId } }: HubSeat, { forTerm, votes }: Nomination): boolean {
    const leads = this.#claim?.term === forTerm && this.#claim.nodeId === nodeId;
    return leads && this.#haveVoted(forTerm, votes);
  }

  #haveVoted(term: number, votes: readonly string[]): boolean {
    return votes.every((nodeId) => this.#seats.get(nodeId)?.vote?.term === term);
  }
}
