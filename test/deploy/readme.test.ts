import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiClient } from '../support/api.ts';
import { spawnCommand, type CliEnd } from '../support/cli.ts';
import { ETCD_MISSING, startEtcd, type Etcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_MISSING, startMariadb, type Mariadb } from '../support/mariadb.ts';
import { freePort } from '../support/ports.ts';

/** deploy/README.md from zero to a node that is master: its own commands, with private folders, ports and services. */

const ROOT = path.resolve(import.meta.dirname, '../..');
const CLONE = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'src',
  'proto',
  'deploy',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
];
const MISSING = ETCD_MISSING ?? MARIADB_MISSING;
const LONG_MS = 240_000;

let folder: string;
let etcd: Etcd;
let mariadb: Mariadb;
/** What is another here than on the host of the page, e.g. its paths. */
let here: Record<string, string>;

describe.skipIf(MISSING !== null)(`the page, command by command (needs ${MISSING ?? 'nothing'})`, () => {
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'gostress-deploy-'));
    // As Debian has it, a user of localhost may come by 127.0.0.1.
    [etcd, mariadb] = await Promise.all([startEtcd(), startMariadb(['--skip-name-resolve=OFF'])]);
    const clone = path.join(folder, 'clone');
    await mkdir(clone);
    for (const name of CLONE) await cp(path.join(ROOT, name), path.join(clone, name), { recursive: true });
    await symlink(path.join(ROOT, 'node_modules'), path.join(clone, 'node_modules'));
    here = {
      // The clone has the modules of this one.
      'npm ci && ': '',
      'npm install ': 'npm install --no-audit --no-fund --prefer-offline ',
      'mariadb <<': `mariadb --no-defaults --user=root --socket=${mariadb.socketPath} <<`,
      ' -g gostress': '',
      'useradd ': ': ',
      'systemctl ': ': systemctl ',
      'journalctl ': ': journalctl ',
      '127.0.0.1:2379': etcd.host,
      '127.0.0.1:3306': `127.0.0.1:${mariadb.port}`,
      '/opt/gostress': path.join(folder, 'opt'),
      '/etc/gostress': path.join(folder, 'etc'),
      '/var/lib/gostress': path.join(folder, 'var'),
      '/etc/systemd/system/': `${folder}/`,
    };
    for (const port of ['7420', '7421', '7422']) here[`:${port}`] = `:${await freePort()}`;
  }, LONG_MS);
  afterAll(async () => {
    await Promise.all([etcd[Symbol.asyncDispose](), mariadb[Symbol.asyncDispose]()]);
    await rm(folder, { recursive: true, force: true });
  });

  test('every command runs', { timeout: LONG_MS }, async () => {
    const page = await readFile(path.join(ROOT, 'deploy/README.md'), 'utf8');
    const blocks = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, text]) => text!);
    const [packages, ...others] = blocks;
    // The drill kills masters of a cluster that systemd runs: test/e2e has it.
    const rest = others.filter((block) => !block.includes('gostress cluster failover'));
    // What it installs is here already, or the test is skipped.
    expect(packages).toBe('apt-get install --yes etcd-server etcd-client mariadb-server\n');
    expect(rest).toHaveLength(5);
    expect(others).toHaveLength(6);
    for (const from of Object.keys(here)) expect(page).toContain(from);
    for (const block of rest) expect(await shell(block)).toMatchObject({ code: 0 });
  });

  test('and then a node of it starts as its unit says, is master and drains', { timeout: LONG_MS }, async () => {
    const unit = await readFile(path.join(folder, 'gostress-node@.service'), 'utf8');
    const [, start] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
    const script = `set -a; . /etc/gostress/a.env; exec ${start}`;
    await using node = spawnCommand('bash', ['-euc', moved(script)], { timeoutMs: LONG_MS });
    using client = new ApiClient(moved('127.0.0.1:7420'), ['gostress/v1/cluster.proto']);
    await eventually(async () => {
      const { master } = await client.call<{ master: { name: string } | null }>('GetCluster');
      expect(master?.name).toBe('nodes/a');
    }, 60_000);
    node.child.kill('SIGTERM');
    expect(await node.ended).toMatchObject({ code: 0 });
  });
});

function moved(text: string): string {
  return Object.entries(here).reduce((changed, [from, to]) => changed.replaceAll(from, to), text);
}

async function shell(script: string): Promise<CliEnd> {
  const cwd = path.join(folder, 'clone');
  const env = { npm_config_update_notifier: 'false' };
  await using run = spawnCommand('bash', ['-euo', 'pipefail', '-c', moved(script)], { cwd, env, timeoutMs: LONG_MS });
  return await run.ended;
}
