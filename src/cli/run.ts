import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';
import { LocalRun } from '../app/compose.ts';
import { CodedError, errorMessage, systemReason } from '../lib/errors.ts';
import { maskText } from '../lib/mask.ts';
import { show } from '../lib/show.ts';
import { formatJson } from '../report/json.ts';
import type { Report } from '../report/schema.ts';
import { formatReport } from '../report/text.ts';
import { formatTask, maskTask, taskSecrets } from '../task/format.ts';
import type { PreparedTask, TaskSpec } from '../task/spec.ts';
import { EXIT, runExitCode } from './exit.ts';
import { LineView } from './lines.ts';
import { LiveView } from './live.ts';
import type { RunOptions } from './options.ts';
import { writeReportFile, writeText } from './output.ts';
import type { View } from './second.ts';
import { onSignals } from './signals.ts';
import { TableView } from './table.ts';
import { readRunTask } from './task-flags.ts';

/** `json` on standard output in the place of the summary, `json` in a file beside it, or the summary alone. */
type Output = { kind: 'summary' } | { kind: 'json' } | { kind: 'file'; path: string };

const MAX_THREADS = 256;

/**
 * The verb `run`.
 *
 * @returns the exit code
 * @throws CodedError
 */
export async function run(url: string | undefined, options: RunOptions): Promise<number> {
  const problems: string[] = [];
  const output = await readOutput(options, problems);
  const threads = readThreads(options, problems);
  if (options.showSecrets === true && options.dryRun !== true)
    problems.push('--show-secrets: expected --dry-run with it');
  const { task, defaults, warnings } = await readRunTask(url, options, problems);
  for (const warning of warnings) tell(`warning: ${warning}`);
  if (options.dryRun === true) {
    await writeText(process.stdout, 'standard output', dryRunText(task.spec, options.showSecrets === true));
    return EXIT.OK;
  }
  if (defaults !== null) tell(defaults);
  const report = await runTask(task, threads, options);
  const outputFailed = await writeReport(report, output, options);
  return runExitCode({
    outputFailed,
    ok: report.counts.ok,
    interrupted: report.run.stop.kind !== 'completed',
    verdict: report.verdict.verdict,
    slosMissed: report.slos.some(({ pass }) => !pass),
    strict: options.strict === true,
  });
}

async function readOutput({ output }: RunOptions, problems: string[]): Promise<Output> {
  if (output === undefined) return { kind: 'summary' };
  if (output === 'json') return { kind: 'json' };
  const file = output.startsWith('json=') ? output.slice('json='.length) : '';
  if (file === '') {
    problems.push(`-o: expected "json" or "json=FILE", found ${show(output)}`);
    return { kind: 'summary' };
  }
  const reason = await whyNotWritable(file);
  if (reason !== null) problems.push(`-o: cannot write ${show(file)}: ${reason}`);
  return { kind: 'file', path: file };
}

/** Told before the run, not after it. Does not touch the file. */
async function whyNotWritable(file: string): Promise<string | null> {
  try {
    const found = await stat(file).catch(() => null);
    if (found?.isDirectory() === true) return 'it is a folder';
    await access(found === null ? path.dirname(file) : file, constants.W_OK);
    return null;
  } catch (error) {
    return systemReason(error);
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

function dryRunText(spec: TaskSpec, showSecrets: boolean): string {
  const text = formatTask(spec);
  const masked = formatTask(maskTask(spec));
  if (showSecrets || masked === text) return text;
  return `# Secrets are masked (***): what is sent with this file has them not. --show-secrets prints them.\n${masked}`;
}

async function runTask(task: PreparedTask, threads: number | undefined, options: RunOptions): Promise<Report> {
  const view = viewFor(task.spec, options);
  const localRun = new LocalRun(task, {
    ...(threads === undefined ? {} : { threads }),
    onSecond: (second) => view.second(second),
  });
  const { graceMs } = task.spec.load;
  const signals = onSignals(
    (signal) => {
      view.note(
        `${signal}: no new hits; waiting up to ${graceMs / 1000} s for those in flight, once more gives them up`,
      );
      localRun.drain(signal);
    },
    (signal) => localRun.abort(`${signal}, the second one`),
  );
  try {
    return await localRun.run();
  } catch (error) {
    throw maskedError(error, taskSecrets(task.spec));
  } finally {
    signals[Symbol.dispose]();
    view.end();
  }
}

function viewFor(spec: TaskSpec, options: RunOptions): View {
  const { stdout, stderr } = process;
  if (options.table === true) return new TableView(stderr);
  // A terminal that does not tell its size cannot be drawn on.
  if (!stderr.isTTY || stderr.rows === 0 || stderr.columns === 0) return new LineView(stderr, spec);
  return new LiveView(stderr, spec, { color: hasColor(stderr, options), clearAtEnd: stdout.isTTY });
}

/** NO_COLOR counts when it is there and not empty (no-color.org). */
function hasColor(stream: NodeJS.WriteStream, { color }: RunOptions): boolean {
  return color && stream.isTTY && (process.env.NO_COLOR ?? '') === '';
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

/**
 * Writes the summary and the JSON where they belong. What fails is told; a summary that standard output does not take
 * goes to standard error, so that the run was not in vain.
 *
 * @returns whether something failed
 */
async function writeReport(report: Report, output: Output, options: RunOptions): Promise<boolean> {
  const { stdout, stderr } = process;
  const summaryFor = (stream: NodeJS.WriteStream): string =>
    formatReport(report, { color: hasColor(stream, options), width: stream.isTTY ? stream.columns : Infinity });
  const failures: string[] = [];
  const attempt = async (write: () => Promise<void>): Promise<void> => {
    try {
      await write();
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      failures.push(...error.problems);
    }
  };
  await attempt(() =>
    writeText(stdout, 'standard output', output.kind === 'json' ? formatJson(report) : summaryFor(stdout)),
  );
  if (failures.length > 0) stderr.write(summaryFor(stderr));
  if (output.kind === 'file') await attempt(() => writeReportFile(output.path, formatJson(report)));
  for (const failure of failures) tell(failure);
  return failures.length > 0;
}

function tell(text: string): void {
  process.stderr.write(`gostress run: ${text}\n`);
}
