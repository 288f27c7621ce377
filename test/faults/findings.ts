import { decodeSample } from '../../src/task/sample-codec.ts';
import type { ReportAnswer, Run } from '../e2e/cluster.ts';
import type { TargetHit } from '../support/nginx-target.ts';
import { LEASE_TTL_MS, type Fault } from './fault.ts';
import type { Poll, Span } from './recorder.ts';
import type { Scene } from './scene.ts';
import { readWrites, type Write } from './writes.ts';

/** A stretch in which a process held itself to be master, by its log; until it was killed, if it was. */
export interface Reign {
  nodeId: string;
  term: number;
  fromMs: number;
  /** Infinity: to the end. */
  toMs: number;
}

export interface StoredSample {
  assignment: number;
  incarnation: number;
  seq: number;
  second: number;
  started: number;
}

export interface StoredAssignment {
  number: number;
  nodeId: string;
  incarnation: number;
  finalSeq: number | null;
  /** Hits per second. */
  share: number;
}

export type LogLine = Readonly<Record<string, unknown>>;

/** Everything that can be known of a run and its cluster from outside, after the fault. */
export interface Findings {
  fault: Fault;
  rate: number;
  workers: readonly string[];
  run: Run;
  /** When its plan began. */
  startedMs: number;
  report: ReportAnswer;
  hits: readonly TargetHit[];
  /** Hits of each worker. */
  hitsOf: (nodeId: string) => TargetHit[];
  samples: readonly StoredSample[];
  assignments: readonly StoredAssignment[];
  /** `kind: text` */
  events: readonly string[];
  writes: readonly Write[];
  /** Of each process that was ever started. */
  logs: readonly { nodeId: string; lines: readonly LogLine[] }[];
  reigns: readonly Reign[];
  spans: readonly Span[];
  polls: readonly Poll[];
  asked: number;
  /**
   * The machine did not run its processes for a good part of some seconds: then leases are lost without any fault, and how fast
   * anything went says nothing. What must never happen is judged all the same.
   */
  isStarved: boolean;
  /** How late the machine was at worst within a stretch, milliseconds. */
  noiseMs: (fromMs: number, toMs: number) => number;
}

export async function gather(scene: Scene): Promise<Findings> {
  const { cluster, recorder, target, fault } = scene;
  const run = await cluster.run(scene.run);
  const report = await cluster.report(scene.run);
  const hits = (await target.hits()).toSorted((a, b) => a.atMs - b.atMs);
  const [row] = await cluster.mariadb.query('select started_ms from gostress.run');
  const logs = cluster.processes.map((process) => ({ nodeId: process.nodeId, lines: process.log() }));
  const spans = recorder.spans;
  return {
    fault,
    rate: scene.rate,
    workers: scene.workers,
    run,
    startedMs: trueMs(Number(row?.started_ms)),
    report,
    hits,
    hitsOf: (nodeId) => hits.filter(({ port }) => recorder.ports.get(nodeId)?.has(port) === true),
    samples: await storedSamples(scene),
    assignments: await storedAssignments(scene),
    events: (await cluster.mariadb.query('select kind, text from gostress.event order by id')).map(
      ({ kind, text }) => `${String(kind)}: ${String(text)}`,
    ),
    writes: await readWrites(cluster.mariadb),
    logs,
    reigns: logs.flatMap(({ nodeId, lines }) => reignsOf(nodeId, lines, spans)).sort((a, b) => a.fromMs - b.fromMs),
    spans,
    polls: recorder.polls,
    asked: recorder.asked,
    isStarved: isStarved(recorder.late),
    noiseMs: (fromMs, toMs) =>
      Math.max(0, ...recorder.late.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs).map(({ byMs }) => byMs)),
  };
}

/** Over this part of a lease a process waited for its turn. */
const STARVED_PART = 0.2;

export function isStarved(late: readonly { atMs: number; byMs: number }[]): boolean {
  return late.some(({ atMs }) => {
    const window = late.filter((one) => one.atMs > atMs - LEASE_TTL_MS && one.atMs <= atMs);
    return window.reduce((ms, { byMs }) => ms + byMs, 0) > LEASE_TTL_MS * STARVED_PART;
  });
}

async function storedSamples({ cluster }: Scene): Promise<StoredSample[]> {
  const rows = await cluster.mariadb.query('select assignment, incarnation, seq, second, data from gostress.sample');
  return rows.map(({ assignment, incarnation, seq, second, data }) => ({
    assignment: Number(assignment),
    incarnation: Number(incarnation),
    seq: Number(seq),
    second: Number(second),
    started: decodeSample(data as Uint8Array).counts.started,
  }));
}

async function storedAssignments({ cluster, rate }: Scene): Promise<StoredAssignment[]> {
  const rows = await cluster.mariadb.query('select * from gostress.assignment order by number');
  return rows.map((row) => ({
    number: Number(row.number),
    nodeId: String(row.node_id),
    incarnation: Number(row.incarnation),
    finalSeq: row.final_seq === null ? null : Number(row.final_seq),
    share: (rate * Number(row.share_weight)) / Number(row.share_of),
  }));
}

function reignsOf(nodeId: string, lines: readonly LogLine[], spans: readonly Span[]): Reign[] {
  const own = lines.filter(({ role, msg }) => role === 'master' && (msg === 'master' || msg === 'no longer master'));
  return own.flatMap((line, index) => {
    if (line.msg !== 'master') return [];
    const fromMs = instantOf(line);
    const end = own[index + 1];
    const killed = spans.find((span) => span.what === 'kill' && span.subject === nodeId && span.fromMs >= fromMs);
    const toMs = end === undefined ? (killed?.fromMs ?? Infinity) : instantOf(end);
    return [{ nodeId, term: Number(line.term), fromMs, toMs }];
  });
}

function instantOf({ time }: LogLine): number {
  return trueMs(Date.parse(String(time)));
}

const HOUR_MS = 3_600_000;

/** An instant by a clock that was set by whole hours: no test takes half of one. */
function trueMs(atMs: number): number {
  return atMs + Math.round((Date.now() - atMs) / HOUR_MS) * HOUR_MS;
}
