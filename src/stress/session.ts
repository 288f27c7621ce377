import type { MasterContext, MemberEvent, NodeRef } from '../cluster/ports.ts';
import { nowMs } from '../lib/clock.ts';
import { CodedError, errorMessage } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Doubts } from './doubts.ts';
import { Early } from './early.ts';
import { EventWriter } from './event-writer.ts';
import { LateResults } from './late-results.ts';
import { Ledger } from './ledger.ts';
import type { RunRecord, StressHello, StressToMaster, TaskStore } from './ports.ts';
import { Changed, Fenced, RunControl, type RunHouse } from './run-control.ts';
import type { SampleKey } from './stored-run.ts';
import { Strays } from './strays.ts';
import { REASONS_KIND, reasonsSentence, reasonsText } from './term-reasons.ts';
import { runName } from './view.ts';
import { Wake } from './wake.ts';
import { Workforce } from './workforce.ts';

/** Rows that another program changed are found by then. */
const POLL_MS = 1_000;
/** While something runs it is looked after this often: its seconds are told soon after they are whole. */
const BUSY_POLL_MS = 200;
/** After something changed that was not expected. */
const READ_AGAIN_MS = 20;
/** After the store did not answer. */
const RETRY_MS = 300;

export interface SessionOptions {
  context: MasterContext;
  store: TaskStore;
}

/** One term of the stress driver as master: the loop that reconciles all runs, and what it knows. */
export class MasterSession {
  readonly context: MasterContext;
  readonly events: EventWriter;
  /** Something was seen or done that who waits for a run may want to look at. */
  readonly changed = new Wake();
  readonly #store: TaskStore;
  readonly #log: Log;
  readonly #ledger: Ledger;
  readonly #late: LateResults;
  readonly #strays: Strays;
  readonly #workforce: Workforce;
  readonly #house: RunHouse;
  readonly #doubts: Doubts;
  readonly #controls = new Map<bigint, RunControl>();
  readonly #wake = new Wake();
  /** What comes before the runs are read. */
  readonly #early = new Early();
  #mustRead = true;
  #mustReload = false;
  #readAtMs = -Infinity;
  #retryAtMs = -Infinity;
  #takenUpAtMs = -Infinity;

  constructor({ context, store }: SessionOptions) {
    const { log } = context;
    this.context = context;
    this.#store = store;
    this.#log = log;
    this.events = new EventWriter({ store, term: context.term, nodeId: context.node.nodeId, log });
    const send = (to: NodeRef, message: unknown) => context.mayAct() && context.send(to, message);
    this.#strays = new Strays({ send, permit: (to, granted) => context.permit(to, granted) });
    this.#ledger = new Ledger({
      term: context.term,
      store,
      send,
      onSample: ({ runId, assignment }, sample) => this.#controls.get(runId)?.sample(assignment, sample),
      onStored: (samples) => {
        this.#late.stored(samples.filter(({ runId }) => !this.#controls.has(runId)));
        // Only the end of a run waits for what is stored.
        if (samples.some(({ runId }) => this.#controls.get(runId)?.run.state === 'STOPPING')) this.#wake.tell();
      },
      onFenced: () => this.#fenced(),
      onProblem: ({ runId, assignment, incarnation }, text) => {
        const subject = this.#controls.get(runId)?.name ?? `run ${runId}`;
        this.events.add('sample.refused', subject, `assignment ${assignment}, incarnation ${incarnation}: ${text}`);
      },
      log,
    });
    this.#late = new LateResults({ store, term: context.term, ledger: this.#ledger, log });
    this.#workforce = new Workforce({ context, loadsBeside: (run) => this.#loadsBeside(run) });
    this.#house = this.#makeHouse(send);
    this.#doubts = new Doubts(context.cluster);
  }

  // --- For the API -----------------------------------------------------------------------------------------------

  /** The user has changed something: looks at the store at once. */
  userChanged(): void {
    this.#mustRead = true;
    this.#wake.tell();
  }

  /** Of an active run; undefined: it is not active, or not seen yet. */
  control(runId: bigint): RunControl | undefined {
    return this.#controls.get(runId);
  }

