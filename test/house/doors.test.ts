import { beforeAll, describe, expect, it } from 'vitest';
import { House, type Verdict } from './house.ts';

/** The doors, as the house rules have them: who may import whom. */
const DOORS: Record<string, string[]> = {
  lib: [],
  task: ['lib'],
  cluster: ['lib'],
  load: ['task', 'lib'],
  report: ['task', 'lib'],
  stress: ['cluster', 'load', 'task', 'lib'],
  store: ['task', 'lib'],
  rpc: ['cluster', 'task', 'lib'],
  web: ['rpc', 'report', 'task', 'lib'],
  cli: ['app', 'rpc', 'report', 'load', 'task', 'lib'],
  app: ['lib', 'task', 'cluster', 'load', 'report', 'stress', 'store', 'rpc', 'web', 'cli'],
};
const ROOMS = Object.keys(DOORS);

/** A file with imports of its own and one that is imported, in each room: no cycle can come of it. */
function everyRoomImportsEveryRoom(): Record<string, string> {
  const files: Record<string, string> = {};
  for (const room of ROOMS) {
    files[`src/${room}/leaf.ts`] = 'export const leaf = 1;\n';
    files[`src/${room}/root.ts`] = ROOMS.map((other) => `export * as ${other} from '../${other}/leaf.ts';\n`).join('');
  }
  return files;
}

function planted(name: string, files: Record<string, string>): { verdict: () => Verdict } {
  let verdict: Verdict | undefined;
  beforeAll(async () => {
    await using house = await House.build(files);
    verdict = await house.check('doors');
  });
  return {
    verdict: () => {
      if (verdict === undefined) throw new Error(`${name}: the doors were not checked`);
      return verdict;
    },
  };
}

const linesOf = ({ output }: Verdict, rule: string): string[] =>
  output.split('\n').filter((line) => line.startsWith(`${rule}: `));

describe('the doors between rooms', () => {
  const { verdict } = planted('doors', {
    ...everyRoomImportsEveryRoom(),
    'src/stress/ports.ts': 'export const port = 1;\n',
    'src/cluster/ports.ts': 'export const port = 1;\n',
    'src/store/ports.ts': "import '../stress/ports.ts';\nimport '../cluster/ports.ts';\n",
    'src/rpc/ports.ts': "import '../stress/ports.ts';\n",
  });

  it('fail the check', () => expect(verdict().exitCode).toBe(1));

  for (const room of ROOMS) {
    const shut = ROOMS.filter((other) => other !== room && !DOORS[room]!.includes(other));
    it(`${room} may not import ${shut.join(', ') || 'nothing: it knows all'}`, () => {
      const found = linesOf(verdict(), `door-${room}`).map((line) => / → src\/(\w+)\/leaf[.]ts/.exec(line)?.[1]);
      expect(found.sort()).toEqual(shut.sort());
    });
  }

  it("store and rpc may import another room's ports", () => {
    expect(verdict().output).not.toContain('ports.ts →');
  });
});

describe('the fences around packages', () => {
  const importAll = [
    "import 'etcd3';",
    "import type { Dispatcher } from 'undici';",
    "import 'node:http2';",
    "import 'ws';",
    "import 'mysql2/promise';",
    "import 'node:sqlite';",
    "import 'kysely';",
    "import '@grpc/grpc-js';",
    "import 'pino';",
    'export type D = Dispatcher;',
    '',
  ].join('\n');
  const homes: Record<string, string[]> = {
    'src/app/all.ts': [],
    'src/cluster/etcd-election.ts': ['etcd3', 'grpc'],
    'src/cluster/members.ts': [],
    'src/load/undici.ts': ['http'],
    'src/load/grpc.ts': ['http', 'grpc'],
    'src/store/mysql.ts': ['sql'],
    'src/rpc/server.ts': ['grpc'],
    'src/lib/log.ts': ['pino'],
    'src/lib/logarithm.ts': [],
  };
  const packagesOf: Record<string, string[]> = {
    etcd3: ['etcd3'],
    http: ['undici', 'http2', 'ws'],
    sql: ['mysql2/promise', 'sqlite', 'kysely'],
    grpc: ['@grpc/grpc-js'],
    pino: ['pino'],
  };
  const { verdict } = planted('fences', Object.fromEntries(Object.keys(homes).map((path) => [path, importAll])));

  for (const [path, open] of Object.entries(homes)) {
    it(`${path} may import ${open.flatMap((fence) => packagesOf[fence]!).join(', ') || 'none of them'}`, () => {
      for (const [fence, packages] of Object.entries(packagesOf)) {
        const found = linesOf(verdict(), `fence-${fence}`).filter((line) => line.includes(`: ${path} → `));
        expect(found, `${fence}: ${found.join('\n')}`).toHaveLength(open.includes(fence) ? 0 : packages.length);
      }
    });
  }
});

