import { nowMs } from '../lib/clock.ts';
import type { DropCause, ErrorClass, Sample } from '../task/sample.ts';
import type { Answer } from './client.ts';
import { Recorder, type Gauges } from './recorder.ts';
import type { Slot } from './slot.ts';
import type { Verifier } from './verify.ts';

export interface TallyOptions {
  verifier: Verifier;
  /** Open model: hits have a scheduled instant, so response time and lateness mean something. */
  scheduled: boolean;
  /** Called at the end of each second; `nowMs` clock. */
  gauges: (fromMs: number, toMs: number) => Gauges;
  onSample: (sample: Sample) => void;
}

/**
 * Counts every event of a hit in the second in which it happens, and closes the seconds. Each method keeps the
 * accounting identity of `Counts`.
 */
export class Tally {
  readonly #options: TallyOptions;
  readonly #recorder: Recorder;
  readonly #failedChecks: boolean[];
  #boundaryMs = Infinity;
  /** Where the current second began, or the load did. */
  #fromMs = 0;
  #second = 0;

  constructor(options: TallyOptions) {
    this.#options = options;
    this.#recorder = new Recorder(options.verifier.labels);
    this.#failedChecks = options.verifier.labels.map(() => false);
  }

  /** @param fromMs run time at which the load begins: the first second may be a shorter one */
  start(zeroAtMs: number, fromMs: number): void {
    this.#second = Math.floor(fromMs / 1000);
    this.#fromMs = zeroAtMs + fromMs;
    this.#boundaryMs = zeroAtMs + (this.#second + 1) * 1000;
  }

  /** Closes the seconds that have passed. To be called before an event is counted, and often enough in between. */
  roll(now: number): void {
    while (now >= this.#boundaryMs) {
      this.#cut(this.#boundaryMs);
      this.#boundaryMs += 1000;
    }
  }

  /** Closes the last, shorter second. */
  finish(now: number): void {
    this.roll(now);
    this.#cut(Math.max(this.#fromMs, now));
  }

  #cut(toMs: number): void {
    const fromMs = this.#fromMs;
    this.#fromMs = toMs;
    const gauges = this.#options.gauges(fromMs, toMs);
    this.#options.onSample(this.#recorder.cut(this.#second++, toMs - fromMs, gauges));
  }

  scheduled(warm: boolean): void {
    this.#recorder.counts.scheduled++;
    if (warm) this.#recorder.warmup.scheduled++;
  }

  /** How late the engine has got to a scheduled hit; once for each. */
  late(latenessMs: number, warm: boolean): void {
    if (!warm) this.#recorder.histograms.lateness.record(latenessMs * 1000);
  }

  dropped(cause: DropCause, warm: boolean): void {
    this.#recorder.counts.dropped[cause]++;
    if (warm) this.#recorder.warmup.dropped[cause]++;
  }

  cancelled(warm: boolean): void {
    this.#recorder.counts.cancelled++;
    if (warm) this.#recorder.warmup.cancelled++;
  }

  started(warm: boolean): void {
    this.#recorder.counts.started++;
    if (warm) this.#recorder.warmup.started++;
  }

  written(now: number, warm: boolean): void {
    this.roll(now);
    this.#recorder.counts.written++;
    if (warm) this.#recorder.warmup.written++;
  }

  redirected(warm: boolean): void {
    this.roll(nowMs());
    this.#recorder.counts.redirects++;
    if (warm) this.#recorder.warmup.redirects++;
  }

  /** Phases of a new connection, ms. A phase that did not take place is 0 and not recorded. */
  phases(dnsMs: number, connectMs: number, tlsMs: number): void {
    const { dns, connect, tls } = this.#recorder.histograms;
    if (dnsMs > 0) dns.record(dnsMs * 1000);
    if (connectMs > 0) connect.record(connectMs * 1000);
    if (tlsMs > 0) tls.record(tlsMs * 1000);
  }

  answered(slot: Slot, answer: Answer, now: number): void {
    this.roll(now);
    const { verifier } = this.#options;
    const passed = verifier.verify(answer, now - slot.startMs, this.#failedChecks);
    this.#recorder.countStatus(answer.status);
    this.#recorder.countChecks(this.#failedChecks);
    if (!passed) this.#countFailedCheck(answer);
    this.#countAnswered(passed, slot.warm);
    if (!slot.warm) this.#recordTimes(slot, passed, now);
  }

  /** The hit ended without a whole answer. */
  failed(slot: Slot, errorClass: ErrorClass | 'aborted', message: string): void {
    this.roll(nowMs());
    const outcome = slot.writtenMs === 0 ? 'unwritten' : errorClass === 'aborted' ? 'aborted' : 'failed';
    this.#recorder.counts[outcome]++;
    if (slot.warm) this.#recorder.warmup[outcome]++;
    if (errorClass !== 'aborted') this.#recorder.countError(errorClass, message);
  }

  #countAnswered(passed: boolean, warm: boolean): void {
    const outcome = passed ? 'ok' : 'failed';
    const { counts, warmup } = this.#recorder;
    counts.answered++;
    counts[outcome]++;
    if (!warm) return;
    warmup.answered++;
    warmup[outcome]++;
  }

  #countFailedCheck(answer: Answer): void {
    const { verifier } = this.#options;
    const { statusIndex } = verifier;
    const byStatus = statusIndex >= 0 && this.#failedChecks[statusIndex] === true;
    const index = byStatus ? statusIndex : this.#failedChecks.indexOf(true);
    this.#recorder.countError(byStatus ? 'status' : 'check', verifier.explain(index, answer));
  }

  #recordTimes(slot: Slot, passed: boolean, now: number): void {
    const histograms = this.#recorder.histograms;
    const serviceUs = (now - slot.startMs) * 1000;
    (passed ? histograms.serviceOk : histograms.serviceFailed).record(serviceUs);
    if (slot.headMs > 0) histograms.firstByte.record((slot.headMs - slot.writtenMs) * 1000);
    if (!this.#options.scheduled) return;
    (passed ? histograms.responseOk : histograms.responseFailed).record((now - slot.dueMs) * 1000);
  }
}
