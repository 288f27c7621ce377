import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { MemoryHub, type MemoryCoordinator } from '../../src/cluster/memory.ts';
import { Node, type NodeOptions } from '../../src/cluster/node.ts';
import type {
  MasterContext,
  MasterDriver,
  NodeRef,
  Role,
  WorkerContext,
  WorkerDriver,
} from '../../src/cluster/ports.ts';
import { DriverRegistry } from '../../src/cluster/registry.ts';
import { nowMs } from '../../src/lib/clock.ts';
import { SILENT } from '../../src/lib/log.ts';
import { aborted, settledWithin } from '../../src/lib/wait.ts';
import { LinkNetwork } from '../support/cluster-links.ts';
import { MemoryFence, QUICK, record } from '../support/cluster-nodes.ts';
import { eventually } from '../support/eventually.ts';

/** Longer than anything the kit waits for with the quick timings. */
const DEADLINE_MS = 30_000;

/** What a driver under test has seen; it answers `ask` with its node's name. */
class SpyMaster implements MasterDriver {
  context!: MasterContext;
  readonly hellos: [NodeRef, unknown][] = [];
  readonly heard: [NodeRef, unknown][] = [];
  readonly members: string[] = [];
  run(context: MasterContext): Promise<void> {
    this.context = context;
    context.onHello((...hello) => this.hellos.push(hello));
    context.onMessage((...message) => this.heard.push(message));
    context.onMember(({ kind, member }) => this.members.push(`${kind} ${member.node.nodeId} ${member.standing}`));
    return aborted(context.signal);
  }
}

class SpyWorker implements WorkerDriver {
  context!: WorkerContext;
  readonly heard: [unknown, number][] = [];
  readonly sessions: (number | null)[] = [];
  /** Holds a drain up. */
  handOver: Promise<void> = Promise.resolve();
  state: unknown = undefined;
  async run(context: WorkerContext): Promise<void> {
    this.context = context;
    context.onSession((term) => this.sessions.push(term));
    context.onMessage((...message) => {
      this.heard.push(message);
      if (message[0] === 'ask') context.send(`${context.node.nodeId} says hi`);
    });
    await aborted(AbortSignal.any([context.signal, context.draining]));
    await Promise.race([this.handOver, aborted(context.signal)]);
  }
  hello(): unknown {
    return this.state;
  }
}

interface Member {
  node: Node;
  coordinator: MemoryCoordinator;
  address: string;
  port: Server;
  /** One for each term. */
  masters: SpyMaster[];
  worker: SpyWorker;
  dead: boolean;
  stop: AbortController;
  ended: Promise<unknown>;
}

class Cluster {
  readonly hub = new MemoryHub();
  readonly fence = new MemoryFence();
  readonly network = new LinkNetwork();
  readonly all: Member[] = [];

  async start(nodeId: string, change: Partial<NodeOptions['node']> = {}, options: Partial<NodeOptions> = {}) {
    const port = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(port, 'listening');
    const address = `127.0.0.1:${(port.address() as AddressInfo).port}`;
    const registry = new DriverRegistry();
    const masters: SpyMaster[] = [];
    const worker = new SpyWorker();
    registry.registerMaster('spy', () => {
      const master = new SpyMaster();
      masters.push(master);
      return master;
    });
    registry.registerWorker('spy', () => worker);
    const coordinator = this.hub.coordinator();
    const roles: Role[] = ['worker', 'candidate'];
    const node = new Node({
      node: { nodeId, address, roles, priority: 100, labels: {}, version: '0.0.0', ...change },
      coordinator,
      fence: this.fence,
      dial: (to, handlers) => this.network.dialAs(nodeId, to, handlers),
      probe: this.network.probe,
      quorum: 1,
      drivers: ['spy'],
      registry,
      timings: QUICK,
      capacity: null,
      log: SILENT,
      ...options,
    });
    this.network.listen(address, node.accept, () => node.answer());
    const stop = new AbortController();
    const ended = node.run(stop.signal).then(
      () => null,
      (error: unknown) => error,
    );
    const member: Member = { node, coordinator, address, port, masters, worker, dead: false, stop, ended };
    this.all.push(member);
    return member;
  }

