import type { Member } from './ports.ts';
import type { Timings } from './timings.ts';

export type Standing = Member['standing'];

/** What a master knows of one process; instants on the master's clock. */
export interface Evidence {
  /** It has an open stream to this master. */
  connected: boolean;
  /** Its pings are being echoed. */
  granted: boolean;
  /** It said Leave and then ended its stream by itself. */
  left: boolean;
  /** Its stream is closed and its own port refused a connection since. */
  refused: boolean;
  /** When its last ping came, or its Hello. */
  heardAtMs: number;
  /** When the last ping that was echoed had come: it was sent no later. Of one never echoed in this term: the term's begin. */
  echoedAtMs: number;
  /** Never echoed in this term: an earlier master may have done so until its own lease was over. */
  inherited: boolean;
  /** The begin of the last look at the coordinator, if that showed no record of this process; else -Infinity. */
  absentAtMs: number;
  /** When a record of a higher incarnation of the same node was first seen; null: never. */
  replacedAtMs: number | null;
}

/** Two clocks may differ by this part of the time they measure. */
const DRIFT = 0.05;

/** The instant from which a process without a record has no permit left. */
export function leaselessOverMs(evidence: Evidence, timings: Timings): number {
  const { echoedAtMs, replacedAtMs } = evidence;
  const echoOverMs = echoedAtMs + inheritedMs(evidence, timings) + timings.permitMs + timings.marginMs;
  // A record that was overwritten did not expire: the old process may believe in its lease until it renews it.
  const leaseOverMs = replacedAtMs === null ? -Infinity : replacedAtMs + timings.leaseTtlMs + timings.marginMs;
  return Math.max(echoOverMs, leaseOverMs);
}

/** The instant from which no process can have a permit of this evidence, with or without a lease. */
export function permitOverMs(evidence: Evidence, timings: Timings): number {
  const longestMs = timings.permitOnLeaseMs * (1 + DRIFT) + timings.marginMs;
  return evidence.echoedAtMs + inheritedMs(evidence, timings) + longestMs;
}

function inheritedMs({ inherited }: Evidence, timings: Timings): number {
  return inherited ? timings.leaseTtlMs : 0;
}

/**
 * Whether a process may still generate load. `gone` is said only of one that surely does not: it would be told wrongly
 * once and the target would get a share twice.
 */
export function judge(evidence: Evidence, nowMs: number, timings: Timings): { standing: Standing; why: string } {
  const silentMs = nowMs - evidence.heardAtMs;
  if (evidence.connected && silentMs <= timings.suspectAfterMs) {
    if (evidence.granted) return { standing: 'live', why: 'connected' };
    return { standing: 'suspect', why: 'its permit is withheld' };
  }
  if (evidence.left) return { standing: 'gone', why: 'it left' };
  if (evidence.refused) return { standing: 'gone', why: 'its port refuses connections' };
  if (evidence.absentAtMs >= leaselessOverMs(evidence, timings)) {
    return { standing: 'gone', why: 'its record is gone and its permit is over' };
  }
  if (nowMs >= permitOverMs(evidence, timings)) {
    return { standing: 'gone', why: 'it was not echoed for longer than any permit lasts' };
  }
  if (!evidence.connected) return { standing: 'suspect', why: 'not connected' };
  return { standing: 'suspect', why: `no ping for ${Math.round(silentMs)} ms` };
}
