import { hostname } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TaskMessage } from '../../src/rpc/messages.ts';
import { refusalOf, ServedApi } from '../support/api.ts';

/** Tasks over the public API, as a client of any language sees it: no run is started here. */

let api: ServedApi;

beforeAll(async () => {
  api = await ServedApi.start();
});
afterAll(() => api[Symbol.asyncDispose]());

const URL = 'http://127.0.0.1:1/';
const LOAD = { ratePerSecond: 5, duration: { seconds: '1' } };
const TASK = { request: { url: URL }, load: LOAD };

function create(task: object = TASK, rest: object = {}): Promise<TaskMessage> {
  return api.client.call<TaskMessage>('CreateTask', { task, ...rest });
}

describe('CreateTask', () => {
  test('names the task and answers with what it is made of', async () => {
    const task = await create({ displayName: 'mine', ...TASK });
    expect(task.name).toMatch(/^tasks\/\d+$/);
    expect(task).toMatchObject({
      id: task.name!.slice('tasks/'.length),
      displayName: 'mine',
      request: { method: 'GET', url: URL, bodySizeBytes: '0' },
      load: { ratePerSecond: 5, duration: { seconds: '1', nanos: 0 } },
      placement: { strategy: 'least-loaded', moving: 'STRICT' },
      etag: '1',
      activeRun: '',
      lastRun: '',
    });
    expect(await api.client.call('GetTask', { name: task.name })).toEqual(task);
  });

  test.each([
    ['nothing at all', {}, ['task']],
    ['a name, which the server gives', { task: { ...TASK, name: 'tasks/7' } }, ['task.name']],
    ['no URL', { task: { load: LOAD } }, ['task.request.url']],
    ['a URL that is none', { task: { ...TASK, request: { url: 'nope' } } }, ['task.request.url']],
    ['a rate below 0', { task: { ...TASK, load: { ...LOAD, ratePerSecond: -1 } } }, ['task.load.rate_per_second']],
    [
      'a duration below 0',
      { task: { ...TASK, load: { ...LOAD, duration: { seconds: '-1' } } } },
      ['task.load.duration'],
    ],
    [
      'many wrong fields, all told at once',
      {
        task: {
          request: { url: 'ftp://x/', headers: [{ name: 'a b', value: '' }] },
          load: { ratePerSecond: -5 },
          slos: ['p99 < soon'],
          placement: { maxNodes: 0 },
        },
      },
      ['task.load.rate_per_second', 'task.placement.max_nodes', 'task.request.url', 'task.slos[0]'],
    ],
    [
      'a strategy that there is not',
      { task: { ...TASK, placement: { strategy: 'best' } } },
      ['task.placement.strategy'],
    ],
    [
      'a name, a wrong placement and a wrong request id beside other wrong fields',
      {
        task: { load: LOAD, name: 'tasks/7', placement: { strategy: 'best', maxNodes: 0 } },
        requestId: 'x'.repeat(129),
      },
      ['task.name', 'task.request.url', 'task.placement.strategy', 'task.placement.max_nodes', 'request_id'],
    ],
    ['a secret that is its mask', { task: { ...TASK, tls: { keyPem: '***' } } }, ['task.tls.key_pem']],
    ['a request id of more than 128 characters', { task: TASK, requestId: 'x'.repeat(129) }, ['request_id']],
  ])('refuses %s, and names the field', async (_, request, fields) => {
    const { code, violations, reason } = await api.client.refusal('CreateTask', request);
    expect({ code, reason }).toEqual({ code: 'INVALID_ARGUMENT', reason: 'INVALID_INPUT' });
    const found = violations.map(({ field }) => field);
    expect(found).toEqual(expect.arrayContaining(fields));
    expect(new Set(found).size).toBe(found.length);
  });

  test('a check of a task makes none, and finds what is wrong', async () => {
    const { tasks: before } = await list();
    const checked = await create(TASK, { validateOnly: true });
    expect(checked).toMatchObject({ name: '', id: '0', request: { url: URL } });
    for (const wrong of [{ request: { url: '' } }, { ...TASK, placement: { strategy: 'best' } }]) {
      expect((await api.client.refusal('CreateTask', { task: wrong, validateOnly: true })).code).toBe(
        'INVALID_ARGUMENT',
      );
    }
    expect((await list()).tasks).toEqual(before);
  });

  test('the same request id and request give the same task; another request is refused', async () => {
    const first = await create(TASK, { requestId: 'once' });
    expect(await create(TASK, { requestId: 'once' })).toEqual(first);
    const labels = (map: object) => ({ ...TASK, placement: { labels: map } });
    const ordered = await create(labels({ a: '1', b: '2' }), { requestId: 'map' });
    expect(await create(labels({ b: '2', a: '1' }), { requestId: 'map' })).toEqual(ordered);
    const { code, violations } = await api.client.refusal('CreateTask', {
      task: { ...TASK, displayName: 'other' },
      requestId: 'once',
    });
    expect(code).toBe('INVALID_ARGUMENT');
    expect(violations.map(({ field }) => field)).toEqual(['request_id']);
    const started = await api.client.refusal('StartTask', { name: first.name, requestId: 'once' });
    expect(started.code).toBe('INVALID_ARGUMENT');
  });
});