  /** All nodes that believe to be master. */
  masters(): Member[] {
    return this.all.filter(({ node, dead }) => !dead && node.mastership()?.mayAct() === true);
  }

  async master(): Promise<Member> {
    return eventually(() => {
      expect(this.masters()).toHaveLength(1);
      return this.masters()[0]!;
    }, DEADLINE_MS);
  }

  /** As SIGKILL would: no lease is renewed or given back, its port refuses, its streams are broken. */
  async kill(member: Member): Promise<void> {
    member.coordinator.isCut = true;
    await this.shut(member);
  }

  /** Of a kill, what the network sees. */
  async shut(member: Member): Promise<void> {
    member.port.close();
    await once(member.port, 'close');
    member.dead = true;
    this.network.kill(member.address, member.node.record.nodeId);
  }

  /** Keeps the master from the coordinator until somebody else is master. */
  async unseat(): Promise<Member> {
    const master = await this.master();
    const { term } = master.node.mastership()!;
    master.coordinator.isCut = true;
    return eventually(() => {
      const next = this.masters().find(({ node }) => (node.mastership()?.term ?? 0) > term);
      expect(next).toBeDefined();
      master.coordinator.isCut = false;
      return next!;
    }, DEADLINE_MS);
  }

  async stopAll(): Promise<void> {
    for (const { stop } of this.all) stop.abort(new Error('end of the test'));
    for (const { ended, port } of this.all) {
      await ended;
      port.close();
    }
  }
}

let cluster: Cluster;
afterEach(() => cluster.stopAll());

/** Waits until the node's worker has a stream to the master of the term. */
const connected = ({ worker }: Member, term: number) =>
  eventually(() => expect(worker.sessions.at(-1)).toBe(term), DEADLINE_MS);

describe('a single node', () => {
  test('is master and its own worker, and messages of any content travel both ways', async () => {
    cluster = new Cluster();
    const one = await cluster.start('one');
    const master = await cluster.master();
    expect(master).toBe(one);
    expect(one.node.master()).toMatchObject({ node: { nodeId: 'one' }, term: 1 });
    await connected(one, 1);
    const { context, hellos, heard } = one.masters[0]!;
    expect(hellos).toEqual([[{ nodeId: 'one', incarnation: one.node.record.incarnation }, undefined]]);
    const payload = Uint8Array.of(0, 255, 7);
    expect(context.send(one.node.record, payload)).toBe(true);
    expect(context.send(one.node.record, 'ask')).toBe(true);
    await eventually(() => {
      expect(one.worker.heard).toEqual([
        [payload, 1],
        ['ask', 1],
      ]);
      expect(heard).toMatchObject([[{ nodeId: 'one' }, 'one says hi']]);
    });
    expect(context.members()).toMatchObject([{ node: { nodeId: 'one' }, standing: 'live', registered: true }]);
    await eventually(() => expect(context.members()[0]!.info).toMatchObject({ capacity: null, running: 0 }));
  });

  test('drains its own worker before it gives the mastership up', async () => {
    cluster = new Cluster();
    const one = await cluster.start('one');
    await connected(one, 1);
    let done!: () => void;
    one.worker.handOver = new Promise((resolve) => (done = resolve));
    one.node.drain('operator');
    await eventually(() => expect(one.masters[0]!.context.members()).toMatchObject([{ leaving: true }]));
    expect(one.node.mastership()?.mayAct()).toBe(true);
    done();
    expect(await one.ended).toBeNull();
    expect(one.node.mastership()).toBeNull();
    expect(cluster.hub.view()).toMatchObject({ master: null, nodes: [] });
  });
});

