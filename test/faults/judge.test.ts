import { expect, test } from 'vitest';
import type { Fault } from './fault.ts';
import { isStarved, type Findings } from './findings.ts';
import { judge } from './judge.ts';
import type { Span } from './recorder.ts';
import { parseWrite, type Write } from './writes.ts';

const FAULT: Fault = { name: 'F0', seconds: 20, act: () => Promise.resolve() };
const RATE = 100;
const SECONDS = 20;

function hitsAt(rate: number, fromMs: number, toMs: number, port = 1) {
  const count = Math.round(((toMs - fromMs) / 1_000) * rate);
  return Array.from({ length: count }, (_, i) => ({ atMs: fromMs + (i * 1_000) / rate, port })).map((hit) => ({
    ...hit,
    status: 200,
    method: 'GET',
    bytes: 100,
  }));
}

const raise = (term: number): Write => ({ kind: 'raise', term });
const write = (term: number, state: string | null = null): Write => ({ kind: 'fenced', table: 'run', term, state });

/** One worker, one master, twenty seconds, nothing wrong; `changes` are what went wrong. */
function findings(changes: Partial<Findings> = {}): Findings {
  const hits = (changes.hits ?? hitsAt(RATE, 0, SECONDS * 1_000)).toSorted((a, b) => a.atMs - b.atMs);
  const counts = { scheduled: 2_000, started: 2_000, answered: 2_000, ok: 2_000, failed: 0, dropped: 0, unknown: 0 };
  return {
    fault: FAULT,
    rate: RATE,
    workers: ['w1'],
    run: { name: 'tasks/1/runs/1', state: 'DONE' },
    startedMs: 0,
    report: {
      complete: true,
      counts,
      report: {},
      cluster: { complete: true, lines: [], mayHaveStarted: 0, unknown: [] },
    },
    hitsOf: () => [...hits],
    samples: Array.from({ length: SECONDS }, (_, second) => ({
      ...{ assignment: 1, incarnation: 1, seq: second + 1, second },
      started: RATE,
    })),
    assignments: [{ number: 1, nodeId: 'w1', incarnation: 1, finalSeq: SECONDS, share: RATE }],
    events: [],
    writes: [raise(1), write(1, 'ASSIGNING'), write(1, 'RUNNING'), write(1, 'STOPPING'), write(1, 'DONE')],
    logs: [],
    reigns: [{ nodeId: 'm1', term: 1, fromMs: -1_000, toMs: Infinity }],
    spans: [],
    polls: [],
    asked: 0,
    isStarved: false,
    noiseMs: () => 0,
    ...changes,
    hits,
  };
}

const span = (what: Span['what'], subject: string, fromMs: number, toMs: number): Span => ({
  what,
  subject,
  fromMs,
  toMs,
});
const connected = (term: number) => ({ msg: 'connected to the master', term });
const two = (m1ToMs: number, m2FromMs: number) => [
  { nodeId: 'm1', term: 1, fromMs: -1_000, toMs: m1ToMs },
  { nodeId: 'm2', term: 2, fromMs: m2FromMs, toMs: Infinity },
];
const killed = { ...FAULT, unknown: ['w1'] };
const INCOMPLETE = {
  run: {
    ...{ name: 'tasks/1/runs/1', state: 'DONE_INCOMPLETE' },
    reason: 'of assignment 1 (nodes/w1) what came after its sample 20 is unknown',
  },
  assignments: [{ number: 1, nodeId: 'w1', incarnation: 1, finalSeq: null, share: RATE }],
  report: { ...findings().report, complete: false },
};

test.each<[string, Partial<Findings>]>([
  ['a run that nothing happened to', {}],
  ['a master that is followed within the bound', { reigns: two(5_000, 13_000) }],
  [
    'a frozen master that wakes beside the next one, and sees it',
    { reigns: two(9_000, 7_000), spans: [span('freeze', 'm1', 1_000, 8_500)] },
  ],
  [
    'a master whose lock went with the data of etcd',
    { reigns: two(5_138, 5_000), spans: [span('wipe', 'etcd', 4_000, 4_500)] },
  ],
  [
    'hits of a killed worker that are named as unknown',
    {
      ...{ ...INCOMPLETE, fault: killed, spans: [span('kill', 'w1', 20_500, Infinity)] },
      hits: hitsAt(RATE, 0, 20_500),
    },
  ],
  ['a worker that loads on by its lease', { spans: [span('cut', 'w1-master', 5_000, 15_000)] }],
  ['a machine that ran nothing for long', { reigns: two(2_000, 15_000), isStarved: true }],
  ['a machine that held the target up', { hits: late(hitsAt(RATE, 0, 20_000)), noiseMs: () => 500 }],
])('the judge finds nothing wrong with %s', (_, changes) => {
  expect(judge(findings(changes))).toEqual([]);
});

