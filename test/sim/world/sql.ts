import type { Fence, NodeRef } from '../../../src/cluster/ports.ts';
import type {
  AssignmentRecord,
  Placement,
  RunChange,
  RunGuard,
  RunRecord,
  SampleRecord,
  TaskStore,
  Wanted,
  Written,
} from '../../../src/stress/ports.ts';
import type { PreparedTask } from '../../../src/task/spec.ts';
import type { Plan } from '../../../src/task/plan.ts';
import { decodeSample } from '../../../src/task/sample-codec.ts';
import { checkTransition, FINAL_STATES, type RunState } from '../../../src/task/status.ts';
import type { SimNetwork } from './network.ts';

const CALL_MS = 3_000;

/** What a mutant of the database does wrong. */
export interface SqlMutants {
  /** Writes of any term are taken. */
  noFence?: boolean;
  /** A repeated sample is added once more. */
  addsOnDuplicate?: boolean;
  /** The key of a sample lacks the incarnation. */
  noIncarnation?: boolean;
  /** Assignments are written whatever the run is by then. */
  noRunGuard?: boolean;
  /** The write of a run that was given up comes after the next one, whatever version the run has by then. */
  lateWrites?: boolean;
}

/** The database: every call is one statement, done at one instant of true time. */
export class SimSql {
  fence: { term: number; holder: NodeRef | null } = { term: 0, holder: null };
  readonly runs = new Map<bigint, RunRecord>();
  readonly assignments = new Map<bigint, Map<number, AssignmentRecord>>();
  readonly samples = new Map<bigint, Map<string, SampleRecord>>();
  /** How often each row of `samples` was counted. */
  readonly counted = new Map<string, number>();
  /** Terms of accepted writes, in order, told to the judge. */
  onWrite: (term: number, what: string) => void = () => undefined;
  /** Assignments are about to be written. */
  onDivision: (records: readonly AssignmentRecord[]) => void = () => undefined;
  /** A run is about to go to another state, and gets a plan: told to the judge. */
  onState: (run: RunRecord, state: RunState) => void = () => undefined;
  onPlan: (run: RunRecord, plan: Plan) => void = () => undefined;
  /** An assignment is written off, of which so many hits are known. */
  onLost: (record: AssignmentRecord, known: number) => void = () => undefined;
  readonly mutants: SqlMutants;
  #lastChange: RunChange = {};

  constructor(mutants: SqlMutants) {
    this.mutants = mutants;
  }

  raise(term: number, holder: NodeRef): boolean {
    if (this.fence.term < term) this.fence = { term, holder };
    const { nodeId, incarnation } = this.fence.holder!;
    return this.fence.term === term && nodeId === holder.nodeId && incarnation === holder.incarnation;
  }

  startRun(task: PreparedTask, placement: Placement): RunRecord {
    const id = BigInt(this.runs.size + 1);
    const wanted: Wanted = { state: 'RUNNING', target: null, rampMs: 0, stages: null, version: 1 };
    const none = { applied: null, plan: null, startedWallMs: null, endedWallMs: null, revision: 0, createdWallMs: 0 };
    const rest = { wanted, state: 'PENDING', reason: '', version: 1, ...none } as const;
    const run: RunRecord = { id, taskId: id, number: 1, task, placement, ...rest };
    this.runs.set(id, run);
    this.assignments.set(id, new Map());
    this.samples.set(id, new Map());
    return run;
  }

  setWanted(runId: bigint, wanted: Partial<Wanted>): boolean {
    const run = this.runs.get(runId)!;
    if (FINAL_STATES.has(run.state) || run.wanted.state === 'STOPPED') return false;
    this.runs.set(runId, { ...run, wanted: { ...run.wanted, ...wanted, version: run.wanted.version + 1 } });
    return true;
  }

  activeRuns(): RunRecord[] {
    return [...this.runs.values()].filter(({ state }) => !FINAL_STATES.has(state));
  }

