import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { NodeCpu, parseProcStat } from '../../src/lib/cpu.ts';

const stat = (...ticks: number[]) => `cpu  ${ticks.join(' ')}\ncpu0 1 1 1 1 1 1 1 1 0 0\nctxt 5\n`;

test('all but idle and iowait is busy, and guest time is not counted twice', () => {
  expect(parseProcStat(stat(10, 1, 5, 70, 10, 1, 2, 1, 10, 10))).toEqual({ busy: 20, total: 100 });
});

test('a text without a cpu line gives nothing', () => {
  expect(parseProcStat('ctxt 5\n')).toBeNull();
  expect(parseProcStat('cpu  a b c d\n')).toBeNull();
});

test('each sample covers the time since the last one', () => {
  const texts = [stat(0, 0, 0, 100, 0, 0, 0, 0), stat(50, 0, 0, 150, 0, 0, 0, 0), stat(50, 0, 0, 250, 0, 0, 0, 0)];
  const cpu = new NodeCpu(() => texts.shift()!);
  expect(cpu.sample()).toBe(0.5);
  expect(cpu.sample()).toBe(0);
});

test('no sample is given where there is no /proc/stat, or when no tick has passed', () => {
  const nowhere = new NodeCpu(() => {
    throw new Error('ENOENT');
  });
  expect(nowhere.sample()).toBeNull();
  const frozen = new NodeCpu(() => stat(1, 1, 1, 1, 1, 1, 1, 1));
  expect(frozen.sample()).toBeNull();
});

test.runIf(existsSync('/proc/stat'))('the real node tells a part between 0 and 1', async () => {
  const cpu = new NodeCpu();
  await expect.poll(() => cpu.sample(), { timeout: 5000 }).toSatisfy((part) => typeof part === 'number' && part <= 1);
});
