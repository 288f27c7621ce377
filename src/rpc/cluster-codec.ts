import { opinionOf } from '../cluster/opinions.ts';
import type { Member, MemberEvent, NodeInfo, NodeRecord, Nomination, TermReasons } from '../cluster/ports.ts';
import { maskText } from '../lib/mask.ts';
import type { ClusterStatus, EventRecord } from '../stress/ports.ts';
import type {
  ClusterMessage,
  EventMessage,
  NodeInfoMessage,
  NodeMessage,
  NominationMessage,
  TermReasonsMessage,
} from './messages.ts';
import { nodeName } from './names.ts';
import { runToMessage, sharesToMessages } from './run-codec.ts';
import { timestampToMessage } from './well-known.ts';

/** The cluster's nodes and events as the API tells of them. */

const STANDINGS = { live: 'LIVE', suspect: 'SUSPECT', gone: 'GONE' } as const;

/** @param runsUnknownWhy empty: the runs are known */
export function clusterToMessage(status: ClusterStatus, runsUnknownWhy: string): ClusterMessage {
  const { master, term, members, runs, sentinels, inhibit } = status;
  const own = members.find(({ node }) => isSame(node, master));
  return {
    master: master === null ? null : own === undefined ? recordToMessage(master) : memberToMessage(own, status),
    term: String(term),
    nodes: nodesOf(status),
    runs: runs.map((now) => ({ run: runToMessage(now.run, false), shares: sharesToMessages(now) })),
    sentinels: sentinels.map(({ nodeId, vote }) => ({
      node: nodeName(nodeId),
      voteTerm: String(vote?.term ?? 0),
      voteWhy: vote?.why ?? '',
    })),
    failoverPause: inhibit === null ? null : { reason: inhibit.reason, since: timestampToMessage(inhibit.sinceWallMs) },
    runsUnknownWhy,
  };
}

/** By name. */
export function nodesOf(status: ClusterStatus): NodeMessage[] {
  return status.members
    .toSorted((a, b) => (a.node.nodeId < b.node.nodeId ? -1 : 1))
    .map((member) => memberToMessage(member, status));
}

export function nominationToMessage(nomination: Nomination): NominationMessage {
  const { forTerm, nodeId, reason, by, votes, candidates } = nomination;
  return {
    forTerm: String(forTerm),
    node: nodeName(nodeId),
    reason,
    by: by === 'operator' ? by : nodeName(by),
    votes: votes.map(nodeName),
    candidates: candidates.map(({ nodeId: id, refused, score }) => ({ node: nodeName(id), refused, score })),
  };
}

export function reasonsToMessage(reasons: TermReasons, wallMs: number): TermReasonsMessage {
  const { term, nodeId, how, nomination, ranked } = reasons;
  return {
    term: String(term),
    node: nodeName(nodeId),
    time: timestampToMessage(wallMs),
    how: how === 'nominated' ? 'NOMINATED' : 'BY_RANK',
    nomination: nomination === null ? null : nominationToMessage(nomination),
    ranked: ranked.map(nodeName),
  };
}

/** The opinions of the sentinels come with it. */
export function memberToMessage(
  member: Member,
  { master, sentinels, quorum }: Pick<ClusterStatus, 'master' | 'sentinels' | 'quorum'>,
): NodeMessage {
  const { node, registered, connected, leaving, draining, standing, info } = member;
  const { doubts, isDown, remark } = opinionOf(member, sentinels, quorum);
  return {
    ...recordToMessage(node),
    master: isSame(node, master),
    registered,
    connected,
    leaving,
    draining,
    standing: node.roles.includes('worker') ? STANDINGS[standing] : 'STANDING_UNSPECIFIED',
    info: info === null ? null : infoToMessage(info),
    doubts: doubts.map(({ sentinel, why }) => ({ sentinel: nodeName(sentinel), why })),
    down: isDown,
    remark,
  };
}

function isSame(node: NodeRecord, other: NodeRecord | null): boolean {
  return node.nodeId === other?.nodeId && node.incarnation === other.incarnation;
}

/** Of a master that is not among its own workers. */
function recordToMessage(node: NodeRecord): NodeMessage {
  return {
    name: nodeName(node.nodeId),
    incarnation: String(node.incarnation),
    address: node.address,
    roles: node.roles.map(
      (role) => (({ worker: 'WORKER', candidate: 'CANDIDATE', sentinel: 'SENTINEL' }) as const)[role],
    ),
    priority: node.priority,
    labels: node.labels,
    seq: String(node.seq),
    version: node.version,
    master: true,
    registered: true,
    connected: false,
    leaving: false,
    draining: false,
    standing: 'STANDING_UNSPECIFIED',
    info: null,
    doubts: [],
    down: false,
    remark: '',
  };
}

function infoToMessage(info: NodeInfo): NodeInfoMessage {
  const { cpu, cores, memory, memoryTotalBytes, memoryFreeBytes, loopLagP99Ms, capacity, running } = info;
  return {
    cpu,
    cores,
    memory,
    memoryTotalBytes: String(Math.round(memoryTotalBytes)),
    memoryFreeBytes: String(Math.round(memoryFreeBytes)),
    loopLagP99Us: String(Math.round(loopLagP99Ms * 1000)),
    ...(capacity === null ? {} : { capacityPerSecond: capacity }),
    running,
  };
}

export function eventToMessage(event: EventRecord | MemberEvent): EventMessage {
  if ('member' in event) {
    const { kind, member } = event;
    const name = nodeName(member.node.nodeId);
    const subjectNode = memberToMessage(member, { master: null, sentinels: [], quorum: 1 });
    return {
      id: '0',
      time: timestampToMessage(Date.now()),
      term: '0',
      node: '',
      kind: `node.${kind}`,
      subject: name,
      text: `${name} at ${member.node.address} ${kind}: ${member.standing}`,
      subjectNode,
    };
  }
  return {
    id: String(event.id),
    time: timestampToMessage(event.wallMs),
    term: String(event.term),
    node: event.nodeId === '' ? '' : nodeName(event.nodeId),
    kind: event.kind,
    subject: event.subject,
    text: maskText(event.text, []),
    subjectNode: null,
  };
}
