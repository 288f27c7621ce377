import type { MethodDefinition } from '@grpc/grpc-js';
import { CodedError, errorMessage } from '../lib/errors.ts';
import { aborted, pause } from '../lib/wait.ts';
import type { RunUpdate, StressApi } from '../stress/ports.ts';
import { encodeSample } from '../task/sample-codec.ts';
import type { CallContext, StreamCall } from './calls.ts';
import { Coalescer } from './coalesce.ts';
import { fromStatus, isServiceError } from './errors.ts';
import type { WatchRunMessage } from './messages.ts';
import { readCount, readRunName, type RunName } from './names.ts';
import { readAll } from './read-all.ts';
import { resumeWatch } from './resume.ts';
import { unavailable } from './route.ts';
import { runToMessage, sharesToMessages } from './run-codec.ts';
import { secondToMessage } from './second-codec.ts';

/** Updates that wait for a slow reader: two minutes of a run. */
const MAX_WAITING = 120;
/** What is stored comes faster than it is sent: the source waits this long for room before a second is left out. */
const PATIENCE_MS = 1_000;
/** A watch that finds no master for this long is given up. */
const RESUME_MS = 30_000;
const CHECK_MASTER_MS = 250;

export interface WatchRunRequest {
  name: string;
  fromSecond: string;
  includeSamples: boolean;
}

/** WatchRun on any node: from this one while it is the master, else from the master; across changes of the master. */
export async function* watchRun(
  request: WatchRunRequest,
  call: StreamCall,
  context: CallContext,
): AsyncGenerator<Buffer> {
  const [name, from] = readAll(
    () => readRunName(request.name),
    () => readCount(request.fromSecond, 'from_second'),
  );
  const { signal, cameBy } = call;
  const method = call.method as MethodDefinition<WatchRunRequest, WatchRunMessage>;
  const { route, forwarder } = context;
  const source = (fromSecond: number): AsyncIterable<WatchRunMessage> => {
    const api = route.api();
    if (api !== null)
      return watchHere(api, context, name, { fromSecond, includeSamples: request.includeSamples }, signal);
    const bytes = method.requestSerialize({ ...request, fromSecond: String(fromSecond) });
    return decoded(forwarder.stream(method.path, bytes, signal, cameBy), method);
  };
  // The node that forwarded the call goes on by itself.
  const giveUpAfterMs = cameBy === null ? RESUME_MS : 0;
  for await (const message of resumeWatch(source, from, { signal, giveUpAfterMs })) {
    yield method.responseSerialize(message);
  }
}

async function* decoded(
  source: AsyncIterable<Buffer>,
  method: MethodDefinition<WatchRunRequest, WatchRunMessage>,
): AsyncGenerator<WatchRunMessage> {
  try {
    for await (const bytes of source) yield method.responseDeserialize(bytes);
  } catch (error) {
    throw isServiceError(error) ? fromStatus(error, 'the master', null) : error;
  }
}

/** What this node as the master tells; breaks off when it is the master no longer. @throws CodedError UNAVAILABLE then */
async function* watchHere(
  api: StressApi,
  { route }: CallContext,
  { taskId, number }: RunName,
  { fromSecond, includeSamples }: { fromSecond: number; includeSamples: boolean },
  signal: AbortSignal,
): AsyncGenerator<WatchRunMessage> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const waiting = new Coalescer<RunUpdate>(MAX_WAITING, PATIENCE_MS);
  void whileMaster(() => route.api() === api, either).then(() => {
    if (!either.aborted) over.abort(unavailable('this node is the master no longer'));
  });
  void aborted(either).then(() => waiting.end(either.reason ?? null));
  void fill(waiting, api.watchRun(taskId, number, fromSecond, either));
  try {
    let isFirst = true;
    for await (const { item, skipped } of waiting.read()) {
      yield updateToMessage(item, { withTask: isFirst || item.final, skipped, includeSamples });
      isFirst = false;
    }
  } finally {
    over.abort(unavailable('the watch has ended'));
  }
}

async function whileMaster(isMaster: () => boolean, signal: AbortSignal): Promise<void> {
  while (isMaster() && !signal.aborted) await pause(CHECK_MASTER_MS, signal);
}

async function fill(waiting: Coalescer<RunUpdate>, updates: AsyncIterable<RunUpdate>): Promise<void> {
  try {
    for await (const update of updates) await waiting.push(update, ({ sample }) => sample !== null);
    waiting.end(null);
  } catch (error) {
    waiting.end(
      error instanceof CodedError ? error : new CodedError('INTERNAL', errorMessage(error), { cause: error }),
    );
  }
}

function updateToMessage(
  update: RunUpdate,
  { withTask, skipped, includeSamples }: { withTask: boolean; skipped: number; includeSamples: boolean },
): WatchRunMessage {
  const { run, sample, final } = update;
  return {
    run: runToMessage(run, withTask),
    second: sample === null ? null : secondToMessage(sample),
    shares: sharesToMessages(update),
    skippedSeconds: String(skipped),
    final,
    sample: sample === null || !includeSamples ? Buffer.alloc(0) : encodeSample(sample),
  };
}
