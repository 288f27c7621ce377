import { Histogram } from '../lib/histogram.ts';
import { maskText } from '../lib/mask.ts';
import type { RunAccount } from '../task/account.ts';
import { taskSecrets } from '../task/format.ts';
import { compilePlan, meanTarget, peakTarget, planEndMs, type Plan } from '../task/plan.ts';
import type { Counts, Sample } from '../task/sample.ts';
import { parseSlo } from '../task/slo.ts';
import type { TaskSpec } from '../task/spec.ts';
import { accountFor, droppedOf, unansweredOf } from './accounting.ts';
import { describeCluster } from './cluster.ts';
import { dropHints } from './drops.ts';
import { RunningVerdict } from './evidence.ts';
import { summarize, summarizeAll, type AllScheduled } from './latency.ts';
import { describeLoad, describePlan } from './plan-text.ts';
import { RateWindow } from './rate-window.ts';
import { SCHEMA_VERSION } from './schema.ts';
import type { Headline, Report, SeriesRow } from './schema.ts';
import { rowOf, Series } from './series.ts';
import { judgeSlo } from './slos.ts';
import { describeTask } from './task-text.ts';
import { Totals, union } from './totals.ts';
import type { Verdict } from './verdict.ts';

/** What is known when a run starts. */
export interface RunInfo {
  /** May hold secrets: the report masks them. */
  task: TaskSpec;
  /** Of GoStress. */
  version: string;
  startedAt: Date;
  /** Name of the protocol client. */
  client: string;
  /** Engine threads; null: of several workers, not known. */
  threads: number | null;
  /** Nodes of a cluster that had a share; absent: not run on a cluster. */
  workers?: number;
  nodeVersion: string;
}

/** One second of a run, for who watches it. */
export interface Second {
  sample: Sample;
  row: SeriesRow;
  /** Response times (closed model: service times) of the answers of this second; only until the next one is added. */
  latency: Histogram;
  /** On the run so far. */
  verdict: Verdict;
}

/** What is known when it has ended. */
export interface RunEnd {
  endedAt: Date;
  stop: { kind: 'completed' | 'drained' | 'aborted' | 'running'; reason: string };
  /** Of a run on a cluster. */
  account?: RunAccount;
  /** Of a run on a cluster: its plan as it was carried out, and until when (run time, ms) hits of it were wanted. */
  wanted?: { plan: Plan; untilMs: number };
  /** The whole plan as it was changed while the run went on; absent: it was not. */
  plan?: Plan;
}

/**
 * Sums the samples of a run and makes its report. Memory is bounded, however long the run is: totals, and at most
 * MAX_ROWS rows over time.
 */
export class ReportBuilder {
  readonly #info: RunInfo;
  readonly #totals = new Totals();
  readonly #verdict: RunningVerdict;
  readonly #rates: RateWindow;
  readonly #series = new Series();
  readonly #response = new Histogram();
  readonly #service = new Histogram();

  constructor(info: RunInfo) {
    const { load } = info.task;
    this.#info = info;
    this.#verdict = new RunningVerdict(load.model, load.warmupMs);
    this.#rates = new RateWindow(load.warmupMs, planEndMs(compilePlan(load.model, load.stages)));
  }

