import type { Member, NodeRecord } from '../../../src/cluster/ports.ts';
import {
  DEFAULT_PLACEMENT,
  type AssignmentRecord,
  type Placement,
  type RunRecord,
  type Wanted,
} from '../../../src/stress/ports.ts';
import type { Owner, RunCandidate, RunView } from '../../../src/stress/view.ts';
import { compilePlan, type Plan } from '../../../src/task/plan.ts';
import { parseTask } from '../../../src/task/schema.ts';
import type { PreparedTask } from '../../../src/task/spec.ts';

/** A task with this load, as a user writes it. */
export function taskOf(load: object = { rate: 600, duration: '60s' }): PreparedTask {
  const spec = parseTask({ request: { url: 'http://127.0.0.1:1/' }, load: load as never });
  return { spec, body: null, tls: { ca: null, cert: null, key: null } };
}

export function nodeOf(nodeId: string, part: Partial<NodeRecord> = {}): NodeRecord {
  return {
    nodeId,
    incarnation: 1,
    address: `127.0.0.1:${nodeId.charCodeAt(0)}`,
    roles: ['worker', 'candidate'],
    priority: 100,
    labels: {},
    seq: nodeId.charCodeAt(0),
    version: '0.0.0',
    ...part,
  };
}

export function candidateOf(nodeId: string, part: Partial<RunCandidate> = {}): RunCandidate {
  return { node: nodeOf(nodeId), info: null, capacityLeft: null, settled: true, ...part };
}

export const WANTED: Wanted = { state: 'RUNNING', target: null, rampMs: 0, stages: null, version: 1 };

export function runOf(part: Partial<RunRecord> & { load?: object; placing?: Partial<Placement> } = {}): RunRecord {
  const { load, placing, ...rest } = part;
  return {
    id: 7n,
    taskId: 4n,
    number: 2,
    task: taskOf(load),
    placement: { ...DEFAULT_PLACEMENT, ...placing },
    wanted: WANTED,
    state: 'PENDING',
    reason: '',
    version: 1,
    applied: null,
    plan: null,
    createdWallMs: 1_000,
    startedWallMs: null,
    endedWallMs: null,
    revision: 0,
    ...rest,
  };
}

/** A run that is RUNNING, as it was asked for. */
export function runningOf(part: Parameters<typeof runOf>[0] = {}): RunRecord {
  const run = runOf({ state: 'RUNNING', startedWallMs: 2_000, applied: part.wanted ?? WANTED, ...part });
  return { ...run, plan: part.plan ?? planOf(run) };
}

export function planOf({ task }: RunRecord): Plan {
  return compilePlan(task.spec.load.model, task.spec.load.stages);
}

export function recordOf(number: number, nodeId: string, part: Partial<AssignmentRecord> = {}): AssignmentRecord {
  return {
    runId: 7n,
    number,
    nodeId,
    incarnation: 1,
    version: 1,
    epoch: 1,
    share: { weight: 200, of: 600, phase: (number - 1) * 200 },
    hits: null,
    maxInFlight: 100,
    maxQueue: 100,
    state: 'RUNNING',
    finalSeq: null,
    lostByMs: null,
    ...part,
  };
}

/** An owner that has applied its record, unless something else is said. */
export function ownerOf(record: AssignmentRecord, part: Partial<Owner> = {}): Owner {
  return {
    record,
    standing: 'live',
    leaving: false,
    confirmed: record.version,
    most: record.share.weight / record.share.of,
    sent: null,
    knows: true,
    missing: false,
    isReady: true,
    goneAtMs: null,
    stopSentMs: null,
    stopAgainMs: 0,
    refused: null,
    ended: null,
    storedUpTo: 0,
    scheduled: 0,
    ...part,
  };
}

/** Three workers with 200/s each of a run of 600/s, in its fifth second. */
export function viewOf(part: Partial<RunView> = {}): RunView {
  return {
    run: runningOf(),
    nowMs: 100_000,
    wallMs: 1_700_000_000_000,
    elapsedMs: 5_000,
    asked: null,
    owners: ['a', 'b', 'c'].map((nodeId, i) => ownerOf(recordOf(i + 1, nodeId))),
    candidates: ['a', 'b', 'c'].map((nodeId) => candidateOf(nodeId)),
    draining: 0,
    awaited: 0,
    stoppingForMs: 0,
    ...part,
  };
}

export function memberOf(node: NodeRecord, part: Partial<Member> = {}): Member {
  return {
    node,
    registered: true,
    connected: true,
    leaving: false,
    draining: false,
    standing: 'live',
    info: null,
    infoAtMs: 0,
    ...part,
  };
}
