import { once } from 'node:events';
import { request as httpRequest, Agent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { TargetStats } from '../../src/load/target/counters.ts';
import { formatTargetStats } from '../../src/load/target/format.ts';
import { startTarget, type Target, type TargetOptions } from '../../src/load/target/server.ts';

const targets: Target[] = [];

async function start(options: TargetOptions = {}): Promise<Target> {
  const target = await startTarget(options);
  targets.push(target);
  return target;
}

afterEach(async () => {
  await Promise.all(targets.splice(0).map((target) => target.close()));
});

interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  trailers: NodeJS.Dict<string>;
  earlyHints: boolean;
}

/** One request over a connection of its own (or the agent's). Rejects when no whole answer comes. */
async function ask(
  target: Target,
  path: string,
  options: { method?: string; body?: string; headers?: Record<string, string>; agent?: Agent } = {},
): Promise<Reply> {
  const { method = 'GET', body, headers = {}, agent = false } = options;
  const request = httpRequest(target.url + path, { method, headers, agent });
  let earlyHints = false;
  request.on('information', ({ statusCode }) => (earlyHints = statusCode === 103));
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return {
    status: response.statusCode!,
    headers: response.headers,
    body: Buffer.concat(parts).toString(),
    trailers: response.trailers,
    earlyHints,
  };
}