test.each([
  ['ListTasks', { pageSize: -1, pageToken: 'x', states: ['WEIRD'] }, ['page_size', 'page_token', 'states[0]']],
  ['ListRuns', { parent: 'x', pageSize: -1, pageToken: 'x' }, ['parent', 'page_size', 'page_token']],
  ['UpdateTask', { task: { name: 'x', etag: 'x' } }, ['task.name', 'task.etag']],
  ['StartTask', { name: 'x', requestId: 'x'.repeat(129) }, ['name', 'request_id']],
  ['RetuneRun', { name: 'x', etag: 'abc', ramp: { seconds: '-3' } }, ['name', 'etag', 'rate_per_second', 'ramp']],
])('%s of %j is told all that is wrong with it', async (method, request, fields) => {
  const { code, violations } = await api.client.refusal(method, request);
  expect(code).toBe('INVALID_ARGUMENT');
  expect(violations.map(({ field }) => field)).toEqual(fields);
});

describe('curl_command', () => {
  const curl = (command: string, task: object = { load: LOAD }): object => ({ task, curlCommand: command });

  test('fills the request, and what else it says; the task says the rest', async () => {
    const command = `curl -L -k --max-time 3 -X PUT '${URL}a?b=1' -H 'X-One: 1' --data-raw '{"a":1}'`;
    expect(await api.client.call('CreateTask', curl(command, { load: LOAD, displayName: 'from curl' }))).toMatchObject({
      displayName: 'from curl',
      request: { method: 'PUT', url: `${URL}a?b=1`, bodyText: '{"a":1}' },
      redirects: { follow: true },
      timeouts: { total: { seconds: '3' } },
      tls: { verify: false },
      load: { ratePerSecond: 5 },
    });
  });

  test('gives a task of its own, with the default load', async () => {
    expect(await api.client.call('CreateTask', { curlCommand: `curl ${URL}` })).toMatchObject({
      request: { url: URL },
    });
  });

  test.each([
    ['the request', `curl ${URL}`, { request: { url: URL } }, 'task.request'],
    ['a time limit', `curl -m 3 ${URL}`, { timeouts: { total: { seconds: '5' } } }, 'task.timeouts.total'],
    ['redirects', `curl -L ${URL}`, { redirects: { follow: false } }, 'task.redirects.follow'],
    ['verification', `curl -k ${URL}`, { tls: { verify: true } }, 'task.tls.verify'],
  ])('a conflict about %s names both fields', async (_, command, task, field) => {
    const { code, violations } = await api.client.refusal('CreateTask', curl(command, { load: LOAD, ...task }));
    expect(code).toBe('INVALID_ARGUMENT');
    expect(violations.map((violation) => violation.field)).toEqual([field, 'curl_command']);
    for (const { description } of violations) expect(description).toContain(field);
  });

  test.each([
    ['a body', `curl -d @/etc/hostname ${URL}`],
    ['an upload', `curl -T /etc/hostname ${URL}`],
    ['a form', `curl -F a=@/etc/hostname ${URL}`],
    ['certificates', `curl --cacert /etc/hostname ${URL}`],
    ['headers', `curl -H @/etc/hostname ${URL}`],
    ['a config', `curl -K /etc/hostname ${URL}`],
  ])('a file for %s is refused, and not read', async (_, command) => {
    const { code, violations, details } = await api.client.refusal('CreateTask', curl(command));
    expect(code).toBe('INVALID_ARGUMENT');
    expect(violations.map(({ field }) => field)).toEqual(['curl_command']);
    expect(details).not.toContain(hostname());
  });

  test('what is no curl command is refused', async () => {
    const { code, violations } = await api.client.refusal('CreateTask', curl('wget http://x/'));
    expect({ code, fields: violations.map(({ field }) => field) }).toEqual({
      code: 'INVALID_ARGUMENT',
      fields: ['curl_command'],
    });
  });
});

