import { isDeepStrictEqual } from 'node:util';
import type { Member, NodeRecord, Nomination } from '../cluster/ports.ts';
import { CodedError, invalid } from '../lib/errors.ts';
import { invalidInput, type Problem } from '../task/problems.ts';
import { FINAL_STATES, type RunState } from '../task/status.ts';
import type { PreparedTask, StageSpec } from '../task/spec.ts';
import { RunAccounting } from './account.ts';
import type {
  ClusterStatus,
  Page,
  Placement,
  ReportMaker,
  RequestId,
  RunNow,
  RunRecord,
  RunReport,
  RunUpdate,
  StressApi,
  TaskRecord,
  TaskStore,
  Wanted,
} from './ports.ts';
import { readReasons } from './term-reasons.ts';
import { mergedSeconds } from './seconds.ts';
import type { MasterSession } from './session.ts';
import { strategyProblem } from './strategy.ts';
import { runName } from './view.ts';
import { wantedProblems } from './wanted.ts';
import { UNATTENDED, watchEvents, watchRun } from './watch.ts';

/** A change that all workers have not applied by then is answered with what is applied. */
const APPLY_WAIT_MS = 5_000;
/** Somebody else changed it meanwhile: so often it is tried again. */
const MAX_TRIES = 5;

export interface StressServiceOptions {
  session: MasterSession;
  store: TaskStore;
  makeReport: ReportMaker;
}

/** What users ask of the master: words go to the store, the loop of the session does the rest. */
export class StressService implements StressApi {
  readonly #session: MasterSession;
  readonly #store: TaskStore;
  readonly #makeReport: ReportMaker;

  constructor({ session, store, makeReport }: StressServiceOptions) {
    this.#session = session;
    this.#store = store;
    this.#makeReport = makeReport;
  }

  placementProblems({ strategy, maxNodes }: Placement): Problem[] {
    const problems: Problem[] = [];
    const unknown = strategyProblem(strategy);
    if (unknown !== null) problems.push({ path: ['placement', 'strategy'], message: unknown });
    if (maxNodes !== null && !(Number.isInteger(maxNodes) && maxNodes >= 1)) {
      const message = `expected a whole number of at least 1, found ${maxNodes}`;
      problems.push({ path: ['placement', 'maxNodes'], message });
    }
    return problems;
  }

  async createTask(task: PreparedTask, placement: Placement, request: RequestId | null): Promise<TaskRecord> {
    this.#checkPlacement(placement);
    return this.#store.createTask(task, placement, request);
  }

