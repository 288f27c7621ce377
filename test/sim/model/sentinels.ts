import type { Model, Step } from './checker.ts';

export interface SentinelMutants {
  /** The transaction does not look whether the master's key is still the one that was voted on. */
  noRevision?: boolean;
  /** The transaction does not look whether the votes still stand. */
  noVotes?: boolean;
  /** One vote is enough. */
  noMajority?: boolean;
  /** A new master does not raise the fence, and the database takes writes of any term. */
  noFence?: boolean;
}

const SENTINELS = 3;
const MAJORITY = 2;
const MAX_TERM = 3;

interface State {
  /** Revision of the master's key, which is its term here too; 0: there is no key. `owner`: the candidate that it is of. */
  key: { rev: number; owner: number };
  term: number;
  fence: number;
  /** Who is named to follow; null: nobody. */
  nominee: number | null;
  /** By sentinel: the revision that it says is down; 0: none. Its vote lies in etcd under its own lease. */
  votes: number[];
  /** By sentinel: what it has counted a majority for, and acts on soon; 0: nothing. */
  acting: number[];
  /** Terms of which each candidate believes that it has them. */
  believes: number[];
  lastWrite: number;
  mistake: string | null;
}

/**
 * Two candidates and three sentinels, each of which may err, sleep between any two steps, or be cut off: a failover takes the
 * lock only from the master that a majority holds for down. What no sentinel may break: S1, S2.
 */
export function sentinelModel(mutants: SentinelMutants = {}): Model<State> {
  return {
    initial: {
      key: { rev: 1, owner: 0 },
      term: 1,
      fence: 1,
      nominee: null,
      votes: [0, 0, 0],
      acting: [0, 0, 0],
      believes: [1, 0],
      lastWrite: 0,
      mistake: null,
    },
    broken: ({ mistake }) => mistake,
    *steps(state) {
      const { key } = state;
      if (key.rev > 0) yield ["the lock's lease ends", { ...state, key: { rev: 0, owner: 0 } }];
      for (let s = 0; s < SENTINELS; s++) yield* sentinelSteps(state, s, mutants);
      for (const c of [0, 1]) yield* candidateSteps(state, c, mutants);
    },
  };
}

function* sentinelSteps(state: State, s: number, mutants: SentinelMutants): Iterable<Step<State>> {
  const { key, votes, acting, term } = state;
  const name = `sentinel ${s + 1}`;
  const set = (list: readonly number[], value: number): number[] => list.map((each, i) => (i === s ? value : each));
  if (votes[s] === 0 && key.rev > 0) {
    yield [`${name} votes that term ${key.rev} is down`, { ...state, votes: set(votes, key.rev) }];
  }
  if (votes[s] !== 0) yield [`${name} withdraws its vote, or its lease ends`, { ...state, votes: set(votes, 0) }];
  const count = (rev: number): number => votes.filter((vote) => vote === rev).length;
  const needed = mutants.noMajority === true ? 1 : MAJORITY;
  const voted = votes[s]!;
  if (acting[s] === 0 && voted !== 0 && count(voted) >= needed) {
    yield [`${name} counts a majority for term ${voted}`, { ...state, acting: set(acting, voted) }];
  }
  const meant = acting[s]!;
  if (meant === 0) return;
  const rest = { ...state, acting: set(acting, 0) };
  yield [`${name} forgets about it`, rest];
  const stands = mutants.noRevision === true ? key.rev > 0 : key.rev === meant;
  const agreed = mutants.noVotes === true || count(meant) >= needed;
  if (!stands || !agreed) return;
  const isFair = count(key.rev) >= MAJORITY;
  const mistake = isFair
    ? null
    : `${name} takes the lock of term ${key.rev}, which ${count(key.rev)} of 3 hold for down`;
  for (const nominee of [0, 1]) {
    if (nominee === key.owner || term >= MAX_TERM) continue;
    yield [
      `${name} takes the lock and names ${'AB'[nominee]!}`,
      { ...rest, key: { rev: 0, owner: 0 }, nominee, mistake },
    ];
  }
}

function* candidateSteps(state: State, c: number, mutants: SentinelMutants): Iterable<Step<State>> {
  const { key, term, fence, believes, lastWrite, nominee } = state;
  const name = 'AB'[c]!;
  const believe = (value: number): number[] => believes.map((each, i) => (i === c ? value : each));
  // A nominee has no right but to be first: who is impatient wins too.
  if (key.rev === 0 && term < MAX_TERM) {
    const next = Math.max(term, fence) + 1;
    const won = { key: { rev: next, owner: c }, term: next, fence: mutants.noFence === true ? fence : next };
    const hint = nominee === c ? ', as named,' : '';
    const twice = believes.includes(next) ? `S1: term ${next} has two holders` : null;
    yield [
      `${name} wins${hint} term ${next}`,
      { ...state, ...won, nominee: null, believes: believe(next), mistake: twice },
    ];
  }
  const mine = believes[c]!;
  if (mine === 0) return;
  yield [`${name} learns that it is no master`, { ...state, believes: believe(0) }];
  // A write that arrives: the database asks nobody but the fence.
  if (mine !== fence && mutants.noFence !== true) return;
  const mistake = mine < lastWrite ? `S2: a write of term ${mine} was accepted after one of term ${lastWrite}` : null;
  yield [`${name} writes in term ${mine}`, { ...state, lastWrite: Math.max(lastWrite, mine), mistake }];
}
