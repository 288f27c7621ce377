import { LocalRun } from '../app/compose.ts';
import { CodedError, errorMessage } from '../lib/errors.ts';
import { maskText } from '../lib/mask.ts';
import { show } from '../lib/show.ts';
import { idleHelpers } from '../load/quiet-v8.ts';
import { formatTask, maskTask, taskSecrets } from '../task/format.ts';
import type { PreparedTask, TaskSpec } from '../task/spec.ts';
import { readAddress } from './cluster.ts';
import { EXIT, reportExitCode } from './exit.ts';
import type { RunOptions } from './options.ts';
import { writeText } from './output.ts';
import { readPlacement } from './placement.ts';
import { readOutput, writeReport, type Output } from './report-output.ts';
import { runOnCluster, type ClusterPlace } from './run-cluster.ts';
import { onSignals } from './signals.ts';
import { readRunTask } from './task-flags.ts';
import { viewFor } from './view.ts';

const MAX_THREADS = 256;

/**
 * The verb `run`.
 *
 * @returns the exit code
 * @throws CodedError
 */
export async function run(url: string | undefined, options: RunOptions): Promise<number> {
  const problems: string[] = [];
  const output = await readOutput(options.output, problems);
  const threads = readThreads(options, problems);
  if (options.showSecrets === true && options.dryRun !== true)
    problems.push('--show-secrets: expected --dry-run with it');
  const place = readPlace(options, problems);
  const { task, defaults, warnings } = await readRunTask(url, options, problems);
  for (const warning of warnings) tell(`warning: ${warning}`);
  if (options.dryRun === true) {
    await writeText(process.stdout, 'standard output', dryRunText(task.spec, options.showSecrets === true));
    return EXIT.OK;
  }
  if (defaults !== null) tell(defaults);
  try {
    if (place !== null) return await runOnCluster(task, place, { ...options, output });
    return await runHere(task, threads, output, options);
  } catch (error) {
    throw maskedError(error, taskSecrets(task.spec));
  }
}

/** undefined: as the load needs it. */
function readThreads({ threads }: RunOptions, problems: string[]): number | undefined {
  if (threads === undefined) return undefined;
  const count = /^\d+$/.test(threads) ? Number(threads) : NaN;
  if (!(count >= 1 && count <= MAX_THREADS)) {
    problems.push(`--threads: expected a whole number from 1 to ${MAX_THREADS}, found ${show(threads)}`);
  }
  return count;
}

const ONLY_ON_CLUSTER = {
  detach: '--detach',
  strategy: '--strategy',
  label: '--label',
  maxNodes: '--max-nodes',
  moving: '--moving',
} as const;

/** Where on which cluster; null: here. */
function readPlace(options: RunOptions, problems: string[]): ClusterPlace | null {
  if (options.cluster === undefined) {
    const flags = Object.entries(ONLY_ON_CLUSTER);
    const given = flags.filter(([key]) => options[key as keyof typeof ONLY_ON_CLUSTER] !== undefined);
    problems.push(...given.map(([, flag]) => `${flag}: expected --cluster with it`));
    return null;
  }
  if (options.threads !== undefined) problems.push('--threads: not with --cluster, its workers choose them');
  const address = readAddress(options.cluster, '--cluster', problems);
  return { address, placement: readPlacement(options, problems) };
}

function dryRunText(spec: TaskSpec, showSecrets: boolean): string {
  const text = formatTask(spec);
  const masked = formatTask(maskTask(spec));
  if (showSecrets || masked === text) return text;
  return `# Secrets are masked (***): what is sent with this file has them not. --show-secrets prints them.\n${masked}`;
}

async function runHere(
  task: PreparedTask,
  threads: number | undefined,
  output: Output,
  options: RunOptions,
): Promise<number> {
  // At a rate the threads that send leave V8's helpers the time between hits; without one they would leave them nothing.
  if (task.spec.load.model === 'open') await idleHelpers();
  const view = viewFor(task.spec, options);
  const localRun = new LocalRun(task, {
    ...(threads === undefined ? {} : { threads }),
    onSecond: (second) => view.second(second),
  });
  const { graceMs } = task.spec.load;
  using signals = onSignals(
    (signal) => {
      view.note(
        `${signal}: no new hits; waiting up to ${graceMs / 1000} s for those in flight, once more gives them up`,
      );
      localRun.drain(signal);
    },
    (signal) => localRun.abort(`${signal}, the second one`),
  );
  const report = await localRun.run().finally(() => view.end());
  signals.finish(tell);
  const outputFailed = await writeReport(report, output, options, tell);
  return reportExitCode(report, outputFailed, options.strict === true);
}

/** Whatever an error has to say, it says it without the secrets of the task. */
function maskedError(error: unknown, secrets: readonly string[]): CodedError {
  const problems =
    error instanceof CodedError ? error.problems : [`internal error: ${(error as Error).stack ?? errorMessage(error)}`];
  return new CodedError(
    error instanceof CodedError ? error.code : 'INTERNAL',
    problems.map((problem) => maskText(problem, secrets)),
  );
}

function tell(text: string): void {
  process.stderr.write(`gostress run: ${text}\n`);
}
