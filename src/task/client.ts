import type { ClientName, TaskSpec } from './spec.ts';

/** What a task needs that no client but `undici` does; null: nothing. */
export function whyOnlyUndici({ redirects }: Pick<TaskSpec, 'redirects'>): string | null {
  return redirects.follow ? 'it does not follow redirects' : null;
}

/** The client that sends the task's requests: settled before the first of them, and for the whole run. */
export function clientOf(spec: TaskSpec): ClientName {
  if (whyOnlyUndici(spec) !== null) return 'undici';
  return spec.client === 'auto' ? 'http1' : spec.client;
}