describe('several nodes', () => {
  const three = async () => {
    cluster = new Cluster();
    for (const nodeId of ['a', 'b', 'c']) await cluster.start(nodeId);
    const master = await cluster.master();
    const others = cluster.all.filter((member) => member !== master);
    for (const member of cluster.all) await connected(member, 1);
    return { master, others };
  };

  test('have one master, who knows all workers', async () => {
    const { master, others } = await three();
    await eventually(() => {
      const members = master.node.members();
      expect(members.map(({ node, standing }) => `${node.nodeId} ${standing}`)).toEqual(['a live', 'b live', 'c live']);
    });
    for (const { node } of others) {
      expect(node.master()).toMatchObject({ node: { nodeId: master.node.record.nodeId }, term: 1 });
      expect(node.members()).toEqual([]);
    }
    expect(master.masters[0]!.hellos).toHaveLength(3);
  });

  test('a running worker becomes master and a worker only again, without a restart', async () => {
    const { others } = await three();
    const roles = new Map(others.map(({ node }) => [node, [] as (number | null)[]]));
    for (const [node, seen] of roles) node.onRoleChange((term) => seen.push(term));
    const next = await cluster.unseat();
    const { term } = next.node.mastership()!;
    expect(others).toContain(next);
    for (const member of cluster.all) await connected(member, term);
    const after = await cluster.unseat();
    const last = after.node.mastership()!.term;
    await eventually(() => expect(roles.get(next.node)).toEqual([term, null]));
    await connected(next, last);
    // The same worker all the time: its driver was run once and saw each master.
    expect(next.worker.sessions).toEqual([1, null, term, null, last]);
    expect(next.worker.context.signal.aborted).toBe(false);
  });

  test('never have two masters that may act, however often the mastership changes', async () => {
    await three();
    let most = 0;
    const watching = setInterval(() => (most = Math.max(most, cluster.masters().length)), 1);
    for (let times = 0; times < 3; times++) await cluster.unseat();
    clearInterval(watching);
    expect(most).toBe(1);
  });

  test('another takes over with a higher term when the master is killed, and the workers turn to it', async () => {
    const { master, others } = await three();
    await cluster.kill(master);
    const next = await cluster.master();
    expect(others).toContain(next);
    const { term } = next.node.mastership()!;
    expect(term).toBeGreaterThan(1);
    for (const member of others) await connected(member, term);
    const { context } = next.masters.at(-1)!;
    const ref = master.node.record;
    await eventually(() => expect(context.standingOf(ref)).toBe('gone'), DEADLINE_MS);
    await eventually(() => expect(context.members()).toHaveLength(2), DEADLINE_MS);
  });

  test('a killed worker is gone as soon as its port refuses, before its lease is over', async () => {
    const { master, others } = await three();
    const victim = others[0]!;
    const { context, members } = master.masters[0]!;
    const { nodeId } = victim.node.record;
    // Its record stands: only the port can tell.
    await cluster.shut(victim);
    await eventually(() => expect(context.standingOf(victim.node.record)).toBe('gone'), DEADLINE_MS);
    expect(members.slice(-2)).toEqual([`modified ${nodeId} suspect`, `modified ${nodeId} gone`]);
    expect(context.send(victim.node.record, 'x')).toBe(false);
  });

  test('a worker that only the master cannot reach keeps its permit by its own lease, then loses it', async () => {
    const { master, others } = await three();
    const lonely = others[0]!;
    const { permit } = lonely.worker.context;
    await eventually(() => expect(permit.validUntilMs()).toBeGreaterThan(nowMs()));
    cluster.network.cutOff.add(master.address);
    cluster.network.breakFrom(lonely.node.record.nodeId);
    const brokenAtMs = nowMs();
    await eventually(() => expect(permit.missingForMs()).toBeGreaterThan(0), DEADLINE_MS);
    expect(permit.validUntilMs() - brokenAtMs).toBeGreaterThan(QUICK.permitMs);
    expect(permit.validUntilMs() - brokenAtMs).toBeLessThanOrEqual(QUICK.permitOnLeaseMs);
    const standing = () => master.masters[0]!.context.standingOf(lonely.node.record);
    await eventually(() => expect(standing()).toBe('gone'), DEADLINE_MS);
    expect(permit.validUntilMs()).toBeLessThan(nowMs());
    cluster.network.cutOff.clear();
    await eventually(() => expect(standing()).toBe('live'), DEADLINE_MS);
    await eventually(() => expect(permit.missingForMs()).toBe(0));
  });

  test('a worker whose permit is withheld loses it, and has it again when it is granted', async () => {
    const { master, others } = await three();
    const { context } = master.masters[0]!;
    const worker = others[0]!;
    const { permit } = worker.worker.context;
    await eventually(() => expect(permit.missingForMs()).toBe(0));
    context.permit(worker.node.record, false);
    expect(context.standingOf(worker.node.record)).toBe('suspect');
    await eventually(() => expect(permit.missingForMs()).toBeGreaterThan(0), DEADLINE_MS);
    context.permit(worker.node.record, true);
    await eventually(() => expect(permit.missingForMs()).toBe(0));
    expect(context.standingOf(worker.node.record)).toBe('live');
  });

  test('a worker that drains tells the master at once, is gone when it has stopped, and its node ends', async () => {
    const { master, others } = await three();
    const worker = others[0]!;
    const { members } = master.masters[0]!;
    const { nodeId } = worker.node.record;
    let done!: () => void;
    worker.worker.handOver = new Promise((resolve) => (done = resolve));
    worker.node.drain('operator');
    const member = () => master.node.members().find(({ node }) => node.nodeId === nodeId);
    await eventually(() => expect(member()).toMatchObject({ leaving: true, standing: 'live' }));
    expect(worker.worker.context.draining.aborted).toBe(true);
    expect(worker.worker.context.signal.aborted).toBe(false);
    done();
    expect(await worker.ended).toBeNull();
    await eventually(() => expect(members.at(-1)).toBe(`deleted ${nodeId} gone`));
  });

  test('a master that drains lets another take over before it hands its own work over', async () => {
    const { master, others } = await three();
    let done!: () => void;
    master.worker.handOver = new Promise((resolve) => (done = resolve));
    master.node.drain('operator');
    await eventually(() => expect(others).toContain(cluster.masters()[0]), DEADLINE_MS);
    const next = cluster.masters()[0]!;
    const member = () => next.node.members().find(({ node }) => node.nodeId === master.node.record.nodeId);
    await eventually(() => expect(member()).toMatchObject({ leaving: true }), DEADLINE_MS);
    done();
    expect(await master.ended).toBeNull();
    await eventually(() => expect(member()).toBeUndefined(), DEADLINE_MS);
  });

  test('a drain that does not come to an end is cut short', async () => {
    cluster = new Cluster();
    const one = await cluster.start('one', {}, { timings: { ...QUICK, drainMs: 200, driverStopMs: 100 } });
    await connected(one, 1);
    one.worker.handOver = new Promise(() => undefined);
    one.node.drain('operator');
    expect(await settledWithin(one.ended, DEADLINE_MS)).toBe(true);
    expect(one.worker.context.signal.aborted).toBe(true);
  });
});

