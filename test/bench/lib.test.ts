import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseOptions } from './lib/options.ts';
import { Process, usageOf } from './lib/proc.ts';
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
