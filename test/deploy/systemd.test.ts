import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../src/cli/exit.ts';

const run = promisify(execFile);
const UNITS = path.resolve(import.meta.dirname, '../../deploy/systemd');
const NAME = 'gostress-node@.service';
const ANALYZE = '/usr/bin/systemd-analyze';

/** The package as `npm install --prefix` puts it there, as far as systemd looks. */
let prefix = '';

beforeAll(async () => {
  prefix = await mkdtemp(path.join(tmpdir(), 'gostress-units-'));
  const modules = path.join(prefix, 'node_modules');
  await mkdir(path.join(modules, '.bin'), { recursive: true });
  await symlink(process.execPath, path.join(modules, '.bin', 'node'));
});
afterAll(() => rm(prefix, { recursive: true }));

/** What systemd has to say of a unit, with `/opt/gostress` moved to where the test may write; empty: nothing. */
async function verify(change: (unit: string) => string): Promise<string> {
  const folder = await mkdtemp(path.join(prefix, 'unit-'));
  const unit = path.join(folder, NAME);
  await writeFile(unit, change(await readFile(path.join(UNITS, NAME), 'utf8')).replaceAll('/opt/gostress', prefix));
  await chmod(unit, 0o644);
  try {
    const { stdout, stderr } = await run(ANALYZE, ['verify', '--man=no', unit]);
    return stdout + stderr;
  } catch (error) {
    return (error as { stderr: string }).stderr;
  }
}

describe.skipIf(!existsSync(ANALYZE))(`${NAME}, judged by systemd-analyze verify (skipped without it)`, () => {
  test('is clean', async () => {
    expect(await verify((unit) => unit)).toBe('');
  });

  test('does not start a node again whose configuration is wrong', async () => {
    const unit = await readFile(path.join(UNITS, NAME), 'utf8');
    expect(unit).toMatch(/^Restart=on-failure$/m);
    expect(unit).toMatch(new RegExp(`^RestartPreventExitStatus=${EXIT.USAGE}$`, 'm'));
    expect(await verify((text) => text.replace('ExitStatus=2', 'ExitStatus=two'))).toContain('two');
  });

  test('would not be with a key that systemd does not know, or a program that is not there', async () => {
    expect(await verify((unit) => unit.replace('WatchdogSec', 'WatchdogSecs'))).toContain('WatchdogSecs');
    expect(await verify((unit) => unit.replace('.bin/node', '.bin/nodejs'))).toContain('is not executable');
  });
});