describe('the other borders', () => {
  const { verdict } = planted('borders', {
    'src/cli/main.ts': "import '../lib/a.ts';\nimport '../lib/types-a.ts';\nimport '../task/helper.ts';\n",
    'src/lib/a.ts': "import './b.ts';\n",
    'src/lib/b.ts': "import './c.ts';\n",
    'src/lib/c.ts': "import './a.ts';\n",
    'src/lib/types-a.ts': "import type { B } from './types-b.ts';\n\nexport type A = B;\n",
    'src/lib/types-b.ts': "import type { A } from './types-a.ts';\n\nexport type B = A | null;\n",
    'src/lib/forgotten.ts': 'export const forgotten = 1;\n',
    'src/task/helper.ts': "import '../../test/support/helper.ts';\nimport 'fast-check';\nimport './gone.ts';\n",
    'src/attic/box.ts': "import '../lib/a.ts';\n",
    'test/support/helper.ts': "import 'fast-check';\n",
  });

  it('no cycle of files that need each other to run', () => {
    expect(linesOf(verdict(), 'cycle').length).toBeGreaterThan(0);
    for (const line of linesOf(verdict(), 'cycle')) expect(line).toMatch(/^cycle: src\/lib\/[abc][.]ts/);
  });

  it('src never imports test', () => {
    expect(linesOf(verdict(), 'outside').join()).toContain('src/task/helper.ts → test/support/helper.ts');
  });

  it('src never imports a development dependency, test may', () => {
    expect(linesOf(verdict(), 'undeclared')).toHaveLength(1);
    expect(linesOf(verdict(), 'undeclared')[0]).toMatch(/src\/task\/helper[.]ts → .*node_modules\/fast-check\//);
  });

  it('no import of what is not there', () => {
    expect(linesOf(verdict(), 'unresolvable').join()).toContain('src/task/helper.ts → ./gone.ts');
  });

  it('no room that the house does not know', () => {
    expect(linesOf(verdict(), 'unknown-room').join()).toContain('src/attic/box.ts → ');
  });

  it('no file that nothing reaches', () => {
    expect(linesOf(verdict(), 'dead').map((line) => line.split(' ')[1])).toEqual([
      'src/attic/box.ts',
      'src/lib/forgotten.ts',
    ]);
  });
});

describe('a doors check that saw nothing', () => {
  it('fails when there is no module', async () => {
    await using house = await House.build({});
    const { exitCode, output } = await house.check('doors');
    expect(output).toContain('expected TypeScript files in src, found none');
    expect(exitCode).toBe(1);
  });

  it('fails when the judge skips modules that are there', async () => {
    await using house = await House.build({
      'src/cli/main.ts': "import '../lib/a.ts';\n",
      'src/lib/a.ts': 'export {};\n',
    });
    await house.plant(
      '.dependency-cruiser.mjs',
      "export default { forbidden: [], options: { exclude: { path: 'src/lib/' } } };\n",
    );
    const { exitCode, output } = await house.check('doors');
    expect(output).toContain('expected to see 3 modules, found 2; not seen: src/lib/a.ts');
    expect(exitCode).toBe(1);
  });
});
