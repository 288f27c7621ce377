import { describe, expect, test, vi } from 'vitest';
import { Members } from '../../src/cluster/members.ts';
import type { MemberEvent, NodeRecord, ToMaster, ToWorker } from '../../src/cluster/ports.ts';
import { Sessions } from '../../src/cluster/sessions.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { SILENT } from '../../src/lib/log.ts';
import { linkPair, type Stream } from '../support/cluster-links.ts';
import { INFO, QUICK, record } from '../support/cluster-nodes.ts';
import { eventually } from '../support/eventually.ts';

const TERM = 5;

/** The master's side under test, and a worker's end by hand for each stream. */
class Desk {
  mayAct = true;
  readonly events: MemberEvent[] = [];
  readonly members = new Members({
    termBeganMs: nowMs(),
    timings: QUICK,
    addressOf: () => null,
    onEvent: (event) => void this.events.push(event),
  });
  readonly onNewerTerm = vi.fn();
  readonly onHello = vi.fn();
  readonly onMessage = vi.fn();
  readonly sessions: Sessions;

  constructor(timings = QUICK) {
    this.sessions = new Sessions({
      term: TERM,
      timings,
      members: this.members,
      mayAct: () => this.mayAct,
      onNewerTerm: this.onNewerTerm,
      onHello: this.onHello,
      onMessage: this.onMessage,
      log: SILENT,
    });
  }

  open(): HandWorker {
    const stream = linkPair();
    stream.master.handlers = this.sessions.accept(stream.master, 'test');
    return new HandWorker(stream);
  }

  hello(change: Partial<NodeRecord> = {}): HandWorker {
    const worker = this.open();
    worker.hello(change);
    return worker;
  }
}

class HandWorker {
  readonly heard: ToWorker[] = [];
  closed: string | null = null;
  readonly stream: Stream;

  constructor(stream: Stream) {
    this.stream = stream;
    stream.worker.handlers = {
      message: (message) => void this.heard.push(message),
      closed: (how) => (this.closed = `${how.kind}: ${how.why}`),
    };
  }

  say(message: ToMaster): void {
    this.stream.worker.send(message);
  }

  hello(change: Partial<NodeRecord> = {}, maxTerm = 0): void {
    this.say({ type: 'hello', node: record(change), maxTerm, drivers: ['a'], state: { a: { running: 1 } } });
  }

  async hears(type: ToWorker['type']): Promise<ToWorker> {
    return eventually(() => {
      const found = this.heard.find((message) => message.type === type);
      expect(found, `expected ${type} among ${JSON.stringify(this.heard)}`).toBeDefined();
      return found!;
    });
  }
}

const W1 = { nodeId: 'w1', incarnation: 1 };

describe('a master welcomes', () => {
  test('a worker that says Hello, and tells its drivers what it has running', async () => {
    const desk = new Desk();
    const worker = desk.hello();
    expect(await worker.hears('welcome')).toEqual({ type: 'welcome', term: TERM, heartbeatMs: QUICK.heartbeatMs });
    expect(desk.onHello).toHaveBeenCalledWith(W1, { a: { running: 1 } });
    expect(desk.members.list()).toMatchObject([{ node: { nodeId: 'w1' }, connected: true, standing: 'live' }]);
  });

  test('a second stream of the same process instead of the first, without losing the member', async () => {
    const desk = new Desk();
    const first = desk.hello();
    await first.hears('welcome');
    const second = desk.hello();
    await second.hears('welcome');
    expect(await first.hears('goAway')).toMatchObject({ why: 'a newer stream is open' });
    await eventually(() => expect(first.closed).not.toBeNull());
    expect(desk.members.list()).toMatchObject([{ connected: true, standing: 'live' }]);
    expect(desk.events.map(({ kind }) => kind)).toEqual(['added']);
    expect(desk.sessions.send(W1, 'a', 'x')).toBe(true);
    expect(await second.hears('driver')).toMatchObject({ payload: 'x' });
  });

  test('a newer incarnation instead of the older, which is told to go away', async () => {
    const desk = new Desk();
    const older = desk.hello();
    await older.hears('welcome');
    const newer = desk.hello({ incarnation: 2, address: '127.0.0.1:2' });
    await newer.hears('welcome');
    expect(await older.hears('goAway')).toMatchObject({ why: 'a newer process of this node is connected' });
    expect(desk.sessions.send(W1, 'a', 'x')).toBe(false);
    expect(desk.members.standingOf(W1, null, nowMs())).toBe('suspect');
  });
});