  get controls(): readonly RunControl[] {
    return [...this.#controls.values()];
  }

  // --- The loop --------------------------------------------------------------------------------------------------

  /** Resolves when the context's signal aborts. */
  async run(): Promise<void> {
    const { context } = this;
    using listening = new DisposableStack();
    listening.use(context.onHello((from, state) => this.#hello(from, state)));
    listening.use(context.onMessage((from, payload) => this.#arrived(from, payload as StressToMaster)));
    listening.use(context.onMember((event) => this.#member(event)));
    const { reasons } = context.cluster;
    const subject = `nodes/${context.node.nodeId}`;
    this.events.add('master.elected', subject, reasonsSentence(reasons));
    this.events.add(REASONS_KIND, subject, reasonsText(reasons));
    const writing = Promise.all([this.#ledger.run(context.signal), this.events.run(context.signal)]);
    writing.catch((error: unknown) => context.stepDown(`results cannot be written: ${errorMessage(error)}`));
    while (!context.signal.aborted) {
      const seen = this.#wake.count;
      await this.#pass();
      await this.#wake.after(seen, this.#pauseMs(), context.signal);
    }
    await writing;
    for (const control of this.#controls.values()) control.live.end();
    this.changed.tell();
  }

  #pauseMs(): number {
    if (this.#mustRead) return READ_AGAIN_MS;
    return this.#controls.size > 0 ? BUSY_POLL_MS : POLL_MS;
  }

  async #pass(): Promise<void> {
    this.#workforce.changed();
    for (const { kind, subject, text } of this.#doubts.changes(this.context.members())) {
      this.events.add(kind, subject, text);
    }
    try {
      if (await this.#read()) {
        for (const control of this.controls) await this.#passOf(control);
        this.#strays.stop();
        this.#ledger.ackAgain();
        this.#late.again();
      }
    } catch (error) {
      this.#failed(error);
    }
    for (const control of this.#controls.values()) control.publish();
    this.changed.tell();
  }

  async #passOf(control: RunControl): Promise<void> {
    if (this.context.signal.aborted || !this.context.mayAct()) return;
    try {
      await control.pass();
    } catch (error) {
      const isOurs = error instanceof Fenced || (error instanceof CodedError && error.code === 'UNAVAILABLE');
      if (isOurs) throw error;
      // What is wrong with one run shall not take the others down.
      this.#mustRead = this.#mustReload = true;
      if (error instanceof Changed) return;
      this.#log.error({ run: control.name, error: errorMessage(error) }, 'the run cannot be looked after');
      this.#retryAtMs = nowMs() + RETRY_MS;
    }
    if (control.isFinal) this.#drop(control);
  }

  /** @returns false: what is stored is not known now, so nothing may be decided */
  async #read(): Promise<boolean> {
    const atMs = nowMs();
    if (atMs < this.#retryAtMs) return false;
    if (!this.#mustRead && atMs - this.#readAtMs < POLL_MS) return true;
    if (atMs - this.#takenUpAtMs >= POLL_MS) {
      await this.#store.takeUpRequests(this.context.term);
      this.#takenUpAtMs = atMs;
    }
    this.#mustRead = false;
    const reload = this.#mustReload;
    this.#mustReload = false;
    try {
      const runs = await this.#store.activeRuns();
      for (const run of runs) await this.#takeUp(run, reload);
      const ids = new Set(runs.map(({ id }) => id));
      for (const control of this.#controls.values()) if (!ids.has(control.run.id)) this.#abandon(control);
    } catch (error) {
      this.#mustRead = true;
      this.#mustReload = reload;
      throw error;
    }
    this.#readAtMs = atMs;
    this.#early.end();
    return true;
  }

  async #takeUp(run: RunRecord, reload: boolean): Promise<void> {
    const known = this.#controls.get(run.id);
    if (known !== undefined) return known.refresh(run, reload);
    try {
      this.#controls.set(run.id, await RunControl.load(this.#house, run));
    } catch (error) {
      if (error instanceof CodedError) throw error;
      this.#log.error({ run: runName(run), error: errorMessage(error) }, 'the run cannot be taken up');
    }
  }

  /** It ended in the store, by a hand that is not ours. */
  #abandon(control: RunControl): void {
    control.abandon('the run is over');
    for (const record of control.shares) this.#strays.add(record, { ...record, assignment: record.number });
    this.#drop(control);
  }

  #drop(control: RunControl): void {
    this.#controls.delete(control.run.id);
    this.#ledger.close(control.run.id);
  }

  #failed(error: unknown): void {
    if (error instanceof Fenced) return this.#fenced();
    this.#mustRead = this.#mustReload = true;
    if (error instanceof Changed) return;
    if (!(error instanceof CodedError)) throw error;
    this.#log.warn({ error: error.message }, 'the runs were not looked after, trying again');
    this.#retryAtMs = nowMs() + RETRY_MS;
  }

  #fenced(): void {
    this.context.stepDown(`a write of term ${this.context.term} met a newer term`);
  }

  // --- What comes in ---------------------------------------------------------------------------------------------

  #hello(from: NodeRef, state: unknown): void {
    const { running = [], spilled = [] } = (state ?? {}) as Partial<StressHello>;
    this.#workforce.hello(from);
    if (!this.#early.isOver && running.length > 0) this.#strays.withhold(from);
    this.#early.act(() => this.#helloNow(from, { running, spilled }));
    this.#wake.tell();
  }

  #helloNow(from: NodeRef, { running, spilled }: StressHello): void {
    const strays = running.filter((entry) => entry.finalSeq === null && !this.#controls.has(entry.runId));
    for (const control of this.#controls.values()) strays.push(...control.hello(from, running));
    this.#strays.hello(from, strays);
    for (const { runId, assignment, incarnation, finalSeq } of running) {
      const key = { runId, assignment, incarnation };
      if (!this.#controls.has(runId) && finalSeq !== null) this.#late.stopped(from, key, finalSeq);
      else this.#ackOf(from, key);
    }
    // What was stored before its process died need not be sent again.
    for (const { runId, assignment, incarnation } of spilled) this.#ackOf(from, { runId, assignment, incarnation });
  }

  #ackOf(from: NodeRef, key: SampleKey): void {
    void this.#ledger.open(key.runId).then(() => this.#ledger.ack(from, key), this.#ignored);
  }

  #arrived(from: NodeRef, message: StressToMaster): void {
    const samples = message.type === 'samples' ? message.samples : [];
    const bytes = samples.reduce((sum, { data }) => sum + data.length, 0);
    this.#early.act(() => this.#message(from, message), bytes);
  }

  #message(from: NodeRef, message: StressToMaster): void {
    if (message.type === 'samples') return this.#ledger.accept(from, message);
    const control = this.#controls.get(message.runId);
    if (message.type === 'stopped') {
      this.#strays.stopped(from, message);
      if (control === undefined) this.#late.stopped(from, message, message.finalSeq);
    }
    control?.message(from, message);
    this.#wake.tell();
  }

  #member(event: MemberEvent): void {
    const {
      kind,
      member: { node },
    } = event;
    if (kind === 'deleted') this.#doubts.forget(event);
    if (kind === 'added') this.events.add('node.joined', `nodes/${node.nodeId}`, `${node.address} joined`);
    if (kind === 'deleted') {
      this.events.add('node.left', `nodes/${node.nodeId}`, `${node.address} left`);
      this.#strays.forget(node);
      this.#ledger.forget(node);
      this.#workforce.left(node);
    }
    for (const control of this.#controls.values()) control.observe();
    this.#workforce.changed();
    this.#wake.tell();
    this.changed.tell();
  }

  readonly #ignored = (error: unknown): void => {
    this.#log.warn({ error: errorMessage(error) }, 'an answer to a worker waits for the store');
  };

  // --- What runs need --------------------------------------------------------------------------------------------

  #makeHouse(send: RunHouse['send']): RunHouse {
    const { context } = this;
    return {
      term: context.term,
      store: this.#store,
      ledger: this.#ledger,
      log: this.#log,
      send,
      standingOf: (ref) => context.standingOf(ref),
      isLeaving: (ref) => this.#workforce.isLeaving(ref),
      workersFor: (run, refused) => this.#workforce.workersFor(run, refused),
      awaited: () => this.#workforce.awaited(),
      isWithheld: (ref) => this.#strays.isWithheld(ref),
      mayStray: (ref, { runId, number, version }) => {
        if (context.standingOf(ref) !== 'gone') this.#strays.add(ref, { runId, assignment: number, version });
      },
      event: (kind, subject, text) => this.events.add(kind, subject, text),
    };
  }

  #loadsBeside(run: RunRecord): ReadonlyMap<string, number> {
    const sums = new Map<string, number>();
    for (const control of this.#controls.values()) {
      if (control.run.id === run.id) continue;
      for (const [nodeId, load] of control.loads) sums.set(nodeId, (sums.get(nodeId) ?? 0) + load);
    }
    return sums;
  }
}