describe('a master whose term is over', () => {
  test('steps down when a worker tells of a newer one, sends nothing more, and is elected beyond that', async () => {
    cluster = new Cluster();
    const old = await cluster.start('old', { roles: ['candidate'] });
    const worker = await cluster.start('worker', { roles: ['worker'] });
    await connected(worker, 1);
    const { context } = old.masters[0]!;
    const told: unknown[] = [];
    const hand = cluster.network.dial(old.address, { message: (each) => told.push(each), closed: () => undefined });
    hand.send({ type: 'hello', node: record({ nodeId: 'elsewhere' }), maxTerm: 7, drivers: [], state: {} });
    await eventually(() => expect(context.signal.aborted).toBe(true));
    expect(String(context.signal.reason)).toContain('worker elsewhere has met term 7');
    expect(told).toMatchObject([{ type: 'goAway', nextTerm: 7 }]);
    expect(context.mayAct()).toBe(false);
    expect(context.send(worker.node.record, 'late')).toBe(false);
    const { members } = old.masters[0]!;
    expect(members.at(-1)).toMatch(/live$/);
    await connected(worker, 8);
    expect(old.node.mastership()?.term).toBe(8);
    expect(worker.worker.heard).toEqual([]);
  });
});

describe('two processes of one node id', () => {
  test('while the older one answers, the newer one ends with the reason', async () => {
    cluster = new Cluster();
    const older = await cluster.start('twin');
    await connected(older, 1);
    const newer = await cluster.start('twin');
    expect(String(await newer.ended)).toBe(
      `CodedError: node twin: expected an id that is free, found its process at ${older.address} alive; stop that one, or give this one another id`,
    );
    expect(cluster.hub.view()).toMatchObject({ nodes: [older.node.record] });
    expect(older.node.mastership()?.mayAct()).toBe(true);
  });

  test('of which the older one did not answer: the newer one works, the older one is sent away, gets no permit and ends with the reason', async () => {
    cluster = new Cluster();
    await cluster.start('m', { roles: ['candidate'] });
    const older = await cluster.start('twin', { roles: ['worker'] });
    await connected(older, 1);
    const probe = (): Promise<never> => Promise.reject(new Error('frozen'));
    const newer = await cluster.start('twin', { roles: ['worker'] }, { probe });
    await connected(newer, 1);
    await eventually(() => expect(older.worker.sessions).toEqual([1, null]));
    const { context } = cluster.masters()[0]!.masters[0]!;
    expect(context.members()).toMatchObject([{ node: { incarnation: newer.node.record.incarnation } }]);
    expect(context.standingOf(older.node.record)).not.toBe('live');
    await eventually(() => expect(older.worker.context.permit.missingForMs()).toBeGreaterThan(0), DEADLINE_MS);
    await eventually(() => expect(newer.worker.context.permit.missingForMs()).toBe(0));
    expect(older.worker.context.permit.missingForMs()).toBeGreaterThan(0);
    expect(String(await older.ended)).toBe(
      'CodedError: node twin: expected to be the only process of this id, found a later start of it registered',
    );
    expect(cluster.hub.view()).toMatchObject({ nodes: [{ nodeId: 'm' }, newer.node.record] });
  });
});

