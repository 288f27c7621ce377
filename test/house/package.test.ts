import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/cli/exit.ts';
import { startTarget } from '../../src/load/target/server.ts';
import { OLD_NODE, SYSTEM_PATH } from '../support/old-node.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const MANIFEST = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string; files: string[] };
/** What the package has beside `dist`. */
const SHIPPED = [...MANIFEST.files.filter((name) => name !== 'dist'), 'package.json', 'README.md', 'LICENSE'];
/** What it is made of. */
const SOURCES = [...SHIPPED, 'tsconfig.json', 'tsconfig.build.json', 'src'];

/** Uses the package as its user does, and is judged by the compiler: an error expected and not found is one. */
const TYPED = `
import { LocalRun, parseTask, prepareTask, type Report } from 'gostress';

const spec = parseTask({ request: { url: 'http://127.0.0.1/' } });
const report: Report = await new LocalRun(await prepareTask(spec, '.'), { threads: 1 }).run();
export const ok: number = report.counts.ok;
// @ts-expect-error the name of a task is a text
export const name: number = spec.name;
`;

const LIBRARY = `
import { formatReport, LocalRun, parseTask, prepareTask, startTarget } from 'gostress';
import taskSchema from 'gostress/schema/task' with { type: 'json' };
import reportSchema from 'gostress/schema/report' with { type: 'json' };

const target = await startTarget();
const spec = parseTask({ request: { url: target.url + '/' }, load: { users: 2, hits: 100 } });
const report = await new LocalRun(await prepareTask(spec, '.'), { threads: 1 }).run();
const text = formatReport(report, { color: false, width: 80 });
console.log(JSON.stringify({
  scheduled: report.counts.scheduled,
  ok: report.counts.ok,
  counted: target.stats().received,
  text: text.length > 0,
  schemas: [taskSchema.type, reportSchema.type],
}));
await target.close();
`;

let folder: string;
/** Where the package is installed, as a user would. */
let home: string;
let oldEnv: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gostress-package-'));
  const copy = join(folder, 'copy');
  home = join(folder, 'home');
  await mkdir(copy);
  await mkdir(home);
  for (const path of SOURCES) await cp(join(ROOT, path), join(copy, path), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const env = { ...process.env, npm_config_update_notifier: 'false' };
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: copy, env });
  const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  await writeFile(join(home, 'package.json'), '{ "type": "module", "private": true }');
  const flags = ['--no-audit', '--no-fund', '--prefer-offline'];
  await run('npm', ['install', ...flags, join(folder, archive!)], { cwd: home, env });
  oldEnv = { ...env, PATH: SYSTEM_PATH };
}, 240_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const installed = (path: string): string => join(home, 'node_modules/gostress', path);

/** Runs the installed command by its own first line, so on the first Node of the PATH. */
async function gostress(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  try {
    const { stdout } = await run(join(home, 'node_modules/.bin/gostress'), args, { cwd: home, env });
    return stdout;
  } catch (error) {
    const { code, stdout } = error as { code?: unknown; stdout: string };
    // On a busy machine the generator may say of itself that it was.
    if (code === EXIT.INVALID) return stdout;
    throw error;
  }
}

describe('the package, installed elsewhere', () => {
  it('holds what was built and nothing of the sources, the tests and the tools', async () => {
    expect((await readdir(installed('.'))).sort()).toEqual(['dist', ...SHIPPED].sort());
    const files = await readdir(installed('dist'), { recursive: true, withFileTypes: true });
    const odd = files.filter((file) => file.isFile() && !/[.](js|d[.]ts|schema[.]json)$/.test(file.name));
    expect(odd.map(({ name }) => name)).toEqual([]);
  });

  it('imports only what is in it: tsc leaves some paths as they are in the sources', async () => {
    const files = await readdir(installed('dist'), { recursive: true });
    const code = files.filter((name) => name.endsWith('.js'));
    const lost: string[] = [];
    for (const name of code) {
      const text = await readFile(join(installed('dist'), name), 'utf8');
      if (/\b(import\(|from )['"][.][^'"]*[.]ts['"]/.test(text)) lost.push(name);
    }
    expect(lost).toEqual([]);
    expect(code.length).toBeGreaterThan(100);
  });

  it('prints its version by npx', async () => {
    const { stdout } = await run('npx', ['--no-install', 'gostress', '--version'], { cwd: home, env: oldEnv });
    expect(stdout).toBe(`${MANIFEST.version}\n`);
  });

  it.skipIf(OLD_NODE === null)(
    `runs its command on an older Node too${OLD_NODE === null ? ' (skipped: PATH has no older one)' : ''}`,
    async () => {
      expect(
        await gostress(['--version'], { ...oldEnv, PATH: [dirname(OLD_NODE!), SYSTEM_PATH].join(delimiter) }),
      ).toBe(`${MANIFEST.version}\n`);
    },
  );

  it('stress-tests a server, and sends it as many requests as it says', async () => {
    const target = await startTarget();
    try {
      const json = await gostress(['run', target.url, '-n', '200', '-c', '2', '-o', 'json'], oldEnv);
      const report = JSON.parse(json) as { counts: { scheduled: number; ok: number } };
      expect(report.counts).toMatchObject({ scheduled: 200, ok: 200 });
      expect(target.stats().received).toBe(200);
    } finally {
      await target.close();
    }
  });

  it('has a server, to which a task is submitted', async () => {
    const text = await gostress(['demo', '-q', '20', '-d', '2s'], oldEnv);
    expect(text).toMatch(/of 40 scheduled hits answered[^]*What the target counted/);
  });

  it('has no path of the sources in it', async () => {
    const files = await readdir(installed('dist'), { recursive: true });
    const texts = await Promise.all(
      files.filter((file) => file.endsWith('.js')).map((file) => readFile(installed(`dist/${file}`), 'utf8')),
    );
    expect(texts.length).toBeGreaterThan(100);
    expect(texts.filter((text) => /(?:from |import\()['"][./][^'"]*\.ts['"]/.test(text))).toEqual([]);
  });

  it('is a library', async () => {
    await writeFile(join(home, 'library.js'), LIBRARY);
    const { stdout } = await run(process.execPath, ['library.js'], { cwd: home });
    expect(JSON.parse(stdout)).toEqual({
      scheduled: 100,
      ok: 100,
      counted: 100,
      text: true,
      schemas: ['object', 'object'],
    });
  });

  it('is a library with types', async () => {
    await writeFile(join(home, 'typed.ts'), TYPED);
    const flags = ['--noEmit', '--strict', '--target', 'es2024', '--module', 'nodenext', '--types', 'node'];
    const roots = ['--typeRoots', join(ROOT, 'node_modules/@types')];
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    await expect(
      run(process.execPath, [tsc, ...flags, ...roots, '--lib', 'es2024,esnext.disposable', 'typed.ts'], { cwd: home }),
    ).resolves.toMatchObject({ stdout: '' });
  });
});
