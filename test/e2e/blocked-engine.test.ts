import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { MISSING, TestCluster } from './cluster.ts';

/** Takes twice as long with each letter. A thread's first use of one is slow, so a name makes each new. */
const patternOf = (name: string): string => `^(?<${name}>a+)+$`;
const PATTERN = patternOf('engine');
const BLOCK_MS = 5_000;
/** The calibration is rough. */
const AIM_MS = 8_000;

/** A body on which the pattern keeps this machine busy for at least the time. */
function blockingBody(ms: number): string {
  for (let length = 18; ; length++) {
    const body = `${'a'.repeat(length)}b`;
    const began = performance.now();
    new RegExp(patternOf(`n${length}`), 'u').test(body);
    const took = performance.now() - began;
    if (took > 50) return `${'a'.repeat(length + Math.ceil(Math.log2(ms / took)))}b`;
  }
}

describe.skipIf(MISSING !== null)(`an engine thread that is blocked (needs ${MISSING ?? 'nothing'})`, () => {
  test('for five seconds misses no lease and no heartbeat of its node, which is worker and master', async () => {
    const body = blockingBody(AIM_MS);
    let answeredAtMs = NaN;
    const server = createServer((_, response) => {
      answeredAtMs = performance.now();
      response.end(body);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await using cluster = await TestCluster.start({ a: {} });
    try {
      const { term } = await cluster.master();
      const load = { hits: 1, users: 1 };
      const task = { request: { url: `http://127.0.0.1:${port}/` }, load, checks: [{ body_matches: PATTERN }] };
      const name = await cluster.start({ task });
      await cluster.reach(name, 'RUNNING');
      const standings = new Set<string>();
      while (!(await cluster.run(name)).state.startsWith('DONE')) {
        const { master, term: now, nodes } = await cluster.status();
        standings.add(`${master?.name} term ${now} ${nodes.map(({ standing }) => standing).join()}`);
        await sleep(50);
      }
      // The thread was blocked indeed.
      expect(performance.now() - answeredAtMs).toBeGreaterThanOrEqual(BLOCK_MS);
      expect([...standings]).toEqual([`nodes/a term ${term} LIVE`]);
      const { counts } = await cluster.report(name);
      expect(counts).toMatchObject({ started: 1, failed: 1, unknown: 0 });
      const log = cluster.node('a').log();
      const since = log.slice(log.findIndex((line) => line.run === name));
      expect(since.filter(({ msg }) => /lease|disconnected|no longer master|suspect/.test(String(msg)))).toEqual([]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }, 120_000);
});
