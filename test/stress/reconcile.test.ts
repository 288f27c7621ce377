import { describe, expect, it } from 'vitest';
import type { AssignmentRecord, Wanted } from '../../src/stress/ports.ts';
import { reconcile } from '../../src/stress/reconcile.ts';
import type { Decision, Owner, RunView } from '../../src/stress/view.ts';
import { candidateOf, ownerOf, recordOf, runningOf, runOf, viewOf, WANTED } from './support/records.ts';

const wanted = (part: Partial<Wanted>): Wanted => ({ ...WANTED, ...part });

/** What a decision says, in words: `state RUNNING`, `write 1:a 300/600 v2 ASSIGNED`, `send retune 1`. */
function words({ change, records, sends }: Decision): string[] {
  return [
    ...records.map(({ number, nodeId, share, version, state, finalSeq }) => {
      const end = finalSeq === null ? '' : ` final ${finalSeq}`;
      return `write ${number}:${nodeId} ${share.weight}/${share.of} v${version} ${state}${end}`;
    }),
    ...(change?.state === undefined ? [] : [`state ${change.state}`]),
    ...sends.map(({ kind, record }) => `send ${kind} ${record.number}${record.version === 0 ? ' without load' : ''}`),
  ];
}

const THREE = (['a', 'b', 'c'] as const).map((nodeId, i) => ownerOf(recordOf(i + 1, nodeId)));
const [A, B, C] = THREE as [(typeof THREE)[0], (typeof THREE)[0], (typeof THREE)[0]];
const pending = (part: Partial<RunView> = {}) => viewOf({ run: runOf(), owners: [], elapsedMs: null, ...part });
const stopping = (part: Partial<RunView>, want: Partial<Wanted> = { state: 'STOPPED' }) =>
  viewOf({ run: runningOf({ state: 'STOPPING', wanted: wanted(want) }), ...part });
const ended = (owner: typeof A, finalSeq: number, storedUpTo = finalSeq) => ({
  ...owner,
  record: { ...owner.record, state: 'STOPPED' as const, finalSeq },
  ended: { finalSeq, why: '', isEarly: false },
  storedUpTo,
});
const lost = (owner: typeof A, storedUpTo = 3) => ({
  ...owner,
  record: { ...owner.record, state: 'LOST' as const },
  standing: 'gone' as const,
  storedUpTo,
});

