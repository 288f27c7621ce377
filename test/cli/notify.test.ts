import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { spawnCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { listenForNotify } from '../support/notify-socket.ts';

test('gostress node tells systemd that it serves, that it lives, and that it drains', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gostress-notify-'));
  try {
    const name = join(folder, 'notify.sock');
    await using socket = await listenForNotify(name);
    const args = ['node', '--standalone', '--data-folder', join(folder, 'data'), '--listen', '127.0.0.1:0'];
    // A sign of life each second.
    await using node = spawnCli(args, { env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: '3000000' }, timeoutMs: 60_000 });
    const [, address] = await node.waitFor('stdout', /^gostress server at (\S+),/m);
    await eventually(() => expect(socket.messages().filter((text) => text === 'WATCHDOG=1').length).toBeGreaterThan(1));
    expect(socket.messages()[0]).toBe(`READY=1\nSTATUS=serving on ${address!}`);
    expect(socket.messages().join()).not.toContain('STOPPING');
    node.child.kill('SIGTERM');
    expect(await node.ended).toMatchObject({ code: 0 });
    await eventually(() => expect(socket.messages()).toContain('STOPPING=1\nSTATUS=draining'));
    expect(socket.messages().filter((text) => text.startsWith('READY=1'))).toHaveLength(1);
  } finally {
    await rm(folder, { recursive: true });
  }
});
