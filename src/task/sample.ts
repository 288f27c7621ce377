/** Why a scheduled hit was not started. */
export const DROP_CAUSES = [
  /** Every in-flight slot waited for an answer of the target. */
  'target-limited',
  /** The generator was behind its schedule. */
  'generator-limited',
  /** The generator's process stood still (stopped, or its thread was blocked) and the hit was overdue when it went on. */
  'stalled',
  /** The engine had no permit to load (cluster). */
  'no-permit',
] as const;
export type DropCause = (typeof DROP_CAUSES)[number];

/** Why a started hit failed. `status` and `check` are of answered hits, all others of hits without a whole answer. */
export const ERROR_CLASSES = [
  'dns',
  'connect-refused',
  /** Any other failure to connect, e.g. no route to the host. */
  'connect',
  'tls',
  'connect-timeout',
  'response-timeout',
  'total-timeout',
  /** The peer reset the connection. */
  'reset',
  /** The peer closed the connection before the whole answer was there. */
  'closed',
  /** What came was not HTTP, or broke its rules. */
  'protocol',
  /** More redirects than allowed, or one that cannot be followed. */
  'redirect',
  /** This machine has no local port left for the connection (EADDRNOTAVAIL). */
  'ports-exhausted',
  /** This process may not open more files (EMFILE, ENFILE). */
  'descriptors-exhausted',
  'status',
  'check',
  'other',
] as const;
export type ErrorClass = (typeof ERROR_CLASSES)[number];

/**
 * What was counted. The accounting identity:
 * scheduled = started + dropped + cancelled (+ those still queued) ·
 * started = unwritten + written (+ those still connecting) ·
 * written = ok + failed + aborted + unknown (+ those still in flight);
 * at the end of a run nothing is queued, connecting or in flight.
 */
export interface Counts {
  /** Hits whose instant came (closed model: that a user began). */
  scheduled: number;
  started: number;
  dropped: Record<DropCause, number>;
  /** Scheduled, queued, and never started because the run was stopped. */
  cancelled: number;
  /** Started, but no byte of the request was written: DNS, connect or TLS failed, or the run was aborted before. */
  unwritten: number;
  written: number;
  /** Answered in full, all checks passed. */
  ok: number;
  /** Written and: answered but a check failed, or not answered in full. */
  failed: number;
  /** Written and given up at the end of the run. */
  aborted: number;
  /** Written and then lost with their worker (cluster). */
  unknown: number;
  /** Answered in full: ok, or failed by a check or the status. */
  answered: number;
  /** Of the answered: its latency was given up, since there was no room for more results (cluster). */
  unmeasured: number;
  /** Requests sent on top of `written` to follow redirects. */
  redirects: number;
}

/** Sums over one second of what happened to connections and bytes, on the wire but without TLS overhead. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
  connectionsOpened: number;
}

export interface CheckCount {
  passed: number;
  failed: number;
}

export interface ErrorCount {
  count: number;
  /** A few distinct messages, at most MAX_ERROR_EXAMPLES; they may hold secrets, which the report masks. */
  examples: string[];
}
export const MAX_ERROR_EXAMPLES = 5;

/** The histograms of a sample (microseconds), each in `Histogram.encode` form; an absent one is empty. */
export const HISTOGRAMS = [
  /** From the scheduled instant to the last byte, of hits that passed. Open model only. */
  'responseOk',
  /** The same of answered hits that failed. */
  'responseFailed',
  /** From the start of the hit to the last byte. */
  'serviceOk',
  'serviceFailed',
  /** From the scheduled instant to the moment when the engine took the hit from its schedule. Open model only. */
  'lateness',
  /** Phases of new connections. */
  'dns',
  'connect',
  'tls',
  /** From the write of the request to the response's head, of every answered hit. */
  'firstByte',
] as const;
export type HistogramName = (typeof HISTOGRAMS)[number];

/** How the engine itself fared, the worst of its threads: what the verdict is made of. */
export interface EngineHealth {
  /** Part of the time in which the thread was busy, polling for the next hit not counted; 0 to 1. */
  utilisation: number;
  /** 99th percentile and maximum delay of the event loop, ms: how late an answer may have been read. */
  loopDelayP99Ms: number;
  loopDelayMaxMs: number;
  /** Longest and total garbage collection pause, ms. */
  gcMaxMs: number;
  gcTotalMs: number;
  /** CPU time of all engine threads together, seconds. */
  cpuSeconds: number;
}

/**
 * One second of one assignment. Immutable; `seq` counts from 1 without a gap. Everything is in the sample of the
 * second in which it happened, so a hit may be scheduled in one sample and answered in a later one.
 */
export interface Sample {
  seq: number;
  /** Whole seconds since the start of the run. */
  second: number;
  /** Length of what is covered, ms: 1000, or less in the last one. */
  durationMs: number;
  /** Mean of the plan's target over what is covered: hits per second or users. */
  target: number;
  counts: Counts;
  /** The part of `counts` that belongs to hits scheduled in the warm-up. */
  warmup: Counts;
  /** Hits waiting, in flight and connections open at the end of the second. */
  queued: number;
  inFlight: number;
  connections: number;
  /** Closed model: users at the end of the second; else 0. */
  users: number;
  traffic: Traffic;
  /** Number of answers by status code. */
  statusCodes: Record<string, number>;
  errors: Partial<Record<ErrorClass, ErrorCount>>;
  /** By the check's label (see `checkLabel`); the implied status check is there too. */
  checks: Record<string, CheckCount>;
  /** Of hits after the warm-up. */
  histograms: Partial<Record<HistogramName, Uint8Array>>;
  health: EngineHealth;
  /** Time in which the load was held, since there was no room for results (cluster), ms; absent: none, or merged. */
  heldMs?: number;
}

export function emptyCounts(): Counts {
  return {
    scheduled: 0,
    started: 0,
    dropped: { 'target-limited': 0, 'generator-limited': 0, stalled: 0, 'no-permit': 0 },
    cancelled: 0,
    unwritten: 0,
    written: 0,
    ok: 0,
    failed: 0,
    aborted: 0,
    unknown: 0,
    answered: 0,
    unmeasured: 0,
    redirects: 0,
  };
}
