import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { onPath } from '../bench/lib/proc.ts';
import { startTargetProcess } from '../support/target-process.ts';

const SCHED_IDLE = 5;

/** Of the threads of this name: nice value and scheduling policy, fields 19 and 41 of proc(5)'s stat. */
function threadsOf(pid: number, name: string): { nice: number; policy: number }[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((id) => {
    const text = readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return text.includes(`(${name})`) ? [{ nice: Number(fields[16]), policy: Number(fields[38]) }] : [];
  });
}

test.runIf(process.platform === 'linux')("a target's own thread goes before V8's helpers", async () => {
  await using target = await startTargetProcess();
  const helpers = threadsOf(target.pid, 'V8Worker');
  expect(helpers.length).toBeGreaterThan(0);
  for (const { nice, policy } of helpers) {
    expect(nice).toBe(10);
    if (onPath('chrt') !== null) expect(policy).toBe(SCHED_IDLE);
  }
  expect(threadsOf(target.pid, 'MainThread')).toEqual([{ nice: 0, policy: 0 }]);
});
