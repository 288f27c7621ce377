import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { TargetHit } from '../support/nginx-target.ts';

/** Hits in each whole second from `fromMs` to `toMs`, by the target's clock. */
export function perSecond(hits: readonly TargetHit[], fromMs: number, toMs: number): number[] {
  const counts = Array.from({ length: Math.max(0, Math.floor((toMs - fromMs) / 1000)) }, () => 0);
  for (const { atMs } of hits) {
    const second = Math.floor((atMs - fromMs) / 1000);
    if (second >= 0 && second < counts.length) counts[second]! += 1;
  }
  return counts;
}

/** Hits in a stretch of time. */
export function between(hits: readonly TargetHit[], fromMs: number, toMs: number): number {
  return hits.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).length;
}

/** The longest time without a hit within a stretch. */
export function longestGapMs(hits: readonly TargetHit[], fromMs: number, toMs: number): number {
  const instants = hits.map(({ atMs }) => atMs).filter((atMs) => atMs >= fromMs && atMs <= toMs);
  const edges = [fromMs, ...instants.sort((a, b) => a - b), toMs];
  return Math.max(...edges.slice(1).map((atMs, i) => atMs - edges[i]!));
}

/**
 * Local ports of the TCP sockets that a process has open now (IPv4, Linux).
 *
 * @param toPort those that are connected to this port only
 */
export function portsOf(pid: number, toPort?: number): Set<number> {
  const portIn = (address: string): number => Number.parseInt(address.split(':')[1]!, 16);
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)));
  const rows = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').trim().split('\n').slice(1);
  return new Set(
    rows.flatMap((row) => {
      const fields = row.trim().split(/\s+/);
      const isWanted = toPort === undefined || portIn(fields[2]!) === toPort;
      return isWanted && open.has(`socket:[${fields[9]!}]`) ? [portIn(fields[1]!)] : [];
    }),
  );
}

export function threadsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
