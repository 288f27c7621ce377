import { formatJson } from './json.ts';
import type { Report } from './schema.ts';
import { formatReport, type TextOptions } from './text.ts';

export { ReportBuilder, type RunEnd, type RunInfo, type Second } from './builder.ts';
export { RunningVerdict } from './evidence.ts';
export { formatJson } from './json.ts';
export { reportJsonSchema, reportSchema, SCHEMA_VERSION, type Report } from './schema.ts';
export { formatReport, type TextOptions } from './text.ts';
export { judge, THRESHOLDS, type Evidence, type Reason, type Verdict, type VerdictLevel } from './verdict.ts';

/** Makes a document of a report. */
export type Format = (report: Report, options: TextOptions) => string;

/** The documents there are, by the name that `-o` takes. A new one is a file of its own and a line here. */
export const FORMATS = {
  text: formatReport,
  json: formatJson,
} as const satisfies Record<string, Format>;
export type FormatName = keyof typeof FORMATS;
