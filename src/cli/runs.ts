import { Command } from '@commander-js/extra-typings';
import { parseDuration } from '../lib/duration.ts';
import { CodedError } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import type { RetuneTarget } from '../rpc/client.ts';
import type { RunMessage } from '../rpc/messages.ts';
import { parseRate } from '../task/rate.ts';
import { CLUSTER_FLAG, runName, taskName, withCluster } from './cluster.ts';
import { EXIT } from './exit.ts';
import { readStages } from './load-flags.ts';
import { jsonText, listText, loadText, pairsText, sharesText, timestampText, wantedText } from './messages-text.ts';
import { writeText } from './output.ts';
import { isJson, readLimit, readStates, upTo } from './pages.ts';
import { OUTPUT_HELP, readOutput } from './report-output.ts';
import { onSignals } from './signals.ts';
import { taskSpecOf } from './task-spec.ts';
import { reattachText, reportEnd, watchRun } from './watch.ts';

const RUN = 'name of a run: tasks/42/runs/3, or 42/3';
const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
const say = (text: string): Promise<void> => writeText(process.stdout, 'standard output', text);

type Done = (exitCode: number) => void;

/** `gostress runs …`: the runs of a cluster. */
export function runsCommand(done: Done) {
  return new Command('runs')
    .description('Runs of a cluster: list, show, watch, report; stop, retune, pause, resume')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(watchCommand(done))
    .addCommand(reportCommand(done))
    .addCommand(stopCommand())
    .addCommand(retuneCommand())
    .addCommand(changeCommand('pause', 'No load until resumed; the time of the plan goes on', 'pauseRun'))
    .addCommand(changeCommand('resume', 'Go on as planned', 'resumeRun'));
}

function listCommand() {
  return new Command('list')
    .description('Runs, newest first')
    .argument('[task]', 'only those of this task: tasks/42, or 42')
    .option('--state <state>', 'only in this state; repeatable', collect)
    .option('--limit <n>', 'most runs (default: 50)')
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (task, flags) => {
      const problems: string[] = [];
      const parent = task === undefined ? '' : taskName(task, problems);
      const [limit, states, json] = [readLimit(flags, problems), readStates(flags, problems), isJson(flags, problems)];
      await withCluster(flags, problems, async (client) => {
        const { items, more } = await upTo(limit, async (page) => {
          const { runs, nextPageToken } = await client.listRuns(parent, { ...page, states });
          return { items: runs, nextPageToken };
        });
        await say(json ? jsonText(items) : runsText(items));
        if (more) process.stderr.write('gostress runs list: there are more; --limit shows them\n');
      });
    });
}

export function runsText(runs: readonly RunMessage[]): string {
  const rows = runs.map((run) => [
    run.name,
    run.state,
    wantedText(run),
    timestampText(run.startTime),
    timestampText(run.endTime),
    run.reason,
  ]);
  return listText(['name', 'state', 'wanted', 'started', 'ended', 'reason'], rows);
}

function showCommand() {
  return new Command('show')
    .description('A run, and who has which share of it')
    .argument('<run>', RUN)
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (name, flags) => {
      const problems: string[] = [];
      const [run, json] = [runName(name, problems), isJson(flags, problems)];
      await withCluster(flags, problems, async (client) => {
        const found = await client.getRun(run);
        if (json) {
          await say(jsonText(found));
          return;
        }
        const { runs } = await client.getCluster();
        const shares = runs.find((active) => active.run?.name === run)?.shares ?? [];
        await say(runText(found) + (shares.length === 0 ? '' : `\n${sharesText(found, shares)}`));
      });
    });
}

function runText(run: RunMessage): string {
  return pairsText([
    ['run', run.name],
    ['state', run.reason === '' ? run.state : `${run.state}: ${run.reason}`],
    ['wanted', wantedText(run)],
    ['target', `${run.task?.request?.method ?? ''} ${run.task?.request?.url ?? ''}`.trim()],
    ['load', loadText(run.task?.load)],
    ['made', timestampText(run.createTime)],
    ['started', timestampText(run.startTime)],
    ['ended', timestampText(run.endTime)],
    ['etag', run.etag],
  ]);
}

function watchCommand(done: Done) {
  return new Command('watch')
    .description('Watch a run to its end, then its report, with the exit code of gostress run; Ctrl-C leaves it alone')
    .argument('<run>', RUN)
    .option('--from <second>', 'first second of the run that is shown (default: 0)')
    .option('--strict', 'a DEGRADED verdict fails like INVALID')
    .option('-o, --output <format>', OUTPUT_HELP)
    .option('--table', 'one row of a table each second instead of the live view')
    .option('--no-color', 'no colours (also: NO_COLOR=1)')
    .option(...CLUSTER_FLAG)
    .action(async (name, flags) => {
      const problems: string[] = [];
      const tell = (text: string): void => void process.stderr.write(`gostress runs watch: ${text}\n`);
      const run = runName(name, problems);
      const fromSecond = readSecond(flags.from, problems);
      const output = await readOutput(flags.output, problems);
      await withCluster(flags, problems, async (client) => {
        const { task } = await client.getRun(run);
        if (task === null) throw new CodedError('INTERNAL', `expected ${run} with its task, found none`);
        const leave = new AbortController();
        using signals = onSignals(
          () => leave.abort(),
          () => process.exit(EXIT.INTERRUPTED),
        );
        const ended = await watchRun(client, run, taskSpecOf(task), flags, { fromSecond, signal: leave.signal, tell });
        if (ended !== null) {
          signals.finish(tell);
          done(await reportEnd(client, run, { ...flags, output }, tell));
          return;
        }
        tell(`${run} goes on; to see it again: ${reattachText(run, client.address)}`);
        done(leave.signal.aborted ? EXIT.INTERRUPTED : EXIT.LOST);
      });
    });
}

