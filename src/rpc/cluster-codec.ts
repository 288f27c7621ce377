import type { Member, MemberEvent, NodeInfo, NodeRecord } from '../cluster/ports.ts';
import { maskText } from '../lib/mask.ts';
import type { ClusterStatus, EventRecord } from '../stress/ports.ts';
import type { ClusterMessage, EventMessage, NodeInfoMessage, NodeMessage } from './messages.ts';
import { nodeName } from './names.ts';
import { runToMessage, sharesToMessages } from './run-codec.ts';
import { timestampToMessage } from './well-known.ts';

/** The cluster's nodes and events as the API tells of them. */

export function clusterToMessage(status: ClusterStatus): ClusterMessage {
  const { master, term, members, runs } = status;
  const own = members.find(({ node }) => isSame(node, master));
  return {
    master: master === null ? null : own === undefined ? recordToMessage(master) : memberToMessage(own, master),
    term: String(term),
    nodes: nodesOf(status),
    runs: runs.map(({ run, shares }) => ({ run: runToMessage(run, false), shares: sharesToMessages(run, shares) })),
  };
}

/** By name. */
export function nodesOf({ master, members }: ClusterStatus): NodeMessage[] {
  return members
    .toSorted((a, b) => (a.node.nodeId < b.node.nodeId ? -1 : 1))
    .map((member) => memberToMessage(member, master));
}

export function memberToMessage(member: Member, master: NodeRecord | null): NodeMessage {
  const { node, registered, connected, leaving, draining, standing, info } = member;
  return {
    ...recordToMessage(node),
    master: isSame(node, master),
    registered,
    connected,
    leaving,
    draining,
    standing: ({ live: 'LIVE', suspect: 'SUSPECT', gone: 'GONE' } as const)[standing],
    info: info === null ? null : infoToMessage(info),
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
    const subjectNode = { ...memberToMessage(member, null) };
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
