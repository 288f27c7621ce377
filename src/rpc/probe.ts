import { status, type handleUnaryCall, type MethodDefinition, type ServiceDefinition } from '@grpc/grpc-js';
import type { Probe, ProbeAnswer } from '../cluster/ports.ts';
import { CodedError, errorMessage } from '../lib/errors.ts';
import { Channel } from './channel.ts';
import { isServiceError, toStatus } from './errors.ts';
import { loadProto } from './loader.ts';
import { unavailable } from './route.ts';

/** gostress.v1.internal.ProbeService: both ends. */

interface AnswerMessage {
  nodeId: string;
  incarnation: string;
  term: string;
  role: 'ROLE_UNSPECIFIED' | 'FOLLOWER' | 'MASTER';
  cpu: number;
  cores: number;
  memory: number;
  memoryTotalBytes: string;
  memoryFreeBytes: string;
  loopLagP99Us: string;
  running: number;
}

const definition = loadProto('gostress/v1/probe.proto')['gostress.v1.internal.ProbeService'] as ServiceDefinition;
const method = definition.Probe as MethodDefinition<object, AnswerMessage>;

/** Connections that are kept; of more, the ones that were not used for the longest time are closed. */
const MAX_CHANNELS = 2_000;

export interface ProbeService {
  definition: ServiceDefinition;
  implementation: { Probe: handleUnaryCall<object, AnswerMessage> };
}

/** @param answer null: the node is still starting */
export function probeService(answer: () => ProbeAnswer | null): ProbeService {
  return {
    definition,
    implementation: {
      Probe: (_call, callback) => {
        const found = answer();
        if (found === null) callback(toStatus(unavailable('this node is still starting')));
        else callback(null, toMessage(found));
      },
    },
  };
}

/** Asks nodes how they are; keeps a connection to each. */
export class Prober implements Disposable {
  /** By address, the one that was used last at the end. */
  readonly #channels = new Map<string, Channel>();

  readonly probe: Probe = async (address, deadlineMs) => {
    const channel = this.#channelTo(address);
    try {
      const bytes = await channel.unary(method.path, method.requestSerialize({}), deadlineMs, null);
      return fromMessage(method.responseDeserialize(bytes));
    } catch (error) {
      throw unavailable(`${address} does not answer a probe: ${whyNot(error, deadlineMs)}`, error);
    }
  };

  [Symbol.dispose](): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #channelTo(address: string): Channel {
    const channel = this.#channels.get(address) ?? new Channel(address);
    this.#channels.delete(address);
    this.#channels.set(address, channel);
    for (const [oldest, unused] of this.#channels) {
      if (this.#channels.size <= MAX_CHANNELS) break;
      this.#channels.delete(oldest);
      unused.close();
    }
    return channel;
  }
}

/** In few words: they are kept with votes and terms. */
function whyNot(error: unknown, deadlineMs: number): string {
  if (!isServiceError(error)) return errorMessage(error);
  if (error.code === status.DEADLINE_EXCEEDED) return `nothing came within ${deadlineMs} ms`;
  return error.details
    .replace(/^No connection established. Last error: (Error: )?/, '')
    .replace(/ Resolution note: $/, '');
}

function toMessage({ nodeId, incarnation, term, isMaster, info }: ProbeAnswer): AnswerMessage {
  return {
    nodeId,
    incarnation: String(incarnation),
    term: String(term),
    role: isMaster ? 'MASTER' : 'FOLLOWER',
    cpu: info.cpu,
    cores: info.cores,
    memory: info.memory,
    memoryTotalBytes: String(Math.round(info.memoryTotalBytes)),
    memoryFreeBytes: String(Math.round(info.memoryFreeBytes)),
    loopLagP99Us: String(Math.round(info.loopLagP99Ms * 1000)),
    running: info.running,
  };
}

/** @throws CodedError UNAVAILABLE when it is no answer of a node */
function fromMessage(message: AnswerMessage): ProbeAnswer {
  const [incarnation, term] = [Number(message.incarnation), Number(message.term)];
  if (message.nodeId === '' || !Number.isSafeInteger(incarnation) || !Number.isSafeInteger(term)) {
    throw new CodedError('UNAVAILABLE', 'expected the answer of a node, found another one');
  }
  return {
    nodeId: message.nodeId,
    incarnation,
    term,
    isMaster: message.role === 'MASTER',
    info: {
      cpu: message.cpu,
      cores: message.cores,
      memory: message.memory,
      memoryTotalBytes: Number(message.memoryTotalBytes),
      memoryFreeBytes: Number(message.memoryFreeBytes),
      loopLagP99Ms: Number(message.loopLagP99Us) / 1000,
      capacity: null,
      running: message.running,
    },
  };
}
