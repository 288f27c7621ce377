import { CodedError } from '../lib/errors.ts';
import { importCurl } from '../task/curl/index.ts';
import { prepareInline } from '../task/prepare.ts';
import { parseTask } from '../task/schema.ts';
import type { TaskMessage } from './messages.ts';
import { taskToMessage } from './task-output.ts';

/** The parts of a task that a curl command may say; all but the request field by field. */
const SECTIONS = ['redirects', 'timeouts', 'connections', 'tls'] as const;

/**
 * The task with what the curl command says.
 *
 * @throws CodedError INVALID_INPUT: the command is wrong, names files, or says what the task says too
 */
export function withCurl(task: TaskMessage, command: string): { task: TaskMessage; warnings: readonly string[] } {
  const { message, warnings } = readCurl(command);
  const problems: string[] = [];
  const conflict = (field: string): void => {
    problems.push(`task.${field}: expected only one of task.${field} and curl_command, which says it too; found both`);
    problems.push(`curl_command: expected only one of task.${field} and curl_command, found both`);
  };
  if (task.request != null) conflict('request');
  const merged: Record<string, unknown> = { ...task, request: message.request };
  for (const section of SECTIONS) {
    const said = Object.entries(message[section] ?? {});
    const given = (task[section] ?? {}) as Record<string, unknown>;
    for (const [key] of said) {
      if (given[key] != null && given[key] !== '') conflict(`${section}.${key}`);
    }
    if (said.length > 0) merged[section] = { ...given, ...Object.fromEntries(said) };
  }
  if (problems.length > 0) throw new CodedError('INVALID_INPUT', problems);
  return { task: merged, warnings };
}

function readCurl(command: string): { message: TaskMessage; warnings: readonly string[] } {
  try {
    const { request, redirects, tls, timeouts, connections, warnings } = importCurl(command, { baseDir: null });
    const plain = parseTask({ request: { url: request.url } });
    const spec = {
      ...plain,
      request,
      redirects: redirects ?? plain.redirects,
      tls: { ...plain.tls, ...tls },
      timeouts: { ...plain.timeouts, ...timeouts },
      connections: { ...plain.connections, ...connections },
    };
    return { message: taskToMessage(prepareInline(spec, { ca: null, cert: null, key: null })), warnings };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw new CodedError(
      error.code,
      error.problems.map((problem) => `curl_command: ${problem.replace(/^curl command: /, '')}`),
    );
  }
}
