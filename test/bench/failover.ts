/**
 * How long a cluster is without a master, and what the target notices: `npm run bench:failover`. What is measured and how to read it
 * is in the README of this folder.
 */
import { parseArgs } from 'node:util';
import { TIMING_PROFILES } from '../../src/cluster/timings.ts';
import { errorMessage } from '../../src/lib/errors.ts';
import { MISSING } from '../e2e/cluster.ts';
import { NginxTarget } from '../support/nginx-target.ts';
import { HOWS, RATE, takeover, type How, type Takeover, type TakeoverSample } from './cluster/takeover.ts';
import { foreignText, MACHINE, machineText, percentile, watched } from './lib/machine.ts';
import { orUsage, some, whole } from './lib/options.ts';
import { outputTo } from './lib/output.ts';
import { cell, markdownTable } from './lib/table.ts';

const PROFILES = Object.keys(TIMING_PROFILES);
const USAGE = `usage: node test/bench/failover.ts [options]
  --samples N        of each kind, each with a cluster of its own (20)
  --how A,B          of ${HOWS.join(', ')} (all)
  --sentinels A,B    (0,1,3)
  --profiles A,B     of ${PROFILES.join(', ')} (default)
  --json FILE        JSON into a file and tables to stdout; without it JSON to stdout and tables to stderr
`;

/** What the design promises, milliseconds. */
const BOUNDS = { watched: 4_600, byLease: 8_100, planned: 100, worker: 1_500 };

const NAMES: Readonly<Record<Takeover['how'], string>> = {
  kill: 'SIGKILL of the master → the next one leads',
  freeze: 'SIGSTOP of the master → the next one leads',
  planned: 'planned switchover → the next one leads',
  worker: 'SIGKILL of a worker → the whole rate again',
};

interface Result extends Takeover {
  samples: TakeoverSample[];
  /** Why a sample is not there. */
  errors: string[];
}

const options = orUsage(USAGE, readOptions);
const { say, end } = outputTo(options.jsonFile);
if (MISSING !== null) {
  process.stderr.write(`expected ${MISSING}, found none\n`);
  process.exit(1);
}
say(machineText());
const { results, foreignCores } = await watched(measureAll);
say(`\nOf ${RATE} hits a second over three workers, by the target's log; ms and hits:\n`);
say(table(results));
say(`\n${foreignText(foreignCores)}`);
end({ machine: MACHINE, options, results, foreignCores });
process.exit(results.some(({ errors }) => errors.length > 0) ? 1 : 0);

/** Every kind once per round, so that what changes on the machine meets all of them. */
async function measureAll(): Promise<{ results: Result[] }> {
  await using target = await NginxTarget.start();
  // Sentinels have no part in moving the share of a dead process.
  const watchers = (how: How) => (how === 'worker' ? options.sentinels.slice(-1) : options.sentinels);
  const kinds = options.hows.flatMap((how) =>
    watchers(how).flatMap((sentinels) => options.profiles.map((profile) => ({ how, sentinels, profile }))),
  );
  const measured = kinds.map((kind): Result => ({ ...kind, samples: [], errors: [] }));
  for (let round = 1; round <= options.samples; round++) {
    for (const result of measured) {
      process.stderr.write(
        `  round ${round} of ${options.samples}: ${result.how}, ${result.sentinels} sentinels, ${result.profile}\n`,
      );
      try {
        result.samples.push(await takeover(result, target));
      } catch (error) {
        result.errors.push(errorMessage(error));
        process.stderr.write(`    failed: ${errorMessage(error)}\n`);
      }
    }
  }
  return { results: measured };
}

function table(measured: readonly Result[]): string {
  const header = ['what', 'sentinels', 'timings', 'n', 'p50', 'p90', 'max', 'bound', 'longest gap', 'over', 'under'];
  const rows = measured.map(({ how, sentinels, profile, samples }) => {
    const took = samples.map(({ newMasterMs, restoredMs }) => newMasterMs ?? restoredMs ?? NaN);
    const most = (name: 'gapMs' | 'over' | 'under'): string => cell(Math.max(...samples.map((one) => one[name])));
    return [
      ...[NAMES[how], String(sentinels), profile, String(samples.length)],
      ...[50, 90, 100].map((percent) => cell(percentile(took, percent))),
      ...[String(boundOf(how, sentinels)), most('gapMs'), most('over'), most('under')],
    ];
  });
  return markdownTable(header, rows);
}

function boundOf(how: Takeover['how'], sentinels: number): number {
  if (how === 'planned' || how === 'worker') return BOUNDS[how];
  return sentinels > 0 ? BOUNDS.watched : BOUNDS.byLease;
}

function readOptions() {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    options: {
      ...{ samples: text('20'), how: text(HOWS.join(',')), sentinels: text('0,1,3'), profiles: text('default') },
      json: { type: 'string' },
    },
  });
  return {
    samples: whole('--samples', values.samples, 100),
    hows: some('--how', values.how, HOWS),
    sentinels: values.sentinels.split(',').map((count) => (count === '0' ? 0 : whole('--sentinels', count, 5))),
    profiles: some('--profiles', values.profiles, PROFILES),
    jsonFile: values.json ?? null,
  };
}