describe('a driver that fails', () => {
  test('as master makes the node step down, pause, and try again with a new one', async () => {
    cluster = new Cluster();
    const registry = new DriverRegistry();
    const terms: number[] = [];
    registry.registerMaster('frail', () => ({
      run: ({ term, signal }) => {
        terms.push(term);
        return terms.length === 1 ? Promise.reject(new Error('out of luck')) : aborted(signal);
      },
    }));
    const one = await cluster.start('one', { roles: ['candidate'] }, { drivers: ['frail'], registry });
    await eventually(() => expect(terms).toHaveLength(2), DEADLINE_MS);
    expect(terms[1]).toBeGreaterThan(terms[0]!);
    expect(one.node.mastership()?.mayAct()).toBe(true);
  });

  test('as worker ends the node, which tells why', async () => {
    cluster = new Cluster();
    const one = await cluster.start('one');
    await connected(one, 1);
    one.worker.context.onMessage(() => {
      throw new Error('out of luck');
    });
    one.masters[0]!.context.send(one.node.record, 'x');
    expect(String(await one.ended)).toContain('worker driver spy failed: out of luck');
    expect(cluster.hub.view()).toMatchObject({ master: null, nodes: [] });
  });

  test('to stop does not keep the node from ending', async () => {
    cluster = new Cluster();
    const registry = new DriverRegistry();
    registry.registerMaster('deaf', () => ({ run: () => new Promise(() => undefined) }));
    registry.registerWorker('deaf', () => ({ run: () => new Promise(() => undefined) }));
    const timings = { ...QUICK, driverStopMs: 100 };
    const one = await cluster.start('one', {}, { drivers: ['deaf'], registry, timings });
    await eventually(() => expect(one.node.mastership()).not.toBeNull());
    one.stop.abort(new Error('enough'));
    expect(await settledWithin(one.ended, DEADLINE_MS)).toBe(true);
  });
});

