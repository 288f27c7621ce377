import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';

/** After a tenth of the calls that V8 would wait for otherwise: so it compiles most before the first hit counts, in the rehearsal. */
const COMPILE_EARLY = ['--invocation-count-for-turbofan=300', '--minimum-invocations-after-ic-update=50'];
const CHRT_DEADLINE_MS = 5_000;
const TASKS = '/proc/self/task';

const run = promisify(execFile);

let isQuiet = false;

/**
 * Makes V8 disturb less what must happen on time: it compiles early, and its helpers, which compile and collect garbage, get a
 * lower priority. Where they share a core with a thread that sends or judges, they delay it by a slice of the scheduler, 1 to 3 ms
 * each time. It is for the whole process and for good, and Node warns of changing flags while V8 runs: so only who has a use for it
 * calls this, once, before the first engine thread. A flag that V8 does not know changes nothing.
 */
export function quietV8(): void {
  if (isQuiet) return;
  isQuiet = true;
  for (const flag of COMPILE_EARLY) setFlagsFromString(flag);
  for (const id of helpers()) {
    try {
      setPriority(Number(id), constants.priority.PRIORITY_BELOW_NORMAL);
    } catch {
      // It has ended meanwhile, or may not be changed: then the load is only less even, and what is late, the report tells.
    }
  }
}

/**
 * Makes V8's helpers run only where nobody else wants to (SCHED_IDLE, sched(7)): who sends gets its core back at once, which a lower
 * priority alone does not do once a slice has begun. Node has no call for it, but util-linux and BusyBox have a command; without
 * it the lower priority has to do.
 *
 * Not for a process that must stay responsive on a machine that has no core to spare: its own threads would wait for helpers that
 * do not get on. Young garbage, at least, is collected without them from now on.
 */
export async function idleHelpers(): Promise<void> {
  quietV8();
  setFlagsFromString('--no-parallel-scavenge');
  await Promise.all(helpers().map(idle));
}

/** Resolves when it is done, or cannot be. */
async function idle(id: string): Promise<void> {
  try {
    await run('chrt', ['-i', '-p', '0', id], { timeout: CHRT_DEADLINE_MS, killSignal: 'SIGKILL' });
  } catch {
    // It keeps its lower priority.
  }
}

/** The ids of V8's helper threads; on Linux priority and policy are a thread's own. Elsewhere none. */
function helpers(): string[] {
  try {
    return readdirSync(TASKS).filter(isHelper);
  } catch {
    return [];
  }
}

function isHelper(id: string): boolean {
  try {
    return readFileSync(`${TASKS}/${id}/comm`, 'utf8').trim() === 'V8Worker';
  } catch {
    // It has ended meanwhile.
    return false;
  }
}