  async getTask(id: bigint): Promise<TaskRecord> {
    return (await this.#store.getTask(id)) ?? notFound(`tasks/${id}`);
  }

  listTasks(options: { limit: number; before: bigint | null; states: readonly RunState[] }): Promise<Page<TaskRecord>> {
    return this.#store.listTasks(options);
  }

  async updateTask(
    id: bigint,
    version: number | null,
    change: (current: TaskRecord) => { task: PreparedTask; placement: Placement },
  ): Promise<TaskRecord> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const current = await this.getTask(id);
      if (version !== null && version !== current.version) throw stale(`tasks/${id}`, version, current.version);
      const { task, placement } = change(current);
      this.#checkPlacement(placement);
      const updated = await this.#store.updateTask(id, current.version, task, placement);
      if (updated !== null) return updated;
    }
    throw new CodedError('ABORTED', `tasks/${id}: it is being changed by others again and again`);
  }

  async deleteTask(id: bigint): Promise<void> {
    const outcome = await this.#store.deleteTask(id);
    if (outcome === 'deleted') return;
    if (outcome === 'absent') notFound(`tasks/${id}`);
    const active = runName({ taskId: id, number: outcome.activeRun });
    throw new CodedError('FAILED_PRECONDITION', `tasks/${id}: expected no active run, found ${active}`);
  }

  async startTask(id: bigint, request: RequestId | null): Promise<RunRecord> {
    const started = await this.#store.startRun(id, request);
    if (started === null) notFound(`tasks/${id}`);
    const { run, created } = started;
    if (!created) {
      const found = `${runName(run)} (${run.state})`;
      throw new CodedError('FAILED_PRECONDITION', `tasks/${id}: expected no active run, found ${found}`);
    }
    this.#session.userChanged();
    return run;
  }

  async getRun(taskId: bigint, number: number): Promise<RunRecord> {
    return (await this.#store.getRun(taskId, number)) ?? notFound(runName({ taskId, number }));
  }

  listRuns(options: Parameters<StressApi['listRuns']>[0]): Promise<Page<RunRecord>> {
    return this.#store.listRuns(options);
  }

  async stopRun(taskId: bigint, number: number): Promise<RunRecord> {
    const run = await this.getRun(taskId, number);
    if (FINAL_STATES.has(run.state)) return run;
    const isStopping = await this.#want(run, null, (wanted) => ({ ...wanted, state: 'STOPPED' }));
    return this.#when(isStopping, ({ state }) => state === 'STOPPING' || FINAL_STATES.has(state));
  }

  async retuneRun(
    taskId: bigint,
    number: number,
    target: { target: number; rampMs: number } | { stages: readonly StageSpec[] },
    version: number | null,
  ): Promise<RunNow> {
    const run = await this.getRun(taskId, number);
    const load = 'stages' in target ? { target: null, rampMs: 0, stages: target.stages } : { ...target, stages: null };
    if (load.target === 0 || load.stages?.every((stage) => stage.target === 0) === true) {
      throw invalid('target: expected one above 0, found 0; use PauseRun to send nothing for a while');
    }
    const problems = wantedProblems(run.task.spec.load.model, load);
    if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
    const wanted = await this.#want(run, version, ({ state }) => ({ state, ...load }));
    return this.#settled(wanted);
  }

  async pauseRun(taskId: bigint, number: number): Promise<RunRecord> {
    return this.#setState(taskId, number, 'PAUSED');
  }

  async resumeRun(taskId: bigint, number: number): Promise<RunRecord> {
    return this.#setState(taskId, number, 'RUNNING');
  }

  watchRun(taskId: bigint, number: number, fromSecond: number, signal: AbortSignal): AsyncIterable<RunUpdate> {
    const ended = AbortSignal.any([signal, this.#session.context.signal]);
    return watchRun({ session: this.#session, store: this.#store, signal: ended }, taskId, number, fromSecond);
  }

  async getRunReport(taskId: bigint, number: number): Promise<RunReport> {
    const run = await this.getRun(taskId, number);
    const { id } = run;
    const [assignments, stored] = await Promise.all([this.#store.assignments(id), this.#store.storedUpTo(id)]);
    const accounting = new RunAccounting(run, assignments, stored);
    const seconds = mergedSeconds(this.#store, id, 0, Infinity, (second) => accounting.add(second));
    const workers = new Set(assignments.map(({ nodeId }) => nodeId)).size;
    const report = await this.#makeReport(run, { workers, seconds, account: () => accounting.close() });
    return { run, complete: accounting.close().isComplete, report };
  }

  async status(): Promise<ClusterStatus> {
    const { context, controls } = this.#session;
    const runs = controls.map(({ now }) => now);
    const { quorum, ...control } = context.cluster;
    const { nodes, sentinels, inhibit } = control.view() ?? { nodes: [], sentinels: [], inhibit: null };
    const workers = context.members();
    const isMember = ({ nodeId }: NodeRecord) => workers.some(({ node }) => node.nodeId === nodeId);
    const members = [...workers, ...nodes.filter((node) => !isMember(node)).map(registeredOnly)];
    return Promise.resolve({ master: context.node, term: context.term, members, sentinels, quorum, inhibit, runs });
  }

  async explainTerm(term: number | null): ReturnType<StressApi['explainTerm']> {
    const { term: current, cluster } = this.#session.context;
    const found = await readReasons(this.#store, term ?? current);
    if (found !== null) return found;
    // Not written yet.
    if (term === null || term === current) return { reasons: cluster.reasons, wallMs: Date.now() };
    throw new CodedError('NOT_FOUND', `term ${term}: nothing is kept of its election`);
  }

  async failover(to: string | null, reason: string): Promise<Nomination> {
    return this.#session.context.cluster.handOver(to, reason);
  }

  async inhibitFailover(reason: string | null): Promise<void> {
    await this.#session.context.cluster.inhibit(reason);
    const { events, context } = this.#session;
    const [kind, text] = reason === null ? ['failover.resumed', 'by an operator'] : ['failover.paused', reason];
    events.add(kind, `nodes/${context.node.nodeId}`, text);
  }

  async drainNode(nodeId: string): Promise<Member> {
    const find = () => this.#session.context.members().find(({ node }) => node.nodeId === nodeId);
    if (find() === undefined) notFound(`nodes/${nodeId}`);
    this.#session.context.drain(nodeId);
    this.#session.userChanged();
    return Promise.resolve(find() ?? notFound(`nodes/${nodeId}`));
  }

  watchEvents(after: bigint | null, signal: AbortSignal): ReturnType<StressApi['watchEvents']> {
    const ended = AbortSignal.any([signal, this.#session.context.signal]);
    return watchEvents({ session: this.#session, store: this.#store, signal: ended }, after);
  }

  #checkPlacement(placement: Placement): void {
    const problems = this.placementProblems(placement);
    if (problems.length > 0) throw invalidInput(problems);
  }

  async #setState(taskId: bigint, number: number, state: 'RUNNING' | 'PAUSED'): Promise<RunRecord> {
    const run = await this.getRun(taskId, number);
    const wanted = await this.#want(run, null, (current) => ({ ...current, state }));
    return (await this.#settled(wanted)).run;
  }

  /** @param version null: whatever the current one is */
  async #want(
    run: RunRecord,
    version: number | null,
    change: (wanted: Wanted) => Omit<Wanted, 'version'>,
  ): Promise<RunRecord> {
    let current = run;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { wanted } = current;
      if (FINAL_STATES.has(current.state)) {
        throw new CodedError(
          'FAILED_PRECONDITION',
          `${runName(run)}: expected an active run, found it ${current.state}`,
        );
      }
      const next = change(wanted);
      if (wanted.state === 'STOPPED' && next.state === 'STOPPED') return current;
      if (wanted.state === 'STOPPED') {
        throw new CodedError(
          'FAILED_PRECONDITION',
          `${runName(run)}: expected an active run, found that it is to stop`,
        );
      }
      if (version !== null && version !== wanted.version) throw stale(runName(run), version, wanted.version);
      const { state, target, rampMs, stages } = next;
      const isSame = isDeepStrictEqual({ ...wanted, ...next }, wanted);
      const written = isSame
        ? current
        : await this.#store.setWanted(run.id, { state, target, rampMs, stages }, wanted.version);
      if (written !== null) {
        this.#session.userChanged();
        return written;
      }
      current = await this.getRun(run.taskId, run.number);
    }
    throw new CodedError('ABORTED', `${runName(run)}: it is being changed by others again and again`);
  }

  /** Waits until all workers have applied what is wanted, but not for ever. */
  async #settled(wanted: RunRecord): Promise<RunNow> {
    const isSeen = (run: RunRecord) => run.wanted.version >= wanted.wanted.version;
    const run = await this.#when(wanted, (now) => isSeen(now) && this.#session.control(now.id)?.isSettled !== false);
    const { shares, elapsedMs } = this.#session.control(run.id)?.now ?? UNATTENDED;
    return { run, shares, elapsedMs };
  }

  /** The run when this holds of it as its master sees it, or as it is after a while; at once when it is not active. */
  async #when(run: RunRecord, holds: (run: RunRecord) => boolean): Promise<RunRecord> {
    const session = this.#session;
    const deadlineMs = performance.now() + APPLY_WAIT_MS;
    for (;;) {
      const seen = session.changed.count;
      const control = session.control(run.id);
      if (control !== undefined && holds(control.run)) return control.run;
      const leftMs = deadlineMs - performance.now();
      const stored = control === undefined ? await this.getRun(run.taskId, run.number) : null;
      if (stored !== null && FINAL_STATES.has(stored.state)) return stored;
      if (leftMs <= 0 || session.context.signal.aborted) return stored ?? this.getRun(run.taskId, run.number);
      await session.changed.after(seen, leftMs, session.context.signal);
    }
  }
}

/** A node that is no worker: nobody judges it here. */
export function registeredOnly(node: NodeRecord): Member {
  const nothing = { connected: false, leaving: false, draining: false, info: null, infoAtMs: 0 };
  return { node, registered: true, standing: 'suspect', ...nothing };
}

function notFound(name: string): never {
  throw new CodedError('NOT_FOUND', `${name}: there is none`);
}

function stale(name: string, expected: number, found: number): CodedError {
  return new CodedError('ABORTED', `${name}: expected version ${expected}, found ${found}; read it again`);
}
