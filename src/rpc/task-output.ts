import { formatDuration, parseDuration } from '../lib/duration.ts';
import { DEFAULT_PLACEMENT, type Placement, type TaskRecord } from '../stress/ports.ts';
import { maskTask, taskInputOf } from '../task/format.ts';
import { parseRate } from '../task/rate.ts';
import type { TaskInput } from '../task/schema.ts';
import type { CheckSpec, PreparedTask, StageSpec } from '../task/spec.ts';
import { MASK } from './masked.ts';
import type {
  CheckMessage,
  LoadMessage,
  ModelName,
  PlacementMessage,
  PlanMessage,
  RequestMessage,
  StageMessage,
  TaskMessage,
  Time,
} from './messages.ts';
import { runName, taskName } from './names.ts';
import { durationToMessage, timestampToMessage, valueToMessage } from './well-known.ts';

const CLIENTS = { auto: 'AUTO', http1: 'HTTP1', http2: 'HTTP2', undici: 'UNDICI' } as const;

/** A longer body is told by its length alone where many tasks, or runs, are told of. */
const MAX_LISTED_BODY_BYTES = 4096;

/**
 * The task with everything that is in it, secrets too: what `decodeTask` makes an equal task of. For clients, and for
 * UpdateTask; what leaves the API goes through `taskToAnswer`.
 */
export function taskToMessage(
  { spec, body, tls }: PreparedTask,
  placement: Placement = DEFAULT_PLACEMENT,
): TaskMessage {
  const input = taskInputOf(spec);
  const { client, connections, timeouts, redirects } = input;
  const { ca, cert, key } = tls;
  const pem = {
    ...(ca === null ? {} : { caPem: ca }),
    ...(cert === null ? {} : { certPem: cert }),
    ...(key === null ? {} : { keyPem: key }),
  };
  const server = spec.tls.serverName === null ? {} : { serverName: spec.tls.serverName };
  const verify = input.tls?.verify === undefined ? {} : { verify: input.tls.verify };
  const tlsMessage = { ...verify, ...pem, ...server };
  return {
    displayName: input.name ?? '',
    request: requestToMessage(input.request, body),
    load: loadToMessage(input.load ?? {}),
    ...(client === undefined ? {} : { client: CLIENTS[client] }),
    connections: connections ?? null,
    timeouts: timeouts === undefined ? null : mapDurations(timeouts),
    redirects: redirects ?? null,
    tls: Object.keys(tlsMessage).length === 0 ? null : tlsMessage,
    checks: spec.checks.map(checkToMessage),
    slos: spec.slos,
    placement: placementToMessage(placement),
  };
}

/** For people's eyes: secrets masked, name and method always there. @param isListed long bodies are left out */
export function preparedToAnswer(task: PreparedTask, placement: Placement, isListed: boolean): TaskMessage {
  const masked = taskToMessage({ ...task, spec: maskTask(task.spec) }, placement);
  const bodySizeBytes = task.body?.length ?? 0;
  const { bodyText, bodyBytes, ...rest } = masked.request!;
  const body = {
    ...(bodyText === undefined ? {} : { bodyText }),
    ...(bodyBytes === undefined ? {} : { bodyBytes }),
  };
  const isKept = !isListed || bodySizeBytes <= MAX_LISTED_BODY_BYTES;
  return {
    ...masked,
    displayName: task.spec.name,
    request: {
      ...rest,
      method: task.spec.request.method,
      ...(isKept ? body : {}),
      bodySizeBytes: String(bodySizeBytes),
    },
    tls: masked.tls?.keyPem === undefined ? masked.tls : { ...masked.tls, keyPem: MASK },
  };
}

export function taskToAnswer(record: TaskRecord, isListed: boolean): TaskMessage {
  const { id, task, placement, version, activeRun, lastRun } = record;
  const run = (number: number | null): string => (number ? runName({ taskId: id, number }) : '');
  return {
    ...preparedToAnswer(task, placement, isListed),
    name: taskName(id),
    id: String(id),
    etag: String(version),
    createTime: timestampToMessage(record.createdWallMs),
    updateTime: timestampToMessage(record.updatedWallMs),
    activeRun: run(activeRun),
    lastRun: run(lastRun),
  };
}

