/**
 * The load engine beside the load generators people use: `npm run bench:engine`. What is measured and how to read it is in
 * the README of this folder.
 */
import { startTargetProcess } from '../support/target-process.ts';
import { MACHINE, machineText } from './lib/machine.ts';
import { AFTER_MS, measure, WARMUP_MS, type Window } from './lib/measure.ts';
import { kindNamed, type Kind } from './lib/kinds.ts';
import { Nginx } from './lib/nginx.ts';
import { orUsage, parseOptions, USAGE, type BenchOptions } from './lib/options.ts';
import { outputTo } from './lib/output.ts';
import { ENGINE_UNDICI, findPeers, type Job, type Peer } from './lib/peers.ts';
import { descriptors, pin, type Command } from './lib/proc.ts';
import { cell, markdownTable, median } from './lib/table.ts';
import { workplace } from './lib/workplace.ts';

/** Descriptors beside those of the connections. */
const SPARE_DESCRIPTORS = 200;
const KEEPALIVE = kindNamed('keepalive');

interface Row {
  peer: string;
  /** What all rounds have in common: connections or rate, and the kind of requests. */
  load: number;
  kind: string;
  rounds: Record<string, number>[];
  /** Medians of the rounds, name by name; empty when no round succeeded. */
  median: Record<string, number>;
  notes: string[];
}

const options: BenchOptions = orUsage(USAGE, () => parseOptions(process.argv.slice(2)));
const { folder, cores } = workplace();
const { found, missing } = findPeers(options.engine);
const peers = found.filter(({ name }) => options.peers === null || options.peers.includes(name));
const unknown =
  options.peers?.filter((name) => !found.some((peer) => peer.name === name) && !missing.includes(name)) ?? [];
if (unknown.length > 0) {
  const names = [...found.map(({ name }) => name), ...missing].join(', ');
  process.stderr.write(`--peers: expected some of ${names}, found "${unknown.join('", "')}"\n${USAGE}`);
  process.exit(2);
}
const { say, end } = outputTo(options.jsonFile);

const versions = { nginx: Nginx.version(), ...Object.fromEntries(peers.map(({ name, version }) => [name, version])) };
say(machineText());
say(
  cores === null
    ? 'NOT pinned (no second core, or no taskset): target and generator disturb each other; do not trust the numbers'
    : `target pinned to core ${cores.target}, generator to core ${cores.generator}`,
);
for (const [name, version] of Object.entries(versions)) say(`  ${name}: ${version}`);
if (missing.length > 0) say(`not on PATH: ${missing.join(', ')}`);

const results: Record<string, Row[]> = {};
for (const part of options.parts) {
  say('');
  results[part] = await { closed: closedPart, open: openPart, memory: memoryPart }[part]();
}
const disturbed = median(
  Object.values(results).flatMap((rows) => rows.flatMap((row) => row.median['foreignCores'] ?? [])),
);
say(
  `Other processes used ${cell(disturbed, 2)} cores (median)${disturbed > 0.1 ? ': the numbers are DISTURBED' : ''}.`,
);
end({ machine: { ...MACHINE, pinned: cores }, versions, missing, options, results });

/** Requests per second and per CPU-second against nginx, which counts them. */
async function closedPart(): Promise<Row[]> {
  const nginx = await Nginx.start(pin(cores?.target), options.connections, folder);
  try {
    const rows: Row[] = [];
    for (const kind of options.kinds) rows.push(...(await closedOf(kind, nginx)));
    return rows;
  } finally {
    await nginx.stop();
  }
}

async function closedOf(kind: Kind, nginx: Nginx): Promise<Row[]> {
  const { connections, rounds } = options;
  const able = peers.filter((peer) => peer.closed(jobFor(nginx.urlOf(kind), connections, kind)) !== null);
  const rows = await interleave(able, connections, rounds, kind, async (peer) => {
    const window = await againstNginx(peer, nginx, connections, kind);
    return { numbers: { ...perSecondOf(window), peakMegabytes: window.peakBytes / 1e6 }, window };
  });
  // wrk knows no HTTP/2.
  const yardstick = kind.streams === null ? 'wrk' : 'h2load';
  const part = (row: Row): number =>
    row.median['perCpuSecond']! / (find(rows, yardstick)?.median['perCpuSecond'] ?? NaN);
  say(`Closed model, ${connections} at a time, ${kind.title}; medians of ${rounds} rounds:\n`);
  say(
    markdownTable(
      ['generator', 'requests/s', 'per CPU-second', `of ${yardstick}`, 'cores', 'peak MB', 'notes'],
      byMedian(rows, 'perCpuSecond').map((row) => [
        ...[row.peer, cell(row.median['perSecond']), cell(row.median['perCpuSecond']), cell(part(row), 2)],
        ...[cell(row.median['cores'], 2), cell(row.median['peakMegabytes']), row.notes.join('; ')],
      ]),
    ),
  );
  const ours = find(rows, ENGINE_UNDICI)?.median['perCpuSecond'];
  const bare = find(rows, 'undici-bare')?.median['perCpuSecond'];
  if (ours !== undefined && bare !== undefined) {
    say(`\n${ENGINE_UNDICI} reaches ${cell(ours / bare, 2)} of the bare undici loop (goal: at least 0.8).`);
  }
  say('');
  return rows;
}

