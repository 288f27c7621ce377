import type { TaskSpec } from '../task/spec.ts';
import { LineView } from './lines.ts';
import { LiveView } from './live.ts';
import type { View } from './second.ts';
import { TableView } from './table.ts';

export interface ColorFlags {
  /** false: `--no-color`. */
  color: boolean;
}

export interface ViewFlags extends ColorFlags {
  table?: true | undefined;
}

/** The view of a run that fits standard error. */
export function viewFor(spec: TaskSpec, flags: ViewFlags): View {
  const { stdout, stderr } = process;
  if (flags.table === true) return new TableView(stderr);
  // A terminal that does not tell its size cannot be drawn on.
  if (!stderr.isTTY || stderr.rows === 0 || stderr.columns === 0) return new LineView(stderr, spec);
  return new LiveView(stderr, spec, { color: hasColor(stderr, flags), clearAtEnd: stdout.isTTY });
}

/** NO_COLOR counts when it is there and not empty (no-color.org). */
export function hasColor(stream: NodeJS.WriteStream, { color }: ColorFlags): boolean {
  return color && stream.isTTY && (process.env.NO_COLOR ?? '') === '';
}
