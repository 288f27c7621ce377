/**
 * A task as the program uses it: checked, complete, units in names. Users write the friendlier form of `schema.ts`
 * (durations like `1m30s`, defaults left out); `parseTask` makes this one of it.
 */
export interface TaskSpec {
  name: string;
  request: RequestSpec;
  load: LoadSpec;
  /** Which protocol client sends; `auto`: the fastest of HTTP/1.1 that does all that the task needs (client.ts). */
  client: ClientChoice;
  connections: ConnectionsSpec;
  timeouts: TimeoutsSpec;
  redirects: RedirectsSpec;
  tls: TlsSpec;
  /** All must pass for a hit to be ok. Without a status check, 200 to 399 is expected. */
  checks: CheckSpec[];
  /** Judged at the end of the run, e.g. `p99 < 200ms`; the grammar is in slo.ts. */
  slos: string[];
}

export interface RequestSpec {
  method: string;
  /** Absolute http: or https: URL; user and password in it become an Authorization header. */
  url: string;
  /** In the order they are sent; a name may repeat. */
  headers: HeaderSpec[];
  body: BodySpec | null;
}

export interface HeaderSpec {
  name: string;
  value: string;
}

export type BodySpec =
  { kind: 'text'; text: string } | { kind: 'base64'; base64: string } | { kind: 'file'; path: string };

/** How load is asked for. Open: `target` is hits per second. Closed: `target` is users, one connection each. */
export type LoadModel = 'open' | 'closed';

export interface LoadSpec {
  model: LoadModel;
  /** At least one. */
  stages: StageSpec[];
  /** End of the run after this many hits; null: the stages end it. */
  hits: number | null;
  /** Hits scheduled in this first part are counted but are not in percentiles and SLOs. */
  warmupMs: number;
  /** Closed model: pause of a user between an answer and its next hit. */
  thinkTimeMs: number;
  /** Most hits in flight at a time over the whole task. */
  maxInFlight: number;
  /** Open model, when no slot is free at a hit's instant: drop the hit, or let it wait in a bounded queue. */
  onSaturated: 'drop' | 'queue';
  /** Most hits waiting under `queue`; what comes on top is dropped. */
  maxQueue: number;
  /** How long a drain waits for hits in flight before it aborts them. */
  graceMs: number;
}

export type ClientChoice = 'auto' | ClientName;
/** The protocol clients of `load`. */
export type ClientName = 'http1' | 'http2' | 'undici';

export interface StageSpec {
  /** null: until the hits are used up; only in the last stage. */
  durationMs: number | null;
  /** Hits per second (open) or users (closed) at the end of the stage. */
  target: number;
  /** `constant`: the target for the whole stage. `ramp`: linearly from the previous stage's target (at first: 0). */
  shape: 'constant' | 'ramp';
}

export interface ConnectionsSpec {
  /**
   * Most connections at a time; null: as many as hits may be in flight. Each carries at least one hit, so more hits than
   * that are never in flight, also where a connection could carry several (`http2`).
   */
  max: number | null;
  /** false: a new connection for each hit. */
  reuse: boolean;
  /** `http2` alone: most hits at a time on one connection; the target may allow fewer. */
  streams: number;
}

export interface TimeoutsSpec {
  /** DNS, TCP and TLS of a new connection. */
  connectMs: number;
  /** From the request's write to the first byte of the response's head. */
  responseMs: number;
  /** From the hit's start to the response's last byte. */
  totalMs: number;
}

export interface RedirectsSpec {
  follow: boolean;
  /** Most redirects of one hit; one more is an error. */
  max: number;
}

/** Files are PEM. */
export interface TlsSpec {
  verify: boolean;
  caFile: string | null;
  certFile: string | null;
  keyFile: string | null;
  /** Server name for SNI and verification; null: the URL's host. */
  serverName: string | null;
}

export type CheckSpec =
  /** Each item is a status (`200`) or a range (`200-399`). */
  | { kind: 'status'; status: string[] }
  | { kind: 'bodyContains'; text: string }
  /** `pattern` is a JavaScript regular expression, matched with the `u` flag. */
  | { kind: 'bodyMatches'; pattern: string }
  /** `path` is RFC 9535 JSONPath; passes when some selected value equals `equals`. */
  | { kind: 'jsonPath'; path: string; equals: JsonValue }
  | { kind: 'maxSize'; bytes: number }
  /** Judged on the service time. */
  | { kind: 'maxLatency'; ms: number }
  /** The seed's names: `statusCode` is status 200; `json` is a JSON body whose `code` field equals 200. */
  | { kind: 'verify'; verify: 'statusCode' | 'json' };

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** A task with every file it names read: self-contained, can be sent to a thread or to another node. */
export interface PreparedTask {
  spec: TaskSpec;
  body: Uint8Array | null;
  tls: { ca: string | null; cert: string | null; key: string | null };
}