/** Pacing, judged by the arrivals at our target. */
async function openPart(): Promise<Row[]> {
  const { connections, rounds, seconds } = options;
  const rows: Row[] = [];
  await using target = await startTargetProcess({}, pin(cores?.target));
  for (const rate of options.rates) {
    const open = peers.filter((peer) => peer.open !== undefined);
    const ofRate = await interleave(open, rate, rounds, KEEPALIVE, async (peer) => {
      await target.reset();
      const job = { ...jobFor(`${target.url}/`, connections, KEEPALIVE), rate };
      const judge = {
        pid: target.pid,
        count: async () => (await target.stats()).received,
        countsInWindow: false,
        windowBegins: () => target.reset(),
      };
      const window = await measure(pinned(peer.open!(job)), seconds * 1e3, judge);
      const { pacing } = await target.stats(rate);
      if (pacing === null) throw new Error('fewer than two requests arrived');
      const numbers = {
        achieved: pacing.meanRatePerSecond,
        strayP50Ms: pacing.strayMs.p50,
        strayP99Ms: pacing.strayMs.p99,
        targetWaitedPercent: window.targetWaited * 100,
        worstSecondPercent: pacing.worstSecond?.deviationPercent ?? NaN,
        ...(peer.ours ? ownWords(window.stdout) : {}),
      };
      return { numbers, window };
    });
    rows.push(...ofRate);
    say(
      `Open model, ${rate}/s over ${connections} connections; arrivals at the target; medians of ${rounds} rounds:\n`,
    );
    say(openTable(byMedian(ofRate, 'strayP99Ms').reverse()));
    say('');
  }
  return rows;
}

function openTable(rows: readonly Row[]): string {
  const lateness = ['latenessP50Ms', 'latenessP99Ms', 'latenessP999Ms'];
  return markdownTable(
    [
      'generator',
      'achieved/s',
      'stray p50 ms',
      'p99 ms',
      'worst second %',
      'target waited %',
      'cores',
      'own lateness p50 / p99 / p99.9 ms',
      'own drops',
      'notes',
    ],
    rows.map(({ peer, median: of, rounds, notes }) => [
      ...[peer, cell(of['achieved'], 1), cell(of['strayP50Ms'], 3), cell(of['strayP99Ms'], 3)],
      ...[cell(worstOf(rounds, 'worstSecondPercent'), 2), cell(of['targetWaitedPercent'], 2), cell(of['cores'], 2)],
      lateness.every((name) => of[name] === undefined) ? '–' : lateness.map((name) => cell(of[name], 3)).join(' / '),
      ...[cell(of['dropped'] === undefined ? null : worstOf(rounds, 'dropped')), notes.join('; ')],
    ]),
  );
}

/** The value farthest from 0 of all rounds. */
function worstOf(rounds: Row['rounds'], name: string): number {
  return rounds.map((round) => round[name] ?? NaN).reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
}

/** Lateness and drops in our report: the instrument about itself and its whole run, beside what the target saw. */
function ownWords(stdout: string): Record<string, number> {
  const report = JSON.parse(stdout) as {
    lateness: { percentilesMs: Record<string, number> } | null;
    drops: { count: number };
  };
  const of = report.lateness?.percentilesMs ?? {};
  return {
    dropped: report.drops.count,
    latenessP50Ms: of['p50'] ?? NaN,
    latenessP99Ms: of['p99'] ?? NaN,
    latenessP999Ms: of['p99.9'] ?? NaN,
  };
}

/** The verdict of our report with its reasons, unless it is VALID; our exit code says the same. */
function ownVerdict(stdout: string): string | null {
  const { verdict } = JSON.parse(stdout) as { verdict: { verdict: string; reasons: { code: string }[] } };
  return verdict.verdict === 'VALID'
    ? null
    : `${verdict.verdict}: ${verdict.reasons.map(({ code }) => code).join(', ')}`;
}

