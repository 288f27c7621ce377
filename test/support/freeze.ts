import { readdirSync, readFileSync } from 'node:fs';

/** The kernel stops a process within microseconds; one that is not stopped after this long is gone. */
const DEADLINE_MS = 1_000;

/** SIGSTOP, and waits until every thread of the process has stopped: until then one may still answer (Linux). */
export function freezeProcess(pid: number): void {
  process.kill(pid, 'SIGSTOP');
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!isStopped(pid)) if (performance.now() > deadlineMs) throw new Error(`process ${pid} did not stop`);
}

function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((task) => {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8');
    // After the name, which stands in parentheses and may have any character.
    return stat.slice(stat.lastIndexOf(')') + 2)[0] === 'T';
  });
}
