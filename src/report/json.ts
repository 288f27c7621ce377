import type { Report } from './schema.ts';

/** The report as JSON (report.schema.json), ends with a line break. */
export function formatJson(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}
