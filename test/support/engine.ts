import { expect } from 'vitest';
import { Engine, wholeAssignment, type EngineEnd } from '../../src/load/engine.ts';
import { Histogram } from '../../src/lib/histogram.ts';
import { mergeSamples } from '../../src/task/merge.ts';
import type { Counts, HistogramName, Sample } from '../../src/task/sample.ts';
import type { ClientName, PreparedTask, StageSpec, TaskSpec } from '../../src/task/spec.ts';

export const constant = (target: number, durationMs: number | null): StageSpec => ({
  target,
  durationMs,
  shape: 'constant',
});

/** What is to be laid over the parts of a task; the body, and certificates as PEM texts. */
export type TaskChanges = {
  [K in keyof TaskSpec]?: TaskSpec[K] extends unknown[] | string ? TaskSpec[K] : Partial<TaskSpec[K]>;
} & {
  body?: string | Uint8Array;
  pem?: Partial<PreparedTask['tls']>;
};

/** A task for tests: GET, open, 100/s for 1 s, short grace; what is given replaces that. */
export function taskFor(url: string, changes: TaskChanges = {}): PreparedTask {
  const { body, pem, ...spec } = changes;
  return {
    spec: {
      name: 'test',
      request: { method: 'GET', url, headers: [], body: null, ...spec.request },
      load: {
        model: 'open',
        stages: [constant(100, 1_000)],
        hits: null,
        warmupMs: 0,
        thinkTimeMs: 0,
        maxInFlight: 1_000,
        onSaturated: 'drop',
        maxQueue: 10_000,
        graceMs: 5_000,
        ...spec.load,
      },
      client: spec.client ?? 'auto',
      connections: { max: null, reuse: true, streams: 100, ...spec.connections },
      timeouts: { connectMs: 2_000, responseMs: 5_000, totalMs: 10_000, ...spec.timeouts },
      redirects: { follow: false, max: 10, ...spec.redirects },
      tls: { verify: true, caFile: null, certFile: null, keyFile: null, serverName: null, ...spec.tls },
      checks: spec.checks ?? [],
      slos: spec.slos ?? [],
    },
    body: body === undefined ? null : Buffer.from(body),
    tls: { ca: null, cert: null, key: null, ...pem },
  };
}

/** The protocol clients of HTTP/1.1, for tests of what both do. */
export const HTTP1_CLIENTS = ['http1', 'undici'] as const;
/** All protocol clients, for tests of what each does. */
export const CLIENTS = [...HTTP1_CLIENTS, 'http2'] as const;

/** `taskFor`, sent by this client. */
export function taskForClient(client: ClientName): typeof taskFor {
  return (url, changes) => taskFor(url, { client, ...changes });
}

export interface RunResult {
  end: EngineEnd;
  samples: Sample[];
  /** All samples in one. */
  total: Sample;
  histogram(name: HistogramName): Histogram;
}

/** Runs a task in a real engine to its end. `control` runs beside it. */
export async function runTask(
  task: PreparedTask,
  options: { threads?: number; control?: (engine: Engine, samples: Sample[]) => Promise<void> } = {},
): Promise<RunResult> {
  const samples: Sample[] = [];
  const engine = new Engine(wholeAssignment(task), {
    threads: options.threads ?? 1,
    onSample: (sample) => samples.push(sample),
  });
  const [end] = await Promise.all([engine.run(), options.control?.(engine, samples)]);
  const total = mergeSamples(
    samples.map((sample) => ({ ...sample, second: 0 })),
    1,
  );
  return {
    end,
    samples,
    total,
    histogram: (name) => {
      const bytes = total.histograms[name];
      return bytes === undefined ? new Histogram() : Histogram.decode(bytes);
    },
  };
}

const dropped = (counts: Counts): number => Object.values(counts.dropped).reduce((a, b) => a + b, 0);

/** The accounting identity of a run that has ended, and that seconds and numbers have no gap. */
export function expectIdentity({ samples, total }: RunResult): void {
  for (const counts of [total.counts, total.warmup]) {
    expect(counts.scheduled).toBe(counts.started + dropped(counts) + counts.cancelled);
    expect(counts.started).toBe(counts.unwritten + counts.written);
    expect(counts.written).toBe(counts.ok + counts.failed + counts.aborted);
    expect(counts.unknown).toBe(0);
    expect(counts.answered).toBeLessThanOrEqual(counts.ok + counts.failed);
  }
  expect(samples.map((sample) => sample.seq)).toEqual(samples.map((_, i) => i + 1));
  expect(samples.map((sample) => sample.second)).toEqual(samples.map((_, i) => i));
  expect(samples.at(-1)).toMatchObject({ inFlight: 0, queued: 0 });
}

/** What the target itself has counted stands between what was answered and what was written. */
export function expectTargetAgrees({ total }: RunResult, targetCount: number): void {
  const { answered, written, redirects } = total.counts;
  expect(targetCount).toBeGreaterThanOrEqual(answered);
  expect(targetCount).toBeLessThanOrEqual(written + redirects);
}