/** Peak resident memory with many connections, each in use (closed model against nginx). */
async function memoryPart(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const connections of options.memoryConnections) {
    const wrapper = descriptors(connections + SPARE_DESCRIPTORS);
    if (wrapper === null) {
      say(`Memory with ${connections} connections: not measured, this system does not allow so many open files.`);
      continue;
    }
    const nginx = await Nginx.start([...pin(cores?.target), ...wrapper], connections, folder);
    try {
      const ofCount = await interleave(peers, connections, 1, KEEPALIVE, async (peer) => {
        let open = 0;
        const watch = setInterval(() => {
          nginx.status().then(
            (status) => (open = Math.max(open, status.connections)),
            () => undefined,
          );
        }, 500);
        try {
          const window = await againstNginx(peer, nginx, connections, KEEPALIVE, wrapper);
          const numbers = { peakMegabytes: window.peakBytes / 1e6, open, ...perSecondOf(window) };
          return { numbers, window };
        } finally {
          clearInterval(watch);
        }
      });
      rows.push(...ofCount);
      say(`Peak resident memory with ${connections} connections (closed model, nginx; one round):\n`);
      say(
        markdownTable(
          ['generator', 'peak MB', 'connections seen', 'requests/s', 'notes'],
          byMedian(ofCount, 'peakMegabytes')
            .reverse()
            .map(({ peer, median: of, notes }) => [
              ...[peer, cell(of['peakMegabytes'], 1), cell(of['open']), cell(of['perSecond']), notes.join('; ')],
            ]),
        ),
      );
      say('');
    } finally {
      await nginx.stop();
    }
  }
  return rows;
}

async function againstNginx(
  peer: Peer,
  nginx: Nginx,
  connections: number,
  kind: Kind,
  wrapper: readonly string[] = [],
): Promise<Window> {
  const judge = { pid: nginx.pid, count: async () => (await nginx.status()).requests, countsInWindow: true };
  const command = peer.closed(jobFor(nginx.urlOf(kind), connections, kind))!;
  return measure(pinned(command, wrapper), options.seconds * 1e3, judge);
}

function jobFor(url: string, connections: number, kind: Kind): Job {
  return { url, kind, connections, seconds: Math.ceil(options.seconds + (WARMUP_MS + AFTER_MS) / 1e3), folder };
}

function pinned(command: Command, wrapper: readonly string[] = []): Command {
  return { ...command, argv: [...pin(cores?.generator), ...wrapper, ...command.argv] };
}

function perSecondOf(window: Window): { perSecond: number; perCpuSecond: number } {
  return { perSecond: window.requestsPerSecond, perCpuSecond: window.requestsPerCpuSecond };
}

/** Every generator once per round, so that what changes on the machine meets all of them. */
async function interleave(
  who: readonly Peer[],
  load: number,
  rounds: number,
  kind: Kind,
  run: (peer: Peer) => Promise<{ numbers: Record<string, number>; window: Window }>,
): Promise<Row[]> {
  const rows = who.map(({ name }): Row => ({ peer: name, load, kind: kind.name, rounds: [], median: {}, notes: [] }));
  for (let round = 1; round <= rounds; round++) {
    for (const [index, peer] of who.entries()) {
      const row = rows[index]!;
      process.stderr.write(`  round ${round} of ${rounds}, ${kind.name}, load ${load}: ${peer.name}\n`);
      try {
        const { numbers, window } = await run(peer);
        const { cores, foreignCores, stdout } = window;
        const note = (peer.ours ? ownVerdict(stdout) : null) ?? window.note;
        row.rounds.push({ ...numbers, cores, foreignCores });
        if (note !== null && !row.notes.includes(note)) row.notes.push(note);
      } catch (error) {
        row.notes.push(error instanceof Error ? error.message : String(error));
      }
    }
  }
  for (const row of rows) {
    for (const name of Object.keys(row.rounds[0] ?? {})) row.median[name] = median(row.rounds.map((of) => of[name]!));
  }
  return rows;
}

function find(rows: readonly Row[], peer: string): Row | undefined {
  return rows.find((row) => row.peer === peer);
}

/** Largest first, those without it last. */
function byMedian(rows: readonly Row[], name: string): Row[] {
  const of = (row: Row): number => row.median[name] ?? -Infinity;
  return [...rows].sort((a, b) => of(b) - of(a));
}
