import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Backoff, pause } from '../lib/wait.ts';
import {
  chooseMaster,
  decide,
  historyFrom,
  isDown,
  isTilted,
  probed,
  votesNeeded,
  type Decision,
  type History,
} from './failover.ts';
import { instant, type Instant } from './lease.ts';
import { Patrol } from './patrol.ts';
import type { Coordinator, CoordinatorView, Doubt, NodeRecord, Probe, ProbeAnswer, SentinelSeat } from './ports.ts';
import type { Timings } from './timings.ts';

/** Failovers that are kept in mind. */
const MAX_FAILOVERS = 16;
/** A vote against the master of a term that is over is taken back when the next one has led for this long. */
const VOTE_STAYS_MS = 1_000;
/** Of the reason for a vote or a doubt, as it is written down. */
const MAX_WHY = 200;

export interface SentinelOptions {
  coordinator: Coordinator;
  probe: Probe;
  node: () => NodeRecord;
  /** Sentinels that must agree at least; the majority of those that live must in any case. */
  quorum: number;
  timings: Timings;
  log: Log;
}

/** What stands in the coordinator of what this sentinel wants to have said. */
interface Said {
  /** undefined: what was asked of the coordinator may be done or not. */
  vote: number | null | undefined;
  /** By node; `isSure`: it is said, and not perhaps. */
  doubts: Map<string, Doubt & { isSure: boolean }>;
}

/** The master of a term as this sentinel sees it. */
interface SeenTerm {
  number: number;
  sinceMs: number;
  master: NodeRecord;
  history: History;
  /** Enough sentinels held it for down at one time. */
  wasDown: boolean;
  /** This sentinel has ended it. */
  isEnded: boolean;
  /** Said once that nobody could follow. */
  nobodyFit: boolean;
}

/**
 * A node as a sentinel: probes the master and everybody else, says in the coordinator whom it holds for down, and ends a
 * term when enough sentinels say so. It decides by `failover.ts`; safety does not depend on it.
 */
export class Sentinel {
  readonly #options: SentinelOptions;
  readonly #patrol: Patrol;
  #view: CoordinatorView | null = null;
  #term: SeenTerm | null = null;
  #failoversMs: number[] = [];
  #tickedAt: Instant = instant();
  #tiltUntilMs = -Infinity;
  #sentence = '';
  #isBusy = false;
  /** Something came while it was busy. */
  #mustLookAgain = false;

  constructor(options: SentinelOptions) {
    this.#options = options;
    const { probe, timings } = options;
    this.#patrol = new Patrol({ probe, timings, onProbed: (...what) => this.#probed(...what) });
  }

  /** Resolves when the signal has aborted and what was said is taken back. */
  async run(signal: AbortSignal): Promise<void> {
    const { timings } = this.#options;
    const backoff = new Backoff(timings.retryMinMs, timings.retryMaxMs);
    while (!signal.aborted) {
      const seat = await this.#sit();
      if (seat === null) await pause(backoff.takeMs(), signal);
      else {
        backoff.reset();
        await this.#keepWatch(seat, signal);
      }
    }
  }

