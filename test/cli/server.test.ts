import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTarget, type Target } from '../../src/load/target/server.ts';
import { runCli, spawnCli, spawnCommand, type CliProcess } from '../support/cli.ts';
import { GRPCURL_MISSING, GRPCURL_PATH } from '../support/grpcurl.ts';

const UP = /^gostress server at (127\.0\.0\.1:\d+), data in (\S+);[^]*WatchRun\n/m;

let folder: string;
let target: Target;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gostress-server-'));
  target = await startTarget();
});
afterEach(async () => {
  await target.close();
  await rm(folder, { recursive: true });
});

interface Server extends CliProcess {
  address: string;
  text: string;
}

/** A server on the test's data folder that is up. */
async function startServer(): Promise<Server> {
  const server = spawnCli(['server', '--data-folder', folder, '--listen', '127.0.0.1:0']);
  const [text, address = '', data] = await server.waitFor('stdout', UP);
  expect(data).toBe(folder);
  return { ...server, address, text };
}

async function stopServer(server: Server): Promise<void> {
  server.child.kill('SIGTERM');
  expect(await server.ended).toMatchObject({ code: 0, signal: null });
}

const GRPCURL = `(needs ${GRPCURL_MISSING ?? 'nothing'})`;

test.skipIf(GRPCURL_MISSING)(
  `the printed grpcurl lines make, start and watch a run ${GRPCURL}`,
  { timeout: 60_000 },
  async () => {
    await using server = await startServer();
    const { text } = server;
    const lines = text.split('\n').filter((line) => line.includes('grpcurl -plaintext'));
    expect(lines).toHaveLength(3);
    // Only what is stressed, and how long, differs from the paste.
    const script = lines.join('\n').replace('http://127.0.0.1:8080/', target.url).replace('"10s"', '"2s"');
    await using shell = spawnCommand('bash', ['-euc', script], { env: { PATH: GRPCURL_PATH } });
    const { code, stdout, stderr } = await shell.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('"tasks/1/runs/1"');
    expect(target.stats().received).toBeGreaterThan(0);
  },
);

test('tasks and history survive a restart; a second server on the folder is refused', { timeout: 60_000 }, async () => {
  await using first = await startServer();
  await runCli(['run', target.url, '-q', '50', '-d', '1s', '--cluster', first.address]);
  const second = await runCli(['server', '--data-folder', folder, '--listen', '127.0.0.1:0']);
  expect(second.code).not.toBe(0);
  expect(second.stderr).toContain(`in use by process ${String(first.child.pid)}`);
  const before = await runCli(['runs', 'list', '--cluster', first.address]);
  expect(before.stdout).toContain('tasks/1/runs/1');
  const report = await runCli(['runs', 'report', 'tasks/1/runs/1', '--cluster', first.address]);
  expect(report.stdout).toContain(target.url);
  await stopServer(first);
  expect(first.stderr()).not.toContain('"level":"warn"');

  await using again = await startServer();
  expect((await runCli(['runs', 'list', '--cluster', again.address])).stdout).toBe(before.stdout);
  expect(await runCli(['runs', 'report', 'tasks/1/runs/1', '--cluster', again.address])).toEqual(report);
});

test('another address than loopback needs --allow-unauthenticated, which warns', async () => {
  const args = ['server', '--data-folder', folder, '--listen', '0.0.0.0:0'];
  const refused = await runCli(args);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('--allow-unauthenticated');
  await using server = spawnCli([...args, '--allow-unauthenticated']);
  await server.waitFor('stderr', /"level":"warn".*listening on 0\.0\.0\.0 without access control/);
});
