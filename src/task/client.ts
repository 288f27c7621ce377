import type { ClientName, TaskSpec } from './spec.ts';

/** What a task needs that the client `http1` does not do; null: nothing. */
export function whyNotHttp1({ redirects }: Pick<TaskSpec, 'redirects'>): string | null {
  return redirects.follow ? 'it does not follow redirects' : null;
}

/** The client that sends the task's requests: settled before the first of them, and for the whole run. */
export function clientOf(spec: TaskSpec): ClientName {
  return spec.client === 'undici' || whyNotHttp1(spec) !== null ? 'undici' : 'http1';
}