  async #sit(): Promise<SentinelSeat | null> {
    const { coordinator, node, timings, log } = this.#options;
    try {
      return await coordinator.sit(node(), timings.sentinelTtlMs);
    } catch (error) {
      log.warn({ why: errorMessage(error) }, 'cannot be a sentinel now');
      return null;
    }
  }

  async #keepWatch(seat: SentinelSeat, signal: AbortSignal): Promise<void> {
    const { coordinator, log } = this.#options;
    const said: Said = { vote: null, doubts: new Map() };
    const over = AbortSignal.any([signal, seat.signal]);
    const watch = coordinator.watch((view) => {
      if (view === null || over.aborted) return;
      this.#follow(view);
      void this.#pass(seat, said);
    });
    this.#tickedAt = instant();
    while (!over.aborted) {
      await pause(this.#untilLookMs(), over);
      this.#tick();
      this.#patrol.tick(nowMs());
      await this.#pass(seat, said);
    }
    watch.close();
    if (!signal.aborted) log.warn({ why: errorMessage(seat.signal.reason) }, 'no longer a sentinel, trying again');
    await seat.release();
  }

  // --- What it sees ----------------------------------------------------------------------------------------------

  /** Sooner than usual when the master is down by then, if no answer comes. */
  #untilLookMs(): number {
    const { sentinelProbeMs, downAfterMs } = this.#options.timings;
    const downInMs = (this.#term?.history.validAtMs ?? Infinity) + downAfterMs - nowMs();
    return downInMs > 0 ? Math.min(downInMs, sentinelProbeMs / 2) : sentinelProbeMs / 2;
  }

  #follow(view: CoordinatorView): void {
    this.#view = view;
    const atMs = nowMs();
    this.#patrol.follow(view, atMs);
    const { master } = view;
    if (master === null || master.term === this.#term?.number) return;
    if (this.#term?.wasDown === true) this.#failoversMs = [...this.#failoversMs, atMs].slice(-MAX_FAILOVERS);
    this.#term = {
      number: master.term,
      sinceMs: atMs,
      master: master.node,
      history: historyFrom(atMs),
      wasDown: false,
      isEnded: false,
      nobodyFit: false,
    };
  }

  #probed(node: NodeRecord, answer: ProbeAnswer | null, miss: string | null, atMs: number): void {
    const term = this.#term;
    if (term?.master.nodeId !== node.nodeId) return;
    const why = miss ?? (leads(answer!, term) ? null : `it is alive, but not master of term ${term.number}`);
    term.history = probed(term.history, why, atMs);
  }

  /** Notices that it was this process, or its clock, that stood still. */
  #tick(): void {
    const { timings, log } = this.#options;
    const [before, now] = [this.#tickedAt, instant()];
    this.#tickedAt = now;
    const monotonicMs = now.monotonicMs - before.monotonicMs;
    const wallMs = now.wallMs - before.wallMs;
    if (!isTilted({ monotonicMs, wallMs, everyMs: timings.sentinelProbeMs / 2 })) return;
    log.warn({ monotonicMs: Math.round(monotonicMs), wallMs }, 'stood still, or the clock was set: only observing');
    this.#tiltUntilMs = now.monotonicMs + timings.tiltMs;
    this.#patrol.restart(now.monotonicMs);
    if (this.#term !== null) this.#term.history = historyFrom(now.monotonicMs);
  }

  // --- What it says and does ---------------------------------------------------------------------------------------

  /** One at a time, and again at once when something came meanwhile. */
  async #pass(seat: SentinelSeat, said: Said): Promise<void> {
    this.#mustLookAgain = true;
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#mustLookAgain && this.#view !== null) {
        this.#mustLookAgain = false;
        await this.#act(seat, said, this.#view);
      }
    } catch (error) {
      this.#options.log.debug({ why: errorMessage(error) }, 'a sentinel could not say or do something');
    } finally {
      this.#isBusy = false;
    }
  }

  async #act(seat: SentinelSeat, said: Said, view: CoordinatorView): Promise<void> {
    // Of the view that is decided on: until it acts another term may have begun, against whose master nobody has voted.
    const term = this.#term;
    const decision = this.#decide(view);
    this.#tell(decision);
    await this.#vote(seat, said, decision);
    await this.#doubt(seat, said);
    if (decision.act) await this.#lead(seat, term!, view);
  }

  #decide({ master, sentinels, inhibit }: CoordinatorView): Decision {
    const { quorum, timings } = this.#options;
    const term = this.#term;
    const atMs = nowMs();
    const stands = term !== null && master?.term === term.number && !term.isEnded;
    const [votes, live] = [votersOf(sentinels, term).length, sentinels.length];
    if (stands && votes >= votesNeeded(live, quorum)) term.wasDown = true;
    return decide({
      atMs,
      term: stands ? term : null,
      isDown: stands && isDown(term.history, atMs, timings),
      votes,
      live,
      quorum,
      tiltUntilMs: this.#tiltUntilMs,
      failoversMs: this.#failoversMs,
      isInhibited: inhibit !== null,
      timings,
    });
  }

  #tell({ why, vote }: Decision): void {
    if (why === this.#sentence) return;
    this.#sentence = why;
    const { log } = this.#options;
    if (vote) log.warn({ miss: this.#term?.history.why }, why);
    else log.info({}, why);
  }

  async #vote(seat: SentinelSeat, said: Said, { vote }: Decision): Promise<void> {
    const wanted = vote ? this.#term!.number : null;
    if (said.vote === wanted) return;
    // What was said of a term that is over harms nobody: taken back now, it would stand in the way of the next master.
    if (wanted === null && this.#isJustOver(said.vote)) return;
    said.vote = undefined;
    await seat.vote(wanted === null ? null : { term: wanted, why: cut(this.#term!.history.why) });
    said.vote = wanted;
  }

  /** Whether the master of the term is gone, and who follows it has not led for long. */
  #isJustOver(term: number | null | undefined): boolean {
    if (term == null || this.#term === null) return false;
    const { number, sinceMs, isEnded } = this.#term;
    return number === term ? isEnded || this.#view?.master == null : nowMs() - sinceMs < VOTE_STAYS_MS;
  }

  async #doubt(seat: SentinelSeat, { doubts }: Said): Promise<void> {
    const { timings, log } = this.#options;
    const { watched } = this.#patrol;
    for (const [nodeId, doubt] of doubts) {
      const node = watched.get(nodeId)?.node;
      const stays = node?.incarnation === doubt.incarnation && isDown(watched.get(nodeId)!.history, nowMs(), timings);
      if (stays) continue;
      await seat.doubt(doubt, null);
      doubts.delete(nodeId);
      log.info({ of: nodeId }, node === undefined ? 'a node that did not answer is gone' : 'a node answers again');
    }
    for (const { node, history } of watched.values()) {
      if (doubts.get(node.nodeId)?.isSure === true || !isDown(history, nowMs(), timings)) continue;
      const doubt = { nodeId: node.nodeId, incarnation: node.incarnation, why: cut(history.why) };
      doubts.set(node.nodeId, { ...doubt, isSure: false });
      await seat.doubt(doubt, doubt.why);
      doubts.set(node.nodeId, { ...doubt, isSure: true });
      log.warn({ of: node.nodeId, why: doubt.why }, 'a node does not answer');
    }
  }

  /** Of the failover of the term; that no other sentinel has been faster, the transaction sees. */
  async #lead(seat: SentinelSeat, term: SeenTerm, { sentinels }: CoordinatorView): Promise<void> {
    const { node, log } = this.#options;
    const votes = votersOf(sentinels, term);
    const { nodeId, relaxed, judged: candidates } = chooseMaster(this.#patrol.facts(nowMs()), term.master.nodeId);
    if (nodeId === null) {
      if (!term.nobodyFit) log.error({ candidates }, 'no candidate is fit to be the next master');
      term.nobodyFit = true;
      return;
    }
    const reason = `the master of term ${term.number}, node ${term.master.nodeId}, is down: ${cut(term.history.why)}`;
    const by = node().nodeId;
    if (!(await seat.nominate({ forTerm: term.number, nodeId, reason, by, votes, candidates }))) return;
    term.isEnded = true;
    log.warn({ term: term.number, next: nodeId, votes: votes.join(','), relaxed }, `ended the term: ${reason}`);
  }
}

function leads({ isMaster, term }: ProbeAnswer, seen: SeenTerm): boolean {
  return isMaster && term === seen.number;
}

function votersOf(sentinels: CoordinatorView['sentinels'], term: SeenTerm | null): string[] {
  return sentinels.filter(({ vote }) => vote !== null && vote.term === term?.number).map(({ nodeId }) => nodeId);
}

function cut(text: string): string {
  return text.length <= MAX_WHY ? text : `${text.slice(0, MAX_WHY - 1)}…`;
}