describe('sentinels', () => {
  const watched = async () => {
    cluster = new Cluster();
    for (const nodeId of ['a', 'b']) await cluster.start(nodeId);
    const master = await cluster.master();
    for (const nodeId of ['s1', 's2', 's3']) await cluster.start(nodeId, { roles: ['sentinel'] });
    for (const member of cluster.all.slice(0, 2)) await connected(member, 1);
    await eventually(() => expect(cluster.hub.view().sentinels).toHaveLength(3));
    await sleep(QUICK.termSettleMs + 100);
    return { master, other: cluster.all.slice(0, 2).find((member) => member !== master)! };
  };

  test('replace a dead master before its lease ends', async () => {
    const { master, other } = await watched();
    const killedAtMs = nowMs();
    await cluster.kill(master);
    await eventually(() => expect(other.node.mastership()?.mayAct()).toBe(true), DEADLINE_MS);
    expect(other.node.mastership()!.reasons).toMatchObject({ how: 'nominated', nomination: { forTerm: 1 } });
    console.log(`a new master ${Math.round(nowMs() - killedAtMs)} ms after the death of the old one`);
    await connected(other, 2);
  });

  test('that alone do not see the master have it replaced, and it stops at once', async () => {
    const { master, other } = await watched();
    cluster.network.mute.add(master.address);
    await eventually(() => expect(other.node.mastership()?.mayAct()).toBe(true), DEADLINE_MS);
    await eventually(() => expect(master.node.mastership()).toBeNull(), DEADLINE_MS);
    expect(master.masters[0]!.context.signal.aborted).toBe(true);
    await connected(master, 2);
  });

  test('may be absent: an operator hands the mastership over, and no two act at the same time', async () => {
    cluster = new Cluster();
    for (const nodeId of ['a', 'b', 'c']) await cluster.start(nodeId);
    const master = await cluster.master();
    const last = cluster.all.findLast((member) => member !== master)!;
    for (const member of cluster.all) await connected(member, 1);
    let most = 0;
    const watching = setInterval(() => (most = Math.max(most, cluster.masters().length)), 1);
    const { cluster: control } = master.masters[0]!.context;
    await expect(control.handOver('nobody', 'of a test')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(control.handOver(master.node.record.nodeId, 'of a test')).rejects.toThrow('it is the master already');
    const beganAtMs = nowMs();
    const { nodeId } = last.node.record;
    expect(await control.handOver(nodeId, 'of a test')).toMatchObject({ nodeId, by: 'operator', forTerm: 1 });
    expect(master.node.mastership()?.mayAct() ?? false, 'it has stopped').toBe(false);
    await eventually(() => expect(last.node.mastership()?.mayAct()).toBe(true), DEADLINE_MS);
    console.log(`handed over within ${Math.round(nowMs() - beganAtMs)} ms`);
    clearInterval(watching);
    expect(most).toBe(1);
    expect(last.node.mastership()!.reasons).toMatchObject({ how: 'nominated', nomination: { reason: 'of a test' } });
  });
});

describe('the coordinator', () => {
  const withHub = async (connectedFirst: boolean) => {
    cluster = new Cluster();
    const one = await cluster.start('one');
    if (connectedFirst) await connected(one, 1);
    return one;
  };

  test('that forgets a node gets its record again, under the same incarnation', async () => {
    const one = await withHub(true);
    const { incarnation } = one.node.record;
    one.coordinator.isCut = true;
    await eventually(() => expect(cluster.hub.view().nodes).toEqual([]), DEADLINE_MS);
    one.coordinator.isCut = false;
    await eventually(() => expect(cluster.hub.view().nodes).toMatchObject([{ incarnation }]), DEADLINE_MS);
    expect(one.node.record.incarnation).toBe(incarnation);
  });

  test('that does not answer at the start is asked again', async () => {
    cluster = new Cluster();
    const coordinator = cluster.hub.coordinator();
    coordinator.isCut = true;
    const one = await cluster.start('one', {}, { coordinator });
    expect(await settledWithin(one.ended, 100)).toBe(false);
    coordinator.isCut = false;
    await connected(one, 1);
  });
});

describe('the options of a node', () => {
  test('are checked all at once', async () => {
    cluster = new Cluster();
    const bad = cluster.start('', { roles: ['candidate'] }, { drivers: ['nope'], fence: null });
    await expect(bad).rejects.toThrow(
      'drivers: expected one of "spy", found "nope"\nnode id: expected a name, found an empty one\n' +
        'node : expected a fence for the role candidate, found none',
    );
  });

  test('a stream to a node that is not master is refused', async () => {
    cluster = new Cluster();
    const worker = await cluster.start('worker', { roles: ['worker'] });
    let closed: unknown;
    cluster.network.dial(worker.address, { message: () => undefined, closed: (how) => (closed = how) });
    await eventually(() => expect(closed).toMatchObject({ why: 'this node is not the master' }));
  });
});
