import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';
import { CodedError, systemReason } from '../lib/errors.ts';
import { show } from '../lib/show.ts';
import { FORMATS, type FormatName } from '../report/index.ts';
import type { Report } from '../report/schema.ts';
import { writeReportFile, writeText } from './output.ts';
import { hasColor, type ColorFlags } from './view.ts';

export interface Output {
  format: FormatName;
  /** null: on standard output, in the place of the summary; else beside it. */
  file: string | null;
}

const NAMES = Object.keys(FORMATS) as FormatName[];
const SUMMARY: Output = { format: 'text', file: null };

/** Help for `-o` of a verb that ends with a report. */
export const OUTPUT_HELP = `${NAMES.join(' or ')}: the form of the report on standard output (default: text); FORMAT=FILE: there, beside the summary`;

/** What `-o` says. What is wrong with it goes to `problems`. */
export async function readOutput(output: string | undefined, problems: string[]): Promise<Output> {
  if (output === undefined) return SUMMARY;
  const [, name = '', file = null] = /^([^=]*)(?:=([^]*))?$/.exec(output) ?? [];
  const format = NAMES.find((known) => known === name);
  if (format === undefined || file === '') {
    problems.push(
      `-o: expected ${NAMES.map((known) => `"${known}"`).join(' or ')}, alone or with "=FILE", found ${show(output)}`,
    );
    return SUMMARY;
  }
  const reason = file === null ? null : await whyNotWritable(file);
  if (reason !== null) problems.push(`-o: cannot write ${show(file)}: ${reason}`);
  return { format, file };
}

/** Told before the run, not after it. Does not touch the file. */
async function whyNotWritable(file: string): Promise<string | null> {
  try {
    const found = await stat(file).catch(() => null);
    if (found?.isDirectory() === true) return 'it is a folder';
    await access(found === null ? path.dirname(file) : file, constants.W_OK);
    return null;
  } catch (error) {
    return systemReason(error);
  }
}

/**
 * Writes the report where it belongs. What fails is told; a report that standard output does not take goes to standard
 * error as a summary, so that the run was not in vain.
 *
 * @returns whether something failed
 */
export async function writeReport(
  report: Report,
  { format, file }: Output,
  flags: ColorFlags,
  tell: (text: string) => void,
): Promise<boolean> {
  const { stdout, stderr } = process;
  const onStream = (name: FormatName, stream: NodeJS.WriteStream): string =>
    FORMATS[name](report, { color: hasColor(stream, flags), width: stream.isTTY ? stream.columns : Infinity });
  const failures: string[] = [];
  const attempt = async (write: () => Promise<void>): Promise<void> => {
    try {
      await write();
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      failures.push(...error.problems);
    }
  };
  await attempt(() => writeText(stdout, 'standard output', onStream(file === null ? format : 'text', stdout)));
  if (failures.length > 0) stderr.write(onStream('text', stderr));
  if (file !== null) {
    await attempt(() => writeReportFile(file, FORMATS[format](report, { color: false, width: Infinity })));
  }
  for (const failure of failures) tell(failure);
  return failures.length > 0;
}
