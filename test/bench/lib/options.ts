import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { errorMessage } from '../../../src/lib/errors.ts';
import { KIND_NAMES, kindNamed, type Kind } from './kinds.ts';

export const PARTS = ['closed', 'open', 'memory'] as const;
export type Part = (typeof PARTS)[number];

export interface BenchOptions {
  rounds: number;
  /** Length of each measured window. */
  seconds: number;
  connections: number;
  /** Of the closed part. */
  kinds: Kind[];
  rates: number[];
  memoryConnections: number[];
  parts: Part[];
  /** Names of the generators; null: all that are found. */
  peers: string[] | null;
  /** The command that is our engine, before `run`. */
  engine: string[];
  /** null: the JSON goes to stdout, the tables to stderr. */
  jsonFile: string | null;
}

export const USAGE = `usage: node test/bench/engine.ts [options]
  --rounds N         interleaved rounds, of which the medians are told (3)
  --seconds N        length of each measured window (5)
  --connections N    of the closed and the open part (50)
  --kinds A,B        of ${KIND_NAMES.join(', ')}: what the closed part sends (keepalive)
  --rates A,B        per second, of the open part (100,1000,10000)
  --memory A,B       connections of the memory part (1000,10000)
  --parts A,B        of ${PARTS.join(', ')} (all)
  --peers A,B        only these generators (all that are found)
  --engine COMMAND   our engine, before "run" (node dist/cli/main.js)
  --json FILE        JSON into a file and tables to stdout; without it JSON to stdout and tables to stderr
`;

/** Our engine as a command, before `run`. */
export const ENGINE = [process.execPath, fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))];

/** The options as they are read, or the end of the program with what is wrong and what there is. */
export function orUsage<T>(usage: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    process.stderr.write(`${errorMessage(error)}\n${usage}`);
    process.exit(2);
  }
}

/** @throws Error with one sentence when an option is wrong */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rounds: text('3'),
      seconds: text('5'),
      connections: text('50'),
      kinds: text('keepalive'),
      rates: text('100,1000,10000'),
      memory: text('1000,10000'),
      parts: text(PARTS.join(',')),
      peers: { type: 'string' },
      engine: { type: 'string' },
      json: { type: 'string' },
    },
  });
  return {
    rounds: whole('--rounds', values.rounds, 20),
    seconds: whole('--seconds', values.seconds, 60),
    connections: whole('--connections', values.connections, 10_000),
    kinds: some('--kinds', values.kinds, KIND_NAMES).map(kindNamed),
    rates: values.rates.split(',').map((rate) => whole('--rates', rate, 100_000)),
    memoryConnections: values.memory.split(',').map((count) => whole('--memory', count, 20_000)),
    parts: some('--parts', values.parts, PARTS),
    peers: values.peers?.split(',') ?? null,
    engine: values.engine?.split(' ') ?? ENGINE,
    jsonFile: values.json ?? null,
  };
}

/** Of the known words, those in a list with commas. @throws Error naming the option */
export function some<T extends string>(name: string, text: string, known: readonly T[]): T[] {
  return text.split(',').map((each) => {
    const found = known.find((one) => one === each);
    if (found === undefined) throw new Error(`${name}: expected some of ${known.join(', ')}, found "${each}"`);
    return found;
  });
}

/** @throws Error naming the option */
export function whole(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`${name}: expected a whole number from 1 to ${most}, found "${text}"`);
}
