import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { ProbeAnswer } from '../../src/cluster/ports.ts';
import { SILENT } from '../../src/lib/log.ts';
import { Prober, probeService } from '../../src/rpc/probe.ts';
import { startRpcServer } from '../../src/rpc/server.ts';
import { INFO } from '../support/cluster-nodes.ts';

const ANSWER: ProbeAnswer = {
  nodeId: 'a',
  incarnation: 1_795_626_687_763,
  term: 7,
  isMaster: true,
  info: { ...INFO, loopLagP99Ms: 1.25 },
};

async function serve(answer: () => ProbeAnswer | null): Promise<string> {
  const services = [probeService(answer)];
  const options = { listen: '127.0.0.1:0', nodeId: 'a', api: () => null, master: () => null, services, log: SILENT };
  const server = await startRpcServer(options);
  onTestFinished(() => server.close(0));
  return server.address;
}

test('a node answers who it is, in which term, and how it fares', async () => {
  using prober = new Prober();
  let answer: ProbeAnswer | null = ANSWER;
  const address = await serve(() => answer);
  expect(await prober.probe(address, 5_000)).toEqual(ANSWER);
  answer = { ...ANSWER, isMaster: false };
  expect(await prober.probe(address, 5_000)).toEqual(answer);
});

test('a node that is still starting is not taken for one that answers', async () => {
  using prober = new Prober();
  const address = await serve(() => null);
  await expect(prober.probe(address, 5_000)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('still starting') as string,
  });
});

test('a probe has its deadline, whether nobody answers or nobody listens', async () => {
  using prober = new Prober();
  const silent = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void silent.close());
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const beganAtMs = performance.now();
  await expect(prober.probe(`127.0.0.1:${port}`, 200)).rejects.toThrow(/: nothing came within 200 ms$/);
  expect(performance.now() - beganAtMs).toBeLessThan(5_000);
  await expect(prober.probe('127.0.0.1:1', 200)).rejects.toThrow(
    /^127.0.0.1:1 does not answer a probe: connect ECONNREFUSED 127.0.0.1:1/,
  );
});
