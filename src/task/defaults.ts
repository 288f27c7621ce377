/** What holds where a task says nothing. */
export const DEFAULTS = {
  users: 10,
  durationMs: 10_000,
  warmupMs: 0,
  thinkTimeMs: 0,
  maxInFlight: 10_000,
  onSaturated: 'drop',
  maxQueue: 100_000,
  graceMs: 10_000,
  client: 'auto',
  reuseConnections: true,
  streams: 100,
  connectMs: 5_000,
  responseMs: 30_000,
  totalMs: 60_000,
  followRedirects: false,
  maxRedirects: 10,
  verifyTls: true,
} as const;

/** The most that a task may ask for. */
export const LIMITS = {
  ratePerSecond: 10_000_000,
  users: 1_000_000,
  inFlight: 1_000_000,
  queue: 10_000_000,
  durationMs: 30 * 24 * 3_600_000,
  redirects: 1000,
  streams: 1000,
  stages: 1000,
  headers: 1000,
  checks: 100,
  slos: 100,
  nameLength: 200,
  urlLength: 65_536,
  fileBytes: 1024 * 1024,
  bodyBytes: 64 * 1024 * 1024,
  pemBytes: 1024 * 1024,
} as const;

/** POST with a body, else GET. */
export function defaultMethod(hasBody: boolean): string {
  return hasBody ? 'POST' : 'GET';
}

/** The URL's host and path: `127.0.0.1:8080/orders`. */
export function defaultName(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`.slice(0, LIMITS.nameLength);
}
