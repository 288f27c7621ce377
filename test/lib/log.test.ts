import { expect, test } from 'vitest';
import { createLog, type LogOptions } from '../../src/lib/log.ts';

function logTo(lines: string[], options: Partial<LogOptions> = {}) {
  const out = { write: (line: string) => lines.push(line) };
  return createLog({ level: 'info', format: 'json', out, secrets: [], fields: { node: 'a' }, ...options });
}

test('a line is one JSON object with its level, time, text, and the fields of the call over the inherited ones', () => {
  const lines: string[] = [];
  const log = logTo(lines, { fields: { node: 'a', role: 'worker' } });
  log.child({ role: 'master', term: 7 }).info({ run: 'tasks/42/runs/3', id: 2n ** 60n }, 'taken up');
  expect(lines).toHaveLength(1);
  expect(lines[0]!.endsWith('}\n')).toBe(true);
  expect(JSON.parse(lines[0]!)).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
    node: 'a',
    role: 'master',
    term: 7,
    run: 'tasks/42/runs/3',
    id: '1152921504606846976',
    msg: 'taken up',
  });
  // The nearer field replaces the inherited one: no key comes twice.
  expect(lines[0]!.match(/"role"/g)).toHaveLength(1);
});

test('fields of a function are those of the moment, in children too', () => {
  const lines: string[] = [];
  let term: number | null = null;
  const log = logTo(lines, { fields: { role: 'worker' } }).child(() => (term === null ? {} : { role: 'master', term }));
  const child = log.child({ part: 'store' });
  child.info({}, 'before');
  term = 7;
  child.info({}, 'while');
  const said = lines.map((line) => JSON.parse(line) as object);
  expect(said[0]).toMatchObject({ role: 'worker', part: 'store', msg: 'before' });
  expect(said[0]).not.toHaveProperty('term');
  expect(said[1]).toMatchObject({ role: 'master', term: 7, part: 'store', msg: 'while' });
});

test('lines below the level are left out', () => {
  const lines: string[] = [];
  const log = logTo(lines, { level: 'warn' });
  log.debug({}, 'no');
  log.info({}, 'no');
  log.warn({}, 'yes');
  log.error({}, 'yes');
  expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(['warn', 'error']);
});

test('secrets are in no text, field, error or URL, in no encoding', () => {
  const lines: string[] = [];
  const secret = 'p@ss "word"/1';
  const log = logTo(lines, { secrets: [secret] });
  const error = new Error(`denied for ${secret}`);
  log.error({ err: error, deep: [{ url: `mysql://u:${encodeURIComponent(secret)}@db/x` }] }, `tried ${secret}`);
  log.error({ where: 'mysql://root:canary@db:3306/x' }, 'plain');
  const text = lines.join('');
  expect(text).not.toContain('word');
  expect(text).not.toContain('canary');
  expect(lines.every((line) => typeof JSON.parse(line) === 'object')).toBe(true);
  expect(JSON.parse(lines[0]!)).toMatchObject({ msg: 'tried ***', err: { type: 'Error', message: 'denied for ***' } });
});

test('what cannot be JSON becomes something that can', () => {
  const lines: string[] = [];
  const round: Record<string, unknown> = {};
  round.round = round;
  logTo(lines).info({ round, bytes: new Uint8Array(3), none: undefined, list: Array(200).fill(1) }, 'odd');
  const line = JSON.parse(lines[0]!) as { bytes: string; list: number[] };
  expect(line.bytes).toBe('3 bytes');
  expect(line.list).toHaveLength(100);
});

test('the readable form is one line, fields behind the text, an error with its stack', () => {
  const lines: string[] = [];
  const log = logTo(lines, { format: 'text' });
  log.warn({ why: 'no route to host', term: 3 }, 'lost\nthe master');
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} WARN {2}lost the master \(node=a why="no route to host" term=3\)\n$/,
  );
  log.error({ err: new Error('boom') }, 'failed');
  expect(lines[1]).toMatch(/ERROR failed \(node=a err=boom\)\nError: boom\n +at /);
});
