import { describe, expect, test } from 'vitest';
import type { ClientConnection, ExchangeListener, ProtocolClient } from '../../src/load/client.ts';
import { HealthProbe } from '../../src/load/health.ts';
import { OpenModel } from '../../src/load/open.ts';
import { SlotPool } from '../../src/load/pool.ts';
import { Tally } from '../../src/load/tally.ts';
import { compileChecks } from '../../src/load/verify.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { Histogram } from '../../src/lib/histogram.ts';
import { addCounts } from '../../src/task/merge.ts';
import { compilePlan, WHOLE } from '../../src/task/plan.ts';
import { emptyCounts, type Counts } from '../../src/task/sample.ts';
import { constant, taskFor } from '../support/engine.ts';

/** A target that keeps each hit until it is told to answer. */
class HeldClient implements ProtocolClient {
  readonly name = 'held';
  readonly events = 0;
  /** In flight, in the order of their sending. */
  readonly held: ExchangeListener[] = [];

  connection(listener: ExchangeListener): ClientConnection {
    return { send: () => void this.held.push(listener), abort: () => undefined };
  }

  answer(): void {
    const listener = this.held.shift()!;
    listener.written();
    listener.headersReceived(200);
    listener.answered({ status: 200, bodyBytes: 0, body: null });
  }

  traffic() {
    return { bytesIn: 0, bytesOut: 0, connectionsOpened: 0, connections: 0 };
  }

  async close(): Promise<void> {}
}

const SLOTS = 2;

/** The open model at 1 000/s with two slots, in a time of its own. */
class Rig {
  readonly client = new HeldClient();
  /** When the books are closed: of all hits, µs. */
  readonly lateness = new Histogram();
  readonly model: OpenModel;
  readonly #tally: Tally;
  readonly #counts: Counts = emptyCounts();
  #elapsedMs = 0;
  #wantedMs = 0;

  constructor(onSaturated: 'drop' | 'queue' = 'drop') {
    const { spec } = taskFor('http://127.0.0.1:1/', { load: { onSaturated } });
    this.#tally = new Tally({
      verifier: compileChecks(spec),
      scheduled: true,
      gauges: () => ({
        target: 0,
        queued: 0,
        inFlight: 0,
        connections: 0,
        users: 0,
        traffic: { bytesIn: 0, bytesOut: 0, connectionsOpened: 0 },
        health: health.take(),
      }),
      onSample: ({ counts, histograms: { lateness } }) => {
        addCounts(this.#counts, counts);
        if (lateness !== undefined) this.lateness.mergeEncoded(lateness);
      },
    });
    using health = new HealthProbe(() => 0);
    const pool = new SlotPool(
      { limit: SLOTS, client: this.client, tally: this.#tally, timeouts: spec.timeouts, health },
      (slot) => this.model.slotFreed(slot, this.#elapsedMs),
    );
    const zeroAtMs = nowMs();
    this.#tally.start(zeroAtMs, 0);
    const context = {
      hits: null,
      tally: this.#tally,
      pool,
      zeroAtMs,
      isPermitted: () => true,
      warmupMs: 0,
      thinkTimeMs: 0,
      wake: () => undefined,
      queueing: onSaturated === 'queue',
    };
    const plan = compilePlan('open', [constant(1_000, 500)]);
    this.model = new OpenModel(context, { fromMs: 0, plan, share: WHOLE, maxInFlight: SLOTS, maxQueue: 100 });
  }

  /** Polls as the loop does, whenever the model wants it, up to this instant. */
  runTo(elapsedMs: number): void {
    while (this.#wantedMs <= elapsedMs) this.pollAt(this.#wantedMs);
    this.#elapsedMs = elapsedMs;
  }

  /** Polls once, at this instant. */
  pollAt(elapsedMs: number): void {
    this.#elapsedMs = elapsedMs;
    this.#wantedMs = this.model.poll(elapsedMs);
  }

  /** Ends the books: hits that wait are cancelled. */
  counts(): Counts {
    this.model.drain();
    this.#tally.finish(nowMs());
    return this.#counts;
  }
}

describe('with all slots taken', () => {
  test('a hit is dropped at its instant', () => {
    const rig = new Rig();
    rig.runTo(4.5);
    expect(rig.model.queued).toBe(0);
    expect(rig.counts()).toMatchObject({ scheduled: 5, started: 2, dropped: { 'target-limited': 3 } });
  });

  test('by a delay of our own, hits wait for the answers that it left unread', () => {
    const rig = new Rig();
    rig.pollAt(0);
    rig.pollAt(6.5);
    expect(rig.model.queued).toBe(5);
    for (let hit = 0; hit < 7; hit++) rig.client.answer();
    rig.runTo(7.5);
    expect(rig.counts()).toMatchObject({ scheduled: 8, started: 8, cancelled: 0, dropped: { 'target-limited': 0 } });
  });

  test('by a delay of our own, the wait is part of the lateness', () => {
    const rig = new Rig();
    rig.pollAt(0);
    rig.pollAt(2.5);
    rig.runTo(9.9);
    rig.client.answer();
    rig.counts();
    expect(rig.lateness.count).toBe(10);
    // Due at 2 ms, sent at 9.9 ms.
    expect(rig.lateness.maxUs).toBeCloseTo(7_900, 0);
  });

  test('by a delay of our own, what becomes due while it is caught up waits its turn, too', () => {
    const rig = new Rig();
    rig.pollAt(0);
    rig.pollAt(6.5);
    rig.runTo(9.5);
    expect(rig.model.queued).toBe(8);
    expect(rig.counts()).toMatchObject({ scheduled: 10, started: 2, cancelled: 8, dropped: { 'target-limited': 0 } });
  });

  test('no hit waits any longer once 10 ms after the delay no slot has come free', () => {
    const rig = new Rig();
    rig.pollAt(0);
    rig.pollAt(6.5);
    rig.runTo(16.4);
    expect(rig.model.queued).toBe(15);
    rig.runTo(16.6);
    expect(rig.model.queued).toBe(0);
    rig.runTo(18.5);
    expect(rig.counts()).toMatchObject({ scheduled: 19, started: 2, cancelled: 0, dropped: { 'target-limited': 17 } });
  });

  test('hits that have waited are dropped as late by our doing when we were late again', () => {
    const rig = new Rig();
    rig.pollAt(0);
    rig.pollAt(6.5);
    rig.pollAt(40.5);
    const { dropped } = rig.counts();
    // Those due up to 6 ms had waited, those due from 7 to 30 ms are more than 10 ms late.
    expect(dropped).toMatchObject({ 'target-limited': 0, 'generator-limited': 5 + 24 });
  });

  test('hits that are more than 10 ms late are not kept waiting', () => {
    const rig = new Rig();
    rig.pollAt(0);
    rig.pollAt(30.5);
    expect(rig.model.queued).toBe(10);
    expect(rig.counts()).toMatchObject({ scheduled: 31, started: 2, dropped: { 'generator-limited': 19 } });
  });

  test('a task that queues keeps its hits, however long that takes', () => {
    const rig = new Rig('queue');
    rig.runTo(50.5);
    expect(rig.model.queued).toBe(49);
    expect(rig.counts()).toMatchObject({ scheduled: 51, started: 2, cancelled: 49 });
  });
});
