import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTarget, type Target } from '../../src/load/target/server.ts';
import { CaptureServer } from '../support/capture-server.ts';
import type { CliEnd, CliProcess } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { ServerProcess } from '../support/server-process.ts';

/** The verbs that speak to a cluster, as processes, on a real `gostress server`. */

let server: ServerProcess;
let target: Target;
/** `run --cluster` whose server dies: it tries again for half a minute, in which the other tests run. */
let orphan: { server: ServerProcess; run: CliProcess };

beforeAll(async () => {
  [server, target] = await Promise.all([ServerProcess.start(), startTarget()]);
  const doomed = await ServerProcess.start();
  const run = doomed.spawn('run', target.url, '-q', '20', '-d', '5m', '--cluster', doomed.address);
  orphan = { server: doomed, run };
  // The first line of a second: the watch has begun.
  await run.waitFor('stderr', / sent /);
  await doomed.kill();
});
afterAll(async () => {
  await orphan.run[Symbol.asyncDispose]();
  await orphan.server[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await target.close();
});

/** What it prints when all is well. */
async function say(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await server.run(...args);
  if (code !== 0) throw new Error(`gostress ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}

function json(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

describe('tasks', () => {
  let name: string;
  beforeAll(async () => {
    const flags = ['-q', '40', '-d', '60s', '--name', 'checkout', '-H', 'Authorization: Bearer c4nary'];
    name = (await say('tasks', 'create', target.url, ...flags)).trim();
  });

  test('create prints a name, which show and list tell of', async () => {
    expect(name).toMatch(/^tasks\/\d+$/);
    const shown = await say('tasks', 'show', name);
    for (const words of ['called:', 'checkout', target.url, '40/s for 1m', 'Authorization: ***']) {
      expect(shown).toContain(words);
    }
    expect(await say('task', 'list')).toContain(name);
  });

  test('update changes what the flags say, and leaves the rest', async () => {
    const id = name.replace('tasks/', '');
    const updated = json(await say('tasks', 'update', id, '-q', '50', '-o', 'json'));
    expect(updated).toMatchObject({
      name,
      displayName: 'checkout',
      load: { ratePerSecond: 50, duration: '60s' },
      etag: '2',
    });
    const stale = await server.run('tasks', 'update', id, '-q', '60', '--etag', '1');
    expect(stale.code).toBe(1);
    expect(stale.stderr).toContain('expected version 1, found 2');
    const nothing = await server.run('tasks', 'update', id);
    expect(nothing).toMatchObject({ code: 2, stdout: '' });
  });

  test('start prints the name of the run; delete is refused until it has ended', { timeout: 60_000 }, async () => {
    const run = (await say('tasks', 'start', name)).trim();
    expect(run).toBe(`${name}/runs/1`);
    const refused = await server.run('tasks', 'delete', name);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(run);
    await say('runs', 'stop', run);
    await eventually(async () =>
      expect(json(await say('runs', 'show', run, '-o', 'json')).state).toMatch(/DONE|CANCELLED/),
    );
    expect(await say('tasks', 'delete', name)).toBe(`${name} is deleted\n`);
    const gone = await server.run('tasks', 'show', name);
    expect(gone).toMatchObject({ code: 1, stdout: '' });
    expect(gone.stderr).toContain(`${name}: there is none`);
  });

  test('a task that is wrong is told by its flag, and makes nothing', async () => {
    const before = await say('tasks', 'list');
    const { code, stderr } = await server.run('tasks', 'create', target.url, '-q', '-5', '--validate-only');
    expect(code).toBe(2);
    expect(stderr).toContain('-q');
    expect(await say('tasks', 'list')).toBe(before);
  });
});

describe('runs', () => {
  let run: string;
  beforeAll(async () => {
    run = (await say('run', target.url, '-q', '40', '-d', '10m', '--detach', '--cluster', server.address)).trim();
    await eventually(async () => expect(await say('runs', 'show', run)).toContain('RUNNING'));
  });

  test('--detach prints the name of the run, which goes on', async () => {
    expect(run).toMatch(/^tasks\/\d+\/runs\/1$/);
    const shown = await say('runs', 'show', run.replace('tasks/', '').replace('/runs', ''));
    expect(shown).toMatch(/nodes\/a +100 % +40\/s +RUNNING/);
    expect(await say('runs', 'list', '--state', 'RUNNING')).toContain(run);
  });

  test('retune, pause and resume say what has become of it', async () => {
    expect(await say('runs', 'retune', run, '-q', '60', '--ramp', '1s')).toMatch(/nodes\/a +100 % +\d+(\.\d)?\/s/);
    expect(await say('runs', 'pause', run)).toBe(`${run} is PAUSED\n`);
    expect(await say('runs', 'resume', run)).toMatch(/ is (RUNNING|RETUNING)\n$/);
    const { code, stderr } = await server.run('runs', 'retune', run, '-q', '0');
    expect(code).toBe(2);
    expect(stderr).toContain('gostress runs pause');
    const expected = 'expected one of -q RATE, -c USERS and --stage, found';
    expect((await server.run('runs', 'retune', run)).stderr).toContain(`${expected} none;`);
    const both = await server.run('runs', 'retune', run, '-q', '5', '-c', '3');
    expect(both.stderr).toContain(`${expected} -q and -c;`);
  });

  test('watch shows the seconds, is left by Ctrl-C, and says how to come back', { timeout: 60_000 }, async () => {
    await using watching = server.spawn('runs', 'watch', run);
    await watching.waitFor('stderr', / sent /);
    watching.child.kill('SIGINT');
    const { code, stderr } = await watching.ended;
    expect(code).toBe(130);
    expect(stderr).toContain(`${run} goes on; to see it again: gostress runs watch ${run} --cluster ${server.address}`);
    expect(json(await say('runs', 'show', run, '-o', 'json')).state).toMatch(/RUNNING|RETUNING/);
  });

  test('stop ends it; watch and report of it end with the code of a run', { timeout: 60_000 }, async () => {
    expect(await say('runs', 'stop', run)).toMatch(/ is (STOPPING|DONE)\n$/);
    const [watched, report] = [await server.run('runs', 'watch', run), await server.run('runs', 'report', run)];
    for (const { stdout } of [watched, report]) expect(stdout).toContain(target.url);
    expect(watched.code).toBe(report.code);
  });
});

describe('run --cluster', () => {
  test('sends the files that a task file names along, byte by byte', { timeout: 60_000 }, async () => {
    await using capture = await CaptureServer.start();
    const folder = mkdtempSync(path.join(tmpdir(), 'gostress-files-'));
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    writeFileSync(path.join(folder, 'body.bin'), bytes);
    const request = { url: `http://127.0.0.1:${capture.port}/`, method: 'POST', body: { file: 'body.bin' } };
    const task = path.join(folder, 'task.yaml');
    writeFileSync(task, JSON.stringify({ request }));
    const { code, stderr } = await server.run('run', '-f', task, '-c', '1', '-n', '2', '--cluster', server.address);
    rmSync(folder, { recursive: true });
    expect(code, stderr).toBe(0);
    const bodies = capture.take().map(({ body }) => Buffer.from(body, 'latin1').toString('hex'));
    expect(bodies).toEqual([bytes.toString('hex'), bytes.toString('hex')]);
  });

  test('Ctrl-C drains the run, prints its report and ends with 130', { timeout: 60_000 }, async () => {
    await using run = server.spawn('run', target.url, '-q', '30', '-d', '5m', '--cluster', server.address);
    await run.waitFor('stderr', / sent /);
    run.child.kill('SIGINT');
    const end = await run.ended;
    expect(end.code).toBe(130);
    expect(end.stderr).toContain('SIGINT: stopping');
    expect(end.stdout).toContain(target.url);
    const [, name] = /(tasks\/\d+\/runs\/1) on /.exec(end.stderr) ?? [];
    expect(json(await say('runs', 'show', name!, '-o', 'json')).state).toBe('DONE');
  });
});