describe('a master refuses', () => {
  test('an older incarnation than the one it knows', async () => {
    const desk = new Desk();
    await desk.hello({ incarnation: 2 }).hears('welcome');
    const older = desk.hello();
    expect(await older.hears('goAway')).toMatchObject({
      why: 'duplicate node id: w1 was started again (incarnation 2; this is 1)',
    });
    expect(desk.members.list()).toMatchObject([{ node: { incarnation: 2 }, connected: true }]);
  });

  test('a worker that has met a newer term, tells that term, and is told of it itself', async () => {
    const desk = new Desk();
    const worker = desk.open();
    worker.hello({}, TERM + 3);
    expect(await worker.hears('goAway')).toMatchObject({ term: TERM, nextTerm: TERM + 3 });
    expect(desk.onNewerTerm).toHaveBeenCalledWith(TERM + 3, W1);
    expect(desk.members.list()).toEqual([]);
  });

  test('whoever says something else before Hello', async () => {
    const worker = new Desk().open();
    worker.say({ type: 'ping', clockMs: 1 });
    expect(await worker.hears('goAway')).toMatchObject({ why: 'expected Hello first, found ping' });
  });

  test('whoever says nothing', async () => {
    const worker = new Desk({ ...QUICK, welcomeMs: 50 }).open();
    expect(await worker.hears('goAway')).toMatchObject({ why: 'expected Hello within 50 ms' });
  });

  test('a node that is no worker', async () => {
    const worker = new Desk().hello({ roles: ['candidate'] });
    expect(await worker.hears('goAway')).toMatchObject({
      why: 'expected a worker, found a node with the roles candidate',
    });
  });

  test('everybody once its mastership is over', async () => {
    const desk = new Desk();
    desk.mayAct = false;
    expect(await desk.hello().hears('goAway')).toMatchObject({ why: 'the mastership of term 5 is over' });
  });
});

describe('heartbeats', () => {
  test('echo the last ping', async () => {
    const desk = new Desk();
    const worker = desk.hello();
    worker.say({ type: 'ping', clockMs: 10 });
    worker.say({ type: 'ping', clockMs: 11 });
    await worker.hears('welcome');
    desk.sessions.beat();
    expect(await worker.hears('heartbeat')).toEqual({ type: 'heartbeat', term: TERM, echoMs: 11 });
  });

  test('echo nothing while the permit is withheld', async () => {
    const desk = new Desk();
    const worker = desk.hello();
    worker.say({ type: 'ping', clockMs: 10 });
    await worker.hears('welcome');
    desk.sessions.permit(W1, false);
    desk.sessions.beat();
    expect(await worker.hears('heartbeat')).toEqual({ type: 'heartbeat', term: TERM, echoMs: null });
    expect(desk.members.list()).toMatchObject([{ standing: 'suspect' }]);
  });

  test('are not sent once the mastership is over', async () => {
    const desk = new Desk();
    const worker = desk.hello();
    await worker.hears('welcome');
    desk.mayAct = false;
    desk.sessions.beat();
    desk.sessions.close('over', null);
    await worker.hears('goAway');
    expect(worker.heard.map(({ type }) => type)).toEqual(['welcome', 'goAway']);
  });
});

describe('messages', () => {
  test('of the worker reach the driver and the member', async () => {
    const desk = new Desk();
    const worker = desk.hello();
    worker.say({ type: 'nodeInfo', info: INFO });
    worker.say({ type: 'driver', driver: 'a', payload: 'x' });
    await eventually(() => expect(desk.onMessage).toHaveBeenCalledWith('a', W1, 'x'));
    expect(desk.members.list()).toMatchObject([{ info: INFO }]);
  });

  test('are not taken for who is not connected, nor when the outbox is full', async () => {
    const desk = new Desk();
    expect(desk.sessions.send(W1, 'a', 'x')).toBe(false);
    const worker = desk.hello();
    await worker.hears('welcome');
    worker.stream.master.stalled = true;
    let taken = 0;
    while (desk.sessions.send(W1, 'a', taken)) taken++;
    expect(taken).toBeLessThan(1_000);
    worker.stream.master.stalled = false;
    worker.stream.master.pump();
    await eventually(() => expect(desk.sessions.send(W1, 'a', 'again')).toBe(true));
    await eventually(() => expect(worker.heard.at(-1)).toMatchObject({ payload: 'again' }));
    expect(worker.heard.filter(({ type }) => type === 'driver')).toHaveLength(taken + 1);
  });
});

describe('the end of a stream', () => {
  test('after Leave means that the worker is gone', async () => {
    const desk = new Desk();
    const worker = desk.hello();
    worker.say({ type: 'leave', why: 'drain' });
    await eventually(() => expect(desk.members.list()).toMatchObject([{ leaving: true, standing: 'live' }]));
    worker.stream.worker.close('done');
    await eventually(() => expect(desk.events.at(-1)).toMatchObject({ kind: 'deleted', member: { standing: 'gone' } }));
  });

  test('by a reset after Leave does not', async () => {
    const desk = new Desk();
    const worker = desk.hello();
    worker.say({ type: 'leave', why: 'drain' });
    await eventually(() => expect(desk.members.list()).toMatchObject([{ leaving: true }]));
    worker.stream.master.end({ kind: 'broken', why: 'reset', newerTerm: null });
    expect(desk.members.list()).toMatchObject([{ connected: false, standing: 'suspect' }]);
  });

  test('comes for all when the term is over, with the next master named', async () => {
    const desk = new Desk();
    const workers = [desk.hello(), desk.hello({ nodeId: 'w2' })];
    await Promise.all(workers.map((worker) => worker.hears('welcome')));
    desk.sessions.close('stepped down', { address: '127.0.0.1:9', term: 6 });
    for (const worker of workers) {
      expect(await worker.hears('goAway')).toMatchObject({ nextAddress: '127.0.0.1:9', nextTerm: 6 });
      await eventually(() => expect(worker.closed).toBe('ended: stepped down'));
    }
    expect(await desk.hello().hears('goAway')).toMatchObject({ why: 'stepped down' });
  });
});
