import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONFIG_NAMES, flagOf, variableOf } from '../../src/app/config-keys.ts';
import { configSecrets, readConfig, type ConfigSources, type NodeConfig } from '../../src/app/config.ts';
import { CodedError } from '../../src/lib/errors.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'gostress-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(text: string): string {
  const file = path.join(folder, 'node.yaml');
  writeFileSync(file, text);
  return file;
}

const CLUSTER = { etcdHosts: ['http://127.0.0.1:2379'], mysqlUrl: 'mysql://u:p@127.0.0.1/gostress' };

function read(sources: Partial<ConfigSources>) {
  return readConfig({ file: null, env: { HOME: '/home/u' }, flags: {}, purpose: 'node', ...sources });
}

async function configOf(sources: Partial<ConfigSources>): Promise<NodeConfig> {
  return (await read(sources)).config;
}

async function problemsOf(sources: Partial<ConfigSources>): Promise<readonly string[]> {
  const error = await read(sources).then(
    () => null,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(CodedError);
  expect((error as CodedError).code).toBe('USAGE');
  return (error as CodedError).problems;
}

test('a standalone server needs no word; a node needs etcd, and a candidate MySQL', async () => {
  expect(await configOf({ purpose: 'server' })).toMatchObject({
    nodeId: null,
    listen: { host: '127.0.0.1', port: 7420 },
    roles: ['worker', 'candidate'],
    etcd: null,
    mysqlUrl: null,
    dataFolder: '/home/u/.local/share/gostress',
  });
  expect(await problemsOf({})).toEqual([
    expect.stringMatching(
      /^etcdHosts: expected .*found nothing; it is etcdHosts in .* GOSTRESS_ETCD_HOSTS or --etcd-host$/,
    ),
    expect.stringMatching(/^mysqlUrl: .*which a candidate needs.* GOSTRESS_MYSQL_URL or --mysql-url$/),
  ]);
  const worker = await configOf({ flags: { roles: ['worker'], etcdHosts: CLUSTER.etcdHosts } });
  expect(worker).toMatchObject({ mysqlUrl: null, roles: ['worker'] });
});

test('a flag is stronger than a variable, a variable than the file, the file than the default', async () => {
  const file = fileOf('priority: 1\ncapacity: 1\nnodeId: one\netcdHosts: ["http://a:2379"]\n');
  const env = { GOSTRESS_PRIORITY: '2', GOSTRESS_CAPACITY: '2', GOSTRESS_MYSQL_URL: CLUSTER.mysqlUrl };
  const config = await configOf({ file, env, flags: { priority: '3' } });
  expect(config).toMatchObject({ priority: 3, capacity: 2, nodeId: 'one', clusterName: 'gostress' });
  expect(config.etcd).toEqual({ hosts: ['a:2379'], user: null, password: null, tls: null });
  const named = await configOf({ env: { ...env, GOSTRESS_CONFIG: file } });
  expect(named).toMatchObject({ priority: 2, nodeId: 'one' });
});

test('lists, maps and durations are read from every source', async () => {
  const expected = {
    labels: { zone: 'eu', disk: 'ssd' },
    roles: ['worker', 'candidate'],
    timings: { leaseTtlMs: 3000 },
  };
  const file = fileOf('labels: { zone: eu, disk: ssd }\nroles: [worker, candidate]\ntimings: { leaseTtl: 3s }\n');
  const env = {
    GOSTRESS_LABELS: 'zone=eu, disk=ssd',
    GOSTRESS_ROLES: 'worker,candidate',
    GOSTRESS_TIMINGS: 'leaseTtl=3s',
  };
  const flags = { labels: ['zone=eu', 'disk=ssd'], roles: ['worker', 'candidate'], timings: ['leaseTtl=3s'] };
  expect(await configOf({ flags: CLUSTER, file })).toMatchObject(expected);
  expect(await configOf({ flags: CLUSTER, env })).toMatchObject(expected);
  expect(await configOf({ flags: { ...CLUSTER, ...flags } })).toMatchObject(expected);
});

test('files that a config file names lie beside it', async () => {
  writeFileSync(path.join(folder, 'own.js'), '');
  const file = fileOf('drivers: [./own.js]\ndataFolder: data\n');
  const config = await configOf({ file, purpose: 'server' });
  expect(config.drivers).toEqual([path.join(folder, 'own.js')]);
  expect(config.dataFolder).toBe(path.join(folder, 'data'));
});

test('results of a worker wait in its data folder', async () => {
  const byDefault = { folder: '/home/u/.local/share/gostress', maxBytes: 256_000_000, onFull: 'pause' };
  expect(await configOf({ flags: CLUSTER })).toMatchObject({ dataFolder: null, buffer: byDefault });
  expect(await configOf({ purpose: 'server' })).toMatchObject({ buffer: byDefault });
  expect(await configOf({ flags: { ...CLUSTER, roles: ['candidate'] } })).toMatchObject({ buffer: null });
  const env = { GOSTRESS_DATA_FOLDER: '/data', GOSTRESS_BUFFER_MAX: '1GB', GOSTRESS_ON_BUFFER_FULL: 'drop' };
  expect((await configOf({ flags: CLUSTER, env })).buffer).toEqual({ folder: '/data', maxBytes: 1e9, onFull: 'drop' });
  expect(await problemsOf({ flags: { ...CLUSTER, bufferMax: '1MB', onBufferFull: 'wait' } })).toEqual([
    '--buffer-max: expected a size from 4MB to 2GB, found "1MB"',
    expect.stringMatching(/^--on-buffer-full: expected .*pause.*drop.*found "wait"$/),
  ]);
});

test('every problem is told at once, with the place of each', async () => {
  const file = fileOf('nodeId: a b\nrolez: [worker]\ntimings:\n  leaseTtl: 3\n  foo: 1s\n');
  const problems = await problemsOf({
    file,
    env: { GOSTRESS_CAPACITY: '-1', GOSTRESS_LABELS: 'zone' },
    flags: { priority: 'high', listen: 'here', etcdHosts: ['http://a', 'ftp://b'], roles: ['workr'] },
  });
  expect(problems).toEqual([
    `${file}:2:1 rolez: unknown key; did you mean "roles"?`,
    `${file}:1:1 nodeId: expected letters, digits, ".", "_" and "-", at most 63, found "a b"`,
    `${file}:4:3 timings.leaseTtl: expected a duration like "30s" or "1m30s", found 3: a number needs a unit, e.g. "3s"`,
    expect.stringMatching(/node\.yaml:5:3 timings\.foo: unknown key; expected one of leaseTtl, /),
    '--role: expected "worker" or "candidate" or "sentinel", found "workr"; did you mean "worker"?',
    '--listen: expected HOST:PORT like "127.0.0.1:7420" or "[::1]:7420", found "here"',
    'GOSTRESS_LABELS: expected keys and values of letters, digits, ".", "_" and "-", at most 63, found "zone="',
    '--priority: expected a number, found "high"',
    'GOSTRESS_CAPACITY: expected at least 1, found -1',
    '--etcd-host: expected a URL like "http://127.0.0.1:2379", found "ftp://b"',
    expect.stringMatching(/^mysqlUrl: expected a URL/),
  ]);
});

describe('an address that others can reach', () => {
  test('needs a word that no one is kept out, and is warned of', async () => {
    const [problem, ...more] = await problemsOf({ flags: { listen: '10.0.0.1:7420' }, purpose: 'server' });
    expect(problem).toContain('--listen: expected an address of this machine only');
    expect(problem).toContain('--allow-unauthenticated');
    expect(more).toEqual([]);
    const { warnings } = await read({
      flags: { listen: '10.0.0.1:7420', allowUnauthenticated: true },
      purpose: 'server',
    });
    expect(warnings).toEqual([expect.stringContaining('without access control')]);
  });

  test('has to be told when the node listens on all', async () => {
    const flags = { ...CLUSTER, listen: '0.0.0.0:7420', allowUnauthenticated: true };
    expect(await problemsOf({ flags })).toEqual([expect.stringMatching(/^advertise: .*listens on 0\.0\.0\.0/)]);
    const config = await configOf({ flags: { ...flags, advertise: 'node-a.example:7420' } });
    expect(config.advertise).toEqual({ host: 'node-a.example', port: 7420 });
  });

  test.each(['127.0.0.1:1', 'localhost:1', '[::1]:1', '127.1.2.3:1'])('is not %s', async (listen) => {
    expect((await read({ flags: { listen }, purpose: 'server' })).warnings).toEqual([]);
  });
});

test.each<[string, Partial<ConfigSources>]>([
  ['a password without a user', { flags: { mysqlUrl: 'mysql://:canary@h/x', etcdHosts: ['http://a'] } }],
  ['no database', { flags: { mysqlUrl: 'mysql://u:canary@h', etcdHosts: ['http://a'] } }],
  ['a user in the URL of etcd', { flags: { ...CLUSTER, etcdHosts: ['http://u:canary@a'] } }],
  ['no user for etcd', { flags: { ...CLUSTER, etcdPassword: 'canary' } }],
  ['a map in a file', { file: '', flags: CLUSTER }],
])('a secret is not in the problem of %s', async (_, sources) => {
  const file = sources.file === '' ? fileOf('etcdPassword: { canary: canary }\netcdUser: u\n') : null;
  expect((await problemsOf({ ...sources, file })).join('\n')).not.toContain('canary');
});

test('the secrets of a config are known, decoded too', async () => {
  const config = await configOf({
    flags: { ...CLUSTER, mysqlUrl: 'mysql://u:a%40b@h/x', etcdUser: 'u', etcdPassword: 'hush' },
  });
  expect(configSecrets(config)).toEqual(expect.arrayContaining(['a%40b', 'a@b', 'hush']));
});

test('etcd with TLS needs the certificates it is trusted by, and a key with its certificate', async () => {
  const etcdHosts = ['https://a:2379', 'https://[::1]:2379'];
  expect(await problemsOf({ flags: { ...CLUSTER, etcdHosts, etcdCert: '/nowhere' } })).toEqual([
    expect.stringMatching(/^etcdCa: expected the certificates/),
    expect.stringMatching(/^etcdKey: expected it beside etcdCert/),
    '--etcd-cert: cannot read "/nowhere": no such file or folder',
  ]);
  const pem = fileOf('no PEM, but a file');
  const { etcd } = await configOf({ flags: { ...CLUSTER, etcdHosts, etcdCa: pem } });
  expect(etcd).toMatchObject({ hosts: ['a:2379', '[::1]:2379'], tls: { ca: pem, cert: null, key: null } });
  expect(await problemsOf({ flags: { ...CLUSTER, etcdHosts: ['https://a', 'http://b'], etcdCa: pem } })).toEqual([
    '--etcd-host: expected https: for all of them or for none, found both',
  ]);
});

test('migrate needs the database alone', async () => {
  expect(await problemsOf({ purpose: 'migrate' })).toEqual([expect.stringMatching(/^mysqlUrl: expected the URL/)]);
  expect(await configOf({ purpose: 'migrate', flags: { mysqlUrl: CLUSTER.mysqlUrl } })).toMatchObject({
    mysqlUrl: CLUSTER.mysqlUrl,
  });
});

test('timings are checked against each other', async () => {
  expect(await problemsOf({ flags: { ...CLUSTER, timings: ['leaseTtl=1s', 'downAfter=800ms'] } })).toEqual([
    '--timing leaseTtl: expected at least 2s, found 1s',
    expect.stringMatching(
      /^--timing: expected 3 · sentinelProbe \+ sentinelProbeDeadline \(1\.35s\) to be at most downAfter \(800ms\): /,
    ),
  ]);
  const file = fileOf('timings:\n  ping: 100ms\n  leaseTtl: 1s\n');
  expect(await problemsOf({ file, flags: CLUSTER })).toEqual([
    `${file}:3:3 timings.leaseTtl: expected at least 2s, found 1s`,
    `${file}:1:1 timings: expected downAfter + margin (2.2s) to be at most leaseTtl (1s): a lock that ends by itself needs no sentinel`,
  ]);
});

test('a profile sets timings all at once, and single ones go over it', async () => {
  const flags = { ...CLUSTER, timingProfile: 'fast', timings: ['downAfter=1500ms'] };
  const { timings } = await configOf({ flags });
  expect(timings).toMatchObject({ downAfterMs: 1_500, sentinelProbeMs: 150, sentinelProbeDeadlineMs: 300 });
  expect(await problemsOf({ flags: { ...CLUSTER, timingProfile: 'hasty' } })).toEqual([
    expect.stringMatching(/^--timing-profile: expected "default" or "fast", found "hasty"/),
  ]);
});

test('keys of the other kind of node are refused, unknown variables warned of', async () => {
  expect(await problemsOf({ flags: CLUSTER, purpose: 'server' })).toEqual([
    '--etcd-host: not for a standalone server; a cluster is gostress node',
    '--mysql-url: not for a standalone server; a cluster is gostress node',
  ]);
  expect(
    await problemsOf({ flags: { ...CLUSTER, roles: ['candidate'], dataFolder: 'x', onBufferFull: 'drop' } }),
  ).toEqual([
    '--data-folder: only for a worker, or a standalone server',
    '--on-buffer-full: only for a worker, or a standalone server',
  ]);
  const { warnings } = await read({
    purpose: 'server',
    env: { HOME: '/', GOSTRESS_LISTN: 'x', GOSTRESS_CLUSTER: 'h:1' },
  });
  expect(warnings).toEqual(['GOSTRESS_LISTN: unknown variable, not used; did you mean GOSTRESS_LISTEN?']);
});

test('a file that is not there, or no YAML, is told', async () => {
  expect(await problemsOf({ file: '/nowhere/node.yaml' })).toEqual([
    '--config: cannot read "/nowhere/node.yaml": no such file or folder',
  ]);
  await expect(read({ file: fileOf('a: [') })).rejects.toThrow(/node\.yaml:1:\d+: not valid YAML/);
  expect((await problemsOf({ file: fileOf('- a'), purpose: 'server' }))[0]).toContain('expected a map of keys');
});

describe('a mistake does not hide another', () => {
  test('in timings that are wrong in name, in value and against each other', async () => {
    const flags = { ...CLUSTER, timings: 'nope=1s,ping=soon,leaseTtl=1s' };
    const problems = await problemsFound({ flags });
    for (const words of ['nope', 'ping', 'leaseTtl: expected at least 2s, found 1s']) {
      expect(problems.join('\n')).toContain(words);
    }
  });

  test('in drivers that are not there, beside others', async () => {
    const flags = { ...CLUSTER, drivers: ['/nowhere/a.js', '/nowhere/b.js'], priority: '-1' };
    expect(await problemsFound({ flags })).toEqual([
      expect.stringMatching(/^--priority: /),
      '--driver: cannot read "/nowhere/a.js": no such file or folder',
      '--driver: cannot read "/nowhere/b.js": no such file or folder',
    ]);
  });

  async function problemsFound(sources: Partial<ConfigSources>): Promise<readonly string[]> {
    const error = await read(sources).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(CodedError);
    return (error as CodedError).problems;
  }
});

test('the page of the room names every key with its variable and its flag', () => {
  const page = readFileSync(new URL('../../src/app/README.md', import.meta.url), 'utf8');
  for (const key of CONFIG_NAMES) {
    expect(page).toContain(`| \`${key}\`, \`${variableOf(key)}\`, \`${flagOf(key)}`);
  }
});