/** What was due in half a second is answered at its end. */
function late(hits: ReturnType<typeof hitsAt>) {
  return hits.map((hit) => (hit.atMs > 4_000 && hit.atMs < 4_500 ? { ...hit, atMs: 4_500 } : hit));
}

test.each<[string, string, Partial<Findings>]>([
  ['S1', 'a term that is raised twice', { writes: [raise(2), raise(2)] }],
  ['S1', 'two masters of one term', { reigns: two(5_000, 6_000).map((reign) => ({ ...reign, term: 1 })) }],
  ['S2', 'a write of the former master', { writes: [raise(1), raise(2), write(1)] }],
  [
    'S3',
    'a worker that goes back to a former master',
    { logs: [{ nodeId: 'w1', lines: [connected(2), connected(1)] }] },
  ],
  ['S4', 'a sample that is counted twice', { samples: [...findings().samples, findings().samples[0]!] }],
  ['S4', 'a sample whose key has two contents', { events: ['sample.refused: of another digest'] }],
  ['S5', 'a sample that is missing without a word', { samples: findings().samples.slice(1) }],
  ['S6', 'two masters at once', { reigns: two(8_000, 6_000) }],
  [
    'S6',
    'a master that goes on for longer than a lease after etcd lost its data',
    { reigns: two(11_000, 5_000), spans: [span('wipe', 'etcd', 4_000, 4_500)] },
  ],
  [
    'S6',
    'a woken master that goes on for longer than a lease',
    { reigns: two(16_000, 7_000), spans: [span('freeze', 'm1', 1_000, 8_000)] },
  ],
  ['S7', 'a share that two have for a second', { hits: [...hitsAt(RATE, 0, 20_000), ...hitsAt(RATE, 5_000, 6_000)] }],
  [
    'S8',
    'a run that goes on after its end',
    { writes: [raise(1), write(1, 'ASSIGNING'), write(1, 'CANCELLED'), write(1, 'RUNNING')] },
  ],
  ['S9', 'hits of a frozen worker after its permit', { spans: [span('freeze', 'w1', 5_000, 15_000)] }],
  [
    'S9',
    'hits of a worker that is cut off from all',
    { spans: [span('cut', 'w1-master', 5_000, 15_000), span('cut', 'w1-etcd', 5_000, 15_000)] },
  ],
  ['L1', 'no master for too long', { reigns: two(2_000, 14_000) }],
  ['L3', 'hits that nobody knows of', { hits: hitsAt(RATE, 0, 20_100) }],
  ['L3', 'more hits than the target has', { ...INCOMPLETE, fault: killed, hits: hitsAt(RATE, 0, 19_000) }],
  [
    'L3',
    'more unknown than there can be',
    { ...INCOMPLETE, fault: killed, hits: hitsAt(RATE, 0, 23_000), spans: [span('kill', 'w1', 20_100, Infinity)] },
  ],
  [
    'what the plan asked for',
    'hits that were dropped',
    { report: { ...findings().report, counts: { ...findings().report.counts, scheduled: 3_000 } } },
  ],
  ['the API', 'an API that does not answer', { asked: 100 }],
])('%s: the judge finds %s', (invariant, _, changes) => {
  expect(judge(findings(changes)).map((text) => text.slice(0, invariant.length))).toContain(invariant);
});

test('a machine is starved when a process waited for a fifth of some lease', () => {
  const late = (byMs: number) => Array.from({ length: 20 }, (_, i) => ({ atMs: i * 400, byMs }));
  expect([30, 60, 90, 120].map((byMs) => isStarved(late(byMs)))).toEqual([false, false, true, true]);
});

test.each<[string, Write | null]>([
  ["update `fence` set `term` = 7, `holder` = 'm1' where `id` = 1 and `term` < 7", raise(7)],
  [
    "update `run` join fence on fence.id = 1 and fence.term = 3\n set `run`.`state` = 'DONE', `run`.`version` = 5",
    write(3, 'DONE'),
  ],
  [
    'insert into `sample` (`run_id`) select `batch`.`run_id` from (select 1 as `run_id`) batch\n join fence on fence.id = 1 and fence.term = 9 lock in share mode',
    { kind: 'fenced', table: 'sample', term: 9, state: null },
  ],
  ['insert into `event` (`term`) values (1)', null],
])('the binary log is read: %s', (statement, expected) => {
  expect(parseWrite(statement)).toEqual(expected);
});
