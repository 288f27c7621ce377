import type { Model, Step } from './checker.ts';

export interface ShareMutants {
  /** A raise is sent before every lowering is acknowledged. */
  raisesAtOnce?: boolean;
  /** A new master believes that everybody loads what is written. */
  trustsRecords?: boolean;
  /** A command is sent before it is written. */
  sendsBeforeWriting?: boolean;
}

/** Parts of the whole that two workers have. */
type Pair = readonly [number, number];
const WHOLE = 2;
/** Divisions that are wanted, one after another. */
const DIVISIONS: readonly Pair[] = [
  [1, 1],
  [2, 0],
  [0, 2],
];

interface State {
  /** Which division is written. */
  written: number;
  /** What each worker loads, and the newest division of which it knows. */
  loads: number[];
  versions: number[];
  /** On its way to each worker: the division of the command; -1: none. */
  commands: number[];
  /** On its way from each worker: the division that it has applied; -1: none. */
  acks: number[];
  /** What the master knows of each: the most that it may load; null: it has not said. */
  most: (number | null)[];
  masters: number;
}

/** Two workers, and masters that follow each other: what is loaded never sums to more than the whole. */
export function shareModel(mutants: ShareMutants = {}): Model<State> {
  return {
    initial: {
      written: 0,
      loads: [1, 1],
      versions: [0, 0],
      commands: [-1, -1],
      acks: [-1, -1],
      most: [1, 1],
      masters: 1,
    },
    broken: ({ loads: [a, b] }) => (a! + b! > WHOLE ? `S7: ${a} + ${b} of ${WHOLE} are loaded` : null),
    *steps(state) {
      const { written, most, masters } = state;
      if (written + 1 < DIVISIONS.length) {
        yield [`${DIVISIONS[written + 1]!.join(' + ')} is written`, { ...state, written: written + 1 }];
      }
      if (masters < 3) {
        const known = mutants.trustsRecords === true ? [...DIVISIONS[written]!] : [null, null];
        // Its streams end with it: what was on its way does not arrive.
        const cut = { commands: [-1, -1], acks: [-1, -1] };
        yield ['another master follows', { ...state, ...cut, most: known, masters: masters + 1 }];
      }
      for (const w of most.keys()) yield* steps(state, w, mutants);
    },
  };
}

function* steps(state: State, w: number, mutants: ShareMutants): Iterable<Step<State>> {
  const { written, loads, versions, commands, acks, most } = state;
  const name = 'ab'[w]!;
  const set = <T>(list: readonly T[], value: T): T[] => list.map((each, i) => (i === w ? value : each));
  const share = DIVISIONS[written]![w]!;
  if (most[w] === null) {
    const said = versions[w] === written ? share : loads[w]!;
    yield [`${name} says Hello`, { ...state, most: set(most, said) }];
  } else if (commands[w] === -1 && versions[w] !== written) {
    const isRaise = share > most[w]!;
    const isAbove = most.some((parts, i) => parts === null || parts > DIVISIONS[written]![i]!);
    if (!isRaise || !isAbove || mutants.raisesAtOnce === true) {
      const sent = { commands: set(commands, written), most: set(most, Math.max(most[w]!, share)) };
      yield [`${name} is told to load ${share}`, { ...state, ...sent }];
    }
  }
  if (mutants.sendsBeforeWriting === true && written + 1 < DIVISIONS.length && commands[w] === -1 && most[w] !== null) {
    const early = DIVISIONS[written + 1]![w]!;
    const isAbove = most.some((parts, i) => parts === null || parts > DIVISIONS[written + 1]![i]!);
    if (early <= most[w]! || !isAbove) {
      const sent = { commands: set(commands, written + 1), most: set(most, Math.max(most[w]!, early)) };
      yield [`${name} is told to load ${early}, which is not written`, { ...state, ...sent }];
    }
  }
  if (commands[w] !== -1) {
    const division = commands[w]!;
    const applied = { loads: set(loads, DIVISIONS[division]![w]!), versions: set(versions, division) };
    yield [
      `${name} loads ${DIVISIONS[division]![w]!}`,
      { ...state, ...applied, commands: set(commands, -1), acks: set(acks, division) },
    ];
  }
  if (acks[w] !== -1) {
    const isLatest = acks[w] === written;
    const known = isLatest && most[w] !== null ? set(most, share) : most;
    yield [`the acknowledgement of ${name} comes`, { ...state, acks: set(acks, -1), most: known }];
  }
}