const ROWS: { sentence: string; view: RunView; expected: string[] }[] = [
  {
    sentence: 'a new run is divided over all workers',
    view: pending(),
    expected: [
      'write 1:a 200/600 v1 ASSIGNED',
      'write 2:b 200/600 v1 ASSIGNED',
      'write 3:c 200/600 v1 ASSIGNED',
      'state ASSIGNING',
    ],
  },
  {
    sentence: 'a new run goes to no more nodes than its task allows',
    view: pending({ run: runOf({ placing: { maxNodes: 2 } }) }),
    expected: ['write 1:a 300/600 v1 ASSIGNED', 'write 2:b 300/600 v1 ASSIGNED', 'state ASSIGNING'],
  },
  {
    sentence: 'a rate that is no whole number is divided by its decimals',
    view: pending({ run: runOf({ load: { rate: 10.5, duration: '10s' } }) }),
    expected: [
      'write 1:a 35/105 v1 ASSIGNED',
      'write 2:b 35/105 v1 ASSIGNED',
      'write 3:c 35/105 v1 ASSIGNED',
      'state ASSIGNING',
    ],
  },
  {
    sentence: 'less than a hit a second goes to one worker',
    view: pending({ run: runOf({ load: { rate: '30/m', duration: '10s' } }) }),
    expected: ['write 1:a 5/5 v1 ASSIGNED', 'state ASSIGNING'],
  },
  {
    sentence: 'a new run without a worker says so',
    view: pending({ candidates: [] }),
    expected: ['state SHORT_OF_WORKERS'],
  },
  {
    sentence: 'it says so once',
    view: pending({
      candidates: [],
      run: runOf({ state: 'SHORT_OF_WORKERS', reason: 'expected a connected worker, found none' }),
    }),
    expected: [],
  },
  { sentence: 'a new master waits for workers that are about to connect', view: pending({ awaited: 1 }), expected: [] },
  {
    sentence: 'what a former master wrote and never sent is void',
    view: pending({
      owners: [{ ...A, record: { ...A.record, state: 'ASSIGNED' }, most: null, knows: false, confirmed: 0 }],
    }),
    expected: ['write 1:a 200/600 v1 STOPPED final 0'],
  },
  {
    sentence: 'a run that is stopped before it began is cancelled',
    view: pending({ run: runOf({ wanted: wanted({ state: 'STOPPED' }) }) }),
    expected: ['state CANCELLED'],
  },
  {
    sentence: 'a strategy that nobody knows fails the run',
    view: pending({ run: runOf({ placing: { strategy: 'best' } }) }),
    expected: ['state FAILED'],
  },
  {
    sentence: 'assignments are sent once they are stored',
    view: viewOf({
      run: runningOf({ state: 'ASSIGNING' }),
      owners: THREE.map((o) => ({
        ...o,
        record: { ...o.record, state: 'ASSIGNED' as const },
        confirmed: 0,
        most: 0,
        knows: false,
      })),
    }),
    expected: ['send assign 1', 'send assign 2', 'send assign 3'],
  },
  {
    sentence: 'who has just been told is not told again',
    view: viewOf({
      run: runningOf({ state: 'ASSIGNING' }),
      owners: [A, B, { ...C, confirmed: 0, sent: { version: 1, atMs: 99_000 } }],
    }),
    expected: [],
  },
  {
    sentence: 'who has not answered for a while is told again',
    view: viewOf({
      run: runningOf({ state: 'ASSIGNING' }),
      owners: [A, B, { ...C, confirmed: 0, most: 0, knows: false, sent: { version: 1, atMs: 90_000 } }],
    }),
    expected: ['send assign 3'],
  },
  {
    sentence: 'an assignment that is acknowledged is running',
    view: viewOf({
      run: runningOf({ state: 'ASSIGNING' }),
      owners: [A, B, { ...C, record: { ...C.record, state: 'ASSIGNED' } }],
    }),
    expected: ['write 3:c 200/600 v1 RUNNING'],
  },
  {
    sentence: 'when all run, the run is running',
    view: viewOf({ run: runningOf({ state: 'ASSIGNING' }) }),
    expected: ['state RUNNING'],
  },
  { sentence: 'a run that is as it should be is left alone', view: viewOf(), expected: [] },
  {
    sentence: 'a worker that refuses gives its share to the others',
    view: viewOf({
      owners: [A, B, { ...ended(C, 0), refused: 'no memory' }],
      candidates: [candidateOf('a'), candidateOf('b')],
    }),
    expected: ['write 1:a 300/600 v2 RUNNING', 'write 2:b 300/600 v2 RUNNING', 'state RETUNING'],
  },
  {
    sentence: 'when all refuse the run fails',
    view: viewOf({
      run: runningOf({ state: 'ASSIGNING' }),
      owners: THREE.map((o) => ({ ...ended(o, 0), refused: 'no memory' })),
      candidates: [],
    }),
    expected: ['state FAILED'],
  },
  {
    sentence: 'a retune divides the new rate as the old one was, and the shares sum to it',
    view: viewOf({ run: runningOf({ wanted: wanted({ target: 301 }), applied: WANTED }) }),
    expected: [
      'write 1:a 101/301 v2 RUNNING',
      'write 2:b 100/301 v2 RUNNING',
      'write 3:c 100/301 v2 RUNNING',
      'state RETUNING',
    ],
  },
  {
    sentence: 'a retune below one hit a second for each worker leaves whole hits to fewer of them',
    view: viewOf({ run: runningOf({ wanted: wanted({ target: 2 }), applied: WANTED }) }),
    expected: ['write 1:a 1/2 v2 RUNNING', 'write 2:b 1/2 v2 RUNNING', 'write 3:c 0/600 v2 RUNNING', 'state RETUNING'],
  },
  {
    sentence: 'a retune below one hit a second for each worker keeps them all while one is not heard of',
    view: viewOf({
      run: runningOf({ wanted: wanted({ target: 2 }), applied: WANTED }),
      owners: THREE.map((owner, i) => (i === 2 ? { ...owner, standing: 'suspect' as const } : owner)),
    }),
    expected: ['write 1:a 2/6 v2 RUNNING', 'write 2:b 2/6 v2 RUNNING', 'write 3:c 2/6 v2 RUNNING', 'state RETUNING'],
  },
  {
    sentence: 'a retune below one hit a second for each worker keeps them all when the hits are limited',
    view: viewOf({
      run: runningOf({ load: { rate: 600, hits: 6000 }, wanted: wanted({ target: 2 }), applied: WANTED }),
    }),
    expected: ['write 1:a 2/6 v2 RUNNING', 'write 2:b 2/6 v2 RUNNING', 'write 3:c 2/6 v2 RUNNING', 'state RETUNING'],
  },
  {
    sentence: 'a change by hand is seen by its value',
    view: viewOf({ run: runningOf({ wanted: { ...WANTED, target: 1000 }, applied: WANTED }) }),
    expected: [
      'write 1:a 334/1000 v2 RUNNING',
      'write 2:b 333/1000 v2 RUNNING',
      'write 3:c 333/1000 v2 RUNNING',
      'state RETUNING',
    ],
  },
  {
    sentence: 'a retune that is stored is sent to all at once when only rounding divides it anew',
    view: viewOf({
      run: runningOf({ state: 'RETUNING', wanted: wanted({ target: 301 }) }),
      owners: THREE.map((o, i) => ({
        ...o,
        record: { ...o.record, version: 2, share: { weight: i === 0 ? 101 : 100, of: 301, phase: 0 } },
      })),
    }),
    expected: ['send retune 1', 'send retune 2', 'send retune 3'],
  },
  {
    sentence: 'a pause keeps every share and changes the plan',
    view: viewOf({ run: runningOf({ wanted: wanted({ state: 'PAUSED' }), applied: WANTED }) }),
    expected: [
      'write 1:a 200/600 v2 RUNNING',
      'write 2:b 200/600 v2 RUNNING',
      'write 3:c 200/600 v2 RUNNING',
      'state RETUNING',
    ],
  },
  {
    sentence: 'when all have paused, the run is paused',
    view: viewOf({ run: runningOf({ state: 'RETUNING', wanted: wanted({ state: 'PAUSED' }) }) }),
    expected: ['state PAUSED'],
  },
  {
    sentence: 'a target that cannot be is ignored',
    view: viewOf({ run: runningOf({ wanted: wanted({ target: -5 }), applied: WANTED }) }),
    expected: [],
  },
  {
    sentence: 'strict: the share of a suspect stays with it',
    view: viewOf({ owners: [A, B, { ...C, standing: 'suspect' }] }),
    expected: [],
  },
  {
    sentence: 'the assignment of a worker that is gone is lost',
    view: viewOf({ owners: [A, B, { ...C, standing: 'gone' }], candidates: [candidateOf('a'), candidateOf('b')] }),
    expected: ['write 3:c 200/600 v1 LOST'],
  },
  {
    sentence: 'what is lost goes to the others, so that the rate is held',
    view: viewOf({ owners: [A, B, lost(C)], candidates: [candidateOf('a'), candidateOf('b')] }),
    expected: ['write 1:a 300/600 v2 RUNNING', 'write 2:b 300/600 v2 RUNNING', 'state RETUNING'],
  },
  {
    sentence: 'what is lost goes to a node that had no share, when the task allows only so many',
    view: viewOf({
      run: runningOf({ placing: { maxNodes: 3 } }),
      owners: [A, B, lost(C)],
      candidates: [candidateOf('a'), candidateOf('b'), candidateOf('d', { settled: false })],
    }),
    expected: ['write 4:d 200/600 v1 ASSIGNED', 'state RETUNING'],
  },
  {
    sentence: 'the share of a suspect is not touched when another is given away',
    view: viewOf({ owners: [A, { ...B, standing: 'suspect' }, lost(C)], candidates: [candidateOf('a')] }),
    expected: ['write 1:a 400/600 v2 RUNNING', 'write 2:b 200/600 v2 RUNNING', 'state RETUNING'],
  },
  {
    sentence: 'a share given again to its old node is a new assignment',
    view: viewOf({ owners: [A, B, { ...ended(C, 5), ended: { finalSeq: 5, why: 'out of memory', isEarly: true } }] }),
    expected: ['write 4:c 200/600 v1 ASSIGNED', 'state RETUNING'],
  },
  {
    sentence: 'when the last worker is lost the run is short of workers',
    view: viewOf({ owners: [lost(A)], candidates: [] }),
    expected: ['state SHORT_OF_WORKERS'],
  },
  {
    sentence: 'and goes on when one comes',
    view: viewOf({
      run: runningOf({ state: 'SHORT_OF_WORKERS' }),
      owners: [lost(A)],
      candidates: [candidateOf('d', { settled: false })],
    }),
    expected: ['write 2:d 600/600 v1 ASSIGNED', 'state RETUNING'],
  },
  {
    sentence: 'a worker that leaves gives its share away first',
    view: viewOf({ owners: [A, B, { ...C, leaving: true }], candidates: [candidateOf('a'), candidateOf('b')] }),
    expected: [
      'write 1:a 300/600 v2 RUNNING',
      'write 2:b 300/600 v2 RUNNING',
      'write 3:c 0/600 v2 RUNNING',
      'state RETUNING',
    ],
  },
  {
    sentence: 'of a moved share the lowering is sent, and the raises wait for it',
    view: viewOf({
      run: runningOf({ state: 'RETUNING' }),
      owners: [
        { ...A, record: { ...A.record, version: 2, share: { weight: 300, of: 600, phase: 0 } } },
        { ...B, record: { ...B.record, version: 2, share: { weight: 300, of: 600, phase: 300 } } },
        { ...C, leaving: true, record: { ...C.record, version: 2, share: { weight: 0, of: 600, phase: 400 } } },
      ],
      candidates: [candidateOf('a'), candidateOf('b')],
    }),
    expected: ['send retune 3'],
  },
  {
    sentence: 'when the lowering is acknowledged the raises are sent, and who gave its share away may stop',
    view: viewOf({
      run: runningOf({ state: 'RETUNING' }),
      owners: [
        { ...A, record: { ...A.record, version: 2, share: { weight: 300, of: 600, phase: 0 } } },
        { ...B, record: { ...B.record, version: 2, share: { weight: 300, of: 600, phase: 300 } } },
        {
          ...C,
          leaving: true,
          confirmed: 2,
          most: 0,
          record: { ...C.record, version: 2, share: { weight: 0, of: 600, phase: 400 } },
        },
      ],
      candidates: [candidateOf('a'), candidateOf('b')],
    }),
    expected: ['send retune 1', 'send retune 2', 'send stop 3'],
  },
  {
    sentence: 'who joins makes ready, and nobody is lowered before',
    view: joined({ knows: false }),
    expected: ['send assign 4 without load'],
  },
  { sentence: 'it is waited for', view: joined({ sent: { version: 0, atMs: 98_000 } }), expected: [] },
  {
    sentence: 'but not for long',
    view: joined({ sent: { version: 0, atMs: 96_000 } }),
    expected: ['send retune 1', 'send retune 2', 'send retune 3'],
  },
  {
    sentence: 'nor when it is not heard of',
    view: joined({ standing: 'suspect' }),
    expected: ['send retune 1', 'send retune 2', 'send retune 3'],
  },
  {
    sentence: 'nor by a change of the user',
    view: joined({}, { version: 2 }),
    expected: ['send retune 1', 'send retune 2', 'send retune 3'],
  },
  {
    sentence: 'once it is ready the others are lowered, and it waits for that',
    view: joined({ isReady: true, sent: { version: 0, atMs: 99_900 } }),
    expected: ['send retune 1', 'send retune 2', 'send retune 3'],
  },
  {
    sentence: 'a worker of which a new master has not heard keeps raises waiting',
    view: viewOf({
      owners: [
        A,
        { ...B, record: { ...B.record, version: 2, share: { weight: 400, of: 600, phase: 0 } } },
        {
          ...C,
          standing: 'suspect',
          confirmed: 0,
          most: null,
          record: { ...C.record, share: { weight: 0, of: 600, phase: 0 } },
        },
      ],
    }),
    expected: [],
  },
  {
    sentence: 'a node that has joined gets a share',
    view: viewOf({ candidates: ['a', 'b', 'c', 'd'].map((nodeId) => candidateOf(nodeId)) }),
    expected: [
      'write 1:a 150/600 v2 RUNNING',
      'write 2:b 150/600 v2 RUNNING',
      'write 3:c 150/600 v2 RUNNING',
      'write 4:d 150/600 v1 ASSIGNED',
      'state RETUNING',
    ],
  },
  {
    sentence: 'but not before it has settled',
    view: viewOf({
      candidates: [...['a', 'b', 'c'].map((nodeId) => candidateOf(nodeId)), candidateOf('d', { settled: false })],
    }),
    expected: [],
  },
  {
    sentence: 'and not while a change is under way',
    view: viewOf({
      run: runningOf({ state: 'RETUNING' }),
      owners: [A, B, { ...C, confirmed: 0, sent: { version: 1, atMs: 99_999 } }],
      candidates: ['a', 'b', 'c', 'd'].map((nodeId) => candidateOf(nodeId)),
    }),
    expected: [],
  },
  {
    sentence: 'capacity that is too small is used and said',
    view: pending({ candidates: [candidateOf('a', { capacityLeft: 100 }), candidateOf('b', { capacityLeft: 150 })] }),
    expected: ['write 1:a 100/600 v1 ASSIGNED', 'write 2:b 150/600 v1 ASSIGNED', 'state ASSIGNING'],
  },
  {
    sentence: 'a run with too small a capacity is short of workers',
    view: viewOf({
      owners: [A, B],
      candidates: [candidateOf('a', { capacityLeft: 200 }), candidateOf('b', { capacityLeft: 200 })],
    }),
    expected: ['state SHORT_OF_WORKERS'],
  },
  {
    sentence: 'a wanted stop begins the end',
    view: viewOf({ run: runningOf({ wanted: wanted({ state: 'STOPPED' }) }) }),
    expected: ['state STOPPING'],
  },
  {
    sentence: 'who loads is told to stop',
    view: stopping({}),
    expected: ['send stop 1', 'send stop 2', 'send stop 3'],
  },
  {
    sentence: 'and not told again at once',
    view: stopping({ owners: [A, B, { ...C, stopSentMs: 99_000, stopAgainMs: 102_000 }] }),
    expected: ['send stop 1', 'send stop 2'],
  },
  {
    sentence: 'the last sample of a worker is noted',
    view: stopping({ owners: [{ ...A, ended: { finalSeq: 6, why: '', isEarly: false } }] }),
    expected: ['write 1:a 200/600 v1 STOPPED final 6'],
  },
  { sentence: 'the end waits for samples on their way', view: stopping({ owners: [ended(A, 6, 4)] }), expected: [] },
  {
    sentence: 'all samples stored: done',
    view: stopping({ owners: [ended(A, 6), ended(B, 6)] }),
    expected: ['state DONE'],
  },
  {
    sentence: 'stopped before the first sample: cancelled',
    view: stopping({ owners: [ended(A, 0)] }),
    expected: ['state CANCELLED'],
  },
  {
    sentence: 'results of a lost worker are unknown',
    view: stopping({ owners: [ended(A, 6), lost(B)] }),
    expected: ['state DONE_INCOMPLETE'],
  },
  {
    sentence: 'a lost worker that came back with all its results is complete',
    view: stopping({ owners: [ended(A, 6), { ...lost(B, 4), record: { ...B.record, state: 'LOST', finalSeq: 4 } }] }),
    expected: ['state DONE'],
  },
  {
    sentence: 'samples that do not come end the wait',
    view: stopping({ owners: [ended(A, 6, 4)], stoppingForMs: 61_000 }),
    expected: ['state DONE_INCOMPLETE'],
  },
  {
    sentence: 'a stop that is not answered is not waited for for ever',
    view: stopping({ owners: [{ ...A, stopSentMs: 60_000 }] }),
    expected: ['write 1:a 200/600 v1 LOST'],
  },
  { sentence: 'the end of the plan begins the end', view: viewOf({ elapsedMs: 60_000 }), expected: ['state STOPPING'] },
  { sentence: 'workers end with the plan by themselves', view: stopping({ elapsedMs: 60_500 }, {}), expected: [] },
  {
    sentence: 'who does not is told to',
    view: stopping({ elapsedMs: 76_000, owners: [A] }, {}),
    expected: ['send stop 1'],
  },
  {
    sentence: 'of two clocks: some may end a little before the plan',
    view: viewOf({ elapsedMs: 59_990, owners: [A, ended(B, 60)] }),
    expected: [],
  },
  {
    sentence: 'a run of a second is running too',
    view: viewOf({ run: runningOf({ load: { rate: 600, duration: '1s' }, state: 'ASSIGNING' }), elapsedMs: 100 }),
    expected: ['state RUNNING'],
  },
  {
    sentence: 'a new master does nothing before it knows how far the run is',
    view: viewOf({ elapsedMs: null, owners: [A, B], candidates: [candidateOf('a'), candidateOf('d')] }),
    expected: [],
  },
  {
    sentence: 'but it stops what the user wants stopped',
    view: viewOf({ elapsedMs: null, run: runningOf({ wanted: { ...WANTED, state: 'STOPPED' }, applied: WANTED }) }),
    expected: ['state STOPPING'],
  },
  {
    sentence: 'hits that are used up begin the end',
    view: hits([ended({ ...A, scheduled: 40 }, 5), ended({ ...B, scheduled: 60 }, 5)]),
    expected: ['state STOPPING'],
  },
  {
    sentence: 'hits that a lost worker has left go to others as a new assignment',
    view: hits([A, { ...lost(B), scheduled: 20 }]),
    expected: ['write 3:a 200/600 v1 ASSIGNED', 'write 4:b 200/600 v1 ASSIGNED', 'state RETUNING'],
  },
  {
    sentence: 'hits that a lost worker has left go to others as their capacity allows',
    view: {
      ...hits([A, { ...lost(B), scheduled: 20 }]),
      candidates: [candidateOf('a', { capacityLeft: 50 }), candidateOf('b', { capacityLeft: 500 })],
    },
    expected: ['write 3:a 50/600 v1 ASSIGNED', 'write 4:b 350/600 v1 ASSIGNED', 'state RETUNING'],
  },
  {
    sentence: 'an assignment that its worker does not know any more is lost',
    view: viewOf({ owners: [A, B, { ...C, missing: true, knows: false }] }),
    expected: ['write 3:c 200/600 v1 LOST'],
  },
  {
    sentence: 'one that it never got is sent again',
    view: viewOf({
      run: runningOf({ state: 'ASSIGNING' }),
      owners: [
        A,
        B,
        { ...C, confirmed: 0, most: 0, missing: true, knows: false, record: { ...C.record, state: 'ASSIGNED' } },
      ],
    }),
    expected: ['send assign 3'],
  },
  {
    sentence: 'assignments that end again and again before their time fail the run',
    view: viewOf({
      owners: [
        A,
        ...Array.from({ length: 11 }, (_, i) => ({
          ...ended({ ...B, record: recordOf(i + 2, 'b') }, 1),
          ended: { finalSeq: 1, why: 'broken', isEarly: true },
        })),
      ],
    }),
    expected: ['state STOPPING'],
  },
  { sentence: 'a final run is left alone', view: viewOf({ run: runningOf({ state: 'DONE' }) }), expected: [] },
];

