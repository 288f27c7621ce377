import { nowMs } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import { historyFrom, probed, type CandidateFacts, NO_FAILOVER_LABEL, type History } from './failover.ts';
import type { CoordinatorView, NodeInfo, NodeRecord, Probe, ProbeAnswer } from './ports.ts';
import type { Timings } from './timings.ts';

/** Candidates that are probed as often as the master: the first by rank. */
const MAX_URGENT = 32;
/** Of all others together, per second, and at once. */
const MAX_PER_SECOND = 200;
const MAX_IN_FLIGHT = 64;

/** A node that is probed. */
export interface Watched {
  node: NodeRecord;
  history: History;
  /** Of its last valid answer; null: there was none. */
  info: NodeInfo | null;
  answeredAtMs: number;
  nextAtMs: number;
  isUrgent: boolean;
  isAsked: boolean;
}

export interface PatrolOptions {
  probe: Probe;
  timings: Timings;
  /** What came of a probe. @param miss null: the process answered; else why there is no answer of it */
  onProbed: (node: NodeRecord, answer: ProbeAnswer | null, miss: string | null, atMs: number) => void;
}

/** Probes every node that it is told of, each again and again, and keeps what came of it. */
export class Patrol {
  readonly #options: PatrolOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: PatrolOptions) {
    this.#options = options;
  }

  /** By node id. */
  get watched(): ReadonlyMap<string, Watched> {
    return this.#watched;
  }

  /** Whom to probe from now on. A new process of a node begins anew. */
  follow({ nodes, master }: Pick<CoordinatorView, 'nodes' | 'master'>, atMs: number): void {
    const all = new Map(nodes.map((node) => [node.nodeId, node]));
    if (master !== null && !all.has(master.node.nodeId)) all.set(master.node.nodeId, master.node);
    for (const nodeId of this.#watched.keys()) if (!all.has(nodeId)) this.#watched.delete(nodeId);
    const candidates = [...all.values()].filter(isCandidate).sort((a, b) => b.priority - a.priority || a.seq - b.seq);
    const urgent = new Set(candidates.slice(0, MAX_URGENT).map(({ nodeId }) => nodeId));
    if (master !== null) urgent.add(master.node.nodeId);
    for (const [nodeId, node] of all) {
      const isUrgent = urgent.has(nodeId);
      const known = this.#watched.get(nodeId);
      if (known?.node.incarnation === node.incarnation) Object.assign(known, { node, isUrgent });
      else this.#watched.set(nodeId, watchedFrom(node, isUrgent, atMs));
    }
  }

  /** Starts the probes that are due. */
  tick(atMs: number): void {
    const { sentinelProbeMs } = this.#options.timings;
    const all = [...this.#watched.values()];
    const others = all.filter(({ isUrgent }) => !isUrgent);
    const otherMs = Math.max(sentinelProbeMs, (others.length * 1000) / MAX_PER_SECOND);
    let inFlight = others.filter(({ isAsked }) => isAsked).length;
    for (const watched of all.sort((a, b) => Number(b.isUrgent) - Number(a.isUrgent) || a.nextAtMs - b.nextAtMs)) {
      if (watched.isAsked || watched.nextAtMs > atMs) continue;
      if (!watched.isUrgent && ++inFlight > MAX_IN_FLIGHT) break;
      watched.nextAtMs = atMs + (watched.isUrgent ? sentinelProbeMs : otherMs);
      void this.#ask(watched);
    }
  }

  /** What was seen so far says nothing: it was this process that stood still. */
  restart(atMs: number): void {
    for (const watched of this.#watched.values()) watched.history = historyFrom(atMs);
  }

  /** Everybody as one that may become master. */
  facts(atMs: number): CandidateFacts[] {
    return [...this.#watched.values()].map(({ node, info, answeredAtMs }) => factsOf(node, info, atMs - answeredAtMs));
  }

  async #ask(watched: Watched): Promise<void> {
    const { probe, timings, onProbed } = this.#options;
    const { node } = watched;
    watched.isAsked = true;
    const [answer, failure] = await probe(node.address, timings.sentinelProbeDeadlineMs).then(
      (found) => [found, null] as const,
      (error: unknown) => [null, errorMessage(error)] as const,
    );
    watched.isAsked = false;
    // Meanwhile it may have been started anew, or be gone.
    if (this.#watched.get(node.nodeId) !== watched) return;
    const atMs = nowMs();
    const miss = answer === null ? failure : otherProcess(node, answer);
    watched.history = probed(watched.history, miss, atMs);
    if (miss === null) Object.assign(watched, { info: answer!.info, answeredAtMs: atMs });
    onProbed(watched.node, answer, miss, atMs);
  }
}

/** @param ageMs since its last answer, which told the info */
export function factsOf(node: NodeRecord, info: NodeInfo | null, ageMs: number): CandidateFacts {
  const { nodeId, priority, seq, labels } = node;
  const noFailover = labels[NO_FAILOVER_LABEL] === 'true';
  const isCandidate = node.roles.includes('candidate');
  return { nodeId, isCandidate, noFailover, priority, seq, info, infoAgeMs: ageMs, answerAgeMs: ageMs };
}

/** Why the answer is not this process's; null: it is. */
export function otherProcess({ nodeId, incarnation }: NodeRecord, answer: ProbeAnswer): string | null {
  if (answer.nodeId !== nodeId) return `node ${answer.nodeId} answers at its address`;
  return answer.incarnation === incarnation ? null : 'another process of the node answers';
}

function isCandidate({ roles, priority }: NodeRecord): boolean {
  return roles.includes('candidate') && priority > 0;
}

function watchedFrom(node: NodeRecord, isUrgent: boolean, atMs: number): Watched {
  const never = { info: null, answeredAtMs: -Infinity };
  return { node, history: historyFrom(atMs), ...never, nextAtMs: atMs, isUrgent, isAsked: false };
}
