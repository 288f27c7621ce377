import { invalid } from '../lib/errors.ts';
import { show } from '../lib/show.ts';

/** Names of things in the API: `tasks/42`, `tasks/42/runs/3`, `nodes/a`; and the tokens of pages and versions. */

const MAX_ID = 2n ** 63n - 1n;
const TASK = /^tasks\/([1-9]\d{0,18})$/;
const RUN = /^tasks\/([1-9]\d{0,18})\/runs\/([1-9]\d{0,14})$/;
const NODE = /^nodes\/(.+)$/;

export const DEFAULT_PAGE_SIZE = 50;
export const MAX_PAGE_SIZE = 1000;
const MAX_REQUEST_ID_LENGTH = 128;

export interface RunName {
  taskId: bigint;
  number: number;
}

export function taskName(id: bigint): string {
  return `tasks/${id}`;
}

export function runName({ taskId, number }: RunName): string {
  return `tasks/${taskId}/runs/${number}`;
}

export function nodeName(nodeId: string): string {
  return `nodes/${nodeId}`;
}

/** @param field its place in the request. @throws CodedError INVALID_INPUT */
export function readTaskName(text: string, field = 'name'): bigint {
  const id = BigInt(TASK.exec(text)?.[1] ?? 0);
  if (id === 0n || id > MAX_ID) throw invalid(`${field}: expected a name like "tasks/42", found ${showName(text)}`);
  return id;
}

/** @throws CodedError INVALID_INPUT */
export function readRunName(text: string): RunName {
  const [, task = '0', number = '0'] = RUN.exec(text) ?? [];
  const taskId = BigInt(task);
  if (taskId === 0n || taskId > MAX_ID) {
    throw invalid(`name: expected a name like "tasks/42/runs/3", found ${showName(text)}`);
  }
  return { taskId, number: Number(number) };
}

/** @param field its place in the request. @returns the node id. @throws CodedError INVALID_INPUT */
export function readNodeName(text: string, field = 'name'): string {
  const id = NODE.exec(text)?.[1];
  if (id === undefined) throw invalid(`${field}: expected a name like "nodes/a", found ${showName(text)}`);
  return id;
}

/** @returns null: of all tasks. @throws CodedError INVALID_INPUT */
export function readParent(text: string): bigint | null {
  return text === '' || text === 'tasks/-' ? null : readTaskName(text, 'parent');
}

function showName(text: string): string {
  return text === '' ? 'nothing' : show(text);
}

/** @throws CodedError INVALID_INPUT */
export function readPageSize(size: number): number {
  if (size === 0) return DEFAULT_PAGE_SIZE;
  if (size >= 1 && size <= MAX_PAGE_SIZE) return size;
  throw invalid(`page_size: expected 1 to ${MAX_PAGE_SIZE}, found ${size}`);
}

/** A page's end as an opaque token. @param kind whose list it is */
export function pageToken(kind: 'tasks' | 'runs' | 'nodes', last: string): string {
  return Buffer.from(`${kind}:${last}`).toString('base64url');
}

/** @returns null: from the beginning. @throws CodedError INVALID_INPUT */
export function readPageToken(kind: 'tasks' | 'runs' | 'nodes', token: string): string | null {
  if (token === '') return null;
  const text = Buffer.from(token, 'base64url').toString();
  if (text.startsWith(`${kind}:`)) return text.slice(kind.length + 1);
  throw invalid(`page_token: expected the next_page_token of a list of ${kind}, found ${show(token)}`);
}

/** @throws CodedError INVALID_INPUT */
export function readIdToken(kind: 'tasks' | 'runs', token: string): bigint | null {
  const text = readPageToken(kind, token);
  if (text === null) return null;
  if (/^\d{1,19}$/.test(text) && BigInt(text) <= MAX_ID) return BigInt(text);
  throw invalid(`page_token: expected the next_page_token of a list of ${kind}, found ${show(token)}`);
}

/** A uint64 that is a count. @param field its place in the request. @throws CodedError INVALID_INPUT */
export function readCount(text: string, field: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count)) return count;
  throw invalid(`${field}: expected at most ${Number.MAX_SAFE_INTEGER}, found ${text}`);
}

/** A uint64 that is the id of a row. @param field its place in the request. @throws CodedError INVALID_INPUT */
export function readId(text: string, field: string): bigint {
  const id = BigInt(text);
  if (id <= MAX_ID) return id;
  throw invalid(`${field}: expected at most ${MAX_ID}, found ${text}`);
}

/** @returns null: whatever the version is. @throws CodedError INVALID_INPUT */
export function readEtag(etag: string, field: string): number | null {
  if (etag === '') return null;
  if (/^\d{1,15}$/.test(etag)) return Number(etag);
  throw invalid(`${field}: expected the etag of an earlier answer, found ${show(etag)}`);
}

/** @throws CodedError INVALID_INPUT */
export function readRequestId(id: string): string | null {
  if (id === '') return null;
  if (id.length <= MAX_REQUEST_ID_LENGTH && !/\p{Cc}/u.test(id)) return id;
  throw invalid(`request_id: expected at most ${MAX_REQUEST_ID_LENGTH} characters on one line, found ${id.length}`);
}
