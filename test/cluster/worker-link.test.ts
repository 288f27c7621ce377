import { afterEach, describe, expect, test } from 'vitest';
import { PermitHolder } from '../../src/cluster/permit.ts';
import type { Link, MasterRecord, ToMaster, ToWorker } from '../../src/cluster/ports.ts';
import type { Timings } from '../../src/cluster/timings.ts';
import { WorkerLink } from '../../src/cluster/worker-link.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { SILENT } from '../../src/lib/log.ts';
import { LinkNetwork } from '../support/cluster-links.ts';
import { INFO, QUICK, record } from '../support/cluster-nodes.ts';
import { eventually } from '../support/eventually.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** The worker's side under test; masters are played by hand. */
class Bench {
  readonly network = new LinkNetwork();
  readonly permit: PermitHolder;
  readonly sessions: (number | null)[] = [];
  readonly messages: [string, unknown, number][] = [];
  readonly link: WorkerLink;

  constructor(timings: Timings = QUICK) {
    this.permit = new PermitHolder(timings);
    this.link = new WorkerLink({
      dial: this.network.dial,
      timings,
      node: () => record(),
      drivers: ['a'],
      state: () => ({ a: 'state' }),
      info: () => INFO,
      permit: this.permit,
      onSession: (term) => void this.sessions.push(term),
      onMessage: (...message) => void this.messages.push(message),
      onDrained: () => undefined,
      log: SILENT,
    });
    const stop = new AbortController();
    const running = this.link.run(stop.signal);
    stops.push(async () => {
      stop.abort();
      await running;
    });
  }

  master(address: string, term: number): HandMaster {
    return new HandMaster(this, address, term);
  }
}

class HandMaster {
  readonly heard: ToMaster[] = [];
  readonly record: MasterRecord;
  link: Link<ToWorker> | null = null;
  closed = 0;
  streams = 0;
  welcoming = true;
  readonly term: number;

  constructor(bench: Bench, address: string, term: number) {
    this.term = term;
    this.record = { node: record({ nodeId: address, address, roles: ['candidate'] }), term };
    bench.network.listen(address, (link) => {
      this.link = link;
      this.streams++;
      return {
        message: (message) => {
          this.heard.push(message);
          if (message.type === 'hello' && this.welcoming) this.say({ type: 'welcome', term, heartbeatMs: 50 });
        },
        closed: () => (this.closed += 1),
      };
    });
  }

  say(message: ToWorker): void {
    this.link!.send(message);
  }

  of(type: ToMaster['type']): ToMaster[] {
    return this.heard.filter((message) => message.type === type);
  }
}

