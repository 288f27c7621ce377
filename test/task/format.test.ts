import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskText } from '../../src/lib/mask.ts';
import { parseTaskFile } from '../../src/task/file.ts';
import { formatTask, maskTask, taskSecrets } from '../../src/task/format.ts';
import { parseTask } from '../../src/task/schema.ts';
import { taskArbitrary } from '../support/task-arbitrary.ts';

const URL_ONLY = { request: { url: 'http://127.0.0.1:8080/orders' } };

describe('formatTask', () => {
  it('writes what parseTaskFile reads back to an equal task', () => {
    fc.assert(
      fc.property(taskArbitrary, (task) => {
        expect(parseTaskFile(formatTask(task), 'task.yaml')).toEqual(task);
      }),
      { numRuns: 500 },
    );
  });

  it('leaves out what is as by default, but not the load', () => {
    expect(formatTask(parseTask(URL_ONLY))).toBe(
      'request:\n  url: http://127.0.0.1:8080/orders\nload:\n  users: 10\n  duration: 10s\n',
    );
  });

  it('writes every part in the form of the task file', () => {
    const input = {
      name: 'all',
      request: {
        method: 'PUT',
        url: 'http://127.0.0.1:8080/',
        headers: [{ name: 'A', value: '1' }],
        body: { text: '{}\n' },
      },
      load: {
        model: 'open',
        stages: [{ duration: '1m30s', target: 100, shape: 'ramp' }, { target: 5 }],
        hits: 1000,
        warmup: '1s',
        maxInFlight: 5,
        onSaturated: 'queue',
        maxQueue: 7,
        grace: '0s',
      },
      connections: { max: 50, reuse: false },
      timeouts: { connect: '1s', response: '2s', total: '3s' },
      redirects: { follow: true, max: 3 },
      tls: { verify: false, ca: 'ca.pem', cert: 'c.pem', key: 'k.pem', serverName: 'example.org' },
      checks: [{ status: [200, '301-399'] }, { maxLatency: '200ms' }, { maxSize: 10 }],
      slos: ['p99 < 200ms'],
    };
    const text = formatTask(parseTask(input));
    expect(text).toContain('- duration: 1m30s\n      target: 100\n      shape: ramp\n    - target: 5\n');
    expect(text).toContain('- status:\n      - 200\n      - 301-399\n');
    expect(parseTaskFile(text, 'x')).toEqual(parseTask(input));
  });
});

const SECRETIVE = parseTask({
  request: {
    url: 'http://user:canary%2D1@127.0.0.1:8080/?q=shown&access_token=canary%2D2',
    headers: [
      { name: 'Cookie', value: 'a=canary-3; b=canary-4' },
      { name: 'X-Api-Key', value: 'canary-5' },
      { name: 'Proxy-Authorization', value: `Basic ${Buffer.from('me:canary-6').toString('base64')}` },
      { name: 'X-Auth-Token', value: 'Bearer canary-7' },
      { name: 'Accept', value: 'shown' },
    ],
    body: { text: 'body' },
  },
});

describe('maskTask', () => {
  it('hides every secret, and nothing else', () => {
    const masked = maskTask(SECRETIVE);
    expect(masked.request.url).toBe('http://***@127.0.0.1:8080/?q=shown&access_token=***');
    expect(masked.request.headers.map(({ value }) => value)).toEqual(['***', '***', '***', '***', 'shown']);
    expect({ ...masked, request: null }).toEqual({ ...SECRETIVE, request: null });
    expect(masked.request.body).toEqual({ kind: 'text', text: 'body' });
  });

  it('gives a task that can be formatted and read', () => {
    const masked = maskTask(SECRETIVE);
    expect(parseTaskFile(formatTask(masked), 'x')).toEqual(masked);
  });
});

describe('taskSecrets', () => {
  it.each([
    'canary-1',
    'canary%2D1',
    'canary-2',
    'canary-3',
    'canary-4',
    'canary-5',
    'canary-6',
    'canary-7',
    Buffer.from('me:canary-6').toString('base64'),
    Buffer.from('user:canary-1').toString('base64'),
  ])('has what maskText needs to hide %s', (secret) => {
    expect(maskText(`peer said ${secret}.`, taskSecrets(SECRETIVE))).toBe('peer said ***.');
  });

  it('has a user without a password, which is a token', () => {
    expect(taskSecrets(parseTask({ request: { url: 'http://canary@127.0.0.1/' } }))).toContain('canary');
  });

  it('is empty for a task without secrets', () => {
    expect(taskSecrets(parseTask(URL_ONLY))).toEqual([]);
  });
});
