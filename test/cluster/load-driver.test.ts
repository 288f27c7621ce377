import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

// In processes of their own: hooks of the module loader and imports of users' files are the real ones there.
describe('--driver', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gostress-drivers-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function load(name: string, text: string): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, text);
    const script = `
      import { loadDriver, servePackage } from ${JSON.stringify(join(ROOT, 'src/cluster/load-driver.ts'))};
      servePackage(${JSON.stringify(`file://${join(ROOT, 'src/cluster/registry.ts')}`)});
      console.log(await loadDriver(${JSON.stringify(path)}).then((names) => names.join(), (error) => error.code + ' ' + error.message));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
    return stdout.trim();
  }

  test('loads a module that registers itself, wherever it lies', async () => {
    const text = `
      import { registerMasterDriver, registerWorkerDriver } from 'gostress';
      registerMasterDriver('mine', () => ({ run: async () => {} }));
      registerWorkerDriver('mine', () => ({ run: async () => {} }));`;
    expect(await load('mine.mjs', text)).toBe('mine');
  });

  test('refuses a module that registers nothing', async () => {
    expect(await load('nothing.mjs', 'export const a = 1;')).toMatch(
      /^INVALID_INPUT driver ".*": expected a module that calls registerMasterDriver or registerWorkerDriver with a new name, found neither$/,
    );
  });

  test('tells why a module cannot be loaded', async () => {
    const twice = `import { registerWorkerDriver } from 'gostress';
      for (const _ of [1, 2]) registerWorkerDriver('twice', () => ({ run: async () => {} }));`;
    expect(await load('twice.mjs', twice)).toMatch(/cannot be loaded: worker driver "twice": expected a new name/);
    expect(await load('wrong.mjs', 'export const = 1;')).toMatch(
      /cannot be loaded: Missing initializer|Unexpected token/,
    );
  });
});
