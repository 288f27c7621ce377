import { randomUUID } from 'node:crypto';
import { Command } from '@commander-js/extra-typings';
import { CodedError } from '../lib/errors.ts';
import type { TaskMessage } from '../rpc/messages.ts';
import { taskToMessage } from '../rpc/task-output.ts';
import { taskInputOf } from '../task/format.ts';
import { CLUSTER_FLAG, taskName, withCluster } from './cluster.ts';
import { jsonText, listText, loadText, pairsText, timestampText } from './messages-text.ts';
import { clusterTaskCommand, URL_ARGUMENT, type ClusterTaskFlags } from './options.ts';
import { writeText } from './output.ts';
import { isJson, readLimit, readStates, upTo } from './pages.ts';
import { readPlacement } from './placement.ts';
import type { Source } from './source.ts';
import { readRunTask, readTaskFrom } from './task-flags.ts';
import { taskSpecOf } from './task-spec.ts';

const TASK = 'name of a task: tasks/42, or 42';
const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
const say = (text: string): Promise<void> => writeText(process.stdout, 'standard output', text);

/** `gostress tasks …`: the tasks of a cluster. */
export function tasksCommand() {
  return new Command('tasks')
    .alias('task')
    .description('Tasks of a cluster: create, list, show, update, delete, start')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(updateCommand())
    .addCommand(deleteCommand())
    .addCommand(startCommand());
}

function createCommand() {
  return clusterTaskCommand('create')
    .argument(...URL_ARGUMENT)
    .description('Make a task, with the flags of gostress run, and print its name; files are sent along')
    .option('--start', 'start it too, and print the name of the run')
    .option('--validate-only', 'let the cluster check it, and make nothing')
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (url, flags) => {
      const problems: string[] = [];
      const json = isJson(flags, problems);
      const placement = readPlacement(flags, problems);
      const { task, defaults, warnings } = await readRunTask(url, flags, problems);
      for (const text of [...warnings, ...(defaults === null ? [] : [defaults])]) tell('create', text);
      await withCluster(flags, problems, async (client) => {
        const message = { ...taskToMessage(task), ...(placement === null ? {} : { placement }) };
        const validateOnly = flags.validateOnly === true;
        const made = await client.createTask({ task: message, validateOnly, requestId: randomUUID() });
        if (validateOnly) await say(json ? jsonText(made) : taskText(made));
        else if (flags.start !== true) await say(json ? jsonText(made) : `${made.name ?? ''}\n`);
        else {
          const run = await client.startTask(made.name ?? '', randomUUID());
          await say(json ? jsonText(run) : `${run.name}\n`);
        }
      });
    });
}

function listCommand() {
  return new Command('list')
    .description('Tasks, newest first')
    .option('--state <state>', 'only those whose latest run is in this state; repeatable', collect)
    .option('--limit <n>', 'most tasks (default: 50)')
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (flags) => {
      const problems: string[] = [];
      const [limit, states, json] = [readLimit(flags, problems), readStates(flags, problems), isJson(flags, problems)];
      await withCluster(flags, problems, async (client) => {
        const { items, more } = await upTo(limit, async (page) => {
          const { tasks, nextPageToken } = await client.listTasks({ ...page, states });
          return { items: tasks, nextPageToken };
        });
        await say(json ? jsonText(items) : tasksText(items));
        if (more) tell('list', 'there are more; --limit shows them');
      });
    });
}

function tasksText(tasks: readonly TaskMessage[]): string {
  const rows = tasks.map((task) => [
    task.name ?? '',
    task.displayName ?? '',
    `${task.request?.method ?? ''} ${task.request?.url ?? ''}`.trim(),
    loadText(task.load),
    task.activeRun ?? '',
    task.lastRun ?? '',
  ]);
  return listText(['name', 'called', 'target', 'load', 'active run', 'last run'], rows);
}

function showCommand() {
  return new Command('show')
    .description('A task; secrets are masked')
    .argument('<task>', TASK)
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (text, flags) => {
      const problems: string[] = [];
      const [name, json] = [taskName(text, problems), isJson(flags, problems)];
      await withCluster(flags, problems, async (client) => {
        const task = await client.getTask(name);
        await say(json ? jsonText(task) : taskText(task));
      });
    });
}

