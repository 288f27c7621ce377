import { describe, expect, test } from 'vitest';
import { applyMask } from '../../src/rpc/field-mask.ts';
import { maskProblems, unmask } from '../../src/rpc/masked.ts';
import type { TaskMessage } from '../../src/rpc/messages.ts';

const header = (name: string, value: string) => ({ name, value });
const seconds = (count: number) => ({ seconds: String(count), nanos: 0 });

describe('a field mask', () => {
  const current: TaskMessage = {
    displayName: 'old',
    request: { method: 'POST', url: 'http://old/', headers: [header('A', '1')], bodyText: 'old' },
    load: { ratePerSecond: 5, duration: seconds(10) },
    slos: ['p99 < 1s'],
  };

  test.each<[string, string[], TaskMessage, TaskMessage]>([
    [
      'nothing named takes the fields that are set',
      [],
      { displayName: 'new', slos: [] },
      { ...current, displayName: 'new' },
    ],
    ['a field that is named and absent goes', ['slos'], {}, { ...current, slos: undefined! }],
    [
      'a field below keeps its neighbours',
      ['request.url'],
      { request: { url: 'http://new/' } },
      { ...current, request: { ...current.request, url: 'http://new/' } },
    ],
    [
      'of a oneof the other goes',
      ['load.users'],
      { load: { users: 3 } },
      { ...current, load: { duration: seconds(10), users: 3 } },
    ],
    [
      'below what is absent makes it',
      ['tls.verify'],
      { tls: { verify: false } },
      { ...current, tls: { verify: false } },
    ],
  ])('%s', (_, paths, change, expected) => expect(applyMask(current, change, paths)).toEqual(expected));

  test.each([
    '',
    'id',
    'name',
    'etag',
    'warnings',
    'create_time',
    'displayName',
    'request.nope',
    'load.duration.seconds',
    'request.headers.name',
    'request.body_size_bytes',
    '__proto__',
  ])('refuses %j', (path) =>
    expect(() => applyMask(current, {}, [path])).toThrow('update_mask: expected paths of fields of a task'),
  );

  test('tells of all wrong paths, and changes nothing in place', () => {
    const before = structuredClone(current);
    expect(() => applyMask(current, {}, ['a', 'slos', 'b'])).toThrow(/"a"\n.*"b"/);
    applyMask(current, { displayName: 'x' }, ['*']);
    expect(current).toEqual(before);
  });
});

describe('a mask that comes back', () => {
  const was: TaskMessage = {
    request: {
      url: 'http://u:p@host/?token=t&x=1',
      headers: [header('authorization', 'one'), header('X', '***'), header('Authorization', 'two')],
    },
    tls: { keyPem: 'KEY' },
  };
  const back = (request: TaskMessage['request'], tls: TaskMessage['tls'] = null) => unmask({ request, tls }, was);

  test.each<[string, TaskMessage, TaskMessage]>([
    ['the same URL', back({ url: 'http://***@host/?token=***&x=1' }), { request: { url: was.request!.url! } }],
    [
      'the n-th header of a name',
      back({ headers: [header('Authorization', '***'), header('AUTHORIZATION', '***')] }),
      { request: { headers: [header('Authorization', 'one'), header('AUTHORIZATION', 'two')] } },
    ],
    ['the key', back({}, { keyPem: '***' }), { tls: { keyPem: 'KEY' } }],
  ])('stands for %s', (_, found, expected) => expect(found).toMatchObject(expected));

  test.each<[string, TaskMessage, string[]]>([
    ['another URL', back({ url: 'http://***@other/' }), ['request.url']],
    ['one header more', back({ headers: Array(3).fill(header('Authorization', '***')) }), ['request.headers.2.value']],
    ['a header that was not there', back({ headers: [header('Cookie', '***')] }), ['request.headers.0.value']],
    ['a key that was not there', unmask({ tls: { keyPem: '***' } }, {}), ['tls.key']],
  ])('stands for nothing with %s, and is refused', (_, found, paths) => {
    expect(maskProblems(found).map(({ path }) => path.join('.'))).toEqual(paths);
  });

  test('is only a text where no secret is', () => {
    const task = { request: { url: 'http://host/?x=***', headers: [header('X-Stars', '***')] } };
    expect(maskProblems(task)).toEqual([]);
    expect(unmask(task, was)).toEqual(task);
  });
});