describe('nodes and status', () => {
  test('tell of the master and its worker', async () => {
    const listed = await say('nodes', 'list');
    expect(listed).toMatch(new RegExp(`nodes/a +master,worker,candidate +live .*${server.address}`));
    const status = await say('status');
    expect(status).toContain('nodes/a');
  });

  test('drain gives the node nothing new', async () => {
    await say('nodes', 'drain', 'a');
    expect(await say('nodes', 'list')).toMatch(/nodes\/a .* draining /);
    const { code, stderr } = await server.run('nodes', 'drain', 'nobody');
    expect(code).toBe(1);
    expect(stderr).toContain('nodes/nobody');
  });
});

test('a cluster that is not there is told by its address, with the code 3', async () => {
  const { code, stderr, stdout } = await server.run('tasks', 'list', '--cluster', '127.0.0.1:1');
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(stderr).toContain('127.0.0.1:1');
});

test(
  'a lost connection ends with 3, and with the command that leads back to the run',
  { timeout: 120_000 },
  async () => {
    const { code, stderr }: CliEnd = await orphan.run.ended;
    expect(code).toBe(3);
    expect(stderr).toContain('lost the connection');
    expect(stderr).toContain('the run goes on if its cluster does; to see it again: ');
    expect(stderr).toMatch(new RegExp(`gostress runs watch tasks/1/runs/1 --cluster ${orphan.server.address}`));
  },
);