function taskText(task: TaskMessage): string {
  const { request, placement } = task;
  const labels = Object.entries(placement?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairsText([
    ['task', task.name ?? ''],
    ['called', task.displayName ?? ''],
    ['target', `${request?.method ?? ''} ${request?.url ?? ''}`.trim()],
    ...(request?.headers ?? []).map(({ name, value }) => ['header', `${name}: ${value}`] as const),
    ['body', `${request?.bodySizeBytes ?? '0'} bytes`],
    ['load', loadText(task.load)],
    ['slos', (task.slos ?? []).join(', ')],
    ['spread', [placement?.strategy ?? '', ...labels].filter((part) => part !== '').join(', ')],
    ['active run', task.activeRun ?? ''],
    ['last run', task.lastRun ?? ''],
    ['made', timestampText(task.createTime)],
    ['changed', timestampText(task.updateTime)],
    ['etag', task.etag ?? ''],
  ]);
}

/** What of the task a flag changes, in the words of a field mask. */
const MASKS: Readonly<Partial<Record<keyof ClusterTaskFlags, readonly string[]>>> = {
  name: ['display_name'],
  url: ['request.url'],
  method: ['request.method'],
  header: ['request.headers'],
  // Without a method of its own, a body makes it a POST.
  body: ['request.body_text', 'request.body_bytes', 'request.method'],
  location: ['redirects.follow'],
  rate: ['load'],
  connections: ['load', 'connections'],
  duration: ['load'],
  hits: ['load'],
  stage: ['load'],
  model: ['load'],
  warmup: ['load'],
  maxInFlight: ['load'],
  onSaturated: ['load'],
  grace: ['load'],
  client: ['client'],
  timeout: ['timeouts'],
  connectTimeout: ['timeouts'],
  responseTimeout: ['timeouts'],
  insecure: ['tls.verify'],
  cacert: ['tls.ca_pem'],
  cert: ['tls.cert_pem'],
  key: ['tls.key_pem'],
  sni: ['tls.server_name'],
  check: ['checks'],
  verify: ['checks'],
  slo: ['slos'],
  strategy: ['placement.strategy'],
  label: ['placement.labels'],
  maxNodes: ['placement.max_nodes'],
  moving: ['placement.moving'],
};
const WHOLE = [
  'display_name',
  'request',
  'load',
  'client',
  'connections',
  'timeouts',
  'redirects',
  'tls',
  'checks',
  'slos',
];

/** Fields that the flags change; with a file or a curl command, all. */
function maskOf(flags: ClusterTaskFlags): string[] {
  const given = Object.entries(MASKS).filter(([key]) => flags[key as keyof ClusterTaskFlags] !== undefined);
  const masks = given.flatMap(([, mask]) => mask);
  if (!flags.keepalive) masks.push('connections');
  const hasSource = [flags.file, flags.curl, flags.curlFile].some((value) => value !== undefined);
  return [...new Set(hasSource ? [...WHOLE, ...masks.filter((mask) => mask.startsWith('placement'))] : masks)];
}

function updateCommand() {
  return clusterTaskCommand('update')
    .argument('<task>', TASK)
    .description('Change a task: what the flags say, or all with -f or --curl; a run that is active keeps what it has')
    .option('--etag <etag>', 'only if nobody else has changed it since (tasks show tells the etag)')
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (text, flags) => {
      const problems: string[] = [];
      const [name, json] = [taskName(text, problems), isJson(flags, problems)];
      const placement = readPlacement(flags, problems);
      const mask = maskOf(flags);
      if (mask.length === 0) problems.push('expected flags that say what to change, found none');
      await withCluster(flags, problems, async (client) => {
        const { task } = mask.includes('request')
          ? await readRunTask(undefined, flags, problems)
          : await readTaskFrom(sourceOf(name, await client.getTask(name)), flags, problems);
        const changed: TaskMessage = { ...taskToMessage(task), name };
        if (placement !== null) changed.placement = placement;
        if (flags.etag !== undefined) changed.etag = flags.etag;
        const updated = await client.updateTask(changed, mask);
        await say(json ? jsonText(updated) : taskText(updated));
      });
    });
}

/** A task of the cluster in the form of a task file: the flags go over it. Files are not in it: they stay as they are. */
function sourceOf(name: string, message: TaskMessage): Source {
  return {
    input: taskInputOf(taskSpecOf(message)),
    hasLoad: true,
    name,
    placeOf: (key) => `${name}: ${key}`,
    warnings: [],
  };
}

function deleteCommand() {
  return new Command('delete')
    .description('Delete a task with the history of its runs; refused while a run is active')
    .argument('<task>', TASK)
    .option(...CLUSTER_FLAG)
    .action(async (text, flags) => {
      const problems: string[] = [];
      const name = taskName(text, problems);
      await withCluster(flags, problems, async (client) => {
        await client.deleteTask(name);
        await say(`${name} is deleted\n`);
      });
    });
}

function startCommand() {
  return new Command('start')
    .description('Start a run of a task and print its name; gostress runs watch shows it')
    .argument('<task>', TASK)
    .option('-o, --output <format>', 'json')
    .option(...CLUSTER_FLAG)
    .action(async (text, flags) => {
      const problems: string[] = [];
      const [name, json] = [taskName(text, problems), isJson(flags, problems)];
      await withCluster(flags, problems, async (client) => {
        const run = await client.startTask(name, randomUUID());
        if (run.name === '') throw new CodedError('INTERNAL', 'expected the name of a run, found none');
        await say(json ? jsonText(run) : `${run.name}\n`);
      });
    });
}

function tell(verb: string, text: string): void {
  process.stderr.write(`gostress tasks ${verb}: ${text}\n`);
}
