import { randomUUID } from 'node:crypto';
import { CodedError, errorMessage } from '../lib/errors.ts';
import type { ClusterClient } from '../rpc/client.ts';
import type { PlacementMessage, RunMessage } from '../rpc/messages.ts';
import { taskToMessage } from '../rpc/task-output.ts';
import type { PreparedTask, TaskSpec } from '../task/spec.ts';
import { connectTo } from './cluster.ts';
import { EXIT } from './exit.ts';
import { writeText } from './output.ts';
import type { View } from './second.ts';
import { onSignals } from './signals.ts';
import { reattachText, reportEnd, watchRun, type WatchFlags } from './watch.ts';

export interface ClusterPlace {
  /** `host:port` */
  address: string;
  /** null: as by default. */
  placement: PlacementMessage | null;
}

export interface ClusterRunFlags extends WatchFlags {
  detach?: true | undefined;
}

/**
 * `gostress run … --cluster`: makes a task of what the flags say, starts it, shows it, and prints its report. A signal
 * stops the run, a second one leaves it to the cluster.
 *
 * @returns the exit code
 * @throws CodedError
 */
export async function runOnCluster(task: PreparedTask, place: ClusterPlace, flags: ClusterRunFlags): Promise<number> {
  using client = await connectTo(place.address);
  const run = new Attached(client, task.spec);
  const leave = new AbortController();
  using signals = onSignals(
    (signal) => run.stop(signal),
    () => leave.abort(),
  );
  const name = await run.start(task, place.placement);
  if (flags.detach === true) {
    await writeText(process.stdout, 'standard output', `${name}\n`);
    return EXIT.OK;
  }
  tell(`${name} on ${place.address}`);
  const options = { fromSecond: 0, signal: leave.signal, onView: (view: View) => run.show(view), tell };
  const ended = await watchRun(client, name, task.spec, flags, options);
  if (ended === null) {
    tell(`${name} is left to the cluster; to see it again: ${reattachText(name, place.address)}`);
    return leave.signal.aborted ? EXIT.INTERRUPTED : EXIT.LOST;
  }
  signals.finish(tell);
  return await reportEnd(client, name, flags, tell);
}

/** A run that a signal stops, whenever it comes. */
class Attached {
  readonly #client: ClusterClient;
  readonly #graceMs: number;
  #name: string | null = null;
  #view: View | null = null;
  #stoppedBy: string | null = null;

  constructor(client: ClusterClient, { load }: TaskSpec) {
    this.#client = client;
    this.#graceMs = load.graceMs;
  }

  /** @returns the name of the run */
  async start(task: PreparedTask, placement: PlacementMessage | null): Promise<string> {
    const { name } = await start(this.#client, task, placement);
    this.#name = name;
    if (this.#stoppedBy !== null) this.stop(this.#stoppedBy);
    return name;
  }

  show(view: View): void {
    this.#view = view;
  }

  stop(signal: string): void {
    this.#stoppedBy = signal;
    if (this.#name === null) return;
    const note = (text: string): void => (this.#view === null ? tell(text) : this.#view.note(text));
    note(`${signal}: stopping; up to ${this.#graceMs / 1000} s for hits in flight, once more leaves it to the cluster`);
    this.#client.stopRun(this.#name).catch((error: unknown) => note(`cannot stop it: ${errorMessage(error)}`));
  }
}

async function start(
  client: ClusterClient,
  task: PreparedTask,
  placement: PlacementMessage | null,
): Promise<RunMessage> {
  const message = taskToMessage(task);
  const created = await client.createTask({
    task: placement === null ? message : { ...message, placement },
    requestId: randomUUID(),
  });
  const name = created.name ?? '';
  try {
    return await client.startTask(name, randomUUID());
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw new CodedError(error.code, [...error.problems, `${name} was made, but may not have been started`], {
      cause: error,
    });
  }
}

function tell(text: string): void {
  process.stderr.write(`gostress run: ${text}\n`);
}
