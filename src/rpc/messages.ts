/**
 * The public messages as proto-loader gives them (see loader.ts): 64-bit integers are decimal strings, enums names, what is
 * absent is undefined (of an optional scalar) or null (of a message). Fields are explained in proto/gostress/v1.
 */

/** google.protobuf.Duration and Timestamp. */
export interface Time {
  seconds: string;
  nanos: number;
}

/** Absent fields may be left out of what is sent. */
type Absent = null | undefined;

export interface TaskMessage {
  name?: string;
  id?: string;
  displayName?: string;
  request?: RequestMessage | Absent;
  load?: LoadMessage | Absent;
  client?: 'CLIENT_UNSPECIFIED' | 'AUTO' | 'HTTP1' | 'HTTP2' | 'UNDICI';
  connections?: { max?: number | undefined; reuse?: boolean | undefined; streams?: number | undefined } | Absent;
  timeouts?: { connect?: Time | Absent; response?: Time | Absent; total?: Time | Absent } | Absent;
  redirects?: { follow?: boolean | undefined; max?: number | undefined } | Absent;
  tls?: TlsMessage | Absent;
  checks?: readonly CheckMessage[];
  slos?: readonly string[];
  placement?: PlacementMessage | Absent;
  etag?: string;
  createTime?: Time | Absent;
  updateTime?: Time | Absent;
  activeRun?: string;
  lastRun?: string;
  warnings?: readonly string[];
}

export interface RequestMessage {
  method?: string;
  url?: string;
  headers?: readonly { name: string; value: string }[];
  bodyText?: string;
  bodyBytes?: Uint8Array;
  bodySizeBytes?: string;
}

export interface LoadMessage {
  ratePerSecond?: number;
  users?: number;
  plan?: PlanMessage | Absent;
  duration?: Time | Absent;
  hits?: string;
  warmup?: Time | Absent;
  thinkTime?: Time | Absent;
  maxInFlight?: number;
  onSaturated?: 'ON_SATURATED_UNSPECIFIED' | 'DROP' | 'QUEUE';
  maxQueue?: number;
  grace?: Time | Absent;
}

export type ModelName = 'MODEL_UNSPECIFIED' | 'OPEN' | 'CLOSED';

export interface PlanMessage {
  model?: ModelName;
  stages?: readonly StageMessage[];
}

export interface StageMessage {
  duration?: Time | Absent;
  target: number;
  shape?: 'SHAPE_UNSPECIFIED' | 'CONSTANT' | 'RAMP';
}

export interface TlsMessage {
  verify?: boolean;
  caPem?: string;
  certPem?: string;
  keyPem?: string;
  serverName?: string;
}

export interface CheckMessage {
  status?: { statuses: readonly string[] } | Absent;
  bodyContains?: string;
  bodyMatches?: string;
  jsonPath?: { path: string; equals?: ValueMessage | Absent } | Absent;
  maxSizeBytes?: string;
  maxLatency?: Time | Absent;
  verify?: 'VERIFY_UNSPECIFIED' | 'STATUS_CODE' | 'JSON';
}

export interface PlacementMessage {
  strategy?: string;
  labels?: Readonly<Record<string, string>>;
  maxNodes?: number;
  moving?: 'MOVING_UNSPECIFIED' | 'STRICT' | 'FAST';
}

/** google.protobuf.Value: exactly one is set. */
export interface ValueMessage {
  nullValue?: 'NULL_VALUE';
  numberValue?: number;
  stringValue?: string;
  boolValue?: boolean;
  structValue?: StructMessage;
  listValue?: { values: readonly ValueMessage[] };
}

/** google.protobuf.Struct. */
export interface StructMessage {
  fields: Readonly<Record<string, ValueMessage>>;
}

export interface RunMessage {
  name: string;
  id: string;
  /** One of RUN_STATES, or STATE_UNSPECIFIED. */
  state: string;
  reason: string;
  wanted: WantedMessage | null;
  etag: string;
  plan: RunPlanMessage | null;
  task: TaskMessage | null;
  createTime: Time | null;
  startTime: Time | null;
  endTime: Time | null;
  revision: string;
}

