import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTarget, type Target } from '../../src/load/target/server.ts';
import { ServedApi } from '../support/api.ts';
import { makeCertificates } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';

/** A secret that is put in wherever a task may hold one must come out nowhere: not in answers, events, logs or errors. */

const CANARY = 'c4nary-never-to-be-seen';
const KEY = makeCertificates().client;
/** How it might look: as it is, encoded, within Basic credentials, and the body of the key. */
const TRACES = [
  'c4nary',
  Buffer.from(`user:${CANARY}`).toString('base64').slice(0, 16),
  ...KEY.key.split('\n').slice(1, 2),
];

let api: ServedApi;
let target: Target;
/** Everything that the API has said. */
const said: string[] = [];

beforeAll(async () => {
  [api, target] = await Promise.all([ServedApi.start(), startTarget({ status: '401' })]);
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await target.close();
});

/** Bytes as they are: texts within them are to be found too. */
function textOf(answer: unknown): string {
  return JSON.stringify(answer, (_, value: unknown) => {
    const isBuffer = typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
    return isBuffer ? Buffer.from((value as unknown as { data: number[] }).data).toString('latin1') : value;
  });
}

async function call<T = { name: string }>(method: string, request: object): Promise<T> {
  const answer = await api.client.call<T>(method, request);
  said.push(`${method}: ${textOf(answer)}`);
  return answer;
}

async function refused(method: string, request: object): Promise<void> {
  said.push(`${method}: ${textOf(await api.client.refusal(method, request))}`);
}

async function readStream(method: string, request: object, signal: AbortSignal): Promise<void> {
  for await (const message of api.client.stream(method, request, signal)) said.push(`${method}: ${textOf(message)}`);
}

function traces(texts: readonly string[]): string[] {
  return texts.filter((text) => TRACES.some((trace) => text.includes(trace)));
}

const HEADERS = [
  { name: 'Cookie', value: `session=${CANARY}` },
  { name: 'X-Api-Key', value: CANARY },
];
const load = { ratePerSecond: 10, hits: '5' };

describe('a secret of a task', () => {
  test.each([
    [
      'in headers and the URL',
      true,
      (url: string) => ({ task: { request: { url: `${url}?token=${CANARY}`, headers: HEADERS }, load } }),
    ],
    [
      'in the user of the URL',
      false,
      (url: string) => ({ task: { request: { url: url.replace('//', `//user:${CANARY}@`) }, load } }),
    ],
    [
      'in a curl command',
      true,
      (url: string) => ({ task: { load }, curlCommand: `curl -u user:${CANARY} -b s=${CANARY} ${url}` }),
    ],
    [
      'in a private key',
      false,
      (url: string) => ({
        task: { request: { url: url.replace('http:', 'https:') }, load, tls: { certPem: KEY.cert, keyPem: KEY.key } },
      }),
    ],
  ])('%s is in no answer', { timeout: 60_000 }, async (_, isThere, requestOf) => {
    // Whether it answers or not, what is told of it carries its URL.
    const url = isThere ? `${target.url}/` : `http://127.0.0.1:${await freePort()}/`;
    const request = requestOf(url);
    await call('CreateTask', { ...request, validateOnly: true });
    const { name } = await call('CreateTask', request);
    await call('GetTask', { name });
    await call('UpdateTask', { task: { name, displayName: 'renamed' } });
    const run = await call('StartTask', { name });
    await call('GetCluster', {});
    await readStream('WatchRun', { name: run.name, includeSamples: true }, AbortSignal.timeout(30_000));
    await call('GetRun', { name: run.name });
    await call('GetRunReport', { name: run.name });
    await call('ListTasks', {});
    await call('ListRuns', {});
    expect(said.length).toBeGreaterThan(10);
    expect(traces(said)).toEqual([]);
  });
});