function readSecond(text: string | undefined, problems: string[]): number {
  if (text === undefined) return 0;
  if (!/^\d{1,9}$/.test(text)) problems.push(`--from: expected a second of the run, like 30, found ${show(text)}`);
  return Number(text);
}

function reportCommand(done: Done) {
  return new Command('report')
    .description('The report of a run, also of one that goes on, with the exit code of gostress run')
    .argument('<run>', RUN)
    .option('--strict', 'a DEGRADED verdict fails like INVALID')
    .option('-o, --output <format>', OUTPUT_HELP)
    .option('--no-color', 'no colours (also: NO_COLOR=1)')
    .option(...CLUSTER_FLAG)
    .action(async (name, flags) => {
      const problems: string[] = [];
      const tell = (text: string): void => void process.stderr.write(`gostress runs report: ${text}\n`);
      const run = runName(name, problems);
      const output = await readOutput(flags.output, problems);
      await withCluster(flags, problems, async (client) =>
        done(await reportEnd(client, run, { ...flags, output }, tell)),
      );
    });
}

function stopCommand() {
  return changeCommand('stop', 'No new hits; those in flight get the grace period of the task', 'stopRun');
}

function changeCommand(name: string, description: string, method: 'stopRun' | 'pauseRun' | 'resumeRun') {
  return new Command(name)
    .description(description)
    .argument('<run>', RUN)
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (text, flags) => {
      const problems: string[] = [];
      const [run, json] = [runName(text, problems), isJson(flags, problems)];
      await withCluster(flags, problems, async (client) => {
        const changed = await client[method](run);
        await say(json ? jsonText(changed) : `${changed.name} is ${changed.state}\n`);
      });
    });
}

function retuneCommand() {
  return new Command('retune')
    .description('Change the load of a run that goes on; it ends when it would have')
    .argument('<run>', RUN)
    .option('-q, --rate <rate>', 'hits a second over all workers, of a run that has a rate')
    .option('-c, --connections <n>', 'users, of a run that has users')
    .option('--ramp <duration>', 'go there within this time (default: at once)')
    .option('--stage <stage>', 'instead: 30s:1000 goes to 1000 within 30s, 30s=1000 stays there; repeatable', collect)
    .option('--etag <etag>', 'only if nobody else has changed it since (runs show tells the etag)')
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (text, flags) => {
      const problems: string[] = [];
      const [run, json, target] = [runName(text, problems), isJson(flags, problems), readTarget(flags, problems)];
      const rampMs = readRamp(flags.ramp, problems);
      await withCluster(flags, problems, async (client) => {
        const etag = flags.etag === undefined ? {} : { etag: flags.etag };
        const answer = await client.retuneRun(run, target, { ...(rampMs === null ? {} : { rampMs }), ...etag });
        const text = `${answer.run.name} is ${answer.run.state}\n\n${sharesText(answer.run, answer.shares)}`;
        await say(json ? jsonText(answer) : text);
      });
    });
}

interface RetuneFlags {
  rate?: string | undefined;
  connections?: string | undefined;
  stage?: string[] | undefined;
}

function readTarget({ rate, connections, stage }: RetuneFlags, problems: string[]): RetuneTarget {
  const given = Object.entries({ '-q': rate, '-c': connections, '--stage': stage })
    .filter(([, value]) => value !== undefined)
    .map(([flag]) => flag);
  if (given.length !== 1) {
    const found = given.length === 0 ? 'none' : given.join(' and ');
    problems.push(
      `expected one of -q RATE, -c USERS and --stage, found ${found}; no load at all is gostress runs pause`,
    );
  } else if (stage !== undefined) return { stages: readStages(stage, problems) };
  else if (connections !== undefined) {
    if (!/^[1-9]\d{0,6}$/.test(connections)) {
      problems.push(`-c: expected a whole number of users from 1 on, found ${show(connections)}`);
    }
    return { users: Number(connections) };
  } else if (rate !== undefined) {
    try {
      return { ratePerSecond: parseRate(rate) };
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      problems.push(`-q: ${error.message}; no load at all is gostress runs pause`);
    }
  }
  return { ratePerSecond: 1 };
}

function readRamp(text: string | undefined, problems: string[]): number | null {
  if (text === undefined) return null;
  try {
    return parseDuration(text);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    problems.push(`--ramp: ${error.message}`);
    return null;
  }
}