function requestToMessage({ method, url, headers }: TaskInput['request'], body: Uint8Array | null): RequestMessage {
  return {
    ...(method === undefined ? {} : { method }),
    url,
    headers: Array.isArray(headers) ? headers : [],
    ...bodyToMessage(body),
  };
}

/** As text where that says the same. */
function bodyToMessage(body: Uint8Array | null): Pick<RequestMessage, 'bodyText' | 'bodyBytes'> {
  if (body === null) return {};
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? { bodyText: text } : { bodyBytes: bytes };
}

type LoadInput = NonNullable<TaskInput['load']>;

function loadToMessage(load: LoadInput): LoadMessage {
  const { rate, users, model, stages, duration, hits, warmup, thinkTime, maxInFlight, onSaturated, maxQueue, grace } =
    load;
  return {
    ...(rate === undefined ? {} : { ratePerSecond: parseRate(String(rate)) }),
    ...(users === undefined ? {} : { users }),
    ...(stages === undefined ? {} : { plan: { model: modelName(model!), stages: stages.map(stageInputToMessage) } }),
    ...(hits === undefined ? {} : { hits: String(hits) }),
    ...(maxInFlight === undefined ? {} : { maxInFlight }),
    ...(onSaturated === undefined ? {} : { onSaturated: onSaturated === 'drop' ? 'DROP' : 'QUEUE' }),
    ...(maxQueue === undefined ? {} : { maxQueue }),
    ...mapDurations({ duration, warmup, thinkTime, grace }),
  };
}

/** Of texts like `1m30s`. */
function mapDurations<K extends string>(texts: Partial<Record<K, string | 0 | undefined>>): Partial<Record<K, Time>> {
  const given = Object.entries(texts).filter(([, text]) => text !== undefined);
  const times = given.map(([key, text]) => [key, durationToMessage(parseDuration(String(text)))]);
  return Object.fromEntries(times) as Partial<Record<K, Time>>;
}

function stageInputToMessage({ duration, target, shape }: NonNullable<LoadInput['stages']>[0]): StageMessage {
  return { ...mapDurations({ duration }), target, shape: shape === 'ramp' ? 'RAMP' : 'CONSTANT' };
}

export function planToMessage(model: 'open' | 'closed', stages: readonly StageSpec[]): PlanMessage {
  return {
    model: modelName(model),
    stages: stages.map(({ durationMs, target, shape }) =>
      stageInputToMessage({ target, shape, ...(durationMs === null ? {} : { duration: formatDuration(durationMs) }) }),
    ),
  };
}

export function modelName(model: 'open' | 'closed'): ModelName {
  return model === 'open' ? 'OPEN' : 'CLOSED';
}

function checkToMessage(check: CheckSpec): CheckMessage {
  switch (check.kind) {
    case 'status':
      return { status: { statuses: check.status } };
    case 'bodyContains':
      return { bodyContains: check.text };
    case 'bodyMatches':
      return { bodyMatches: check.pattern };
    case 'jsonPath':
      return { jsonPath: { path: check.path, equals: valueToMessage(check.equals) } };
    case 'maxSize':
      return { maxSizeBytes: String(check.bytes) };
    case 'maxLatency':
      return { maxLatency: durationToMessage(check.ms) };
    case 'verify':
      return { verify: check.verify === 'statusCode' ? 'STATUS_CODE' : 'JSON' };
  }
}

function placementToMessage({ strategy, labels, maxNodes, moving }: Placement): PlacementMessage {
  return {
    strategy,
    labels,
    ...(maxNodes === null ? {} : { maxNodes }),
    moving: moving === 'fast' ? 'FAST' : 'STRICT',
  };
}
