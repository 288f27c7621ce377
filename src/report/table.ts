import { styleText } from 'node:util';

/** A titled part of the summary; its lines are indented under the title. */
export interface Block {
  title: string;
  lines: string[];
}

export type Align = 'left' | 'right';

/** Lines of a table: columns as wide as their widest cell and two spaces apart, nothing after the last cell. */
export function formatTable(rows: readonly (readonly string[])[], align: readonly Align[]): string[] {
  const widths = align.map((_, column) => Math.max(0, ...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (align[column] === 'left' ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

export type Tone = 'bold' | 'dim' | 'green' | 'yellow' | 'red';
export type Paint = (tone: Tone, text: string) => string;

/** Whether the stream takes colours is the caller's to decide: the text may be meant for any stream. */
export function painter(color: boolean): Paint {
  return color ? (tone, text) => styleText(tone, text, { validateStream: false }) : (_, text) => text;
}

/** One line that cannot steer a terminal: control characters, which a target may put in its answers, become `�`. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, '�');
}

/** At most `width` characters; what is cut ends in `…`. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