describe('a worker', () => {
  test('dials the master, says Hello with what it has running, pings, and tells how it fares', async () => {
    const bench = new Bench();
    const master = bench.master('m1', 3);
    bench.link.follow(master.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    expect(master.heard[0]).toMatchObject({ type: 'hello', maxTerm: 3, drivers: ['a'], state: { a: 'state' } });
    await eventually(() => {
      expect(master.of('ping').length).toBeGreaterThan(1);
      expect(master.of('nodeInfo')).toContainEqual({ type: 'nodeInfo', info: INFO });
    });
  });

  test('has a permit as long as its pings are echoed', async () => {
    const bench = new Bench();
    const master = bench.master('m1', 3);
    bench.link.follow(master.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    master.say({ type: 'heartbeat', term: 3, echoMs: null });
    expect(bench.permit.validUntilMs()).toBe(0);
    const echoMs = (master.of('ping')[0] as { clockMs: number }).clockMs;
    master.say({ type: 'heartbeat', term: 3, echoMs });
    await eventually(() => expect(bench.permit.validUntilMs()).toBe(echoMs + QUICK.permitMs));
    await eventually(() => expect(bench.permit.missingForMs()).toBeGreaterThan(0));
  });

  test('follows a newer master, and tells it the highest term it has met', async () => {
    const bench = new Bench();
    const first = bench.master('m1', 3);
    const second = bench.master('m2', 4);
    bench.link.follow(first.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    bench.link.follow(second.record);
    await eventually(() => expect(bench.sessions).toEqual([3, null, 4]));
    expect(first.closed).toBe(1);
    expect(second.heard[0]).toMatchObject({ type: 'hello', maxTerm: 4 });
  });

  test('stays with its master while the coordinator knows of none', async () => {
    const bench = new Bench();
    const master = bench.master('m1', 3);
    bench.link.follow(master.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    bench.link.follow(null);
    master.say({ type: 'driver', term: 3, driver: 'a', payload: 'x' });
    await eventually(() => expect(bench.messages).toEqual([['a', 'x', 3]]));
    expect(bench.sessions).toEqual([3]);
  });

  test('does not believe a record of an older term', async () => {
    const bench = new Bench();
    const older = bench.master('m1', 3);
    const newer = bench.master('m2', 4);
    bench.link.follow(newer.record);
    await eventually(() => expect(bench.sessions).toEqual([4]));
    bench.link.follow(older.record);
    newer.say({ type: 'driver', term: 4, driver: 'a', payload: 'x' });
    await eventually(() => expect(bench.messages).toHaveLength(1));
    expect(older.streams).toBe(0);
  });

  test('refuses a master whose term is older than one it met', async () => {
    const bench = new Bench();
    const stale = bench.master('m1', 2);
    // The record says 5, whoever answers there still believes in term 2.
    bench.link.follow({ ...stale.record, term: 5 });
    await eventually(() => expect(stale.closed).toBeGreaterThan(1));
    expect(bench.sessions).toEqual([]);
  });

  test('ignores a command and an echo of a stale term, and leaves who sent it', async () => {
    const bench = new Bench();
    const master = bench.master('m1', 3);
    bench.link.follow(master.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    master.say({ type: 'heartbeat', term: 2, echoMs: nowMs() });
    master.say({ type: 'driver', term: 2, driver: 'a', payload: 'stale' });
    await eventually(() => expect(bench.sessions.slice(0, 2)).toEqual([3, null]));
    expect(bench.messages).toEqual([]);
    expect(bench.permit.validUntilMs()).toBe(0);
  });

  test('dials again when the stream breaks', async () => {
    const bench = new Bench();
    const master = bench.master('m1', 3);
    bench.link.follow(master.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    bench.network.breakAll('m1');
    await eventually(() => expect(bench.sessions).toEqual([3, null, 3]));
  });

  test('leaves a master that does not say Welcome, or falls silent, and dials again', async () => {
    const bench = new Bench({ ...QUICK, welcomeMs: 60, silenceMs: 200 });
    const master = bench.master('m1', 3);
    master.welcoming = false;
    bench.link.follow(master.record);
    await eventually(() => expect(master.streams).toBeGreaterThan(1));
    expect(bench.sessions).toEqual([]);
    master.welcoming = true;
    await eventually(() => expect(bench.sessions.slice(0, 3)).toEqual([3, null, 3]));
  });

  test('stays with its master after it stood still itself', async () => {
    const bench = new Bench({ ...QUICK, silenceMs: 400 });
    const master = bench.master('m1', 3);
    bench.link.follow(master.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    const beating = setInterval(() => master.say({ type: 'heartbeat', term: 3, echoMs: null }), 50);
    const end = performance.now() + 800;
    while (performance.now() < end);
    const pings = master.of('ping').length;
    await eventually(() => expect(master.of('ping').length).toBeGreaterThan(pings + 3));
    clearInterval(beating);
    expect(bench.sessions).toEqual([3]);
  });

  test('has a permit between two masters, as long as its lease is renewed', async () => {
    const bench = new Bench();
    const master = bench.master('m1', 1);
    let leaseUntilMs = nowMs() + 1_000;
    bench.permit.hold({ validUntilMs: () => leaseUntilMs });
    bench.link.follow(master.record);
    await eventually(() => expect(master.heard.some(({ type }) => type === 'ping')).toBe(true));
    bench.permit.echoed(nowMs());
    bench.network.kill('m1', 'm1');
    await eventually(() => expect(bench.sessions).toContain(null));
    leaseUntilMs = nowMs() + 3_000;
    await eventually(() => expect(bench.permit.validUntilMs()).toBe(leaseUntilMs));
  });

  test('dials again where nobody answers, until somebody does', async () => {
    const bench = new Bench();
    const master = bench.master('m1', 3);
    bench.network.cutOff.add('m1');
    let dials = 0;
    const { cutOff } = bench.network;
    const has = cutOff.has.bind(cutOff);
    cutOff.has = (address) => {
      dials++;
      return has(address);
    };
    bench.link.follow(master.record);
    await eventually(() => expect(dials).toBeGreaterThan(4));
    cutOff.delete('m1');
    await eventually(() => expect(bench.sessions).toEqual([3]));
  });

  test('goes where the next master is as soon as that is known', async () => {
    const bench = new Bench({ ...QUICK, retryMinMs: 100_000, retryMaxMs: 100_000 });
    const first = bench.master('m1', 3);
    bench.link.follow(first.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    first.say({ type: 'goAway', term: 3, why: 'stepped down', nextAddress: null, nextTerm: null });
    await eventually(() => expect(bench.sessions).toEqual([3, null]));
    bench.link.follow(bench.master('m2', 4).record);
    await eventually(() => expect(bench.sessions).toEqual([3, null, 4]));
  });

  test('tells every master that it leaves, and has no permit once its stream is closed', async () => {
    const bench = new Bench();
    const first = bench.master('m1', 3);
    bench.link.follow(first.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    bench.permit.echoed(nowMs());
    bench.link.leave('drain');
    await eventually(() => expect(first.of('leave')).toEqual([{ type: 'leave', why: 'drain' }]));
    expect(bench.permit.validUntilMs()).toBeGreaterThan(0);
    const second = bench.master('m2', 4);
    bench.link.follow(second.record);
    expect(bench.permit.validUntilMs()).toBe(0);
    await eventually(() => expect(second.of('leave')).toHaveLength(1));
  });

  test('that leaves keeps its permit when its master, not itself, ends the stream', async () => {
    const bench = new Bench();
    const master = bench.master('m1', 3);
    bench.link.follow(master.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    bench.permit.echoed(nowMs());
    const untilMs = bench.permit.validUntilMs();
    bench.link.leave('drain');
    master.say({ type: 'goAway', term: 3, why: 'stepped down', nextAddress: null, nextTerm: null });
    await eventually(() => expect(bench.sessions.slice(0, 2)).toEqual([3, null]));
    expect(bench.permit.validUntilMs()).toBe(untilMs);
  });

  test('takes no message of a driver before Welcome, nor beyond what the stream holds', async () => {
    const bench = new Bench();
    expect(bench.link.send('a', 'x')).toBe(false);
    const master = bench.master('m1', 3);
    bench.link.follow(master.record);
    await eventually(() => expect(bench.sessions).toEqual([3]));
    bench.network.streams[0]!.worker.stalled = true;
    let taken = 0;
    while (bench.link.send('a', taken)) taken++;
    expect(taken).toBeLessThan(1_000);
    bench.network.streams[0]!.worker.stalled = false;
    bench.network.streams[0]!.worker.pump();
    await eventually(() => expect(bench.link.send('a', 'again')).toBe(true));
    await eventually(() => expect(master.of('driver')).toHaveLength(taken + 1));
  });
});
