import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { notifySystemd, startWatchdog } from '../../src/lib/systemd.ts';
import { eventually } from '../support/eventually.ts';
import { listenForNotify } from '../support/notify-socket.ts';

let folder = '';
beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), 'gostress-notify-'))));
afterAll(() => rmSync(folder, { recursive: true }));

function environment(name: string, more: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env.PATH ?? '', NOTIFY_SOCKET: name, ...more };
}

describe.each([
  ['a path', () => path.join(folder, 'notify.sock')],
  ['an abstract name', () => `@gostress-test-${process.pid}`],
])('a notify socket with %s', (_, nameOf) => {
  test('hears of ready, status and stopping, in this order', async () => {
    const name = nameOf();
    await using socket = await listenForNotify(name);
    expect(await notifySystemd({ phase: 'ready', status: 'worker of a, term 3' }, environment(name))).toBe(true);
    expect(await notifySystemd({ status: 'ünïcode "quoted" $HOME' }, environment(name))).toBe(true);
    expect(await notifySystemd({ phase: 'stopping', status: 'draining' }, environment(name))).toBe(true);
    await eventually(() =>
      expect(socket.messages()).toEqual([
        'READY=1\nSTATUS=worker of a, term 3',
        'STATUS=ünïcode "quoted" $HOME',
        'STOPPING=1\nSTATUS=draining',
      ]),
    );
  });
});

test('a status stays on one line, so that it cannot say anything else', async () => {
  const name = path.join(folder, 'lines.sock');
  await using socket = await listenForNotify(name);
  await notifySystemd({ status: 'a\nREADY=1\0b' }, environment(name));
  await eventually(() => expect(socket.messages()).toEqual(['STATUS=a READY=1 b']));
});

test('a process that systemd did not start tells nobody', async () => {
  expect(await notifySystemd({ phase: 'ready' }, {})).toBe(false);
  expect(await notifySystemd({ phase: 'ready' }, { NOTIFY_SOCKET: '' })).toBe(false);
});

test('a socket on which nobody listens is an error that says so', async () => {
  const env = environment(path.join(folder, 'nobody.sock'));
  await expect(notifySystemd({ phase: 'ready' }, env)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringMatching(/^systemd could not be told: systemd-notify: .*No such file/) as unknown,
  });
});

test('a machine without systemd-notify is an error that says so', async () => {
  const env = environment('@nobody', { PATH: folder });
  await expect(notifySystemd({ phase: 'ready' }, env)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('systemd-notify ENOENT') as unknown,
  });
});

describe('the watchdog', () => {
  const failed = (error: unknown) => expect.unreachable(String(error));

  test('gives signs of life until it is disposed of', async () => {
    const name = path.join(folder, 'watchdog.sock');
    await using socket = await listenForNotify(name);
    const env = environment(name, { WATCHDOG_USEC: '300000', WATCHDOG_PID: String(process.pid) });
    const signs = () => socket.messages().filter((message) => message === 'WATCHDOG=1').length;
    const watchdog = startWatchdog(failed, env);
    await eventually(() => expect(signs()).toBeGreaterThanOrEqual(3));
    watchdog[Symbol.dispose]();
    const before = signs();
    for (let i = 0; i < 5; i++) await notifySystemd({ status: 'end' }, env);
    await eventually(() => expect(socket.messages().filter((message) => message === 'STATUS=end').length).toBe(5));
    // The one that was on its way.
    expect(signs()).toBeLessThanOrEqual(before + 1);
  });

  test('goes on after a sign that could not be given', async () => {
    const errors: unknown[] = [];
    const watchdog = startWatchdog((error) => errors.push(error), environment('@nobody', { WATCHDOG_USEC: '300000' }));
    await eventually(() => expect(errors.length).toBeGreaterThanOrEqual(2));
    watchdog[Symbol.dispose]();
  });

  test('does nothing when systemd expects signs of another process, or none', async () => {
    const name = path.join(folder, 'other.sock');
    await using socket = await listenForNotify(name);
    const watchdogs = [{}, { WATCHDOG_USEC: '3000', WATCHDOG_PID: '1' }].map((more) =>
      startWatchdog(failed, environment(name, more)),
    );
    for (let i = 0; i < 5; i++) await notifySystemd({ status: 'end' }, environment(name));
    await eventually(() => expect(socket.messages()).toEqual(Array(5).fill('STATUS=end')));
    for (const watchdog of watchdogs) watchdog[Symbol.dispose]();
  });
});