/** What a raw connection gets until its end, and how it ended. */
async function raw(target: Target, text: string): Promise<{ bytes: string; end: string }> {
  const socket = connect(target.port, '127.0.0.1');
  let bytes = '';
  socket.on('data', (part) => (bytes += part.toString()));
  socket.write(text);
  const end = await new Promise<string>((resolve) => {
    socket.once('end', () => resolve('end'));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
  });
  socket.destroy();
  return { bytes, end };
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: target\r\n\r\n`;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('pages', () => {
  test.each<[string, number, string]>([
    ['/', 200, 'ok'],
    ['/status/503', 503, 'Service Unavailable'],
    ['/status/404', 404, 'Not Found'],
    ['/status/204', 204, ''],
    ['/json', 200, '{"code":200}'],
    ['/json?status=503', 503, '{"code":503}'],
    ['/?size=10KB', 200, 'x'.repeat(10_000)],
    ['/?size=100KiB', 200, 'x'.repeat(102_400)],
    ['/?size=0', 200, ''],
    ['/chunked', 200, 'ok'],
    ['/informational', 200, 'ok'],
  ])('%s answers %i', async (path, status, body) => {
    const reply = await ask(await start(), path);
    expect(reply.status).toBe(status);
    expect(reply.body).toBe(body);
  });

  test('an answer has a length and neither a date nor more than it needs', async () => {
    const { bytes } = await raw(await start(), 'GET / HTTP/1.1\r\nHost: target\r\nConnection: close\r\n\r\n');
    expect(bytes).toBe(
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok',
    );
  });

  test('/chunked has no length and ends with a trailer', async () => {
    const reply = await ask(await start(), '/chunked');
    expect(reply.headers['transfer-encoding']).toBe('chunked');
    expect(reply.headers['content-length']).toBeUndefined();
    expect(reply.trailers).toEqual({ 'x-target': 'done' });
  });

  test('/informational sends a 103 first, other pages do not', async () => {
    const target = await start();
    expect((await ask(target, '/informational')).earlyHints).toBe(true);
    expect((await ask(target, '/')).earlyHints).toBe(false);
  });

  test('/redirect/3 leads to / in three hops', async () => {
    const target = await start();
    const seen: string[] = [];
    let path = '/redirect/3';
    while (path !== '/') {
      const reply = await ask(target, path);
      expect(reply.status).toBe(302);
      seen.push((path = reply.headers.location!));
    }
    expect(seen).toEqual(['/redirect/2', '/redirect/1', '/']);
  });

  test('/echo tells method, path, headers and body, and allows any query', async () => {
    const reply = await ask(await start(), '/echo?a=1&b', {
      method: 'PUT',
      body: 'späte Grüße',
      headers: { 'X-One': '1', 'Content-Length': '14' },
    });
    const echoed = JSON.parse(reply.body) as { method: string; path: string; headers: object; body: string };
    expect(echoed).toMatchObject({ method: 'PUT', path: '/echo?a=1&b', body: 'späte Grüße' });
    expect(echoed.headers).toMatchObject({ 'x-one': '1', 'content-length': '14' });
  });

  test('/echo cuts a body at 1 MB and says so', async () => {
    const reply = await ask(await start(), '/echo', { method: 'POST', body: 'y'.repeat(1_500_000) });
    const echoed = JSON.parse(reply.body) as { body: string; bodyCut: boolean };
    expect(echoed.body.length).toBe(1_000_000);
    expect(echoed.bodyCut).toBe(true);
  });

  test('HEAD has the length of the body and no body', async () => {
    const reply = await ask(await start(), '/?size=500', { method: 'HEAD' });
    expect(reply.headers['content-length']).toBe('500');
    expect(reply.body).toBe('');
  });

  test('a request with a body is answered, on the same connection as the next one', async () => {
    const target = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const body of ['a', 'z'.repeat(200_000), 'b']) {
      expect((await ask(target, '/', { method: 'POST', body, agent })).body).toBe('ok');
    }
    agent.destroy();
    expect(target.stats()).toMatchObject({ received: 3, answered: 3, connectionsOpened: 1 });
  });

  test.each<[string, number, string]>([
    ['/nowhere', 404, 'expected /, /status/CODE'],
    ['/json/more', 404, 'found "/json/more"'],
    ['/status/99', 400, 'expected /status/ and a status from 200 to 599, found "/status/99"'],
    ['/status/abc', 400, 'expected /status/'],
    ['/redirect/101', 400, 'expected /redirect/ and a number from 1 to 100'],
    ['/redirect/0', 400, 'expected /redirect/'],
    ['/?latncy=5ms', 400, 'expected the query to have status, latency, pause, size, slow, error only, found "latncy"'],
    ['/?latency=fast', 400, 'latency: expected a duration'],
    ['/?size=1TB', 400, 'size: expected a size'],
  ])('%s is refused with %i and one line', async (path, status, line) => {
    const reply = await ask(await start({ status: '200', error: 'none' }), path);
    expect(reply.status).toBe(status);
    expect(reply.body).toContain(line);
    expect(reply.body.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('settings', () => {
  test('hold for every request, and a query goes before them', async () => {
    const target = await start({ status: '503', size: '100' });
    expect(await ask(target, '/')).toMatchObject({ status: 503, body: 'x'.repeat(100) });
    expect(await ask(target, '/?status=200')).toMatchObject({ status: 200, body: 'x'.repeat(100) });
  });

  test('a wrong one stops the start', async () => {
    await expect(startTarget({ latency: 'slow' })).rejects.toThrow(/^latency: expected a duration/);
    await expect(startTarget({ rate: 0 })).rejects.toThrow(/^rate: expected a number/);
  });

  test('a port in use is told with the address', async () => {
    const target = await start();
    await expect(startTarget({ port: target.port })).rejects.toThrow(
      new RegExp(`expected an address to listen on, found 127.0.0.1:${target.port}: .*EADDRINUSE`),
    );
  });

  test('latency is never shorter than asked for', async () => {
    const target = await start();
    for (let i = 0; i < 20; i++) {
      const fromMs = performance.now();
      await ask(target, '/?latency=10ms');
      expect(performance.now() - fromMs).toBeGreaterThanOrEqual(10);
    }
  });

  test('a pause holds back what arrives in it, until it is over', async () => {
    const target = await start({ pause: '100ms/200ms', latency: '10ms' });
    for (let i = 0; i < 10; i++) {
      const phaseMs = performance.now() % 200;
      const fromMs = performance.now();
      await ask(target, '/');
      if (phaseMs < 100) expect(performance.now() - fromMs).toBeGreaterThanOrEqual(100 - phaseMs);
      await sleep(7);
    }
  });

  test('a query without a pause does not wait for that of the server', async () => {
    const target = await start({ pause: '599s/600s' });
    expect((await ask(target, '/?pause=0')).status).toBe(200);
  });

  test('the latency is told as it was measured', async () => {
    const target = await start();
    expect(target.stats().latencyMs).toBeNull();
    for (const ms of [20, 20, 20, 60]) await ask(target, `/?latency=${ms}ms`);
    const { p50, max, mean } = target.stats().latencyMs!;
    expect(p50).toBeGreaterThanOrEqual(20 * 0.999);
    expect(max).toBeGreaterThanOrEqual(60);
    expect(mean).toBeGreaterThanOrEqual(30);
    target.reset();
    expect(target.stats().latencyMs).toBeNull();
  });

  test('a slow body comes in parts over its time, after its head', async () => {
    const target = await start();
    const fromMs = performance.now();
    const request = httpRequest(`${target.url}/?slow=200ms&size=1000`, { agent: false }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const headMs = performance.now() - fromMs;
    let bytes = 0;
    let parts = 0;
    for await (const part of response) {
      bytes += (part as Buffer).length;
      parts += 1;
    }
    expect(bytes).toBe(1000);
    expect(parts).toBeGreaterThan(5);
    expect(performance.now() - fromMs).toBeGreaterThanOrEqual(200);
    expect(headMs).toBeLessThan(performance.now() - fromMs - 100);
  });

  test('a slow body is given up when its connection is gone, and is not answered', async () => {
    const target = await start();
    const socket = connect(target.port, '127.0.0.1');
    socket.write(get('/?slow=50ms&size=1000'));
    await once(socket, 'data');
    socket.destroy();
    await until(() => target.stats().connections === 0);
    await ask(target, '/?latency=80ms');
    expect(target.stats()).toMatchObject({ received: 2, answered: 1 });
  });
});

describe('failures', () => {
  test.each<[string, string, RegExp]>([
    ['reset', 'ECONNRESET', /^$/],
    ['close', 'end', /^$/],
    ['garbage', 'end', /^this is not HTTP\r\n\r\n$/],
    ['truncate', 'end', /Content-Length: 100\r\n[^]*\r\n\r\nx{50}$/],
  ])('%s ends the connection with %s', async (kind, end, bytes) => {
    const target = await start();
    const got = await raw(target, get(`/?size=100&error=${kind}`));
    expect(got.end).toBe(end);
    expect(got.bytes).toMatch(bytes);
    expect(target.stats()).toMatchObject({ received: 1, answered: 0, spoilt: { [kind]: 1 }, byStatus: {} });
  });

  test('stall answers nothing and keeps the connection', async () => {
    const target = await start();
    const socket = connect(target.port, '127.0.0.1');
    let heard = 0;
    socket.on('data', () => (heard += 1));
    socket.on('end', () => (heard += 1));
    socket.write(get('/?error=stall'));
    await until(() => target.stats().spoilt.stall === 1);
    await ask(target, '/?latency=50ms');
    expect(heard).toBe(0);
    socket.destroy();
  });

  test('closing the target cuts a stalled connection', async () => {
    const target = await startTarget({ error: 'stall' });
    const got = raw(target, get('/'));
    await until(() => target.stats().received === 1);
    await target.close();
    expect((await got).bytes).toBe('');
  });
});

describe('counts', () => {
  test('requests by path, answers by status, connections and bytes are those of the wire', async () => {
    const target = await start();
    const request = get('/?size=7') + get('/') + get('/status/503');
    const socket: Socket = connect(target.port, '127.0.0.1');
    let bytesIn = 0;
    socket.on('data', (part) => (bytesIn += part.length));
    socket.write(request);
    await until(() => target.stats().answered === 3 && bytesIn === target.stats().bytesOut);
    expect(target.stats()).toMatchObject({
      received: 3,
      answered: 3,
      byPath: { '/': 2, '/status/503': 1 },
      byStatus: { 200: 2, 503: 1 },
      bytesIn: request.length,
      connectionsOpened: 1,
      connections: 1,
    });
    expect(bytesIn).toBeGreaterThan(100);
    socket.destroy();
    await until(() => target.stats().connections === 0);
    expect(target.stats()).toMatchObject({ bytesIn: request.length, bytesOut: bytesIn, connectionsOpened: 1 });
  });

  test('a head that is not complete is not a request', async () => {
    const target = await start();
    const socket = connect(target.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: tar');
    await until(() => target.stats().bytesIn > 0);
    expect(target.stats().received).toBe(0);
    socket.write('get\r\n\r\n');
    await until(() => target.stats().received === 1);
    socket.destroy();
  });

  test('paths beyond the hundredth are counted together', async () => {
    const target = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 105; i++) await ask(target, `/p${i}`, { agent });
    agent.destroy();
    const { byPath } = target.stats();
    expect(Object.keys(byPath)).toHaveLength(101);
    expect(byPath['(other paths)']).toBe(5);
    expect(byPath['/p0']).toBe(1);
  });

  test('reset starts all counts again; open connections stay', async () => {
    const target = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await ask(target, '/', { agent });
    target.reset();
    expect(target.stats()).toMatchObject({
      received: 0,
      answered: 0,
      byPath: {},
      byStatus: {},
      bytesIn: 0,
      bytesOut: 0,
      connectionsOpened: 0,
      connections: 1,
      perSecond: [],
      arrivals: { kept: 0, missed: 0 },
      pacing: null,
    });
    await ask(target, '/', { agent });
    expect(target.stats()).toMatchObject({ received: 1, connectionsOpened: 0 });
    agent.destroy();
  });

  test('each request is in its second and in the arrivals, up to the limit', async () => {
    const target = await start({ maxArrivals: 2 });
    for (let i = 0; i < 3; i++) await ask(target, '/');
    const stats = target.stats();
    expect(stats.perSecond.reduce((a, b) => a + b, 0)).toBe(3);
    expect(stats.arrivals).toEqual({ kept: 2, missed: 1, limit: 2 });
    expect(stats.pacing!.arrivals).toBe(2);
  });
});

describe('/stats', () => {
  const statsOf = async (target: Target, query = ''): Promise<TargetStats> =>
    JSON.parse((await ask(target, `/stats${query}`)).body) as TargetStats;

  test('tells the counts and counts neither its requests nor their connections', async () => {
    const target = await start();
    await ask(target, '/');
    await statsOf(target);
    expect(await statsOf(target)).toMatchObject({ received: 1, answered: 1, byPath: { '/': 1 }, connectionsOpened: 1 });
  });

  test('judges the arrivals by the rate in the query, else by the option, else by the mean', async () => {
    const target = await start({ rate: 50 });
    await ask(target, '/');
    await ask(target, '/');
    expect((await statsOf(target, '?rate=20')).pacing).toMatchObject({ ratePerSecond: 20, rateGiven: true });
    expect((await statsOf(target)).pacing).toMatchObject({ ratePerSecond: 50, rateGiven: true });
    const other = await start();
    await ask(other, '/');
    await ask(other, '/');
    const { pacing } = await statsOf(other);
    expect(pacing!.rateGiven).toBe(false);
    expect(pacing!.ratePerSecond).toBe(pacing!.meanRatePerSecond);
  });

  test('arrivals 30 ms apart are seen 30 ms apart', async () => {
    const target = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    // The answer of each comes 30 ms after its arrival, and the next one follows the answer.
    for (let i = 0; i < 6; i++) await ask(target, '/?latency=30ms', { agent });
    agent.destroy();
    expect(target.stats().pacing!.meanRatePerSecond).toBeLessThanOrEqual(1000 / 30);
  });

  test.each(['0', '-1', 'fast', '', '1e9'])('refuses ?rate=%s', async (rate) => {
    const reply = await ask(await start(), `/stats?rate=${rate}`);
    expect(reply.status).toBe(400);
    expect(reply.body).toBe(`rate: expected a number from 0.01 to 1000000, found "${rate}"\n`);
  });

  test('is reset by POST only', async () => {
    const target = await start();
    await ask(target, '/');
    expect((await ask(target, '/stats/reset')).status).toBe(405);
    expect(target.stats().received).toBe(1);
    expect((await ask(target, '/stats/reset', { method: 'POST' })).status).toBe(204);
    expect(target.stats().received).toBe(0);
  });
});

describe('the text at the end', () => {
  test('has the counts, the stray and the worst second', () => {
    const text = formatTargetStats({
      seconds: 10.04,
      received: 10_000,
      answered: 9_990,
      byPath: { '/': 10_000 },
      byStatus: { 200: 9_000, 503: 990 },
      spoilt: { reset: 10 },
      bytesIn: 1_234_567,
      bytesOut: 7,
      connectionsOpened: 50,
      connections: 0,
      perSecond: [],
      arrivals: { kept: 9_000, missed: 1_000, limit: 9_000 },
      pacing: {
        ratePerSecond: 1000,
        rateGiven: true,
        arrivals: 9_000,
        meanRatePerSecond: 999.96,
        strayMs: { p50: 0.0123, p90: 0.1, p99: 0.3, max: 1.5 },
        perSecond: [1000, 998],
        worstSecond: { second: 1, count: 998, deviationPercent: -0.2 },
      },
      latencyMs: { mean: 3, p50: 2, p90: 4.5, p99: 10, 'p99.9': 20.1234, max: 30 },
    });
    expect(text.split('\n')).toEqual([
      'requests   10 000 received, 9 990 answered in 10.0 s',
      'statuses   200: 9 000, 503: 990',
      'spoilt     reset: 10',
      'traffic    50 connections opened, 0 open; 1 234 567 bytes in, 7 bytes out',
      "latency    from a request's arrival to its answer: p50 2.000 ms, p90 4.500 ms, p99 10.000 ms, p99.9 20.123 ms, max 30.000 ms",
      'arrivals   1000.0/s on average; stray from the line of 1000.0/s asked for: p50 0.012 ms, p90 0.100 ms, p99 0.300 ms, max 1.500 ms',
      '           worst of 2 whole seconds: second 1 with 998 (-0.20 %)',
      '           of the first 9 000 arrivals; 1 000 more were not kept',
    ]);
  });

  test('of a target that was never asked has no pacing', async () => {
    const text = formatTargetStats((await start()).stats());
    expect(text.split('\n')).toEqual([
      'requests   0 received, 0 answered in 0.0 s',
      'traffic    0 connections opened, 0 open; 0 bytes in, 0 bytes out',
    ]);
  });
});
