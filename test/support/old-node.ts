import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join, sep } from 'node:path';

/** What a user's PATH has: ours without the folders that npm puts before it. */
export const SYSTEM_PATH = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes(`${sep}node_modules${sep}`) && !folder.endsWith('node-gyp-bin'))
  .join(delimiter);

/** The system's own Node when it is older than GoStress needs; null when there is none, or a newer one. */
export const OLD_NODE = findOldNode();

function findOldNode(): string | null {
  const node = SYSTEM_PATH.split(delimiter)
    .map((folder) => join(folder, 'node'))
    .find((path) => existsSync(path));
  if (node === undefined) return null;
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' });
  return Number.parseInt(version.slice(1), 10) < 24 ? node : null;
}