function hits(owners: RunView['owners']): RunView {
  const run = runningOf({ load: { rate: 600, hits: 100 } });
  return viewOf({
    run,
    owners: owners.map((owner) => ({ ...owner, record: { ...owner.record, hits: 50 } })),
    candidates: [candidateOf('a'), candidateOf('b')],
  });
}

/** A fourth worker has a quarter of the load by the records; nobody was told yet. */
function joined(fourth: Partial<Owner>, record: Partial<AssignmentRecord> = {}): RunView {
  const quarter = (i: number) => ({ weight: 150, of: 600, phase: 150 * i });
  const d = recordOf(4, 'd', { share: quarter(3), state: 'ASSIGNED', ...record });
  return viewOf({
    run: runningOf({ state: 'RETUNING' }),
    owners: [
      ...[A, B, C].map((owner, i) => ({ ...owner, record: { ...owner.record, version: 2, share: quarter(i) } })),
      ownerOf(d, { confirmed: 0, most: 0, isReady: false, ...fourth }),
    ],
  });
}

describe('reconcile', () => {
  it.each(ROWS)('$sentence', ({ view, expected }) => {
    expect(words(reconcile(view))).toEqual(expected);
  });

  it('says why, in a sentence for the log', () => {
    expect(reconcile(viewOf({ owners: [A, B, { ...C, standing: 'gone' }] })).said).toEqual([
      { kind: 'share.lost', text: 'nodes/c is gone: assignment 3 (33.3 % of the load) is lost' },
    ]);
    const short = viewOf({
      owners: [A, B],
      candidates: ['a', 'b'].map((id) => candidateOf(id, { capacityLeft: 200 })),
    });
    expect(reconcile(short).change?.reason).toBe('expected workers for 600/s, found capacity for 400/s');
    expect(reconcile(stopping({ owners: [ended(A, 6), lost(B, 3)] })).change?.reason).toBe(
      'of assignment 2 (nodes/b) what came after its sample 3 is unknown',
    );
    const nobody = pending({ candidates: [], run: runOf({ placing: { labels: { zone: 'x' } } }) });
    expect(reconcile(nobody).change?.reason).toBe('expected a connected worker with zone=x, found none');
    const draining = pending({ candidates: [], draining: 3 });
    expect(reconcile(draining).change?.reason).toBe('expected a connected worker, found 3, all draining');
  });

  it('tells of shares as parts of a load, whatever numbers they are made of', () => {
    const text = (load: object, wanted: Partial<Wanted>) =>
      reconcile(viewOf({ run: runningOf({ load, applied: WANTED, wanted: { ...WANTED, ...wanted } }) })).said[0]?.text;
    const thirds = 'a 33.4 %, b 33.3 %, c 33.3 %';
    expect(text({ rate: 600, duration: '60s' }, { target: 99.7 })).toBe(`retuned: ${thirds} of 99.7/s`);
    const stages = [{ durationMs: 10_000, target: 0.5, shape: 'ramp' }] as const;
    expect(text({ rate: 58.37073, duration: '60s' }, { stages })).toMatch(
      /^retuned: a .* %( of|, b .* % of) 58\.4\/s$/,
    );
    expect(text({ users: 30, duration: '60s' }, { target: 300 })).toBe(
      'retuned: a 33.3 %, b 33.3 %, c 33.3 % of 300 users',
    );
  });

  it('never says something to a worker in the same breath in which it writes', () => {
    for (const { view } of ROWS) {
      const { records, change, sends } = reconcile(view);
      expect(records.length === 0 && change === null ? true : sends.length === 0).toBe(true);
    }
  });
});
