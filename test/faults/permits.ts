import { LEASE_TTL_MS, PERMIT_MS, PERMIT_ON_LEASE_MS } from './fault.ts';
import type { Findings } from './findings.ts';

export interface Stretch {
  fromMs: number;
  toMs: number;
}

/** Stretches that overlap or touch become one. */
export function joined(stretches: readonly Stretch[]): Stretch[] {
  const result: Stretch[] = [];
  for (const { fromMs, toMs } of stretches.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const last = result.at(-1);
    if (last !== undefined && fromMs <= last.toMs) last.toMs = Math.max(last.toMs, toMs);
    else result.push({ fromMs, toMs });
  }
  return result;
}

/** What is left of the time from `fromMs` to `toMs`. */
export function gaps(stretches: readonly Stretch[], fromMs: number, toMs: number): Stretch[] {
  const edges = joined([...stretches, { fromMs: -Infinity, toMs: fromMs }, { fromMs: toMs, toMs: Infinity }]);
  return edges.slice(1).map((next, index) => ({ fromMs: edges[index]!.toMs, toMs: next.fromMs }));
}

/**
 * The stretches in which a worker surely has no permit, by what was done to the cluster and who was master when. Its last echo can be
 * no later than the begin of what keeps it from a master, its last renewal no later than that of what keeps it from etcd.
 */
export function withoutPermit(findings: Findings, nodeId: string): Stretch[] {
  const { spans, reigns, hits } = findings;
  const of = (...subjects: string[]) =>
    spans.filter(({ subject, what }) => subjects.includes(subject) && what !== 'hog');
  const masters = new Set(reigns.map((reign) => reign.nodeId));
  const ruled = reigns.flatMap((reign) =>
    gaps(
      spans.filter(({ subject, what }) => subject === reign.nodeId && what === 'freeze'),
      reign.fromMs,
      reign.toMs,
    ),
  );
  const fromMs = hits[0]?.atMs ?? 0;
  const toMs = hits.at(-1)?.atMs ?? 0;
  if (masters.size === 0) return [];
  const noEcho = joined([...gaps(ruled, fromMs, toMs), ...of(nodeId, `${nodeId}-master`)]);
  const noRenewal = joined(of(nodeId, 'etcd', `${nodeId}-etcd`));
  const starts = (stretches: readonly Stretch[], delayMs: number) =>
    stretches.map((stretch) => ({ fromMs: stretch.fromMs + delayMs, toMs: stretch.toMs }));
  const noLease = starts(noRenewal, LEASE_TTL_MS);
  const noShort = starts(noEcho, PERMIT_MS);
  const noLong = starts(noEcho, PERMIT_ON_LEASE_MS);
  return joined([...noLong, ...overlaps(noShort, noLease)].filter((one) => one.fromMs < one.toMs));
}

function overlaps(left: readonly Stretch[], right: readonly Stretch[]): Stretch[] {
  return left.flatMap((a) =>
    right.map((b) => ({ fromMs: Math.max(a.fromMs, b.fromMs), toMs: Math.min(a.toMs, b.toMs) })),
  );
}