interface TaskList {
  tasks: TaskMessage[];
  nextPageToken: string;
}

function list(request: object = {}): Promise<TaskList> {
  return api.client.call<TaskList>('ListTasks', request);
}

describe('lists', () => {
  test('come newest first, page by page, each task once', async () => {
    for (let i = 0; i < 5; i++) await create({ ...TASK, displayName: `n${i}` });
    const all = await list({ pageSize: 1000 });
    expect(all.nextPageToken).toBe('');
    const ids = all.tasks.map(({ id }) => Number(id));
    expect(ids).toEqual(ids.toSorted((a, b) => b - a));
    const paged: TaskMessage[] = [];
    for (let pageToken = ''; ;) {
      const page = await list({ pageSize: 2, pageToken });
      expect(page.tasks.length).toBeLessThanOrEqual(2);
      paged.push(...page.tasks);
      if (page.nextPageToken === '') break;
      pageToken = page.nextPageToken;
    }
    expect(paged).toEqual(all.tasks);
  });

  test('have 50 tasks a page unless told otherwise', async () => {
    while ((await list({ pageSize: 1000 })).tasks.length <= 50) await create();
    const first = await list();
    expect(first.tasks).toHaveLength(50);
    expect(first.nextPageToken).not.toBe('');
  });

  test('leave long bodies out, and tell their length', async () => {
    const { name } = await create({ ...TASK, request: { url: URL, method: 'POST', bodyText: 'x'.repeat(5000) } });
    const [listed] = (await list({ pageSize: 1 })).tasks;
    expect(listed).toMatchObject({ name, request: { bodySizeBytes: '5000' } });
    expect(listed!.request!.bodyText).toBeUndefined();
    const { request } = await api.client.call<TaskMessage>('GetTask', { name });
    expect(request!.bodyText).toHaveLength(5000);
  });

  const token = (text: string): string => Buffer.from(text).toString('base64url');
  test.each([
    ['ListTasks', { pageSize: -1 }, 'page_size'],
    ['ListTasks', { pageSize: 1001 }, 'page_size'],
    ['ListRuns', { pageSize: 1001 }, 'page_size'],
    ['ListNodes', { pageSize: 1001 }, 'page_size'],
    ['ListTasks', { pageToken: 'nonsense' }, 'page_token'],
    ['ListTasks', { pageToken: token('runs:7') }, 'page_token'],
    ['ListRuns', { pageToken: token('tasks:7') }, 'page_token'],
    ['ListNodes', { pageToken: token('tasks:7') }, 'page_token'],
    ['ListTasks', { pageToken: token('tasks:7; DROP TABLE task') }, 'page_token'],
    ['ListTasks', { states: ['STATE_UNSPECIFIED'] }, 'states[0]'],
    ['ListRuns', { states: ['DONE', 99] }, 'states[1]'],
    ['ListRuns', { parent: 'tasks/x' }, 'parent'],
  ])('%s with %j is refused and names %s', async (method, request, field) => {
    const { code, violations } = await api.client.refusal(method, request);
    expect(code).toBe('INVALID_ARGUMENT');
    expect(violations.map((violation) => violation.field)).toEqual([field]);
  });
});

