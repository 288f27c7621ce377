/**
 * The cluster by its own measures: `npm run bench:cluster`. What is measured and how to read it is in the README of this
 * folder.
 */
import { parseArgs } from 'node:util';
import { errorMessage } from '../../src/lib/errors.ts';
import { START_AFTER_MS } from '../../src/stress/run-clock.ts';
import { MISSING } from '../e2e/cluster.ts';
import { failover, latency, type OnRound, type Round } from './cluster/runs.ts';
import { manyWorkers, type WorkersRow } from './cluster/workers.ts';
import { foreignText, MACHINE, machineText, percentile, watched } from './lib/machine.ts';
import { orUsage, some, whole } from './lib/options.ts';
import { outputTo } from './lib/output.ts';
import { cell, markdownTable } from './lib/table.ts';

const PARTS = ['latency', 'failover', 'workers'] as const;
type Part = (typeof PARTS)[number];

const USAGE = `usage: node test/bench/cluster.ts [options]
  --rounds N         of the latency and the failover part (10)
  --parts A,B        of ${PARTS.join(', ')} (all)
  --workers A,B      simulated workers of the workers part (200,1000)
  --runs N           runs at once in the workers part, each on its part of the workers (1)
  --seconds N        length of the window of the workers part (20)
  --json FILE        JSON into a file and tables to stdout; without it JSON to stdout and tables to stderr
`;
/** Nodes of the tests live for ten minutes. */
const MAX_ROUNDS = 20;

interface PartResult {
  rounds?: Round[];
  rows?: WorkersRow[];
  /** Cores that nothing of this benchmark used: what disturbed it. */
  foreignCores: number;
  /** Why it ended before its end. */
  error?: string;
}

const options = orUsage(USAGE, readOptions);
const { say, end } = outputTo(options.jsonFile);
if (MISSING !== null) {
  process.stderr.write(`expected ${MISSING}, found none\n`);
  process.exit(1);
}
say(machineText());
const results: Partial<Record<Part, PartResult>> = {};
for (const part of options.parts) {
  say('');
  const result = await watched(() => (part === 'workers' ? workersPart() : roundsPart(part)));
  results[part] = result;
  if (result.error !== undefined) say(`\nNOT finished: ${result.error}`);
  say(`\n${foreignText(result.foreignCores)}`);
}
end({ machine: MACHINE, options, results });
process.exit(Object.values(results).some(({ error }) => error !== undefined) ? 1 : 0);

async function roundsPart(part: 'latency' | 'failover'): Promise<Omit<PartResult, 'foreignCores'>> {
  const rounds: Round[] = [];
  const onRound: OnRound = (round) => {
    rounds.push(round);
    const text = Object.entries(round).map(([name, ms]) => `${name} ${cell(ms)}`);
    process.stderr.write(`  ${part}, round ${rounds.length} of ${options.rounds}: ${text.join(', ')}\n`);
  };
  const error = await failureOf(() => (part === 'latency' ? latency : failover)(options.rounds, onRound));
  const names: Record<string, string> = {
    startAnsweredMs: 'StartTask: call → answer',
    firstHitMs: `StartTask: call → first hit (${START_AFTER_MS} ms of it wanted)`,
    retuneUpMs: 'RetuneRun up: call → applied by all',
    retuneDownMs: 'RetuneRun down: call → applied by all',
    newMasterMs: 'SIGKILL of the master → a new one answers',
    retunedMs: 'SIGKILL of the master → RetuneRun applied',
  };
  say(`${part === 'latency' ? 'Latency' : 'Failover'}, 3 workers, ${rounds.length} rounds:\n`);
  const rows = Object.keys(rounds[0] ?? {}).map((name) => {
    const values = rounds.map((round) => round[name]!);
    return [names[name] ?? name, ...[50, 90, 100].map((percent) => cell(percentile(values, percent)))];
  });
  say(markdownTable(['ms', 'p50', 'p90', 'max'], rows));
  return { rounds, ...error };
}

async function workersPart(): Promise<Omit<PartResult, 'foreignCores'>> {
  const rows: WorkersRow[] = [];
  const error = await failureOf(async () => {
    for (const count of options.workers) {
      process.stderr.write(`  workers: ${count}\n`);
      rows.push(await manyWorkers(count, options.runs, options.seconds));
    }
  });
  const runs = options.runs === 1 ? '' : `, ${options.runs} runs on a part of them each`;
  say(`One master, simulated workers with a sample a second each${runs}; ${options.seconds} s:\n`);
  const header = ['workers', 'master cores', 'peak MB', 'ack p50 ms', 'p90', 'p99', 'max', 'max of the run'];
  const table = rows.map(({ workers, cores, masterPeakMegabytes, ackMs, samplesSent, samplesAcked, ...row }) => [
    ...[String(workers), cell(cores.master, 2), cell(masterPeakMegabytes)],
    ...[cell(ackMs?.p50, 1), cell(ackMs?.p90, 1), cell(ackMs?.p99, 1), cell(ackMs?.max, 1), cell(row.longestAckMs, 1)],
    ...[`${samplesAcked} of ${samplesSent}`, cell(row.lost), cell(row.sampleBytes), cell(row.startMs)],
    ...[cell(cores.mariadb, 2), cell(cores.etcd, 2), cell(cores.workers, 2)],
  ]);
  const rest = ['acked of sent', 'streams lost', 'bytes', 'start ms', 'MariaDB cores', 'etcd', 'workers'];
  say(markdownTable([...header, ...rest], table));
  return { rows, ...error };
}

async function failureOf(work: () => Promise<void>): Promise<{ error?: string }> {
  try {
    await work();
    return {};
  } catch (error) {
    return { error: errorMessage(error) };
  }
}

function readOptions() {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    options: {
      ...{ rounds: text('10'), parts: text(PARTS.join(',')), workers: text('200,1000'), seconds: text('20') },
      runs: text('1'),
      json: { type: 'string' },
    },
  });
  return {
    rounds: whole('--rounds', values.rounds, MAX_ROUNDS),
    parts: some('--parts', values.parts, PARTS),
    workers: values.workers.split(',').map((count) => whole('--workers', count, 5_000)),
    runs: whole('--runs', values.runs, 50),
    seconds: whole('--seconds', values.seconds, 7_200),
    jsonFile: values.json ?? null,
  };
}
