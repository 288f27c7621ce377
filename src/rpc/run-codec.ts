import { maskText } from '../lib/mask.ts';
import type { AssignmentRecord, RunRecord } from '../stress/ports.ts';
import { taskSecrets } from '../task/format.ts';
import { planEndMs, targetAt, usersOf, type Share } from '../task/plan.ts';
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
  return {
    state,
    ...(target === null ? {} : { constant: target }),
    ...(stages === null ? {} : { plan: planToMessage(task.spec.load.model, stages) }),
    ramp: target === null || rampMs === 0 ? null : durationToMessage(rampMs),
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

/** What is asked for now, hits per second or users. @param nowWallMs of this node; the start is by the clock of a master */
function askedNow(run: RunRecord, nowWallMs: number): number {
  const { wanted, plan, startedWallMs } = run;
  if (wanted.state !== 'RUNNING' || FINAL_STATES.has(run.state)) return 0;
  const elapsedMs = startedWallMs === null ? 0 : Math.max(0, nowWallMs - startedWallMs);
  if (plan !== null && elapsedMs >= planEndMs(plan)) return 0;
  if (wanted.target !== null) return wanted.target;
  return plan === null ? 0 : targetAt(plan, elapsedMs);
}

/** What the worker of a share really runs of it. */
function partOf({ task }: RunRecord, asked: number, share: Share): number {
  return task.spec.load.model === 'closed' ? usersOf(asked, share) : (asked * share.weight) / share.of;
}

export function sharesToMessages(run: RunRecord, shares: readonly AssignmentRecord[]): ShareMessage[] {
  const asked = askedNow(run, Date.now());
  return shares.map(({ number, nodeId, incarnation, share, version, epoch, state }) => ({
    assignment: String(number),
    node: nodeName(nodeId),
    incarnation: String(incarnation),
    weight: share.weight,
    of: share.of,
    target: state === 'STOPPED' || state === 'LOST' ? 0 : partOf(run, asked, share),
    version: String(version),
    epoch: String(epoch),
    state,
  }));
}
