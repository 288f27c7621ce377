/**
 * A server that says `Keep-Alive: timeout=N` closes an idle connection after N seconds, and a request that is on its
 * way then is lost. So a connection is not used any more this much earlier. A second would turn `timeout=1` into a new
 * connection for each hit. Without the hint, an idle connection is kept for the whole run.
 */
export const KEEP_ALIVE_MARGIN_MS = 500;
