import { invalid } from '../lib/errors.ts';
import type { ClusterStatus, StressApi } from '../stress/ports.ts';
import type { MethodDefinition } from '@grpc/grpc-js';
import { publicService, type CallContext, type Service, type StreamCall } from './calls.ts';
import {
  clusterToMessage,
  eventToMessage,
  memberToMessage,
  nodesOf,
  nominationToMessage,
  reasonsToMessage,
} from './cluster-codec.ts';
import type { EventMessage, NodeMessage, NominationMessage, TermReasonsMessage } from './messages.ts';
import { pageToken, readCount, readId, readNodeName, readPageSize, readPageToken } from './names.ts';
import { readAll } from './read-all.ts';
import { unavailable } from './route.ts';

const MAX_REASON_LENGTH = 500;

/**
 * gostress.v1.ClusterService.
 *
 * @param known the cluster as this node knows it without a master; null: nothing
 */
export function clusterService(context: CallContext, known: () => ClusterStatus | null): Service {
  const knownCluster = (why: string): object | null => {
    const status = known();
    return status === null ? null : clusterToMessage(status, why);
  };
  return publicService(
    'gostress/v1/cluster.proto',
    'ClusterService',
    {
      unary: {
        GetCluster: async (_request: object, api) => clusterToMessage(await api.status(), ''),
        ListNodes: listNodes,
        DrainNode: drainNode,
        ExplainTerm: explainTerm,
        Failover: failover,
        PauseFailover: async ({ reason }: { reason: string }, api) => {
          await api.inhibitFailover(readReason(reason, 'by an operator'));
          return {};
        },
        ResumeFailover: async (_request: object, api) => {
          await api.inhibitFailover(null);
          return {};
        },
      },
      streaming: { WatchEvents: (request: WatchEventsRequest, call) => watchEvents(request, call, context) },
      noMaster: { GetCluster: knownCluster },
    },
    context,
  );
}

interface ListNodesRequest {
  pageSize: number;
  pageToken: string;
}

async function listNodes(request: ListNodesRequest, api: StressApi): Promise<object> {
  const [limit, after] = readAll(
    () => readPageSize(request.pageSize),
    () => readPageToken('nodes', request.pageToken),
  );
  const nodes = nodesOf(await api.status()).filter(({ name }) => after === null || name > after);
  const page = nodes.slice(0, limit);
  return { nodes: page, nextPageToken: nodes.length > limit ? pageToken('nodes', page.at(-1)!.name) : '' };
}

async function drainNode({ name }: { name: string }, api: StressApi): Promise<NodeMessage> {
  const member = await api.drainNode(readNodeName(name));
  return memberToMessage(member, await api.status());
}

async function explainTerm({ term }: { term: string }, api: StressApi): Promise<TermReasonsMessage> {
  const { reasons, wallMs } = await api.explainTerm(term === '0' ? null : readCount(term, 'term'));
  return reasonsToMessage(reasons, wallMs);
}

async function failover({ to, reason }: { to: string; reason: string }, api: StressApi): Promise<NominationMessage> {
  const [successor, why] = readAll(
    () => (to === '' ? null : readNodeName(to, 'to')),
    () => readReason(reason, 'a planned switchover'),
  );
  return nominationToMessage(await api.failover(successor, why));
}

/** It is kept in etcd and shown to all. @throws CodedError INVALID_INPUT */
function readReason(text: string, otherwise: string): string {
  if (text.length > MAX_REASON_LENGTH) {
    throw invalid(`reason: expected at most ${MAX_REASON_LENGTH} characters, found ${text.length}`);
  }
  return text === '' ? otherwise : text;
}

interface WatchEventsRequest {
  afterId?: string;
}

/** Ends with UNAVAILABLE when the master changes: the caller asks again with the last id that it saw. */
async function* watchEvents(
  { afterId }: WatchEventsRequest,
  { bytes, signal, cameBy, method }: StreamCall,
  { route, forwarder }: CallContext,
): AsyncGenerator<Buffer> {
  const after = afterId === undefined ? null : readId(afterId, 'after_id');
  const api = route.api();
  if (api === null) {
    yield* forwarder.stream(method.path, bytes, signal, cameBy);
    return;
  }
  const { responseSerialize } = method as MethodDefinition<object, EventMessage>;
  for await (const event of api.watchEvents(after, signal)) yield responseSerialize(eventToMessage(event));
  throw unavailable('this node is the master no longer: watch again, after the last id');
}