  updateRun(term: number, run: RunRecord, change: RunChange): Written {
    if (change.state !== undefined && change.state !== run.state) checkTransition(run.state, change.state);
    const stored = this.runs.get(run.id)!;
    if (!this.#mayWrite(term)) return 'fenced';
    if (stored.version !== run.version || stored.state !== run.state) return 'changed';
    this.onWrite(term, `run ${run.id} ${change.state ?? stored.state}`);
    this.#change(stored, change);
    if (this.mutants.lateWrites === true) this.#change(this.runs.get(run.id)!, this.#lastChange);
    this.#lastChange = change;
    return 'written';
  }

  reviseRun(term: number, runId: bigint): Written {
    const stored = this.runs.get(runId)!;
    if (!this.#mayWrite(term)) return 'fenced';
    if (!FINAL_STATES.has(stored.state)) return 'changed';
    this.onWrite(term, `revision of run ${runId}`);
    this.runs.set(runId, { ...stored, revision: stored.revision + 1, version: stored.version + 1 });
    return 'written';
  }

  putAssignments(term: number, run: RunGuard, records: readonly AssignmentRecord[]): Written {
    if (!this.#mayWrite(term)) return 'fenced';
    const stored = this.runs.get(run.id)!;
    const isAsExpected = run.version === null ? FINAL_STATES.has(stored.state) : stored.version === run.version;
    if (!isAsExpected && this.mutants.noRunGuard !== true) return 'changed';
    this.onDivision(records);
    for (const record of records) {
      this.onWrite(term, `assignment ${record.number} of ${record.nodeId}`);
      const assignments = this.assignments.get(record.runId)!;
      if (record.state === 'LOST' && assignments.get(record.number)?.state !== 'LOST') {
        this.onLost(record, this.#scheduledOf(record));
      }
      assignments.set(record.number, record);
    }
    return 'written';
  }

  putSamples(term: number, records: readonly SampleRecord[]): { written: Written; conflicts: SampleRecord[] } {
    if (!this.#mayWrite(term)) return { written: 'fenced', conflicts: [] };
    const conflicts: SampleRecord[] = [];
    for (const record of records) {
      const rows = this.samples.get(record.runId)!;
      const key = this.keyOf(record);
      const stored = rows.get(key);
      this.onWrite(term, `sample ${key}`);
      if (stored === undefined) rows.set(key, record);
      else if (!Buffer.from(stored.digest).equals(record.digest)) conflicts.push(record);
      if (stored === undefined || this.mutants.addsOnDuplicate === true) {
        const name = `${record.runId} ${key}`;
        this.counted.set(name, (this.counted.get(name) ?? 0) + 1);
      }
    }
    return { written: 'written', conflicts };
  }

  keyOf({ assignment, incarnation, seq }: Pick<SampleRecord, 'assignment' | 'incarnation' | 'seq'>): string {
    return this.mutants.noIncarnation === true ? `${assignment} ${seq}` : `${assignment} ${incarnation} ${seq}`;
  }

  storedUpTo(runId: bigint): { assignment: number; incarnation: number; upTo: number }[] {
    const byKey = new Map<string, { assignment: number; incarnation: number; seqs: Set<number> }>();
    for (const { assignment, incarnation, seq } of this.samples.get(runId)!.values()) {
      const key = `${assignment} ${incarnation}`;
      const entry = byKey.get(key) ?? { assignment, incarnation, seqs: new Set<number>() };
      byKey.set(key, entry);
      entry.seqs.add(seq);
    }
    return [...byKey.values()].map(({ seqs, ...key }) => {
      let upTo = 0;
      while (seqs.has(upTo + 1)) upTo += 1;
      return { ...key, upTo };
    });
  }

  #change(stored: RunRecord, change: RunChange): void {
    if (change.state !== undefined && change.state !== stored.state) this.onState(stored, change.state);
    if (change.plan != null) this.onPlan(stored, change.plan);
    this.runs.set(stored.id, { ...stored, ...change, version: stored.version + 1 });
  }

  #scheduledOf({ runId, number }: AssignmentRecord): number {
    const rows = [...this.samples.get(runId)!.values()].filter(({ assignment }) => assignment === number);
    return rows.reduce((sum, { data }) => sum + decodeSample(data).counts.scheduled, 0);
  }

  #mayWrite(term: number): boolean {
    return this.mutants.noFence === true || this.fence.term === term;
  }
}

/** What a process of this host can ask of the database. */
export function sqlClient(sql: SimSql, network: SimNetwork, host: string): { fence: Fence; store: TaskStore } {
  const call = <T>(work: () => T): Promise<T> => network.call(host, 'sql', CALL_MS, work);
  const fence: Fence = {
    read: () => call(() => sql.fence),
    raise: (term, holder) => call(() => sql.raise(term, holder)),
  };
  const never = (): never => {
    throw new Error('not in the simulation');
  };
  const store: TaskStore = {
    createTask: never,
    getTask: never,
    listTasks: never,
    updateTask: never,
    deleteTask: never,
    startRun: never,
    listRuns: never,
    setWanted: never,
    events: never,
    close: never,
    getRun: (taskId) => call(() => sql.runs.get(taskId) ?? null),
    takeUpRequests: () => call(() => 0),
    activeRuns: () => call(() => sql.activeRuns()),
    updateRun: (term, run, change) => call(() => sql.updateRun(term, run, change)),
    reviseRun: (term, runId) => call(() => sql.reviseRun(term, runId)),
    assignments: (runId) => call(() => [...sql.assignments.get(runId)!.values()]),
    putAssignments: (term, run, records) => call(() => sql.putAssignments(term, run, records)),
    putSamples: (term, records) => call(() => sql.putSamples(term, records)),
    storedUpTo: (runId) => call(() => sql.storedUpTo(runId)),
    lastSecond: (runId) => call(() => lastSecond(sql, runId)),
    samples: (runId, from, to) =>
      call(() => [...sql.samples.get(runId)!.values()].filter(({ second }) => second >= from && second < to)),
    addEvent: () => call(() => undefined),
  };
  return { fence, store };
}

function lastSecond(sql: SimSql, runId: bigint): number | null {
  const seconds = [...sql.samples.get(runId)!.values()].map(({ second }) => second);
  return seconds.length === 0 ? null : Math.max(...seconds);
}
