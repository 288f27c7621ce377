import { isSecretName, maskUrl } from '../lib/mask.ts';
import type { Problem } from '../task/problems.ts';
import type { RequestMessage, TaskMessage } from './messages.ts';

/**
 * Secrets leave the API as `***` and must not come back as that. UpdateTask takes a mask for "as it was" where it can be sure
 * what that was: the same header (by name, and by its place among those of that name), the same URL, the key. Any other mask is
 * refused.
 */
export const MASK = '***';

/** The task with its masks replaced by what the current one has there; those without a counterpart stay. */
export function unmask(task: TaskMessage, current: TaskMessage): TaskMessage {
  const { request, tls } = task;
  const was = current.request;
  return {
    ...task,
    ...(request == null || was == null ? {} : { request: unmaskRequest(request, was) }),
    ...(tls?.keyPem === MASK ? { tls: { ...tls, keyPem: current.tls?.keyPem || MASK } } : {}),
  };
}

function unmaskRequest(request: RequestMessage, was: RequestMessage): RequestMessage {
  const { url = '', headers = [] } = request;
  const seen = new Map<string, number>();
  return {
    ...request,
    url: url.includes(MASK) && maskUrl(was.url ?? '') === url ? was.url! : url,
    headers: headers.map((header) => {
      const name = header.name.toLowerCase();
      const place = seen.get(name) ?? 0;
      seen.set(name, place + 1);
      const same = (was.headers ?? []).filter((other) => other.name.toLowerCase() === name)[place];
      return isMasked(header) && same !== undefined ? { ...header, value: same.value } : header;
    }),
  };
}

function isMasked({ name, value }: { name: string; value: string }): boolean {
  return value === MASK && isSecretName(name);
}

/** Whether a mask stands where a secret would; `***` elsewhere in a URL is a text like any other. */
function isMaskedUrl(url: string): boolean {
  return url.includes(MASK) && maskUrl(url) === url && maskUrl(url.replaceAll(MASK, 'x')).includes(MASK);
}

/** A problem for each mask that would be taken for a secret. Paths are those of a task file. */
export function maskProblems({ request, tls }: TaskMessage): Problem[] {
  const message = 'expected the secret itself, found its mask ***';
  const { url = '', headers = [] } = request ?? {};
  const problems = headers.flatMap((header, i) =>
    isMasked(header) ? [{ path: ['request', 'headers', i, 'value'], message }] : [],
  );
  if (isMaskedUrl(url)) problems.push({ path: ['request', 'url'], message });
  if (tls?.keyPem === MASK) problems.push({ path: ['tls', 'key'], message });
  return problems;
}
