import type { Member } from '../../../src/cluster/ports.ts';
import { OwnerState } from '../../../src/stress/owner-state.ts';
import type { RunRecord, RunningAssignment } from '../../../src/stress/ports.ts';
import { reconcile } from '../../../src/stress/reconcile.ts';
import { fractionOf } from '../../../src/stress/shares.ts';
import { isActive, isKeeper, type RunView, type Send } from '../../../src/stress/view.ts';
import type { Share } from '../../../src/task/plan.ts';
import { checkTransition } from '../../../src/task/status.ts';
import { candidateOf, planOf, runOf, WANTED } from './records.ts';

interface Worker {
  nodeId: string;
  /** false: killed; its load ends at once, and the master learns of it later. */
  alive: boolean;
  connected: boolean;
  leaving: boolean;
  standing: Member['standing'];
  /** On their way to it. */
  inbox: Send[];
  /** Acknowledgements on their way to the master. */
  outbox: (() => void)[];
  has: Map<number, { share: Share; version: number }>;
}

/** Run time 0, on the world's clock. */
const BEGAN_MS = 1_000_000;

/** A run, its master's memory and its workers, with a network that delivers when it is told to. No clock, no waiting. */
export class World {
  run: RunRecord;
  readonly workers: Worker[] = [];
  #owners = new Map<number, OwnerState>();
  #nowMs = BEGAN_MS + 10_000;

  constructor(rate: number) {
    this.run = runOf({ load: { rate, duration: '1000s' } });
  }

  join(): void {
    const nodeId = `n${this.workers.length + 1}`;
    const rest = { inbox: [], outbox: [], has: new Map<number, { share: Share; version: number }>() };
    this.workers.push({ nodeId, alive: true, connected: true, leaving: false, standing: 'live', ...rest });
  }

  kill(worker: Worker): void {
    Object.assign(worker, {
      alive: false,
      connected: false,
      standing: worker.standing === 'gone' ? 'gone' : 'suspect',
    });
    worker.has.clear();
    this.#cut(worker);
  }

  /** Its stream breaks; it goes on loading. */
  disconnect(worker: Worker): void {
    if (!worker.alive || worker.standing === 'gone') return;
    Object.assign(worker, { connected: false, standing: 'suspect' });
    this.#cut(worker);
  }

  reconnect(worker: Worker): void {
    if (!worker.alive || worker.connected || worker.standing === 'gone') return;
    Object.assign(worker, { connected: true, standing: 'live' });
    this.#hello(worker);
  }

  leave(worker: Worker): void {
    worker.leaving = true;
  }

  /** The master learns that a killed worker has stopped. */
  learn(worker: Worker): void {
    if (!worker.alive) worker.standing = 'gone';
  }

  /** The worker handles the next message, and its answer sets out. */
  deliver(worker: Worker): void {
    const send = worker.inbox.shift();
    if (send === undefined) return;
    const { number, version, share } = send.record;
    const answer = (act: (owner: OwnerState) => void) => worker.outbox.push(() => act(this.#owners.get(number)!));
    if (send.kind === 'stop') {
      worker.has.delete(number);
      answer((owner) => owner.stopped(1, '', false));
    } else if ((worker.has.get(number)?.version ?? 0) <= version) {
      worker.has.set(number, { share, version });
      answer((owner) => owner.acknowledged(version));
    }
  }

  answer(worker: Worker): void {
    worker.outbox.shift()?.();
  }

  retune(target: number): void {
    this.run = { ...this.run, wanted: { ...WANTED, target } };
  }

  /** Another master: it knows what is stored, and what workers tell it. */
  failover(): void {
    this.#owners = new Map([...this.#owners].map(([number, { record }]) => [number, new OwnerState(record, false)]));
    for (const worker of this.workers) {
      this.#cut(worker);
      if (!worker.alive && worker.standing !== 'gone') worker.standing = 'suspect';
      if (worker.connected) this.#hello(worker);
    }
  }

  /** The master looks at the run until it has nothing more to write. */
  pass(): void {
    for (let round = 0; round < 20; round++) {
      const { records, change, sends } = reconcile(this.view());
      if (records.length === 0 && change === null) {
        for (const send of sends) this.#send(send);
        return;
      }
      for (const record of records) {
        const owner = this.#owners.get(record.number);
        if (owner === undefined) this.#owners.set(record.number, new OwnerState(record, true));
        else owner.record = record;
      }
      if (change?.state !== undefined && change.state !== this.run.state) checkTransition(this.run.state, change.state);
      this.run = { ...this.run, ...change };
    }
    throw new Error('the master never comes to rest');
  }

  /** Everything is delivered and everybody is heard of. */
  settle(): void {
    for (let round = 0; round < 60; round++) {
      this.#nowMs += 10_000;
      for (const worker of this.workers) {
        this.learn(worker);
        this.reconnect(worker);
      }
      this.pass();
      for (const worker of this.workers) {
        while (worker.inbox.length > 0) this.deliver(worker);
        while (worker.outbox.length > 0) this.answer(worker);
      }
    }
  }

  view(): RunView {
    const byNode = new Map(this.workers.map((worker) => [worker.nodeId, worker]));
    return {
      run: this.run,
      nowMs: this.#nowMs,
      wallMs: 0,
      elapsedMs: this.run.plan === null ? null : this.#nowMs - BEGAN_MS,
      asked: null,
      owners: [...this.#owners.values()].map((owner) => {
        const { standing, leaving } = byNode.get(owner.record.nodeId)!;
        return owner.view(standing, leaving, 0);
      }),
      candidates: this.workers
        .filter(({ connected, leaving }) => connected && !leaving)
        .map(({ nodeId }) => candidateOf(nodeId)),
      draining: 0,
      awaited: 0,
      stoppingForMs: 0,
    };
  }

  /** The part of the whole that is loaded now, as the target feels it. */
  get loaded(): number {
    return this.workers.flatMap(({ has }) => [...has.values()]).reduce((sum, { share }) => sum + fractionOf(share), 0);
  }

  /** One part of the coarsest division around. */
  get grain(): number {
    const all = [...this.#owners.values()].map(({ record }) => record.share.of);
    return 1 / Math.min(...all, planOf(this.run).segments[0]!.to);
  }

  get keepers(): ReturnType<typeof this.view>['owners'] {
    return this.view().owners.filter(isKeeper);
  }

  get active(): number {
    return this.view().owners.filter(isActive).length;
  }

  #send(send: Send): void {
    const owner = this.#owners.get(send.record.number)!;
    const worker = this.workers.find(({ nodeId }) => nodeId === send.record.nodeId)!;
    if (!worker.connected) return;
    worker.inbox.push(send);
    if (send.kind === 'stop') owner.toldToStop(this.#nowMs, 3_000);
    else owner.commanded(send.record, this.#nowMs);
  }

  #cut(worker: Worker): void {
    worker.inbox.length = 0;
    worker.outbox.length = 0;
  }

  #hello(worker: Worker): void {
    for (const owner of this.#owners.values()) {
      if (owner.record.nodeId !== worker.nodeId) continue;
      const has = worker.has.get(owner.record.number);
      const rest = { runId: 7n, assignment: owner.record.number, incarnation: 1, epoch: 1, finalSeq: null };
      const entry: RunningAssignment | null =
        has === undefined ? null : { ...rest, ...has, elapsedMs: 0, lastSeq: 0, ackedSeq: 0 };
      owner.hello(entry);
    }
  }
}
