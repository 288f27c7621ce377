import type { TermReasons } from '../cluster/ports.ts';
import type { EventRecord, TaskStore } from './ports.ts';

/** The event that keeps why a node became master of a term: its text is JSON. */
export const REASONS_KIND = 'master.reasons';

/** Of the event's text; the store keeps a little more. */
const MAX_TEXT = 7_500;

/** The reasons as an event's text. Candidates that would make it too long are left out, the worst ones first. */
export function reasonsText(reasons: TermReasons): string {
  const { nomination } = reasons;
  const text = JSON.stringify(reasons);
  if (text.length <= MAX_TEXT || nomination === null || nomination.candidates.length === 0) return text;
  return reasonsText({ ...reasons, nomination: { ...nomination, candidates: nomination.candidates.slice(0, -1) } });
}

/** `nominated by s2 …` */
export function reasonsSentence({ term, how, nomination }: TermReasons): string {
  if (nomination === null) return `master of term ${term}, by rank: the lock was free`;
  const { nodeId, by, reason } = nomination;
  if (how === 'nominated') return `master of term ${term}, nominated by ${by}: ${reason}`;
  return `master of term ${term}, by rank: the nominee ${nodeId} of ${by} did not win in time (${reason})`;
}

/** Of a term that was led with this store; null: nothing is kept of it. */
export async function readReasons(
  store: Pick<TaskStore, 'events'>,
  term: number,
): Promise<{ reasons: TermReasons; wallMs: number } | null> {
  const [event] = await store.events({ after: null, limit: 1, of: { kind: REASONS_KIND, term } });
  return event === undefined ? null : parse(event);
}

function parse({ text, wallMs }: EventRecord): { reasons: TermReasons; wallMs: number } | null {
  try {
    return { reasons: JSON.parse(text) as TermReasons, wallMs };
  } catch {
    return null;
  }
}
