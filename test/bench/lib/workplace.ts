import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseCores, killAll, type Cores } from './proc.ts';

/** A folder of this program's own, and cores to pin to. However the program ends, the folder and what it started end with it. */
export function workplace(): { folder: string; cores: Cores | null } {
  const folder = mkdtempSync(join(tmpdir(), 'gostress-bench-'));
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
    process.once(signal, () => process.exit(code));
  }
  process.once('exit', () => {
    killAll();
    rmSync(folder, { recursive: true, force: true });
  });
  return { folder, cores: chooseCores() };
}
