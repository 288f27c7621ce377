import * as z from 'zod';
import { describe, expect, test } from 'vitest';
import { FORMATS, formatJson, formatReport, reportJsonSchema, reportSchema } from '../../src/report/index.ts';
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

test('formats are found by name', () => {
  expect(FORMATS).toEqual({ text: formatReport, json: formatJson });
});