describe('a refusal does not repeat', () => {
  const url = `http://127.0.0.1:1/?token=${CANARY}`;
  test.each([
    ['a URL with another scheme', { task: { request: { url: `ftp://user:${CANARY}@host/` } } }],
    ['a URL that is none', { task: { request: { url: `//user:${CANARY}@` } } }],
    [
      'two sources of credentials',
      { task: { request: { url: `http://user:${CANARY}@h/`, headers: [{ name: 'Authorization', value: CANARY }] } } },
    ],
    [
      'a header that cannot be sent',
      { task: { request: { url, headers: [{ name: 'Authorization', value: `${CANARY}\r\nX: 1` }] } } },
    ],
    [
      'a key that is none',
      { task: { request: { url }, tls: { certPem: KEY.cert, keyPem: KEY.key.replace('END', CANARY) } } },
    ],
    ['a curl command that is none', { curlCommand: `curl -u user:${CANARY} --nope` }],
    ['a curl command with an open quote', { curlCommand: `curl http://h/ -H 'Authorization: ${CANARY}` }],
  ])('the secret of %s', async (_, request) => {
    const before = said.length;
    await refused('CreateTask', request);
    expect(traces(said.slice(before))).toEqual([]);
  });
});

/** What a person, or an accident, does to the database. */
function byHand(sql: string, ...values: string[]): void {
  using database = new DatabaseSync(path.join(api.folder, 'gostress.sqlite'), { timeout: 0 });
  database.prepare(sql).run(...values);
}

test.each([
  ['that is no JSON', `{"request": {"headers": {"Cookie": "${CANARY}" oops}}`],
  ['that is no task', JSON.stringify({ request: { url: 'http://h/', headers: { Cookie: [CANARY] } } })],
  ['whose URL is none', JSON.stringify({ request: { url: `//user:${CANARY}@` } })],
])('a secret in a row %s is in no error, event or log', async (_, spec) => {
  await eventually(() => byHand('INSERT INTO task (spec, start_requested) VALUES (?, 1)', spec));
  using database = new DatabaseSync(path.join(api.folder, 'gostress.sqlite'), { readOnly: true });
  const { id } = database.prepare('SELECT max(id) AS id FROM task').get() as { id: number };
  const name = `tasks/${id}`;
  await eventually(() => {
    const row = database.prepare('SELECT problem FROM task WHERE id = ?').get(id) as { problem: string | null };
    expect(row.problem).not.toBeNull();
    expect(traces([row.problem!])).toEqual([]);
  });
  const before = said.length;
  await refused('GetTask', { name });
  await refused('StartTask', { name });
  expect(traces(said.slice(before))).toEqual([]);
});

test('no event and no log line has it, nor has what a broken database says', async () => {
  const over = new AbortController();
  const events: string[] = [];
  const watching = (async () => {
    for await (const event of api.client.stream('WatchEvents', { afterId: '0' }, over.signal))
      events.push(textOf(event));
  })();
  await eventually(() => expect(events.join('\n')).toContain('task.invalid'));
  over.abort();
  await watching;
  expect(traces(events)).toEqual([]);

  await eventually(() => byHand("CREATE TRIGGER no BEFORE INSERT ON task BEGIN SELECT RAISE(ABORT, 'no'); END"));
  const before = said.length;
  const task = { request: { url: `http://127.0.0.1:1/?token=${CANARY}`, headers: HEADERS }, load };
  await refused('CreateTask', { task });
  await eventually(() => byHand('DROP TRIGGER no'));
  await eventually(() => byHand('ALTER TABLE task RENAME TO task_away'));
  await refused('CreateTask', { task });
  await eventually(() => byHand('ALTER TABLE task_away RENAME TO task'));
  expect(said.slice(before).every((text) => text.includes('SQLite cannot create a task'))).toBe(true);
  expect(traces(said.slice(before))).toEqual([]);
  expect(api.log.length).toBeGreaterThan(10);
  expect(traces(api.log)).toEqual([]);
});
