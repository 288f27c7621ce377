import { CodedError } from '../lib/errors.ts';
import { ReportBuilder } from '../report/builder.ts';
import { reportSchema, type Report } from '../report/schema.ts';
import type { ClusterClient } from '../rpc/client.ts';
import type { RunMessage } from '../rpc/messages.ts';
import { FINAL_STATES, type RunState } from '../task/status.ts';
import type { TaskSpec } from '../task/spec.ts';
import { VERSION } from '../app/version.ts';
import { clusterWords } from './cluster.ts';
import { EXIT, reportExitCode } from './exit.ts';
import { writeReport, type Output } from './report-output.ts';
import type { View } from './second.ts';
import { viewFor, type ViewFlags } from './view.ts';

export interface WatchFlags extends ViewFlags {
  output: Output;
  strict?: true | undefined;
}

export interface WatchOptions {
  fromSecond: number;
  /** Ends the watch before the run ends. */
  signal: AbortSignal;
  /** Called with the view when it is there. */
  onView?: (view: View) => void;
  tell: (text: string) => void;
}

/** How to see a run again that goes on without us. */
export function reattachText(name: string, address: string): string {
  return `gostress runs watch ${name}${clusterWords(address)}`;
}

/**
 * Shows a run of a cluster until it ends, in the same view as a local one.
 *
 * @param spec the task; null: as the cluster tells
 * @returns the run in its final state; null: the signal aborted before
 * @throws CodedError UNAVAILABLE when the connection is lost for too long
 */
export async function watchRun(
  client: ClusterClient,
  name: string,
  spec: TaskSpec,
  flags: ViewFlags,
  { fromSecond, signal, onView, tell }: WatchOptions,
): Promise<RunMessage | null> {
  const view = viewFor(spec, flags);
  onView?.(view);
  const builder = viewBuilder(spec);
  let state = '';
  let last: RunMessage | null = null;
  try {
    const onReconnect = (why: string): void => view.note(`lost the connection (${why}): trying again`);
    const options = { fromSecond, includeSamples: true, signal, onReconnect };
    for await (const { run, sample, skippedSeconds, final } of client.watchRun(name, options)) {
      if (run.state !== state) noteState(view, run, state);
      state = run.state;
      if (skippedSeconds > 0) view.note(`${skippedSeconds} s are not shown: this reader was too slow`);
      if (sample !== null) view.second(builder.add(sample));
      if (final) last = run;
    }
  } catch (error) {
    throw withHint(
      error,
      `the run goes on if its cluster does; to see it again: ${reattachText(name, client.address)}`,
    );
  } finally {
    view.end();
  }
  if (last === null && !signal.aborted) tell(`the watch of ${name} ended before the run did`);
  return last;
}

/** States that come and go by themselves are not worth a line. */
function noteState(view: View, { name, state, reason }: RunMessage, before: string): void {
  const isOrdinary =
    ['PENDING', 'ASSIGNING', 'RUNNING'].includes(state) && ['', 'PENDING', 'ASSIGNING'].includes(before);
  if (isOrdinary || state === 'DONE') return;
  view.note(`${name} is ${state}${reason === '' ? '' : `: ${reason}`}`);
}

/** Only for the seconds and the running verdict: the report itself comes from the cluster. */
function viewBuilder(task: TaskSpec): ReportBuilder {
  return new ReportBuilder({
    task,
    version: VERSION,
    startedAt: new Date(),
    client: '',
    threads: 0,
    nodeVersion: process.versions.node,
  });
}

/**
 * Writes the report of a run that a cluster has kept.
 *
 * @returns the exit code, by the same rules as of a local run; a run that goes on has missed nothing yet
 * @throws CodedError
 */
export async function reportEnd(
  client: ClusterClient,
  name: string,
  flags: WatchFlags,
  tell: (text: string) => void,
): Promise<number> {
  const { document, complete, run } = await client.getRunReport(name).catch((error: unknown) => {
    throw withHint(error, `the report is kept: gostress runs report ${name}${clusterWords(client.address)}`);
  });
  const report = reportOf(document);
  const { state = '', reason = '' } = run ?? {};
  const isFinal = FINAL_STATES.has(state as RunState);
  if (!isFinal) tell(`${name} is ${state}: this is its report so far`);
  else if (state !== 'DONE' || !complete) tell(`${name} is ${state}${reason === '' ? '' : `: ${reason}`}`);
  const outputFailed = await writeReport(report, flags.output, flags, tell);
  if (!isFinal) return outputFailed ? EXIT.FAILED : EXIT.OK;
  if (state === 'FAILED' || state === 'CANCELLED') return EXIT.FAILED;
  return reportExitCode(report, outputFailed, flags.strict === true);
}

/** A cluster that does not answer, and what helps when it does again. */
function withHint(error: unknown, hint: string): unknown {
  if (!(error instanceof CodedError) || error.code !== 'UNAVAILABLE') return error;
  return new CodedError('UNAVAILABLE', [...error.problems, hint], { cause: error });
}

function reportOf(document: unknown): Report {
  const result = reportSchema.safeParse(document);
  if (result.success) return result.data;
  const where = result.error.issues[0]?.path.join('.') ?? '';
  throw new CodedError('INTERNAL', `expected a report of this version of GoStress, found another one (at ${where})`);
}
