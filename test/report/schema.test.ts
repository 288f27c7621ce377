import * as z from 'zod';
import { describe, expect, test } from 'vitest';
import { FORMATS, formatJson, reportJsonSchema, reportSchema } from '../../src/report/index.ts';
import { parseTask } from '../../src/task/schema.ts';
import { closedRun, healthyRun, infoFor, reportOf, troubledRun } from '../support/reports.ts';

const runs = [
  ['a healthy run', healthyRun()],
  ['a run with trouble', troubledRun(['p99 < 1s', 'errors < 50%'])],
  ['a closed run', closedRun()],
  ['a run without a hit', reportOf(infoFor({}), [])],
] as const;

describe('report.schema.json', () => {
  test('is the schema of the program (renew it with: npx vitest run test/report/schema.test.ts -u)', async () => {
    await expect(`${JSON.stringify(reportJsonSchema(), null, 2)}\n`).toMatchFileSnapshot(
      '../../src/report/report.schema.json',
    );
  });

  test.each(runs)('accepts the JSON of %s', (_, report) => {
    const schema = z.fromJSONSchema(reportJsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
    expect(schema.safeParse(JSON.parse(formatJson(report))).error).toBeUndefined();
  });

  test.each(runs)('knows every field in the JSON of %s', (_, report) => {
    const json: unknown = JSON.parse(formatJson(report));
    expect(reportSchema.parse(json)).toEqual(json);
  });

  test('refuses what is not a report', () => {
    const schema = z.fromJSONSchema(reportJsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
    expect(schema.safeParse({ ...healthyRun(), schemaVersion: 2 }).success).toBe(false);
    expect(schema.safeParse({ ...healthyRun(), headline: undefined }).success).toBe(false);
  });
});

test('the JSON is the report and nothing else, and ends with a line break', () => {
  const report = troubledRun();
  const json = formatJson(report);
  expect(json.endsWith('}\n')).toBe(true);
  expect(JSON.parse(json)).toEqual(report);
});

test.each(Object.entries(FORMATS))('the format %s makes a document of a report', (_, format) => {
  const text = format(troubledRun(), { color: false, width: 80 });
  expect(text).toContain('http://127.0.0.1:8080/');
  expect(text.endsWith('\n')).toBe(true);
});

describe('the task in a report', () => {
  const bodyOf = (body: { text: string } | { base64: string }) =>
    reportOf(infoFor({ request: { url: 'http://127.0.0.1:8080/', body } }), []).task.request.body;

  test('is as a task file has it: it can be run again', () => {
    const info = infoFor({ load: { rate: 5, duration: '1s' }, timeouts: { total: '2s' }, slos: ['p99 < 1s'] });
    expect(parseTask(JSON.parse(JSON.stringify(reportOf(info, []).task)))).toEqual(info.task);
  });

  test('has a body of up to 4 KiB, and of a longer one the length', () => {
    expect(bodyOf({ text: 'ä'.repeat(2_048) })).toEqual({ text: 'ä'.repeat(2_048) });
    expect(bodyOf({ text: 'ä'.repeat(2_049) })).toEqual({ omittedBytes: 4_098 });
    expect(bodyOf({ base64: Buffer.alloc(5_000).toString('base64') })).toEqual({ omittedBytes: 5_000 });
  });

  test('is described by the schema: another key is no task', () => {
    const schema = z.fromJSONSchema(reportJsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
    const report = healthyRun();
    expect(schema.safeParse({ ...report, task: { ...report.task, lod: {} } }).success).toBe(false);
    expect(schema.safeParse({ ...report, task: {} }).success).toBe(false);
  });
});
