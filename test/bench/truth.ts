/**
 * What load generators say of latencies, beside what a target that knows them says: `npm run bench:truth`. What is measured and how to
 * read it is in the README of this folder.
 */
import { parseArgs } from 'node:util';
import { errorMessage } from '../../src/lib/errors.ts';
import type { TargetOptions } from '../../src/load/target/server.ts';
import { startTargetProcess, type TargetProcess } from '../support/target-process.ts';
import { kindNamed } from './lib/kinds.ts';
import { foreignText, MACHINE, machineText, watched } from './lib/machine.ts';
import { ENGINE, orUsage, some, whole } from './lib/options.ts';
import { outputTo } from './lib/output.ts';
import { findPeers, type Peer } from './lib/peers.ts';
import { pin, Process } from './lib/proc.ts';
import { PERCENTILES, reported, telling, type Percentile } from './lib/reported.ts';
import { cell, markdownTable, median } from './lib/table.ts';
import { workplace } from './lib/workplace.ts';

interface Scene {
  title: string;
  target: TargetOptions;
  connections: number;
  /** Per second; null: as many hits as come back, from each connection one at a time. */
  rate: number | null;
}

const SCENES: Readonly<Record<string, Scene>> = {
  spread: {
    title: '1000/s, answers after a lognormal time (median 5 ms, p99 50 ms)',
    target: { latency: 'lognormal:5ms,50ms' },
    connections: 400,
    rate: 1_000,
  },
  pauses: {
    title: '1000/s, answers after 2 ms, and every 4 s none for 200 ms',
    target: { latency: '2ms', pause: '200ms/4s' },
    connections: 400,
    rate: 1_000,
  },
  closed: {
    title: '20 at a time, answers after a lognormal time (median 5 ms, p99 50 ms)',
    target: { latency: 'lognormal:5ms,50ms' },
    connections: 20,
    rate: null,
  },
};
const SCENE_NAMES = Object.keys(SCENES);
const USAGE = `usage: node test/bench/truth.ts [options]
  --rounds N         interleaved rounds, of which the medians are told (3)
  --seconds N        length of each run (20)
  --scenes A,B       of ${SCENE_NAMES.join(', ')} (all)
  --peers A,B        only these generators (all that are found and tell percentiles)
  --engine COMMAND   our engine, before "run" (node dist/cli/main.js)
  --json FILE        JSON into a file and tables to stdout; without it JSON to stdout and tables to stderr
`;
/** Beyond its length, a run is given this to start and to end. */
const AROUND_MS = 30_000;
/** What a report of ours may be off by. */
const GOAL = { share: 0.01, ms: 0.2 };

type Values = Record<Percentile, number>;

interface Row {
  scene: string;
  peer: string;
  /** NaN: not told. */
  rounds: { truthMs: Values; reportedMs: Values }[];
  notes: string[];
}

const options = orUsage(USAGE, readOptions);
const { say, end } = outputTo(options.jsonFile);
const { folder, cores } = workplace();
const peers = findPeers(options.engine).found.filter(({ name }) => options.peers?.includes(name) ?? true);
say(machineText());
for (const { name, version } of peers) say(`  ${name}: ${version}`);
const { rows, foreignCores } = await watched(async () => {
  const rows: Row[] = [];
  for (const name of options.scenes) rows.push(...(await play(name)));
  return { rows };
});
say(foreignText(foreignCores));
end({ machine: { ...MACHINE, pinned: cores }, options, rows, foreignCores });

/** Every generator once per round, so that what changes on the machine meets all of them. */
async function play(name: string): Promise<Row[]> {
  const scene = SCENES[name]!;
  const able = peers.filter((peer) => commandOf(peer, scene, '') !== null);
  const rows = able.map((peer): Row => ({ scene: name, peer: peer.name, rounds: [], notes: [] }));
  await using target = await startTargetProcess(scene.target, pin(cores?.target));
  for (let round = 1; round <= options.rounds; round++) {
    for (const [i, peer] of able.entries()) {
      process.stderr.write(`  round ${round} of ${options.rounds}, ${name}: ${peer.name}\n`);
      try {
        rows[i]!.rounds.push(await compared(peer, scene, target));
      } catch (error) {
        rows[i]!.notes.push(errorMessage(error));
      }
    }
  }
  say(`\n${scene.title}; ms as reported, and how much more or less that is than the target says; medians:\n`);
  say(table(rows));
  return rows;
}

async function compared(peer: Peer, scene: Scene, target: TargetProcess): Promise<Row['rounds'][number]> {
  await target.reset();
  const process = new Process(commandOf(peer, scene, target.url)!);
  if (!(await process.end(options.seconds * 1e3 + AROUND_MS))) throw new Error('it did not end');
  const { latencyMs } = await target.stats();
  if (latencyMs === null) throw new Error(`nothing was answered: ${process.stderr.trim().slice(-200)}`);
  const told = reported(peer.name, process.stdout);
  const values = (of: Partial<Values>) => Object.fromEntries(PERCENTILES.map((p) => [p, of[p] ?? NaN])) as Values;
  return { truthMs: values(latencyMs), reportedMs: values(told) };
}

function commandOf(peer: Peer, { connections, rate }: Scene, url: string) {
  const job = { url: `${url}/`, kind: kindNamed('keepalive'), connections, seconds: options.seconds, folder };
  const command = rate === null ? peer.closed(job) : peer.open?.({ ...job, rate });
  const told = command == null ? null : telling(peer.name, command);
  return told === null ? null : { ...told, argv: [...pin(cores?.generator), ...told.argv] };
}

function table(rows: readonly Row[]): string {
  const cells = rows.map(({ peer, rounds, notes }) => {
    const of = (pick: (round: Row['rounds'][number]) => number): number => median(rounds.map(pick));
    const errors = PERCENTILES.map((p) => of((round) => round.reportedMs[p] - round.truthMs[p]));
    const isTrue = PERCENTILES.map((p, i) => Math.abs(errors[i]!) <= GOAL.share * of((r) => r.truthMs[p]) + GOAL.ms);
    const told = PERCENTILES.map((p, i) => {
      const value = of((round) => round.reportedMs[p]);
      const sign = errors[i]! < 0 ? '' : '+';
      return Number.isNaN(value) ? '–' : `${value.toFixed(2)} (${sign}${cell(errors[i], 2)})`;
    });
    return [peer, ...told, PERCENTILES.filter((_, i) => isTrue[i]).join(', '), notes.join('; ')];
  });
  return markdownTable(['generator', ...PERCENTILES, 'within 1 % + 0.2 ms', 'notes'], cells);
}

function readOptions() {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    options: {
      rounds: text('3'),
      seconds: text('20'),
      scenes: text(SCENE_NAMES.join(',')),
      peers: { type: 'string' },
      engine: { type: 'string' },
      json: { type: 'string' },
    },
  });
  return {
    rounds: whole('--rounds', values.rounds, 20),
    seconds: whole('--seconds', values.seconds, 120),
    scenes: some('--scenes', values.scenes, SCENE_NAMES),
    peers: values.peers?.split(',') ?? null,
    engine: values.engine?.split(' ') ?? ENGINE,
    jsonFile: values.json ?? null,
  };
}