export interface WantedMessage {
  state: 'STATE_UNSPECIFIED' | 'RUNNING' | 'PAUSED' | 'STOPPED';
  constant?: number;
  plan?: PlanMessage;
  ramp: Time | null;
  version: string;
}

export interface RunPlanMessage {
  model: ModelName;
  segments: readonly { start: Time | null; end: Time | null; from: number; to: number }[];
}

export interface ShareMessage {
  assignment: string;
  node: string;
  incarnation: string;
  weight: number;
  of: number;
  target: number;
  version: string;
  epoch: string;
  state: 'STATE_UNSPECIFIED' | 'ASSIGNED' | 'RUNNING' | 'STOPPED' | 'LOST';
}

export interface SecondMessage {
  second: string;
  durationUs: string;
  target: number;
  scheduled: string;
  started: string;
  ok: string;
  failed: string;
  dropped: string;
  droppedByCause: Readonly<Record<string, string>>;
  errors: Readonly<Record<string, string>>;
  statusCodes: Readonly<Record<string, string>>;
  response: LatencyMessage | null;
  service: LatencyMessage | null;
  inFlight: string;
  queued: string;
  connections: string;
  users: string;
  bytesIn: string;
  bytesOut: string;
}

export interface LatencyMessage {
  count: string;
  p50Us: string;
  p90Us: string;
  p99Us: string;
  maxUs: string;
}

export interface WatchRunMessage {
  run: RunMessage | null;
  second: SecondMessage | null;
  shares: readonly ShareMessage[];
  skippedSeconds: string;
  final: boolean;
  sample: Uint8Array;
}

export interface RunReportMessage {
  run: RunMessage | null;
  complete: boolean;
  verdict: 'VERDICT_UNSPECIFIED' | 'VALID' | 'DEGRADED' | 'INVALID';
  verdictReasons: readonly string[];
  scheduled: string;
  started: string;
  answered: string;
  ok: string;
  failed: string;
  dropped: string;
  unknown: string;
  startedPerSecond: number;
  okPerSecond: number;
  responseOk: LatencyMessage | null;
  serviceOk: LatencyMessage | null;
  slos: readonly { text: string; pass: boolean; found: string }[];
  report: StructMessage | null;
}

export interface NodeMessage {
  name: string;
  incarnation: string;
  address: string;
  roles: readonly ('ROLE_UNSPECIFIED' | 'WORKER' | 'CANDIDATE' | 'SENTINEL')[];
  priority: number;
  labels: Readonly<Record<string, string>>;
  seq: string;
  version: string;
  master: boolean;
  registered: boolean;
  connected: boolean;
  leaving: boolean;
  draining: boolean;
  standing: 'STANDING_UNSPECIFIED' | 'LIVE' | 'SUSPECT' | 'GONE';
  info: NodeInfoMessage | null;
  doubts: readonly { sentinel: string; why: string }[];
  down: boolean;
  remark: string;
}

export interface NodeInfoMessage {
  cpu: number;
  cores: number;
  memory: number;
  memoryTotalBytes: string;
  memoryFreeBytes: string;
  loopLagP99Us: string;
  capacityPerSecond?: number;
  running: number;
}

export interface ClusterMessage {
  master: NodeMessage | null;
  term: string;
  nodes: readonly NodeMessage[];
  runs: readonly { run: RunMessage | null; shares: readonly ShareMessage[] }[];
  sentinels: readonly { node: string; voteTerm: string; voteWhy: string }[];
  failoverPause: { reason: string; since: Time | null } | null;
  runsUnknownWhy: string;
}

export interface NominationMessage {
  forTerm: string;
  node: string;
  reason: string;
  by: string;
  votes: readonly string[];
  candidates: readonly { node: string; refused: string; score: string }[];
}

export interface TermReasonsMessage {
  term: string;
  node: string;
  time: Time | null;
  how: 'HOW_UNSPECIFIED' | 'NOMINATED' | 'BY_RANK';
  nomination: NominationMessage | null;
  ranked: readonly string[];
}

export interface EventMessage {
  id: string;
  time: Time | null;
  term: string;
  node: string;
  kind: string;
  subject: string;
  text: string;
  subjectNode: NodeMessage | null;
}
