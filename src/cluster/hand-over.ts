import { nowMs } from '../lib/clock.ts';
import { CodedError } from '../lib/errors.ts';
import { chooseMaster, type CandidateFacts } from './failover.ts';
import { factsOf, otherProcess, type Patrol } from './patrol.ts';
import type { CoordinatorView, NodeRecord, Nomination, Probe } from './ports.ts';
import type { Timings } from './timings.ts';

/** Candidates that are asked at once. */
const MAX_ASKED = 64;

export interface HandOverOptions {
  /** This master. */
  node: NodeRecord;
  term: number;
  view: CoordinatorView;
  /** Of the candidates. */
  patrol: Pick<Patrol, 'watched'>;
  probe: Probe;
  timings: Timings;
  /** The node that shall follow; null: the best one. */
  to: string | null;
  reason: string;
}

/**
 * Chooses who follows this master by an operator's wish: asks the candidates that have not answered it just now, then filter and score
 * as after a failure.
 *
 * @throws CodedError NOT_FOUND when there is no node `to`, FAILED_PRECONDITION when it, or nobody, is fit
 */
export async function nominateSuccessor(options: HandOverOptions): Promise<Nomination> {
  const { node, term, view, to, reason } = options;
  const others = otherCandidates(view, node);
  if (to !== null && !view.nodes.some(({ nodeId }) => nodeId === to)) {
    throw new CodedError('NOT_FOUND', `nodes/${to}: there is none`);
  }
  const asked = (to === null ? others : others.filter(({ nodeId }) => nodeId === to)).slice(0, MAX_ASKED);
  const facts = await Promise.all(asked.map((candidate) => ask(candidate, options)));
  const { nodeId, judged } = chooseMaster(facts, node.nodeId);
  if (nodeId === null) throw new CodedError('FAILED_PRECONDITION', whyNobody(judged, node, to));
  return { forTerm: term, nodeId, reason, by: 'operator', votes: [], candidates: judged };
}

/** Who may follow the node. */
export function otherCandidates({ nodes }: CoordinatorView, { nodeId: self }: NodeRecord): NodeRecord[] {
  return nodes.filter(({ nodeId, roles }) => nodeId !== self && roles.includes('candidate'));
}

function whyNobody(judged: Nomination['candidates'], node: NodeRecord, to: string | null): string {
  if (to === node.nodeId) return `nodes/${to}: it is the master already`;
  if (to !== null) return `nodes/${to} cannot become master: ${judged[0]?.refused ?? 'it is no candidate'}`;
  if (judged.length === 0) return 'expected another candidate, found none';
  return `no candidate is fit: ${judged.map(({ nodeId, refused }) => `nodes/${nodeId}: ${refused}`).join('; ')}`;
}

async function ask(candidate: NodeRecord, { patrol, probe, timings }: HandOverOptions): Promise<CandidateFacts> {
  const sentMs = nowMs();
  const known = patrol.watched.get(candidate.nodeId);
  if (known?.node.incarnation === candidate.incarnation) {
    const ageMs = sentMs - known.answeredAtMs;
    // Two probes: one more would tell no more.
    if (ageMs <= 2 * timings.sentinelProbeMs) return factsOf(candidate, known.info, ageMs);
  }
  try {
    const answer = await probe(candidate.address, timings.sentinelProbeDeadlineMs);
    const other = otherProcess(candidate, answer);
    if (other !== null) throw new Error(other);
    return factsOf(candidate, answer.info, nowMs() - sentMs);
  } catch {
    return factsOf(candidate, null, Infinity);
  }
}
