import { maskText } from '../lib/mask.ts';
import type { RunNow, RunRecord } from '../stress/ports.ts';
import { taskSecrets } from '../task/format.ts';
import { targetAt, usersOf, type Share } from '../task/plan.ts';
import { FINAL_STATES } from '../task/status.ts';
import type { RunMessage, RunPlanMessage, ShareMessage, WantedMessage } from './messages.ts';
import { nodeName, runName } from './names.ts';
import { modelName, planToMessage, preparedToAnswer } from './task-output.ts';
import { durationToMessage, timestampToMessage } from './well-known.ts';

/** Runs and shares as the API tells of them. */

/** @param withTask false where many runs, or one again and again, are told of */
export function runToMessage(run: RunRecord, withTask: boolean): RunMessage {
  const { startedWallMs, endedWallMs, wanted } = run;
  return {
    name: runName(run),
    id: String(run.id),
    state: run.state,
    reason: maskText(run.reason, taskSecrets(run.task.spec)),
    wanted: wantedToMessage(run),
    etag: String(wanted.version),
    plan: planOf(run),
    task: withTask ? preparedToAnswer(run.task, run.placement, true) : null,
    createTime: timestampToMessage(run.createdWallMs),
    startTime: startedWallMs === null ? null : timestampToMessage(startedWallMs),
    endTime: endedWallMs === null ? null : timestampToMessage(endedWallMs),
    revision: String(run.revision),
  };
}

function wantedToMessage({ wanted, task }: RunRecord): WantedMessage {
  const { state, target, rampMs, stages, version } = wanted;
  // SQL by hand may leave a target beside the stages, which win.
  const constant = stages === null ? target : null;
  const load = stages === null ? {} : { plan: planToMessage(task.spec.load.model, stages) };
  return {
    state,
    ...(constant === null ? load : { constant }),
    ramp: constant === null || rampMs === 0 ? null : durationToMessage(rampMs),
    version: String(version),
  };
}

function planOf({ plan }: RunRecord): RunPlanMessage | null {
  if (plan === null) return null;
  return {
    model: modelName(plan.model),
    segments: plan.segments.map(({ startMs, endMs, from, to }) => ({
      start: durationToMessage(startMs),
      end: endMs === Infinity ? null : durationToMessage(endMs),
      from,
      to,
    })),
  };
}

/**
 * What workers have to load now, all together: hits per second or users. Of the plan, which is changed once a new wish is
 * applied: until then they load as before.
 */
function targetNow({ run: { state, plan }, elapsedMs }: RunNow): number {
  if (plan === null || elapsedMs === null || state === 'STOPPING' || FINAL_STATES.has(state)) return 0;
  return targetAt(plan, elapsedMs);
}

/** What the worker of a share really runs of it. */
function partOf({ task }: RunRecord, target: number, share: Share): number {
  return task.spec.load.model === 'closed' ? usersOf(target, share) : (target * share.weight) / share.of;
}

export function sharesToMessages(now: RunNow): ShareMessage[] {
  const target = targetNow(now);
  return now.shares.map(({ number, nodeId, incarnation, share, version, epoch, state }) => ({
    assignment: String(number),
    node: nodeName(nodeId),
    incarnation: String(incarnation),
    weight: share.weight,
    of: share.of,
    target: state === 'STOPPED' || state === 'LOST' ? 0 : partOf(now.run, target, share),
    version: String(version),
    epoch: String(epoch),
    state,
  }));
}
