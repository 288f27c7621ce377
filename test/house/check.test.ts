import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { House } from './house.ts';

const CLEAN = {
  'src/cli/main.ts': "import { twice } from '../lib/twice.ts';\n\nprocess.exitCode = twice(0);\n",
  'src/lib/twice.ts': 'export function twice(n: number): number {\n  return 2 * n;\n}\n',
};

describe('npm run check', () => {
  let house: House;
  beforeAll(async () => {
    house = await House.build(CLEAN);
  });
  afterAll(() => house[Symbol.asyncDispose]());

  for (const check of ['types', 'lint', 'format', 'doors'] as const) {
    it(`${check}: passes on a clean house`, async () => {
      const { exitCode, output } = await house.check(check);
      expect(exitCode, output).toBe(0);
    });
  }

  const planted = [
    {
      check: 'types',
      name: 'a wrong type',
      path: 'src/lib/wrong-type.ts',
      text: "export const count: number = 'one';\n",
      found: 'TS2322',
    },
    {
      check: 'types',
      name: 'syntax that type stripping cannot remove',
      path: 'src/lib/enum.ts',
      text: 'export enum Colour {\n  Red,\n}\n',
      found: 'TS1294',
    },
    {
      check: 'lint',
      name: 'a floating promise',
      path: 'src/cli/floating.ts',
      text: 'Promise.resolve(1);\n',
      found: 'no-floating-promises',
    },
    {
      check: 'lint',
      name: 'a warning',
      path: 'src/cli/warned.ts',
      text: '// eslint-disable-next-line no-console\nexport const one = 1;\n',
      found: 'Unused eslint-disable',
    },
    {
      check: 'lint',
      name: 'console outside of the command line',
      path: 'src/lib/loud.ts',
      text: "console.log('loud');\n",
      found: 'no-console',
    },
    {
      check: 'lint',
      name: 'a file of more than 300 lines of code',
      path: 'src/lib/long.ts',
      text: 'export const list = [\n' + '  1,\n'.repeat(300) + '];\n',
      found: 'max-lines',
    },
    {
      check: 'lint',
      name: 'a function of more than 60 lines of code',
      path: 'src/lib/long-function.ts',
      text: 'export function list(): number[] {\n  return [\n' + '    1,\n'.repeat(60) + '  ];\n}\n',
      found: 'max-lines-per-function',
    },
    {
      check: 'lint',
      name: "the master's lock by a class of etcd3",
      path: 'src/cluster/etcd-lock.ts',
      text: "import { Election, Etcd3 } from 'etcd3';\n\nexport const election = new Election(new Etcd3(), 'master');\n",
      found: 'no-restricted-imports',
    },
    {
      check: 'format',
      name: 'a file that prettier would write otherwise',
      path: 'src/lib/unformatted.ts',
      text: 'export const  a = "1"\n',
      found: 'src/lib/unformatted.ts',
    },
  ] as const;

  // One house for all: each check must name its own file among the others.
  describe('with violations planted', () => {
    let dirty: House;
    beforeAll(async () => {
      dirty = await House.build(CLEAN);
      for (const { path, text } of planted) await dirty.plant(path, text);
    });
    afterAll(() => dirty[Symbol.asyncDispose]());

    for (const check of ['types', 'lint', 'format'] as const) {
      const ours = planted.filter((plant) => plant.check === check);
      it(`${check}: fails on ${ours.map(({ name }) => name).join(', on ')}`, async () => {
        const { exitCode, output } = await dirty.check(check);
        expect(exitCode).not.toBe(0);
        for (const { path, found } of ours) expect(sectionOf(output, path)).toContain(found);
      });
    }
  });
});

/** The lines of an output from the one that names the path to the next one that names another file. */
function sectionOf(output: string, path: string): string {
  const lines = output.split('\n');
  const start = lines.findIndex((line) => line.includes(path));
  if (start < 0) return '';
  const length = lines.slice(start + 1).findIndex((line) => line.includes('src/'));
  return lines.slice(start, length < 0 ? undefined : start + 1 + length).join('\n');
}
