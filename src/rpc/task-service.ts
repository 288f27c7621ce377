import { CodedError, invalid } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import type { Placement, RequestId, StressApi } from '../stress/ports.ts';
import { LIMITS } from '../task/defaults.ts';
import { RUN_STATES, type RunState } from '../task/status.ts';
import { publicService, type CallContext, type Service } from './calls.ts';
import { withCurl } from './curl.ts';
import { contentDigest } from './digest.ts';
import { applyMask } from './field-mask.ts';
import { unmask } from './masked.ts';
import type { PlanMessage, RunMessage, RunReportMessage, ShareMessage, TaskMessage, Time } from './messages.ts';
import {
  pageToken,
  readEtag,
  readIdToken,
  readPageSize,
  readParent,
  readRequestId,
  readRunName,
  readTaskName,
} from './names.ts';
import { readAll } from './read-all.ts';
import { reportToMessage } from './report-codec.ts';
import { runToMessage, sharesToMessages } from './run-codec.ts';
import { decodeStages, decodeTask } from './task-input.ts';
import { preparedToAnswer, taskToAnswer, taskToMessage } from './task-output.ts';
import { watchRun, type WatchRunRequest } from './watch.ts';
import { durationToMs } from './well-known.ts';

/** gostress.v1.TaskService. */
export function taskService(context: CallContext): Service {
  return publicService(
    'gostress/v1/task_service.proto',
    'TaskService',
    {
      unary: {
        CreateTask: createTask,
        GetTask: async ({ name }: Named, api) => taskToAnswer(await api.getTask(readTaskName(name)), false),
        ListTasks: listTasks,
        UpdateTask: updateTask,
        DeleteTask: async ({ name }: Named, api) => {
          await api.deleteTask(readTaskName(name));
          return {};
        },
        StartTask: startTask,
        GetRun: (request: Named, api) => runAnswer(request, (...run) => api.getRun(...run)),
        ListRuns: listRuns,
        StopRun: (request: Named, api) => runAnswer(request, (...run) => api.stopRun(...run)),
        RetuneRun: retuneRun,
        PauseRun: (request: Named, api) => runAnswer(request, (...run) => api.pauseRun(...run)),
        ResumeRun: (request: Named, api) => runAnswer(request, (...run) => api.resumeRun(...run)),
        GetRunReport: getRunReport,
      },
      streaming: { WatchRun: (request: WatchRunRequest, call) => watchRun(request, call, context) },
    },
    context,
  );
}

interface Named {
  name: string;
}

type OfRun<T> = (taskId: bigint, number: number) => Promise<T>;

async function runAnswer({ name }: Named, act: OfRun<Parameters<typeof runToMessage>[0]>): Promise<RunMessage> {
  const { taskId, number } = readRunName(name);
  return runToMessage(await act(taskId, number), true);
}

async function getRunReport({ name }: Named, api: StressApi): Promise<RunReportMessage> {
  const { taskId, number } = readRunName(name);
  return reportToMessage(await api.getRunReport(taskId, number));
}

// --- Tasks -------------------------------------------------------------------------------------------------------

interface CreateTaskRequest {
  task: TaskMessage | null;
  curlCommand: string;
  validateOnly: boolean;
  requestId: string;
}

async function createTask(request: CreateTaskRequest, api: StressApi): Promise<TaskMessage> {
  const { task: given, curlCommand, validateOnly, requestId } = request;
  if (given === null && curlCommand === '') throw invalid('task: expected a task, or a curl_command, found nothing');
  const placementProblems = (placed: Placement) => api.placementProblems(placed);
  const [, { task, placement, warnings }, id] = readAll(
    () => checkNoName(given?.name ?? ''),
    () => {
      const { task: message, warnings: found } =
        curlCommand === '' ? { task: given!, warnings: [] } : withCurl(given ?? {}, curlCommand);
      return { ...decodeTask(message, 'task', placementProblems), warnings: found };
    },
    // A form in a curl command has another random boundary each time: what was asked for is what tells two requests apart.
    () => requestIdOf(requestId, ['CreateTask', given, curlCommand]),
  );
  if (validateOnly) return { ...preparedToAnswer(task, placement, false), warnings };
  return { ...taskToAnswer(await api.createTask(task, placement, id), false), warnings };
}

/** @throws CodedError INVALID_INPUT */
function checkNoName(name: string): void {
  if (name === '') return;
  throw invalid(`task.name: expected nothing, since the server gives the name, found ${show(name)}`);
}

function requestIdOf(text: string, content: unknown): RequestId | null {
  const id = readRequestId(text);
  return id === null ? null : { id, digest: contentDigest(content) };
}

interface ListTasksRequest {
  pageSize: number;
  pageToken: string;
  states: readonly string[];
}

async function listTasks(request: ListTasksRequest, api: StressApi): Promise<object> {
  const { items, next } = await api.listTasks(readPage('tasks', request));
  return {
    tasks: items.map((record) => taskToAnswer(record, true)),
    nextPageToken: next === null ? '' : pageToken('tasks', String(next)),
  };
}

/** @throws CodedError INVALID_INPUT */
function readPage(
  kind: 'tasks' | 'runs',
  { pageSize, pageToken: token, states }: ListTasksRequest,
): Parameters<StressApi['listTasks']>[0] {
  const [limit, before, read] = readAll(
    () => readPageSize(pageSize),
    () => readIdToken(kind, token),
    () => readStates(states),
  );
  return { limit, before, states: read };
}

