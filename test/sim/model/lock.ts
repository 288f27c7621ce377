import type { Model, Step } from './checker.ts';

/** What is left out of the protocol, to see that it is needed. */
export interface LockMutants {
  /** The database takes writes of any term. */
  noFence?: boolean;
  /** A worker obeys whoever speaks. */
  noTermCheck?: boolean;
  /** A master acknowledges what it has, before it is stored. */
  ackBeforeCommit?: boolean;
  /** A repeated sample is counted again. */
  addsOnDuplicate?: boolean;
  /** The key of a sample is its number alone. */
  noIncarnation?: boolean;
  /** A new term is as high as the highest that was seen. */
  sameTerm?: boolean;
  /** The transaction does not look at what it stands on. */
  blindTransaction?: boolean;
}

/** A candidate between its steps. It may stand still there for any time: nothing here knows a clock. */
type Phase = 'idle' | 'standing' | 'won' | 'planned' | 'established' | 'acting';

interface Candidate {
  phase: Phase;
  term: number;
  /** Of the fence, when it stood; of `etcd.rev`, when it was planned. */
  seen: number;
  /** Samples that have reached it, by `bit`. */
  inbox: number;
}

interface State {
  /** `holder`: whose key is the first; null: nobody's. `rev`: of the term's record. */
  etcd: { holder: number | null; term: number; rev: number };
  sql: { fence: number; lastWrite: number; counts: number[]; contents: number[] };
  candidates: Candidate[];
  worker: { incarnation: number; made: number; acked: number; maxTerm: number };
  /** On their way, for any time, in any order, any number of times: terms of commands; samples acknowledged. */
  net: { commands: number; acks: number };
  /** Who held each term; the first mistake that was made. */
  holders: (number | null)[];
  wiped: boolean;
  mistake: string | null;
}

const MAX_TERM = 2;
const MAX_SEQ = 1;
const INCARNATIONS = 2;

const bit = (incarnation: number, seq: number): number => incarnation * MAX_SEQ + (seq - 1);

/**
 * The lock with terms, the fence, and samples: two candidates, etcd whose leases may end at any time and whose data may be
 * lost once, a database whose answers may be lost, and a worker that may be started again once.
 */
export function lockModel(mutants: LockMutants = {}): Model<State> {
  const idle: Candidate = { phase: 'idle', term: 0, seen: 0, inbox: 0 };
  const slots = INCARNATIONS * MAX_SEQ;
  const initial: State = {
    etcd: { holder: null, term: 0, rev: 0 },
    sql: { fence: 0, lastWrite: 0, counts: Array<number>(slots).fill(0), contents: Array<number>(slots).fill(-1) },
    candidates: [idle, idle],
    worker: { incarnation: 0, made: 0, acked: 0, maxTerm: 0 },
    net: { commands: 0, acks: 0 },
    holders: Array<null>(MAX_TERM + 2).fill(null),
    wiped: false,
    mistake: null,
  };
  return {
    initial,
    broken: ({ mistake }) => mistake,
    *steps(state) {
      if (state.etcd.holder !== null) {
        yield [
          `the lease of ${nameOf(state.etcd.holder)}'s lock ends`,
          { ...state, etcd: { ...state.etcd, holder: null } },
        ];
      }
      if (!state.wiped) {
        yield ['etcd loses its data', { ...state, wiped: true, etcd: { holder: null, term: 0, rev: 9 } }];
      }
      for (const c of state.candidates.keys()) yield* candidateSteps(state, c, mutants);
      yield* workerSteps(state, mutants);
    },
  };
}

function* candidateSteps(state: State, c: number, mutants: LockMutants): Iterable<Step<State>> {
  const { etcd, sql, net } = state;
  const { phase, term, seen } = state.candidates[c]!;
  const name = nameOf(c);
  const be = (part: Partial<Candidate>, rest: Partial<State> = {}): State => ({
    ...state,
    ...rest,
    candidates: state.candidates.map((each, i) => (i === c ? { ...each, ...part } : each)),
  });
  const freed = etcd.holder === c ? { ...etcd, holder: null } : etcd;
  const down = be({ phase: 'idle', term: 0, seen: 0, inbox: 0 }, { etcd: freed });
  if (phase === 'idle') yield [`${name} reads the fence, and stands`, be({ phase: 'standing', seen: sql.fence })];
  if (phase === 'standing' && etcd.holder === null) {
    yield [`${name} wins the lock`, be({ phase: 'won' }, { etcd: { ...etcd, holder: c } })];
  }
  if (phase === 'won') {
    const planned = Math.max(etcd.term, seen) + (mutants.sameTerm === true && seen > 0 ? 0 : 1);
    if (planned <= MAX_TERM) {
      yield [`${name} plans term ${planned}`, be({ phase: 'planned', term: planned, seen: etcd.rev })];
    }
  }
  if (phase === 'planned') {
    const stands = (etcd.holder === c && etcd.rev === seen) || mutants.blindTransaction === true;
    const next = { ...etcd, term, rev: etcd.rev + 1 };
    if (stands) yield [`${name} establishes term ${term}`, be({ phase: 'established', seen: 0 }, { etcd: next })];
    else yield [`${name}'s transaction fails`, down];
  }
  if (phase === 'established') yield* raise(state, c, be, down, mutants);
  if (phase === 'acting') {
    yield [`${name} steps down`, down];
    yield [`${name} sends a command`, { ...state, net: { ...net, commands: net.commands | (1 << term) } }];
    for (let slot = 0; slot < INCARNATIONS * MAX_SEQ; slot++) yield* store(state, c, slot, down, mutants);
  }
}

