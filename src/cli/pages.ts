import { show } from '../lib/show.ts';
import { RUN_STATES, type RunState } from '../task/status.ts';

const PAGE_SIZE = 1000;
const DEFAULT_LIMIT = 50;

/** Flags of every verb that lists. */
export interface ListFlags {
  limit?: string | undefined;
  state?: string[] | undefined;
}

export function readLimit({ limit }: ListFlags, problems: string[]): number {
  if (limit === undefined) return DEFAULT_LIMIT;
  if (!/^[1-9]\d{0,6}$/.test(limit)) problems.push(`--limit: expected a whole number from 1 on, found ${show(limit)}`);
  return Number(limit);
}

export function readStates({ state = [] }: ListFlags, problems: string[]): RunState[] {
  const known: readonly string[] = RUN_STATES;
  const states = state.flatMap((text) => text.split(',')).map((text) => text.trim().toUpperCase());
  for (const text of states) {
    if (!known.includes(text)) problems.push(`--state: expected one of ${known.join(', ')}, found ${show(text)}`);
  }
  return states as RunState[];
}

/** `json`: messages instead of a table. */
export function isJson({ output }: { output?: string | undefined }, problems: string[]): boolean {
  if (output !== undefined && output !== 'json') problems.push(`-o: expected "json", found ${show(output)}`);
  return output === 'json';
}

/** Up to `limit` items of a list that comes in pages. */
export async function upTo<T>(
  limit: number,
  page: (options: { pageSize: number; pageToken: string }) => Promise<{ items: readonly T[]; nextPageToken: string }>,
): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  let pageToken = '';
  do {
    const next = await page({ pageSize: Math.min(PAGE_SIZE, limit - items.length), pageToken });
    items.push(...next.items);
    pageToken = next.nextPageToken;
  } while (pageToken !== '' && items.length < limit);
  return { items, more: pageToken !== '' };
}
