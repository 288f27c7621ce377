import type { TaskMessage } from '../rpc/messages.ts';
import { decodeTask } from '../rpc/task-input.ts';
import type { TaskSpec } from '../task/spec.ts';

/**
 * What a cluster tells of a task, without what it keeps to itself or what is large: headers, body, certificates. For
 * views, and as the base of a change that touches none of these.
 */
export function taskSpecOf(message: TaskMessage): TaskSpec {
  const { request, tls } = message;
  const { verify, serverName } = tls ?? {};
  const told: TaskMessage = {
    ...message,
    // The API refuses what looks like a masked secret.
    request: { method: request?.method ?? '', url: request?.url?.replaceAll('***', 'masked') ?? '' },
    tls: { ...(verify === undefined ? {} : { verify }), ...(serverName === undefined ? {} : { serverName }) },
  };
  return decodeTask(told, 'task').task.spec;
}
