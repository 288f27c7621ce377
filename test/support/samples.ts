import fc from 'fast-check';
import { Histogram } from '../../src/lib/histogram.ts';
import { emptyHealth, emptyTraffic } from '../../src/task/merge.ts';
import { DROP_CAUSES, ERROR_CLASSES, HISTOGRAMS, MAX_ERROR_EXAMPLES, emptyCounts } from '../../src/task/sample.ts';
import type { Counts, DropCause, EngineHealth, Sample } from '../../src/task/sample.ts';

export type CountsPart = Partial<Omit<Counts, 'dropped'>> & { dropped?: Partial<Record<DropCause, number>> };

/** Counts that are zero but for what is given. */
export function countsOf(part: CountsPart): Counts {
  const { dropped, ...rest } = part;
  const counts = { ...emptyCounts(), ...rest };
  Object.assign(counts.dropped, dropped);
  return counts;
}

export type SamplePart = Partial<Omit<Sample, 'counts' | 'warmup' | 'health' | 'traffic'>> & {
  counts?: CountsPart;
  warmup?: CountsPart;
  health?: Partial<EngineHealth>;
  traffic?: Partial<Sample['traffic']>;
};

/** The sample of a whole second in which nothing happened but for what is given. */
export function sampleOf(part: SamplePart): Sample {
  const second = part.second ?? 0;
  return {
    seq: second + 1,
    second,
    durationMs: 1000,
    target: 0,
    queued: 0,
    inFlight: 0,
    connections: 0,
    users: 0,
    statusCodes: {},
    errors: {},
    checks: {},
    histograms: {},
    ...part,
    counts: countsOf(part.counts ?? {}),
    warmup: countsOf(part.warmup ?? {}),
    traffic: { ...emptyTraffic(), ...part.traffic },
    health: { ...emptyHealth(), ...part.health },
  };
}

/** Encoded histogram of `[valueUs, times]` pairs. */
export function histogramOf(...values: readonly (readonly [valueUs: number, times: number])[]): Uint8Array {
  const histogram = new Histogram();
  for (const [valueUs, times] of values) if (times > 0) histogram.record(valueUs, times);
  return histogram.encode();
}

/** Counts of hits that all were sent and answered in the same second. */
export function answeredCounts(ok: number, failed = 0): CountsPart {
  const all = ok + failed;
  return { scheduled: all, started: all, written: all, ok, failed, answered: all };
}

/**
 * One second of an open run in which `rate` hits were all answered with 200 after `latencyUs` (response time and
 * service time alike), 1 µs late, by an engine that was a tenth busy.
 */
export function healthySecond(second: number, rate: number, latencyUs: number, part: SamplePart = {}): Sample {
  const latency = histogramOf([latencyUs, rate]);
  return sampleOf({
    second,
    target: rate,
    counts: answeredCounts(rate),
    connections: 10,
    traffic: { bytesIn: rate * 200, bytesOut: rate * 100, connectionsOpened: second === 0 ? 10 : 0 },
    statusCodes: { '200': rate },
    checks: { 'status 200-399': { passed: rate, failed: 0 } },
    histograms: { responseOk: latency, serviceOk: latency, lateness: histogramOf([1, rate]) },
    health: { utilisation: 0.1, loopDelayP99Ms: 0.5, loopDelayMaxMs: 1, gcMaxMs: 1, gcTotalMs: 2, cpuSeconds: 0.1 },
    ...part,
  });
}

const count = fc.nat(1_000_000);
/** Sixteenths: sums of them are exact in any order. */
const fraction = fc.nat(1_000_000).map((n) => n / 16);

const arbitraryCounts: fc.Arbitrary<Counts> = fc.record({
  scheduled: count,
  started: count,
  dropped: fc.record(Object.fromEntries(DROP_CAUSES.map((cause) => [cause, count])) as Record<DropCause, typeof count>),
  cancelled: count,
  unwritten: count,
  written: count,
  ok: count,
  failed: count,
  aborted: count,
  unknown: count,
  answered: count,
  unmeasured: count,
  redirects: count,
});

const arbitraryHistogram = fc
  .array(fc.tuple(fc.nat(1e9), fc.integer({ min: 1, max: 1000 })), { maxLength: 20 })
  .map((values) => histogramOf(...values.map(([us, times]) => [us / 8, times] as const)));

const arbitraryErrorCount = fc.record({
  count,
  examples: fc.uniqueArray(fc.stringMatching(/^[a-z]{1,2}$/), { maxLength: MAX_ERROR_EXAMPLES }),
});

/** Any sample of the given second. */
export function arbitrarySample(second: number): fc.Arbitrary<Sample> {
  return fc.record({
    seq: count,
    second: fc.constant(second),
    durationMs: fraction,
    target: fraction,
    counts: arbitraryCounts,
    warmup: arbitraryCounts,
    queued: count,
    inFlight: count,
    connections: count,
    users: count,
    traffic: fc.record({ bytesIn: count, bytesOut: count, connectionsOpened: count }),
    statusCodes: fc.dictionary(fc.constantFrom('200', '204', '301', '404', '503'), count),
    errors: fc.dictionary(fc.constantFrom(...ERROR_CLASSES), arbitraryErrorCount),
    checks: fc.dictionary(
      fc.constantFrom('status 200', 'body contains a', 'size'),
      fc.record({ passed: count, failed: count }),
    ),
    histograms: fc.dictionary(fc.constantFrom(...HISTOGRAMS), arbitraryHistogram),
    health: fc.record({
      utilisation: fraction,
      loopDelayP99Ms: fraction,
      loopDelayMaxMs: fraction,
      gcMaxMs: fraction,
      gcTotalMs: fraction,
      cpuSeconds: fraction,
    }),
  });
}
