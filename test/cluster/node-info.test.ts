import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { NodeInfoSampler, parseMeminfo, readMemory } from '../../src/cluster/node-info.ts';

const MEMINFO = 'MemTotal:       24684 kB\nMemFree:         1000 kB\nMemAvailable:   12342 kB\n';

test('memory that programs could get is free, caches included', () => {
  expect(parseMeminfo(MEMINFO)).toEqual({ totalBytes: 24684 * 1024, freeBytes: 12342 * 1024 });
  expect(parseMeminfo('MemTotal: 1 kB\n')).toBeNull();
});

test('where there is no /proc/meminfo the system is asked otherwise', () => {
  const memory = readMemory(() => {
    throw new Error('ENOENT');
  });
  expect(memory.totalBytes).toBeGreaterThan(0);
  expect(memory.freeBytes).toBeLessThanOrEqual(memory.totalBytes);
});

test('a sample tells of this machine, the capacity, and what is running', () => {
  using sampler = new NodeInfoSampler({ capacity: 500, running: () => 3 });
  const info = sampler.sample();
  expect(info).toMatchObject({ capacity: 500, running: 3 });
  for (const part of [info.cpu, info.memory]) {
    expect(part).toBeGreaterThanOrEqual(0);
    expect(part).toBeLessThanOrEqual(1);
  }
  expect(info.cores).toBeGreaterThanOrEqual(1);
});

test('a loop that is blocked again and again has a lag, and the next sample begins anew', async () => {
  using sampler = new NodeInfoSampler({ capacity: null, running: () => 0 });
  for (let times = 0; times < 5; times++) {
    const end = performance.now() + 100;
    while (performance.now() < end);
    // Lets the loop go round: the delay is measured by its timers.
    await sleep(30);
  }
  expect(sampler.sample().loopLagP99Ms).toBeGreaterThan(50);
  expect(sampler.sample().loopLagP99Ms).toBe(0);
});