function* raise(
  state: State,
  c: number,
  be: (part: Partial<Candidate>, rest?: Partial<State>) => State,
  down: State,
  mutants: LockMutants,
): Iterable<Step<State>> {
  const { sql, holders } = state;
  const { term } = state.candidates[c]!;
  const isHigher = sql.fence < term || (mutants.sameTerm === true && sql.fence === term);
  if (!isHigher) {
    yield [`${nameOf(c)} cannot raise the fence to ${term}`, down];
    return;
  }
  const before = holders[term] ?? null;
  const mistake = before === null ? null : `S1: term ${term} was ${nameOf(before)}'s and is ${nameOf(c)}'s now`;
  const rest = { sql: { ...sql, fence: term }, holders: holders.map((h, t) => (t === term ? c : h)), mistake };
  yield [`${nameOf(c)} raises the fence to ${term} and acts`, be({ phase: 'acting' }, rest)];
}

/** One fenced statement for a sample that has come, and what may become of it and of its answer. */
function* store(state: State, c: number, slot: number, down: State, mutants: LockMutants): Iterable<Step<State>> {
  const { sql, net } = state;
  const { term, inbox } = state.candidates[c]!;
  if ((inbox & (1 << slot)) === 0) return;
  const what = `${sampleName(slot)} in term ${term}`;
  const acked = { ...net, acks: net.acks | (1 << slot) };
  if (mutants.ackBeforeCommit === true) yield [`${nameOf(c)} acknowledges ${what}`, { ...state, net: acked }];
  if (sql.fence !== term && mutants.noFence !== true) {
    yield [`${nameOf(c)} is refused by the fence, for ${what}`, down];
    return;
  }
  const row = mutants.noIncarnation === true ? slot % MAX_SEQ : slot;
  const isNew = sql.counts[row] === 0;
  const adds = isNew || mutants.addsOnDuplicate === true ? 1 : 0;
  const counts = sql.counts.map((count, i) => (i === row ? Math.min(2, count + adds) : count));
  const contents = sql.contents.map((content, i) => (i === row && isNew ? slot : content));
  const mistake =
    term < sql.lastWrite
      ? `S2: a write of term ${term} was accepted after one of term ${sql.lastWrite}`
      : counts[row]! > 1
        ? `S4: ${sampleName(slot)} is counted twice`
        : null;
  const written = { ...state, sql: { ...sql, counts, contents, lastWrite: Math.max(sql.lastWrite, term) }, mistake };
  yield [`${nameOf(c)} stores ${what}, and the answer is lost`, written];
  yield [`${nameOf(c)} stores ${what} and acknowledges it`, { ...written, net: acked }];
}

function* workerSteps(state: State, mutants: LockMutants): Iterable<Step<State>> {
  const { worker, net, candidates, sql } = state;
  const { incarnation, made, acked, maxTerm } = worker;
  const be = (part: Partial<State['worker']>, rest: Partial<State> = {}): State => ({
    ...state,
    ...rest,
    worker: { ...worker, ...part },
  });
  if (made < MAX_SEQ) yield ['the worker makes a sample', be({ made: made + 1 })];
  for (let term = 1; term <= MAX_TERM; term++) {
    if ((net.commands & (1 << term)) === 0) continue;
    if (term >= maxTerm) yield [`the worker obeys term ${term}`, be({ maxTerm: term })];
    else if (mutants.noTermCheck === true) {
      yield [
        `the worker obeys term ${term}`,
        { ...state, mistake: `S3: it obeyed term ${term} after term ${maxTerm}` },
      ];
    }
  }
  for (const [c, { phase, term, inbox }] of candidates.entries()) {
    if (phase !== 'acting' || term < maxTerm) continue;
    for (let seq = acked + 1; seq <= made; seq++) {
      const slot = bit(incarnation, seq);
      const reached = candidates.map((each, i) => (i === c ? { ...each, inbox: inbox | (1 << slot) } : each));
      yield [`the worker sends ${sampleName(slot)} to ${nameOf(c)}`, be({ maxTerm: term }, { candidates: reached })];
    }
  }
  const next = bit(incarnation, acked + 1);
  if (acked < made && (net.acks & (1 << next)) !== 0) {
    const row = mutants.noIncarnation === true ? next % MAX_SEQ : next;
    const mistake =
      sql.contents[row] === next ? null : `S5: the worker gave up ${sampleName(next)}, which is not stored`;
    yield [`the worker hears that ${sampleName(next)} is stored`, be({ acked: acked + 1 }, { mistake })];
  }
  if (incarnation + 1 < INCARNATIONS) {
    const anew = { incarnation: incarnation + 1, made: 0, acked: 0, maxTerm: state.etcd.term };
    yield ['the worker is killed and started again', be(anew)];
  }
}

function nameOf(candidate: number): string {
  return 'AB'[candidate]!;
}

function sampleName(slot: number): string {
  return `sample ${(slot % MAX_SEQ) + 1} of start ${Math.floor(slot / MAX_SEQ) + 1}`;
}
