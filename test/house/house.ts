/** A small house with the project's own tools and configs, to see what these say about a planted file. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const TOOLS = [
  'package.json',
  'tsconfig.json',
  'eslint.config.js',
  '.prettierrc.json',
  '.prettierignore',
  '.dependency-cruiser.mjs',
  'test/tools/doors.ts',
];

export interface Verdict {
  exitCode: number;
  /** Both outputs. */
  output: string;
}

export class House implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** A house of the given files (path → text) in a temporary folder; its disposal removes it. */
  static async build(files: Record<string, string>): Promise<House> {
    const house = new House(await mkdtemp(join(tmpdir(), 'gostress-house-')));
    for (const tool of TOOLS) await cp(join(ROOT, tool), join(house.path, tool));
    await symlink(join(ROOT, 'node_modules'), join(house.path, 'node_modules'));
    for (const [path, text] of Object.entries(files)) await house.plant(path, text);
    return house;
  }

  async plant(path: string, text: string): Promise<void> {
    const file = join(this.path, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }

  /** What `npm run check:NAME` says. */
  check(name: 'types' | 'lint' | 'format' | 'doors'): Promise<Verdict> {
    const { promise, resolve: settle } = Promise.withResolvers<Verdict>();
    const child = execFile('npm', ['run', '--silent', `check:${name}`], { cwd: this.path }, (_, stdout, stderr) => {
      settle({ exitCode: child.exitCode ?? -1, output: stdout + stderr });
    });
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true });
  }
}