/** @throws CodedError INVALID_INPUT */
function readStates(states: readonly unknown[]): RunState[] {
  const problems = states.flatMap((state, i) =>
    (RUN_STATES as readonly unknown[]).includes(state)
      ? []
      : [`states[${i}]: expected one of ${RUN_STATES.join(', ')}, found ${show(state)}`],
  );
  if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
  return states as RunState[];
}

interface UpdateTaskRequest {
  task: TaskMessage | null;
  updateMask: { paths: readonly string[] } | null;
}

async function updateTask({ task: change, updateMask }: UpdateTaskRequest, api: StressApi): Promise<TaskMessage> {
  if (change === null) throw invalid('task: expected a task with its name, found nothing');
  const [id, version] = readAll(
    () => readTaskName(change.name ?? '', 'task.name'),
    () => readEtag(change.etag ?? '', 'task.etag'),
  );
  const paths = updateMask?.paths ?? [];
  const placementProblems = (placed: Placement) => api.placementProblems(placed);
  const changed = await api.updateTask(
    id,
    version,
    ({ task, placement }): { task: typeof task; placement: Placement } => {
      const current = taskToMessage(task, placement);
      return decodeTask(applyMask(current, unmask(change, current), paths), 'task', placementProblems);
    },
  );
  return taskToAnswer(changed, false);
}

async function startTask({ name, requestId }: Named & { requestId: string }, api: StressApi): Promise<RunMessage> {
  const [id, request] = readAll(
    () => readTaskName(name),
    () => requestIdOf(requestId, ['StartTask', name]),
  );
  const run = await api.startTask(id, request);
  return runToMessage(run, true);
}

// --- Runs --------------------------------------------------------------------------------------------------------

async function listRuns(request: ListTasksRequest & { parent: string }, api: StressApi): Promise<object> {
  const [taskId, page] = readAll(
    () => readParent(request.parent),
    () => readPage('runs', request),
  );
  const { items, next } = await api.listRuns({ taskId, ...page });
  return {
    runs: items.map((run) => runToMessage(run, false)),
    nextPageToken: next === null ? '' : pageToken('runs', String(next)),
  };
}

interface RetuneRunRequest extends Named {
  ratePerSecond?: number;
  users?: number;
  plan?: PlanMessage;
  ramp: Time | null;
  etag: string;
}

interface RetuneRunAnswer {
  run: RunMessage;
  version: string;
  shares: readonly ShareMessage[];
}

async function retuneRun(request: RetuneRunRequest, api: StressApi): Promise<RetuneRunAnswer> {
  const [{ taskId, number }, version, , rampMs] = readAll(
    () => readRunName(request.name),
    () => readEtag(request.etag, 'etag'),
    () => checkTarget(request),
    () => readRamp(request),
  );
  const { task } = await api.getRun(taskId, number);
  const target = readTarget(request, task.spec.load.model, rampMs);
  const now = await api.retuneRun(taskId, number, target, version);
  const { run } = now;
  return {
    run: runToMessage(run, true),
    version: String(run.wanted.version),
    shares: sharesToMessages(now),
  };
}

const USE_PAUSE = 'for no load, use PauseRun';

/** What can be told without the run. @throws CodedError INVALID_INPUT */
function checkTarget({ ratePerSecond, users, plan }: RetuneRunRequest): void {
  if (ratePerSecond === undefined && users === undefined && plan === undefined) {
    throw invalid(`rate_per_second: expected one of rate_per_second, users and plan, found none; ${USE_PAUSE}`);
  }
  if (ratePerSecond !== undefined && !(ratePerSecond > 0 && ratePerSecond <= LIMITS.ratePerSecond)) {
    const expected = `more than 0 and at most ${LIMITS.ratePerSecond}`;
    throw invalid(`rate_per_second: expected ${expected}, found ${ratePerSecond}; ${USE_PAUSE}`);
  }
  if (users !== undefined && !(users > 0 && users <= LIMITS.users)) {
    throw invalid(`users: expected 1 to ${LIMITS.users}, found ${users}; ${USE_PAUSE}`);
  }
}

/** @throws CodedError INVALID_INPUT */
function readRamp({ ramp, plan }: RetuneRunRequest): number {
  if (ramp === null) return 0;
  if (plan !== undefined) {
    throw invalid(
      'ramp: expected only with rate_per_second or users, since the stages of a plan have shapes; found both',
    );
  }
  try {
    const rampMs = durationToMs(ramp);
    if (rampMs <= LIMITS.durationMs) return rampMs;
    throw invalid(`expected at most ${LIMITS.durationMs} ms, found ${rampMs} ms`);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw invalid(`ramp: ${error.message}`);
  }
}

function readTarget(
  { ratePerSecond, users, plan }: RetuneRunRequest,
  model: 'open' | 'closed',
  rampMs: number,
): Parameters<StressApi['retuneRun']>[2] {
  if (plan !== undefined) return { stages: decodeStages(plan, model) };
  const [given, expected] = users === undefined ? ['rate_per_second', 'users'] : ['users', 'rate_per_second'];
  if ((users === undefined) !== (model === 'open')) {
    throw invalid(
      `${given}: expected ${expected} or plan, since the run's model is ${model.toUpperCase()}; found ${given}`,
    );
  }
  return { target: users ?? ratePerSecond!, rampMs };
}
