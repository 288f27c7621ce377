import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { collected } from './lib/gc.ts';
import { parseOptions } from './lib/options.ts';
import { Process, usageOf } from './lib/proc.ts';
import { reported, type Reported } from './lib/reported.ts';
import { cell, markdownTable, median } from './lib/table.ts';

describe('table', () => {
  test('the median is the middle, whatever the order, and of an even number the mean of the two in the middle', () => {
    expect(median([5, 1, 100])).toBe(5);
    expect(median([4, 1, 3, 100])).toBe(3.5);
    expect(median([])).toBeNaN();
  });

  test('a Markdown table is aligned, and what was not measured is a dash', () => {
    const table = markdownTable(
      ['tool', 'per s'],
      [
        ['a', cell(12_345.6)],
        ['longer', cell(NaN)],
      ],
    );
    expect(table.split('\n')).toEqual([
      '| tool   | per s |',
      '| ------ | ----: |',
      '| a      | 12346 |',
      '| longer |     – |',
    ]);
  });
});

test('what was allocated is what the heap grew by between collections, of each thread, from an instant on', () => {
  const line = (isolate: string, ms: number, heap: string, paused: string): string =>
    `[77:0x${isolate}]    ${ms} ms: Scavenge ${heap} MB, pooled: 0.0 MB, ${paused} / 0.00 ms  (average mu = 1.000, current mu = 1.000) task;`;
  const output = [
    line('a0', 900, '30.0 (40.0) -> 2.0 (40.0)', '9.00'),
    line('a0', 1_000, '5.0 (40.0) -> 3.0 (40.0)', '1.00'),
    'something else',
    line('b0', 1_500, '5.0 (40.0) -> 4.0 (40.0)', '1.00'),
    line('a0', 2_000, '7.0 (40.0) -> 3.0 (40.0)', '0.50'),
    line('a0', 3_000, '5.0 (40.0) -> 1.0 (40.0)', '0.25'),
  ].join('\n');
  expect(collected(output, 1_000)).toEqual([
    { seconds: 2, collections: 2, allocatedBytes: 6 * 2 ** 20, pausedMs: 0.75 },
  ]);
});

describe('percentiles as the generators tell them', () => {
  test.each<[string, string, Reported]>([
    ['wrk', '     50%   97.00us\n     90%    1.50ms\n     99%    1.20s\n', { p50: 0.097, p90: 1.5, p99: 1200 }],
    ['wrk2', ' 50.000%    1.20ms\n 99.000%    2.00ms\n 99.900%    3.00ms\n', { p50: 1.2, p99: 2, 'p99.9': 3 }],
    ['ab', '  50%      1\n  90%     10\n  99%     12\n 100%     99 (longest request)\n', { p50: 1, p90: 10, p99: 12 }],
    ['hey', '  50% in 0.0003 secs\n  99% in 0.0028 secs\n', { p50: 0.3, p99: 2.8 }],
    ['autocannon', '{"latency":{"p50":6,"p90":18,"p99":51,"p99_9":159}}', { p50: 6, p90: 18, p99: 51, 'p99.9': 159 }],
    ['oha', '{"latencyPercentiles":{"p50":0.5,"p99.9":2,"p90":null}}', { p50: 500, 'p99.9': 2000 }],
    ['vegeta', '{"latencies":{"50th":2000000,"90th":3000000,"99th":4000000}}', { p50: 2, p90: 3, p99: 4 }],
    ['k6', '{"p(50)":1,"p(90)":2,"p(99)":3,"p(99.9)":4}', { p50: 1, p90: 2, p99: 3, 'p99.9': 4 }],
    [
      'fortio',
      '"Percentiles": [{"Percentile": 50, "Value": 0.25}, {"Percentile": 99.9, "Value": 0.5}]',
      { p50: 250, 'p99.9': 500 },
    ],
    [
      'gostress',
      '{"latencies":{"responseOk":null,"serviceOk":{"percentilesMs":{"p50":1,"p99.9":2}}}}',
      { p50: 1, 'p99.9': 2 },
    ],
  ])('%s', (peer, stdout, expected) => {
    const told = reported(peer, stdout);
    expect(Object.keys(told)).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) expect(told[name as keyof Reported]).toBeCloseTo(value, 9);
  });
});

describe('options', () => {
  test('have defaults, and lists are split', () => {
    expect(parseOptions([])).toMatchObject({ rounds: 3, parts: ['closed', 'open', 'memory'], peers: null });
    expect(parseOptions(['--rates', '5,7', '--peers', 'wrk,ab', '--engine', 'node x.ts'])).toMatchObject({
      rates: [5, 7],
      peers: ['wrk', 'ab'],
      engine: ['node', 'x.ts'],
    });
  });

  test.each([
    [['--rounds', '0'], '--rounds: expected a whole number from 1 to 20, found "0"'],
    [['--rates', '100,fast'], '--rates: expected a whole number from 1 to 100000, found "fast"'],
    [
      ['--kinds', 'spdy'],
      '--kinds: expected some of keepalive, new-connection, tls, 1k, 100k, post, http2, h2c, h2c-1, found "spdy"',
    ],
    [['--parts', 'half'], '--parts: expected some of closed, open, memory, found "half"'],
  ])('%j is refused', (argv, message) => {
    expect(() => parseOptions(argv)).toThrow(message);
  });

  test('a wrong option ends the benchmark with its usage, before anything is started', () => {
    const engine = fileURLToPath(new URL('engine.ts', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [engine, '--round', '3'], { encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stderr).toContain('usage: node test/bench/engine.ts');
  });
});

describe('a process tree', () => {
  /** A shell that waits for a child which burns CPU. */
  const busy = (): Process =>
    new Process({ argv: ['/bin/sh', '-c', `"${process.execPath}" -e 'console.log(process.pid); for (;;);'; true`] });

  async function childOf(parent: Process): Promise<number> {
    while (parent.stdout === '') await sleep(5);
    return Number(parent.stdout);
  }

  test('is measured with its descendants', async () => {
    const parent = busy();
    try {
      await childOf(parent);
      while (usageOf(parent.pid).cpuSeconds < 0.1) await sleep(5);
      // A Node process alone is larger than any shell.
      expect(usageOf(parent.pid).peakBytes).toBeGreaterThan(20e6);
    } finally {
      parent.kill();
      await parent.ended;
    }
    expect(usageOf(parent.pid)).toEqual({ cpuSeconds: 0, peakBytes: 0 });
  });

  test('is killed with its descendants', async () => {
    const parent = busy();
    const child = await childOf(parent);
    parent.kill();
    await parent.ended;
    while (isAlive(child)) await sleep(5);
    expect(parent.exitCode).toBeNull();
  });

  test('that does not end in time is killed, and one that does is not', async () => {
    expect(await busy().end(50)).toBe(false);
    const quick = new Process({ argv: ['/bin/sh', '-c', 'cat; exit 3'], stdin: 'hello' });
    expect(await quick.end(10_000)).toBe(true);
    expect(quick).toMatchObject({ stdout: 'hello', exitCode: 3, hasEnded: true });
  });

  test('that cannot be started has ended', async () => {
    const none = new Process({ argv: ['/does/not/exist'] });
    expect(await none.end(10_000)).toBe(false);
    expect(none.stderr).toContain('ENOENT');
    none.kill();
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