  /**
   * Adds the next sample of the whole run, in the order of their `seq`, each once.
   *
   * @param nodeCpu busy part of the whole node in this second, 0 to 1; null: not known
   * @throws RangeError when a histogram of the sample is malformed
   */
  add(sample: Sample, nodeCpu: number | null = null): Second {
    this.#totals.add(sample, nodeCpu);
    this.#verdict.add(sample, nodeCpu);
    this.#rates.add(sample);
    const { responseOk, responseFailed, serviceOk, serviceFailed } = sample.histograms;
    refill(this.#response, responseOk, responseFailed);
    refill(this.#service, serviceOk, serviceFailed);
    const row = rowOf(sample, nodeCpu, this.#response, this.#service);
    this.#series.add(row);
    const latency = this.#response.count > 0 ? this.#response : this.#service;
    return { sample, row, latency, verdict: this.#verdict.current() };
  }

  /** The report on all samples added; to be called once. Of a run that goes on it tells what is still under way. */
  build(end: RunEnd): Report {
    const { task, version } = this.#info;
    const totals = this.#totals;
    const { account = null } = end;
    const unserved = this.#unserved(end);
    if (account !== null) {
      totals.close(account.closing);
      this.#verdict.close(account, unserved);
    }
    const measured = totals.measured();
    const headline = this.#headline(measured, end, unserved);
    const response = this.#allScheduled(measured);
    const accounting = accountFor(totals.counts, account?.mayHaveStarted, end.stop.kind !== 'running');
    const service = union(totals.histograms.serviceOk, totals.histograms.serviceFailed);
    const { scheduled, ok } = measured;
    const evidence = {
      scheduled,
      checks: totals.checks,
      ok,
      dropped: droppedOf(measured),
      okPerSecond: headline.okPerSecond,
      response,
      service,
    };
    return {
      schemaVersion: SCHEMA_VERSION,
      createdBy: { name: 'gostress', version },
      task: describeTask(task),
      plan: {
        model: task.load.model,
        text: describeLoad(task.load),
        retuned: end.plan === undefined ? null : describePlan(end.plan),
      },
      run: this.#run(end),
      headline,
      counts: structuredClone(totals.counts),
      warmup: structuredClone(totals.warmup),
      accounting,
      cluster: account === null ? null : describeCluster(account, unserved),
      latencies: this.#latencies(response),
      lateness: summarize(totals.histograms.lateness),
      phases: this.#phases(),
      statusCodes: { ...totals.statusCodes },
      errors: this.#maskedErrors(),
      checks: structuredClone(totals.checks),
      traffic: this.#traffic(),
      drops: this.#drops(measured, service),
      health: this.#health(),
      slos: task.slos.map((text) => judgeSlo(parseSlo(text), evidence)),
      verdict: this.#verdict.final(accounting.holds),
      series: { rowSeconds: this.#series.rowSeconds, rows: [...this.#series.rows] },
    };
  }

  /** Seconds in which no worker had anything have no sample. */
  #ranMs({ wanted }: RunEnd): number {
    return Math.max(this.#totals.durationMs, wanted?.untilMs ?? 0);
  }

  /** Hits of the plan that were due while no worker had them, at least. In the closed model there are none to count. */
  #unserved({ wanted, account }: RunEnd): number {
    const { load } = this.#info.task;
    if (wanted === undefined || account === undefined || load.model !== 'open') return 0;
    const due = (meanTarget(wanted.plan, 0, wanted.untilMs) * wanted.untilMs) / 1000;
    const { scheduled } = this.#totals.counts;
    const missing = Math.floor(Math.min(due, load.hits ?? Infinity)) - scheduled - (account.mayHaveStarted ?? Infinity);
    // Where a share begins or ends a hit may fall between two.
    return missing > account.assignments ? missing : 0;
  }

  #run(end: RunEnd): Report['run'] {
    const { endedAt, stop } = end;
    const { task, startedAt, client, threads, workers = null, nodeVersion } = this.#info;
    const durationMs = this.#ranMs(end);
    return {
      startedAt: startedAt.toISOString(),
      endedAt: endedAt.toISOString(),
      durationMs,
      warmupMs: Math.min(task.load.warmupMs, durationMs),
      stop: { ...stop },
      client,
      threads,
      workers,
      nodeVersion,
    };
  }

  #headline(measured: Counts, end: RunEnd, unserved: number): Headline {
    const { stop, plan: retuned, wanted } = end;
    const { load } = this.#info.task;
    const isOpen = load.model === 'open';
    const { counts } = this.#totals;
    const durationMs = this.#ranMs(end);
    const plan = retuned ?? compilePlan(load.model, load.stages);
    const measuredMs = Math.max(0, Math.min(durationMs, planEndMs(plan)) - load.warmupMs);
    const hitsUsedUp = load.hits !== null && counts.scheduled >= load.hits;
    const ofSamples = this.#rates.rates(stop.kind === 'completed' && !hitsUsedUp);
    // What no worker had is in no sample's target.
    const rates =
      unserved === 0
        ? ofSamples
        : {
            askedPerSecond: meanTarget(wanted!.plan, load.warmupMs, load.warmupMs + measuredMs),
            startedPerSecond: ratio(measured.started, measuredMs / 1000),
          };
    return {
      scheduled: measured.scheduled,
      answered: measured.answered,
      answeredShare: ratio(measured.answered, measured.scheduled),
      okShare: ratio(measured.ok, measured.scheduled),
      askedPerSecond: isOpen ? rates.askedPerSecond : null,
      startedPerSecond: rates.startedPerSecond,
      answeredPerSecond: ratio(measured.answered, measuredMs / 1000),
      okPerSecond: ratio(measured.ok, measuredMs / 1000),
      measuredMs,
      usersMax: isOpen ? null : Math.ceil(peakTarget(plan, durationMs)),
    };
  }

  /** In the closed model there is no schedule: a hit's response time is its service time. */
  #allScheduled(measured: Counts): AllScheduled {
    const { responseOk, responseFailed, serviceOk, serviceFailed } = this.#totals.histograms;
    const isOpen = this.#info.task.load.model === 'open';
    return {
      answered: isOpen ? union(responseOk, responseFailed) : union(serviceOk, serviceFailed),
      unanswered: unansweredOf(measured) + measured.unmeasured,
      timeouts: this.#timeouts(),
    };
  }

  /** Errors are not told apart by warm-up: as many as may have been of the warm-up are left out. */
  #timeouts(): AllScheduled['timeouts'] {
    const { timeouts } = this.#info.task;
    const { errors, warmup } = this.#totals;
    let ofWarmup = warmup.unwritten + warmup.ok + warmup.failed - warmup.answered;
    const kinds = [
      { ms: timeouts.totalMs, count: errors['total-timeout']?.count ?? 0 },
      { ms: timeouts.responseMs, count: errors['response-timeout']?.count ?? 0 },
    ];
    return kinds.map(({ ms, count }) => {
      const left = Math.max(0, count - ofWarmup);
      ofWarmup -= count - left;
      return { ms, count: left };
    });
  }

