import { Histogram } from '../lib/histogram.ts';
import { DROP_CAUSES, ERROR_CLASSES, HISTOGRAMS, MAX_ERROR_EXAMPLES, emptyCounts } from './sample.ts';
import type { CheckCount, Counts, EngineHealth, Sample, Traffic } from './sample.ts';

/**
 * The sample of the whole of which `parts` are the shares' samples of the same second. Pure; the order of the parts
 * does not matter, and merging merged samples is merging all of them (of `target` and `cpuSeconds`, which are
 * fractions, up to floating-point rounding). Counts, gauges and targets add up, histograms merge exactly, health is
 * that of the worst part (GC and CPU time add up), and the length is that of the longest part.
 *
 * @param seq number of the new sample
 * @throws RangeError when there is no part, or the parts are not of one second
 */
export function mergeSamples(parts: readonly Sample[], seq: number): Sample {
  const first = parts[0];
  if (first === undefined) throw new RangeError('merge: expected at least one sample, found none');
  const merged: Sample = {
    seq,
    second: first.second,
    durationMs: 0,
    target: 0,
    counts: emptyCounts(),
    warmup: emptyCounts(),
    queued: 0,
    inFlight: 0,
    connections: 0,
    users: 0,
    traffic: emptyTraffic(),
    statusCodes: {},
    errors: {},
    checks: {},
    histograms: mergeHistograms(parts.map((part) => part.histograms)),
    health: emptyHealth(),
  };
  for (const part of parts) {
    if (part.second !== first.second) {
      throw new RangeError(`merge: expected samples of second ${first.second}, found one of second ${part.second}`);
    }
    addSample(merged, part);
  }
  return merged;
}

/** Adds every count of `add` to `into`. */
export function addCounts(into: Counts, add: Counts): void {
  into.scheduled += add.scheduled;
  into.started += add.started;
  for (const cause of DROP_CAUSES) into.dropped[cause] += add.dropped[cause];
  into.cancelled += add.cancelled;
  into.unwritten += add.unwritten;
  into.written += add.written;
  into.ok += add.ok;
  into.failed += add.failed;
  into.aborted += add.aborted;
  into.unknown += add.unknown;
  into.answered += add.answered;
  into.unmeasured += add.unmeasured;
  into.redirects += add.redirects;
}

export function addTraffic(into: Traffic, add: Traffic): void {
  into.bytesIn += add.bytesIn;
  into.bytesOut += add.bytesOut;
  into.connectionsOpened += add.connectionsOpened;
}

export function addStatusCodes(into: Record<string, number>, add: Readonly<Record<string, number>>): void {
  for (const [status, count] of Object.entries(add)) into[status] = (into[status] ?? 0) + count;
}

/**
 * Adds the errors of `add` to `into`. Of the distinct examples the first MAX_ERROR_EXAMPLES in alphabetical order are
 * kept, so that the choice does not depend on the order of merging.
 */
export function addErrors(into: Sample['errors'], add: Readonly<Sample['errors']>): void {
  for (const errorClass of ERROR_CLASSES) {
    const more = add[errorClass];
    if (more === undefined) continue;
    const sum = into[errorClass];
    const examples = new Set([...(sum?.examples ?? []), ...more.examples]);
    into[errorClass] = {
      count: (sum?.count ?? 0) + more.count,
      examples: [...examples].sort().slice(0, MAX_ERROR_EXAMPLES),
    };
  }
}

export function addChecks(into: Record<string, CheckCount>, add: Readonly<Record<string, CheckCount>>): void {
  for (const [label, { passed, failed }] of Object.entries(add)) {
    const sum = into[label];
    into[label] = { passed: (sum?.passed ?? 0) + passed, failed: (sum?.failed ?? 0) + failed };
  }
}

/** Makes `into` the worse of both in each respect; GC time and CPU time add up. */
export function addHealth(into: EngineHealth, add: EngineHealth): void {
  into.utilisation = Math.max(into.utilisation, add.utilisation);
  into.loopDelayP99Ms = Math.max(into.loopDelayP99Ms, add.loopDelayP99Ms);
  into.loopDelayMaxMs = Math.max(into.loopDelayMaxMs, add.loopDelayMaxMs);
  into.gcMaxMs = Math.max(into.gcMaxMs, add.gcMaxMs);
  into.gcTotalMs += add.gcTotalMs;
  into.cpuSeconds += add.cpuSeconds;
}

export function emptyTraffic(): Traffic {
  return { bytesIn: 0, bytesOut: 0, connectionsOpened: 0 };
}

export function emptyHealth(): EngineHealth {
  return { utilisation: 0, loopDelayP99Ms: 0, loopDelayMaxMs: 0, gcMaxMs: 0, gcTotalMs: 0, cpuSeconds: 0 };
}

function addSample(into: Sample, add: Sample): void {
  into.durationMs = Math.max(into.durationMs, add.durationMs);
  into.target += add.target;
  addCounts(into.counts, add.counts);
  addCounts(into.warmup, add.warmup);
  into.queued += add.queued;
  into.inFlight += add.inFlight;
  into.connections += add.connections;
  into.users += add.users;
  addTraffic(into.traffic, add.traffic);
  addStatusCodes(into.statusCodes, add.statusCodes);
  addErrors(into.errors, add.errors);
  addChecks(into.checks, add.checks);
  addHealth(into.health, add.health);
}

function mergeHistograms(parts: readonly Sample['histograms'][]): Sample['histograms'] {
  const merged: Sample['histograms'] = {};
  for (const name of HISTOGRAMS) {
    const encoded = parts.flatMap((part) => part[name] ?? []);
    const [only] = encoded;
    if (only === undefined) continue;
    merged[name] = encoded.length === 1 ? only : mergeEncoded(encoded);
  }
  return merged;
}

function mergeEncoded(encoded: readonly Uint8Array[]): Uint8Array {
  const histogram = new Histogram();
  for (const bytes of encoded) histogram.mergeEncoded(bytes);
  return histogram.encode();
}
