import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openSpill } from '../../src/app/spill-folder.ts';
import { SILENT } from '../../src/lib/log.ts';

test('each node of a host has a folder of its own in the data folder, for one process at a time', async () => {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), 'gostress-data-'));
  parts.defer(() => rm(folder, { recursive: true }));
  const open = (nodeId: string) =>
    openSpill({ folder, maxBytes: 4e6, onFull: 'pause' }, { cluster: 'prod', nodeId, log: SILENT });
  const a = await open('a');
  parts.use(await open('b'));
  expect((await readdir(path.join(folder, 'spill', 'prod'))).sort()).toEqual(['a', 'b']);
  await expect(open('a')).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining(`in use by process ${process.pid}`) as string,
  });
  await a[Symbol.asyncDispose]();
  parts.use(await open('a'));
});
