import type { MemberEvent } from '../cluster/ports.ts';
import { CodedError } from '../lib/errors.ts';
import { FINAL_STATES } from '../task/status.ts';
import type { LiveRun } from './live.ts';
import type { EventRecord, RunRecord, RunUpdate, TaskStore } from './ports.ts';
import type { RunControl } from './run-control.ts';
import { mergedSeconds } from './seconds.ts';
import type { MasterSession } from './session.ts';
import { runName } from './view.ts';

/** Who waits for nothing looks again after this time. */
const LOOK_AGAIN_MS = 1_000;
/** Of past events, at once. */
const EVENT_PAGE = 200;
/** Member events that a slow reader has not fetched; beyond it the oldest are left out. */
const MAX_MEMBER_EVENTS = 1_000;

/** Of a run that this master does not look after: it is not active, or not seen yet. */
export const UNATTENDED: Pick<RunUpdate, 'shares' | 'elapsedMs'> = { shares: [], elapsedMs: null };

export interface WatchOptions {
  session: MasterSession;
  store: TaskStore;
  /** Ends the watch. */
  signal: AbortSignal;
}

/**
 * A run from a second on. Each second comes once, in order; in between, changes of the run or its shares without a
 * sample. The last update is final, unless the signal ended it.
 *
 * @throws CodedError NOT_FOUND, UNAVAILABLE
 */
export async function* watchRun(
  options: WatchOptions,
  taskId: bigint,
  number: number,
  fromSecond: number,
): AsyncGenerator<RunUpdate> {
  const { session, store, signal } = options;
  const read = async (): Promise<RunRecord> => {
    const run = await store.getRun(taskId, number);
    if (run === null) throw new CodedError('NOT_FOUND', `${runName({ taskId, number })}: there is none`);
    return run;
  };
  let run = await read();
  let control = session.control(run.id);
  let next = fromSecond;
  let told = '';
  while (!signal.aborted) {
    control ??= session.control(run.id);
    const seen = control === undefined ? session.changed.count : control.live.wake.count;
    if (control === undefined || control.live.hasEnded) {
      run = await read();
      if (FINAL_STATES.has(run.state)) break;
      if (control?.live.hasEnded === true) control = undefined;
    } else run = control.run;
    const update = { ...UNATTENDED, ...control?.now, run, final: false };
    const state = stateOf(update);
    if (state !== told) yield { ...update, sample: null };
    told = state;
    if (control !== undefined) {
      for await (const [second, sample] of seconds(options, control, next)) {
        next = second + 1;
        if (sample === undefined) continue;
        yield { ...control.now, sample, final: false };
        told = stateOf(control);
      }
    }
    const wake = control === undefined ? session.changed : control.live.wake;
    await wake.after(seen, LOOK_AGAIN_MS, signal);
  }
  if (signal.aborted) return;
  for await (const sample of mergedSeconds(store, run.id, next)) yield { ...UNATTENDED, run, sample, final: false };
  yield { ...UNATTENDED, run, sample: null, final: true };
}

/** What a watcher wants to hear of when it changes. */
function stateOf({ run, shares }: Pick<RunUpdate, 'run' | 'shares'>): string {
  return `${run.version} ${run.wanted.version} ${shares.map((s) => `${s.number}.${s.version}.${s.state}`).join(' ')}`;
}

/** The seconds that are whole now, from one on: of those that are not kept any more, from the store. */
async function* seconds({ store }: WatchOptions, control: RunControl, fromSecond: number): AsyncGenerator<Second> {
  const live: LiveRun = control.live;
  let next = fromSecond;
  if (next < live.oldestSecond) {
    if (!live.isStoredBefore(live.oldestSecond, control.elapsedMs ?? 0)) return;
    const until = live.oldestSecond;
    for await (const sample of mergedSeconds(store, control.run.id, next, until)) yield [sample.second, sample];
    next = until;
    yield [next - 1, undefined];
  }
  // Who reads too slowly finds that a second is not kept any more, and goes on from the store.
  for (; next < live.nextSecond && next >= live.oldestSecond; next++) yield [next, live.get(next)];
}
type Second = readonly [second: number, sample: ReturnType<LiveRun['get']>];

/** Events after one (null: new ones only) as they are stored, and what happens to members from now on. */
export async function* watchEvents(
  { session, store, signal }: WatchOptions,
  after: bigint | null,
): AsyncGenerator<EventRecord | MemberEvent> {
  const members: MemberEvent[] = [];
  using listening = new DisposableStack();
  const listener = session.context.onMember((event) => {
    if (members.length >= MAX_MEMBER_EVENTS) members.shift();
    members.push(event);
    session.events.wake.tell();
  });
  listening.use(listener);
  let last = after ?? (await store.events({ after: null, limit: 1 }))[0]?.id ?? 0n;
  while (!signal.aborted) {
    const seen = session.events.wake.count;
    const events = await store.events({ after: last, limit: EVENT_PAGE });
    yield* members.splice(0);
    for (const event of events) {
      last = event.id;
      yield event;
    }
    if (events.length === 0) await session.events.wake.after(seen, LOOK_AGAIN_MS, signal);
  }
}