describe('UpdateTask', () => {
  const full = {
    displayName: 'before',
    request: { url: URL, headers: [{ name: 'X-One', value: '1' }], bodyText: 'old', method: 'POST' },
    load: LOAD,
    slos: ['p99 < 1s'],
  };

  test.each([
    [['display_name'], { displayName: 'after', slos: ['errors < 1%'] }, { displayName: 'after', slos: ['p99 < 1s'] }],
    [['request.url'], { request: { url: `${URL}new` } }, { request: { url: `${URL}new`, bodyText: 'old' } }],
    [['load.rate_per_second'], { load: { ratePerSecond: 9 } }, { load: { ratePerSecond: 9, duration: LOAD.duration } }],
    [['slos'], {}, { slos: [], displayName: 'before' }],
    [['request.body_bytes'], { request: { bodyBytes: Buffer.from([0xff]) } }, { request: { bodySizeBytes: '1' } }],
    [[], { displayName: 'set' }, { displayName: 'set', slos: ['p99 < 1s'] }],
    [['*'], { request: { url: URL }, load: LOAD }, { request: { method: 'GET' }, slos: [] }],
  ])('with the mask %j takes that, and leaves the rest', async (paths, change, expected) => {
    const { name } = await create(full);
    const updated = await api.client.call('UpdateTask', { task: { ...change, name }, updateMask: { paths } });
    expect(updated).toMatchObject({ ...expected, etag: '2' });
    expect(await api.client.call('GetTask', { name })).toEqual(updated);
  });

  test.each([
    [['nope', 'request.nope'], 2],
    [['name'], 1],
    [['etag'], 1],
    [['active_run'], 1],
    [['request.body_size_bytes'], 1],
    [['load.duration.seconds'], 1],
  ])('refuses the mask %j', async (paths, problems) => {
    const { name } = await create();
    const refused = await api.client.refusal('UpdateTask', { task: { ...TASK, name }, updateMask: { paths } });
    expect(refused.code).toBe('INVALID_ARGUMENT');
    expect(refused.violations.map(({ field }) => field)).toEqual(Array(problems).fill('update_mask'));
  });

  test('with the etag of an older version is ABORTED and changes nothing', async () => {
    const { name, etag } = await create();
    const change = (displayName: string) => ({
      task: { name, etag, displayName },
      updateMask: { paths: ['display_name'] },
    });
    await api.client.call('UpdateTask', change('first'));
    const { code, reason } = await api.client.refusal('UpdateTask', change('second'));
    expect({ code, reason }).toEqual({ code: 'ABORTED', reason: 'ABORTED' });
    expect(await api.client.call('GetTask', { name })).toMatchObject({ displayName: 'first', etag: '2' });
  });

  test('with what an answer masked keeps the secrets', async () => {
    const header = (value: string) => ({ name: 'Authorization', value });
    for (const [request, masked] of [
      [{ url: URL, headers: [header('Bearer c4nary')] }, { headers: [header('***')] }],
      [{ url: 'http://user:c4nary@127.0.0.1:1/' }, { url: 'http://***@127.0.0.1:1/' }],
    ]) {
      const { name } = await create({ ...TASK, request });
      const answered = await api.client.call<TaskMessage>('GetTask', { name });
      expect(answered.request).toMatchObject(masked!);
      await api.client.call('UpdateTask', { task: { ...answered, displayName: 'another' } });
      expect(stored(name!)).toMatch(/another[^]*c4nary|c4nary[^]*another/);
    }
  });

  test('with the mask of a secret that was not there is refused', async () => {
    const { name } = await create({ ...TASK, request: { url: 'http://user:c4nary@127.0.0.1:1/' } });
    const change = { name, request: { url: 'http://***@127.0.0.1:2/' } };
    const { code, violations } = await api.client.refusal('UpdateTask', { task: change });
    expect({ code, fields: violations.map(({ field }) => field) }).toEqual({
      code: 'INVALID_ARGUMENT',
      fields: ['task.request.url'],
    });
  });
});

/** Its row in the database, as text. */
function stored(name: string): string {
  using database = new DatabaseSync(path.join(api.folder, 'gostress.sqlite'), { readOnly: true });
  return JSON.stringify(database.prepare('SELECT * FROM task WHERE id = ?').all(name.slice('tasks/'.length)));
}

