import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const BELOW = 3_000_000;

/** The sieve of Eratosthenes. */
function sieve(below: number): number {
  const composite = new Uint8Array(below);
  let primes = 0;
  for (let n = 2; n < below; n++) {
    if (composite[n] === 1) continue;
    primes++;
    for (let multiple = n * n; multiple < below; multiple += n) composite[multiple] = 1;
  }
  return primes;
}

// In a process of its own, as Node runs it: the module imports `gostress` by its name.
test('the example driver counts all primes exactly once, although a worker dies on the way', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'cluster.ts')], {
    env: { ...process.env, PRIMES_BELOW: String(BELOW) },
    timeout: 50_000,
  });
  expect(JSON.parse(stdout)).toEqual({ below: BELOW, primes: sieve(BELOW) });
});
