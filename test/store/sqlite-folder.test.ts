/** What the SQLite store promises of its folder. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SILENT } from '../../src/lib/log.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { startedRun } from '../support/store-records.ts';
import { eventually } from '../support/eventually.ts';

const HOLDER = fileURLToPath(new URL('../support/store-holder.ts', import.meta.url));

describe('the data folder', () => {
  let parent: string;
  let folder: string;
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    parent = await mkdtemp(path.join(tmpdir(), 'gostress-folder-'));
    folder = path.join(parent, 'data', 'deep');
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(parent, { recursive: true, force: true });
  });

  /** Another process that has the folder and writes; `acknowledged` grows. */
  async function holder(): Promise<{ child: ChildProcess; acknowledged: number[] }> {
    const child = spawn(process.execPath, [HOLDER, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const acknowledged: number[] = [];
    const lines = createInterface({ input: child.stdout });
    const [first] = (await once(lines, 'line')) as [string];
    expect(first).toBe('open');
    lines.on('line', (line) => {
      if (line.startsWith('written ')) acknowledged.push(Number(line.slice(8)));
    });
    return { child, acknowledged };
  }

  const open = () => openSqliteStore({ folder, log: SILENT });

  test('is made, for its owner only', async () => {
    const store = open();
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    await store.close();
  });

  test('keeps everything over a restart', async () => {
    const store = open();
    await store.migrate();
    const run = await startedRun(store);
    await store.close();
    const again = open();
    expect(await again.migrate()).toEqual([]);
    expect(await again.tasks.getRun(run.taskId, 1)).toEqual(run);
    expect(await again.fence.read()).toMatchObject({ term: 1 });
    await again.close();
  });

  test('belongs to one process: a second one is refused and told whose it is', async () => {
    const { child } = await holder();
    expect(open).toThrow(
      expect.objectContaining({
        code: 'FAILED_PRECONDITION',
        message: `expected the data folder ${folder} to be free, found it in use by process ${child.pid}: stop that one, or give another folder`,
      }),
    );
    // The refusal has not freed it.
    expect(open).toThrow(/in use by process/);
  });

  test('is free as soon as its process is killed, and has all that was acknowledged', async () => {
    const { child, acknowledged } = await holder();
    await eventually(() => expect(acknowledged.length).toBeGreaterThan(20));
    child.kill('SIGKILL');
    await once(child, 'close');
    const store = open();
    const stored = await store.tasks.samples(1n, 0, Infinity);
    expect(stored.length).toBeGreaterThanOrEqual(acknowledged.length);
    expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, i) => i + 1));
    await store.close();
  });

  test('is refused to a second store of the same process too, and free after the first is closed', async () => {
    const store = open();
    expect(open).toThrow(`in use by process ${process.pid}`);
    await store.close();
    await open().close();
  });

  test('that cannot be used is told', async () => {
    await writeFile(path.join(parent, 'file'), '');
    expect(() => openSqliteStore({ folder: path.join(parent, 'file', 'x'), log: SILENT })).toThrow(
      expect.objectContaining({
        code: 'INVALID_INPUT',
        message: expect.stringMatching(/^cannot use the data folder/) as string,
      }),
    );
    await open().close();
    await writeFile(
      path.join(folder, 'gostress.sqlite'),
      'this is no database, and longer than a header of one is'.repeat(20),
    );
    expect(open).toThrow(/^cannot use the data folder .*: file is not a database$/);
    // The failed attempt has not kept the lock.
    await rm(path.join(folder, 'gostress.sqlite'));
    await open().close();
  });

  test.skipIf(process.getuid?.() === 0)('that may not be written is told', async () => {
    await open().close();
    await chmod(folder, 0o500);
    expect(open).toThrow(/cannot use the data folder/);
    await chmod(folder, 0o700);
  });

  test('a person who holds the file makes calls wait, not the process, and at last they say so', async () => {
    const store = open();
    await store.migrate();
    const person = new DatabaseSync(path.join(folder, 'gostress.sqlite'));
    person.exec('begin immediate');
    const raising = store.fence.raise(1, { nodeId: 'a', incarnation: 1 });
    let ticks = 0;
    const ticking = setInterval(() => (ticks += 1), 5);
    await eventually(() => expect(ticks).toBeGreaterThan(10));
    clearInterval(ticking);
    person.exec('commit');
    expect(await raising).toBe(true);
    person.exec('begin immediate');
    await expect(store.fence.raise(2, { nodeId: 'a', incarnation: 1 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'SQLite does not answer within 3 s: raise the fence',
    });
    // Reading needs no right to write.
    expect(await store.fence.read()).toMatchObject({ term: 1 });
    person.close();
    await store.close();
  });

  test('before the migration a call says what to do', async () => {
    const store = open();
    await expect(store.fence.read()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'SQLite cannot read the fence: no such table: fence; run `gostress migrate` first',
    });
    await store.close();
  });
});