describe('names', () => {
  test.each([
    ['GetTask', { name: '' }],
    ['GetTask', { name: 'tasks/0' }],
    ['GetTask', { name: 'tasks/01' }],
    ['GetTask', { name: 'tasks/9223372036854775808' }],
    ['GetTask', { name: 'tasks/1/runs/1' }],
    ['DeleteTask', { name: 'nodes/a' }],
    ['StartTask', { name: 'task/1' }],
    ['GetRun', { name: 'tasks/1' }],
    ['StopRun', { name: 'tasks/1/runs/0' }],
    ['PauseRun', { name: 'runs/1' }],
    ['ResumeRun', { name: '' }],
    ['RetuneRun', { name: 'x', ratePerSecond: 1 }],
    ['GetRunReport', { name: 'tasks/1/runs/' }],
    ['DrainNode', { name: 'a' }],
  ])('%s of %j is refused', async (method, request) => {
    const { code, violations } = await api.client.refusal(method, request);
    expect(code).toBe('INVALID_ARGUMENT');
    expect(violations).toEqual([
      { field: 'name', description: expect.stringMatching(/^expected a name like/) as string },
    ]);
  });

  test.each([
    ['ListTasks', { pageToken: Buffer.from('tasks:9999999999999999999').toString('base64url') }, 'page_token'],
    ['ExplainTerm', { term: '18446744073709551615' }, 'term'],
    ['ListNodes', { pageSize: -1 }, 'page_size'],
  ])('%s of %j is refused for its %s', async (method, request, field) => {
    const { code, violations } = await api.client.refusal(method, request);
    expect({ code, fields: violations.map((one) => one.field) }).toEqual({ code: 'INVALID_ARGUMENT', fields: [field] });
  });

  test.each([
    ['WatchRun', { name: 'x', fromSecond: '9007199254740992' }, ['name', 'from_second']],
    ['WatchEvents', { afterId: '9223372036854775808' }, ['after_id']],
  ])('a %s of %j is refused for all of it', async (method, request, fields) => {
    const watching = api.client.stream(method, request, new AbortController().signal).next();
    const { code, violations } = await watching.then(() => expect.fail('it was not refused'), refusalOf);
    expect({ code, fields: violations.map(({ field }) => field) }).toEqual({ code: 'INVALID_ARGUMENT', fields });
  });

  test.each([
    ['GetTask', 'tasks/9223372036854775807'],
    ['UpdateTask', 'tasks/999'],
    ['DeleteTask', 'tasks/999'],
    ['StartTask', 'tasks/999'],
    ['GetRun', 'tasks/999/runs/1'],
    ['StopRun', 'tasks/999/runs/1'],
    ['PauseRun', 'tasks/999/runs/1'],
    ['ResumeRun', 'tasks/999/runs/1'],
    ['RetuneRun', 'tasks/999/runs/1'],
    ['GetRunReport', 'tasks/999/runs/1'],
    ['DrainNode', 'nodes/nobody'],
  ])('%s of %s, which is not there, is NOT_FOUND and names it', async (method, name) => {
    const request = method === 'UpdateTask' ? { task: { name, displayName: 'x' } } : { name, ratePerSecond: 1 };
    const { code, details, reason } = await api.client.refusal(method, request);
    expect({ code, reason }).toEqual({ code: 'NOT_FOUND', reason: 'NOT_FOUND' });
    expect(details).toContain(name);
  });
});

test('DeleteTask takes a row away that was written by hand and is no task', async () => {
  using database = new DatabaseSync(path.join(api.folder, 'gostress.sqlite'));
  const { lastInsertRowid } = database.prepare(`INSERT INTO task (spec) VALUES ('{bad json')`).run();
  const name = `tasks/${lastInsertRowid}`;
  expect((await api.client.refusal('GetTask', { name })).code).toBe('FAILED_PRECONDITION');
  expect(await api.client.call('DeleteTask', { name })).toEqual({});
  expect((await api.client.refusal('DeleteTask', { name })).code).toBe('NOT_FOUND');
});

test('DeleteTask takes the task away', async () => {
  const { name } = await create();
  expect(await api.client.call('DeleteTask', { name })).toEqual({});
  expect((await api.client.refusal('GetTask', { name })).code).toBe('NOT_FOUND');
});