  #latencies(all: AllScheduled): Report['latencies'] {
    const { responseOk, responseFailed, serviceOk, serviceFailed } = this.#totals.histograms;
    return {
      hasSchedule: this.#info.task.load.model === 'open',
      allScheduled: summarizeAll(all),
      responseOk: summarize(responseOk),
      responseFailed: summarize(responseFailed),
      serviceOk: summarize(serviceOk),
      serviceFailed: summarize(serviceFailed),
    };
  }

  #phases(): Report['phases'] {
    const { dns, connect, tls, firstByte } = this.#totals.histograms;
    return { dns: summarize(dns), connect: summarize(connect), tls: summarize(tls), firstByte: summarize(firstByte) };
  }

  #maskedErrors(): Report['errors'] {
    const secrets = taskSecrets(this.#info.task);
    const entries = Object.entries(this.#totals.errors).map(([errorClass, { count, examples }]) => {
      return [errorClass, { count, examples: examples.map((text) => maskText(text, secrets)) }] as const;
    });
    return Object.fromEntries(entries);
  }

  #traffic(): Report['traffic'] {
    const { traffic, durationMs, connectionsMax } = this.#totals;
    return {
      ...traffic,
      bytesInPerSecond: ratio(traffic.bytesIn, durationMs / 1000),
      bytesOutPerSecond: ratio(traffic.bytesOut, durationMs / 1000),
      connectionsMax,
    };
  }

  #drops(measured: Counts, service: Histogram): Report['drops'] {
    const { client, task } = this.#info;
    const { load, connections } = task;
    const max = connections.max ?? Infinity;
    const count = droppedOf(measured);
    const hints = dropHints({
      scheduled: measured.scheduled,
      dropped: measured.dropped,
      slots: Math.min(max, load.maxInFlight),
      slotsLimitedBy: max > load.maxInFlight ? 'max-in-flight' : client === 'http2' ? 'streams' : 'connections',
      holdMs: this.#holdMs(service),
      slowestMs: service.maxUs / 1000,
      askedPerSecond: this.#totals.askedWhenSaturated,
      queue: load.onSaturated === 'queue' ? load.maxQueue : null,
    });
    return { count, share: ratio(count, measured.scheduled), hints };
  }

  /** Mean time that a hit held its slot, those that timed out included; null when these are the most. */
  #holdMs(service: Histogram): number | null {
    const { errors } = this.#totals;
    const { timeouts } = this.#info.task;
    const total = errors['total-timeout']?.count ?? 0;
    const response = errors['response-timeout']?.count ?? 0;
    if (total + response >= service.count) return null;
    const answeredMs = (service.meanUs / 1000) * service.count;
    return (
      (answeredMs + total * timeouts.totalMs + response * timeouts.responseMs) / (service.count + total + response)
    );
  }

  #health(): Report['health'] {
    const { health, counts, nodeCpuMax } = this.#totals;
    return {
      cpuSeconds: health.cpuSeconds,
      startedPerCpuSecond: health.cpuSeconds > 0 ? counts.started / health.cpuSeconds : null,
      utilisationMax: health.utilisation,
      loopDelayP99MaxMs: health.loopDelayP99Ms,
      loopDelayMaxMs: health.loopDelayMaxMs,
      gcMaxMs: health.gcMaxMs,
      gcTotalMs: health.gcTotalMs,
      nodeCpuMax,
    };
  }
}

function refill(histogram: Histogram, ...parts: readonly (Uint8Array | undefined)[]): void {
  histogram.reset();
  for (const part of parts) if (part !== undefined) histogram.mergeEncoded(part);
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
