/** What a hit allocates, and what garbage collection costs our engine: `npm run bench:allocations`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { collected, type Collected } from './lib/gc.ts';
import { kindNamed } from './lib/kinds.ts';
import { foreignText, MACHINE, machineText, watched } from './lib/machine.ts';
import { Nginx } from './lib/nginx.ts';
import { ENGINE, orUsage, whole } from './lib/options.ts';
import { outputTo } from './lib/output.ts';
import { pin, Process } from './lib/proc.ts';
import { cell, markdownTable } from './lib/table.ts';
import { workplace } from './lib/workplace.ts';

const CONNECTIONS = 50;
/** By then the code is compiled; of each thread's life. */
const WARM_MS = 3_000;
const AROUND_MS = 30_000;
const USAGE = `usage: node test/bench/allocations.ts [options]
  --seconds N        length of each run (15)
  --engine COMMAND   our engine, before "run" (node dist/cli/main.js)
  --json FILE        JSON into a file and tables to stdout; without it JSON to stdout and tables to stderr
`;

/** What is sent, and how: flags of `gostress run`. */
const RUNS: readonly { title: string; kind: string; flags: readonly string[] }[] = [
  { title: 'http1', kind: 'keepalive', flags: ['--client', 'http1'] },
  { title: 'http1, 10 000/s', kind: 'keepalive', flags: ['--client', 'http1', '-q', '10000'] },
  { title: 'http1, a check of the body', kind: 'keepalive', flags: ['--client', 'http1', '--check', 'contains=ok'] },
  { title: 'http1, a body of 1 KiB', kind: '1k', flags: ['--client', 'http1'] },
  { title: 'undici', kind: 'keepalive', flags: ['--client', 'undici'] },
  { title: 'http2, 50 streams on a connection', kind: 'h2c', flags: ['--client', 'http2', '--streams', '50'] },
];

const options = orUsage(USAGE, readOptions);
const { say, end } = outputTo(options.jsonFile);
const { folder, cores } = workplace();
say(machineText());
const { rows, foreignCores } = await watched(measureAll);
say(`\n${CONNECTIONS} connections, one nginx worker; of the thread that allocates most, after ${WARM_MS / 1e3} s:\n`);
say(
  markdownTable(
    ['hits', 'hits/s', 'bytes per hit', 'collections/s', 'paused by them, %'],
    rows.map((row) => [
      ...[row.title, cell(row.perSecond), cell(row.bytesPerHit), cell(row.collectionsPerSecond, 1)],
      cell(row.pausedPercent, 2),
    ]),
  ),
);
say(`\n${foreignText(foreignCores)}`);
end({ machine: { ...MACHINE, pinned: cores }, options, rows, foreignCores });

async function measureAll() {
  const nginx = await Nginx.start(pin(cores?.target), CONNECTIONS, folder);
  try {
    const rows = [];
    for (const { title, kind, flags } of RUNS) {
      process.stderr.write(`  ${title}\n`);
      const { perSecond, gc } = await measure([nginx.urlOf(kindNamed(kind)), ...flags]);
      rows.push({
        title,
        perSecond,
        bytesPerHit: gc.allocatedBytes / gc.seconds / perSecond,
        collectionsPerSecond: gc.collections / gc.seconds,
        pausedPercent: gc.pausedMs / 10 / gc.seconds,
      });
    }
    return { rows };
  } finally {
    await nginx.stop();
  }
}

async function measure(args: readonly string[]): Promise<{ perSecond: number; gc: Collected }> {
  const [node, ...engine] = options.engine;
  const report = join(folder, 'report.json');
  const run = ['run', ...args, '-c', String(CONNECTIONS), '-d', `${options.seconds}s`, '-o', `json=${report}`];
  const child = new Process({ argv: [...pin(cores?.generator), node!, '--trace-gc', ...engine, ...run] });
  await child.end(options.seconds * 1e3 + AROUND_MS);
  if (child.exitCode !== 0) throw new Error(`exit code ${child.exitCode}: ${child.stderr.trim().slice(-300)}`);
  const { headline } = JSON.parse(readFileSync(report, 'utf8')) as { headline: { answeredPerSecond: number } };
  const [gc] = collected(child.stdout, WARM_MS).sort((a, b) => b.allocatedBytes - a.allocatedBytes);
  if (gc === undefined) throw new Error(`expected collections, found none: --seconds ${options.seconds} is too short`);
  return { perSecond: headline.answeredPerSecond, gc };
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '15' },
      engine: { type: 'string' },
      json: { type: 'string' },
    },
  });
  return {
    seconds: whole('--seconds', values.seconds, 120),
    engine: values.engine?.split(' ') ?? ENGINE,
    jsonFile: values.json ?? null,
  };
}
