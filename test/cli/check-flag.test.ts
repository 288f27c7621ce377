import { expect, test } from 'vitest';
import { readCheckFlag } from '../../src/cli/check-flag.ts';
import { parseTask } from '../../src/task/schema.ts';
import type { CheckSpec } from '../../src/task/spec.ts';

test.each<[string, CheckSpec]>([
  ['status=200', { kind: 'status', status: ['200'] }],
  ['status=200, 301-399', { kind: 'status', status: ['200', '301-399'] }],
  ['contains=a=b', { kind: 'bodyContains', text: 'a=b' }],
  ['matches=^<ok>$', { kind: 'bodyMatches', pattern: '^<ok>$' }],
  ['json=$.code==200', { kind: 'jsonPath', path: '$.code', equals: 200 }],
  ['json=$.code == "200"', { kind: 'jsonPath', path: '$.code', equals: '200' }],
  ['json=$.state==ready', { kind: 'jsonPath', path: '$.state', equals: 'ready' }],
  ['json=$.text=="a==b"', { kind: 'jsonPath', path: '$.text', equals: 'a==b' }],
  ['json=$.list[?@.id=="]"].ok==true', { kind: 'jsonPath', path: '$.list[?@.id=="]"].ok', equals: true }],
  ['size<=10KB', { kind: 'maxSize', bytes: 10_000 }],
  ['latency<200ms', { kind: 'maxLatency', ms: 200 }],
  ['latency <= 1s', { kind: 'maxLatency', ms: 1000 }],
])('--check %j is read', (text, check) => {
  const task = parseTask({ request: { url: 'http://127.0.0.1/' }, checks: [readCheckFlag(text)] });
  expect(task.checks).toEqual([check]);
});

test.each(['', 'status', 'statu=200', 'size<10KB', 'size=10KB', 'latency>1s', 'json=$.code', 'json===1'])(
  '--check %j is refused with what was expected',
  (text) => {
    expect(() => readCheckFlag(text)).toThrow(/^expected a (check|JSONPath).*, found /);
  },
);
