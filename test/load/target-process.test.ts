import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { startTargetProcess } from '../support/target-process.ts';

async function statusOf(url: string): Promise<number> {
  const [response] = (await once(request(url, { agent: false }).end(), 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode!;
}

test('a target process serves, tells its stats without a request, and resets', async () => {
  await using target = await startTargetProcess({ status: '503' });
  expect(await statusOf(target.url)).toBe(503);
  expect(await target.stats(10)).toMatchObject({ received: 1, answered: 1, connectionsOpened: 1 });
  await target.reset();
  expect((await target.stats()).received).toBe(0);
});

test('a frozen target takes a request and answers it when it is thawed', async () => {
  await using target = await startTargetProcess();
  target.freeze();
  const fromMs = performance.now();
  const answered = statusOf(target.url).then((status) => ({ status, afterMs: performance.now() - fromMs }));
  setTimeout(() => target.thaw(), 300);
  const { status, afterMs } = await answered;
  expect(status).toBe(200);
  expect(afterMs).toBeGreaterThanOrEqual(300);
});

test('a killed target refuses connections, and asking it for stats says that it has ended', async () => {
  const target = await startTargetProcess();
  target.freeze();
  await target.kill();
  await expect(statusOf(target.url)).rejects.toThrow(/ECONNREFUSED/);
  await expect(target.stats()).rejects.toThrow('the target process has ended');
  await target.stop();
});

test('a target that cannot start is an error', async () => {
  await expect(startTargetProcess({ latency: 'slow' })).rejects.toThrow(/ended with code 1 before it listened/);
});
